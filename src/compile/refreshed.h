/* refreshed.h -- stages around a refresh: the one before it ends with its values in coefficients,
 * and after it they stand as copies that are skewed (docs/cryptography.md, (40)).
 */
#ifndef HEL_REFRESHED_H
#define HEL_REFRESHED_H

#include "packing.h"
#include "stages.h"

/** log2 of the coefficients that a program's refreshes all have: for the widest of `rows`.
 *  @retval HEL_EUNSUPPORTED it is wider than any refresh. */
HEL_CHECKED hel_status hel_refreshed_size(unsigned *log_values, size_t rows, const char *name);
/** A stage becomes one of 2^(log_values - 1) complex rows: what slots hold when its values times
 *  `factor`, repeated, are the coefficients. Cost: rows squared times columns. */
HEL_CHECKED hel_status hel_refreshed_coefficients(hel_stage *s, unsigned log_values, double factor);
/** The same stages for parameters: in units of their turns. Once. */
void hel_refreshed_use(hel_stages *s, const hel_params *params);
/** Where `rows` values stand after a refresh. */
HEL_CHECKED hel_status hel_refreshed_packing(hel_packing *k, size_t rows, unsigned log_values,
					     unsigned log_slots);
/** The highest level at which a refreshed value is needed; 0: nothing is refreshed. */
unsigned hel_refreshed_level(const hel_stages *s);

#endif
