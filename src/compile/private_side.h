/* private_side.h -- compiles one side of a model, for catalogues of the other: see sides.h. */
#ifndef HEL_PRIVATE_SIDE_H
#define HEL_PRIVATE_SIDE_H

#include "compile.h"
#include "sides.h"

/** The program that computes a user's vector and constant under encryption, with the public model
 *  inside that makes weights of items.
 *  @retval HEL_EUNSUPPORTED, HEL_ELIMIT, HEL_ERANGE as hel_compile(). */
HEL_CHECKED hel_status hel_compile_items(hel_program **out, hel_compile_report *report,
					 const hel_dlrm *m, const hel_sides *sides,
					 const hel_compile_options *options);

/** Seconds for 1,000 items more, on one thread. */
double hel_items_seconds(const hel_params_spec *spec, unsigned log_width,
			 const hel_cost_model *machine);

#endif
