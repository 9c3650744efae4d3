/* joint.h -- a model of private and public columns where items are no matrix: what public nodes
 * come to where they meet private ones is computed in the clear, and enters a model of the private
 * columns as dense values more. One program runs over many items at once (--batch): the record is
 * alike in all places, the items' values are not.
 */
#ifndef HEL_JOINT_H
#define HEL_JOINT_H

#include "compile.h"
#include "side.h"

/** As hel_compile() with a model's public columns as items.
 *  options: log_batch says how many items a run takes, HEL_ANY_BATCH: those of which one costs
 *  least; codings are of private tables. *width: values of an item.
 *  @retval HEL_EINVAL nothing is left to hide, or nothing is shared.
 *  @retval HEL_EUNSUPPORTED, HEL_ELIMIT, HEL_ERANGE as hel_compile(). */
HEL_CHECKED hel_status hel_compile_joint(hel_program **out, hel_compile_report *report,
					 size_t *width, const hel_dlrm *m, const bool *dense,
					 const bool *table, const hel_compile_options *options);

#endif
