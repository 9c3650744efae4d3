/* ensemble.h -- a model of several members: one architecture, one schema, several seeds; the logit
 * is the mean of theirs. Each is trained alone; in the graph, node NAME of member k is called
 * mK.NAME.
 */
#ifndef HEL_ENSEMBLE_H
#define HEL_ENSEMBLE_H

#include "dlrm.h"

/** What member k is trained with: member 0's seed is the model's own. */
hel_dlrm_config hel_ensemble_config(const hel_dlrm_config *c, uint32_t member);
/** Member k with fresh random weights. It borrows the model's schema: it ends with
 *  hel_ensemble_take() or hel_ensemble_leave(). */
HEL_CHECKED hel_status hel_ensemble_member(hel_dlrm **out, const hel_dlrm *m, uint32_t member);
/** The member's weights become those of member k; frees it. */
void hel_ensemble_take(hel_dlrm *m, hel_dlrm *trained, uint32_t member);
/** Frees it; NULL is none. */
void hel_ensemble_leave(hel_dlrm *member);

#endif
