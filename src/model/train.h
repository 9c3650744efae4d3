/* train.h -- one training step after another. */
#ifndef HEL_TRAIN_H
#define HEL_TRAIN_H

#include "network.h"

/** Trains in place on one thread: AdamW, warm-up, linear decay, gradient clipping. Deterministic
 *  per seed. progress may be NULL. */
HEL_CHECKED hel_status hel_dlrm_train(hel_dlrm *m, const hel_samples *samples,
				      hel_progress *progress);

/** Weights under training: their optimiser's state. Steps are numbered from 0 to total - 1. */
typedef struct hel_trainer hel_trainer;

HEL_CHECKED hel_status hel_trainer_new(hel_trainer **out, hel_dlrm *m, uint64_t total,
				       hel_pool *pool);
void hel_trainer_free(hel_trainer *t);
/** One step on samples rows[0..count), count at most the configured batch; *loss is their mean.
 *  @retval HEL_ERANGE the loss is no number any more. */
HEL_CHECKED hel_status hel_trainer_step(hel_trainer *t, const hel_samples *s, const uint32_t *rows,
					size_t count, double *loss);
/** A state that was read back counts no steps that were not done. */
bool hel_trainer_sound(const hel_trainer *t);
uint64_t hel_trainer_number(const hel_trainer *t); /* of steps done */
/** Makes up what rows of tables have missed (see train.c): before the weights are read. */
void hel_trainer_settle(hel_trainer *t);
/** The parts of a checkpoint, in order: called with (arg, bytes, size); state is not settled. */
HEL_CHECKED hel_status hel_trainer_state(hel_trainer *t,
					 hel_status (*part)(void *arg, void *bytes, size_t size),
					 void *arg);

#endif
