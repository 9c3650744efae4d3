/* fit.h -- training from a cache of rows. */
#ifndef HEL_FIT_H
#define HEL_FIT_H

#include "dlrm.h"
#include "features/learn.h"

typedef struct hel_fit_options {
	const char *checkpoint; /* NULL: none */
	double interval;	/* seconds between checkpoints */
	bool resume;		/* go on from the checkpoint */
	bool keep;    /* the checkpoint is written once more at the end: more work follows */
	double share; /* of the planned steps that are taken; 0: all */
	bool quiet;
	hel_pool *pool;
} hel_fit_options;

typedef struct hel_fit_report {
	uint64_t steps, planned; /* taken; that the learning rate was planned for */
	uint64_t rows, resumed;	 /* trained on in this run; steps done before it */
	double seconds, loss;	 /* of this run; the last epoch's mean */
	double best_auc;	 /* on the validation part; NaN without one */
	double best_share;	 /* of the planned steps, after which that was found; or taken */
	bool stopped;		 /* early */
} hel_fit_report;

/** Writes an empty checkpoint where there is none, before rows are read and schemas learned: what
 * is killed there can be resumed, from the start. */
HEL_CHECKED hel_status hel_fit_begin(const char *checkpoint, const hel_dlrm_config *c);
/** Removes it, unless it has become a checkpoint: there was nothing to resume after all. */
void hel_fit_abandon(const char *checkpoint);
/** Whether there is something to resume: a checkpoint, or one of a member. */
bool hel_fit_begun(const char *checkpoint, const hel_dlrm_config *c);
/** Removes the files of a training that is done: its members' checkpoints, too. */
void hel_fit_forget(const char *checkpoint, const hel_dlrm_config *c);

/** Trains on the training part, streaming: rows are shuffled over blocks and within windows of
 *  blocks. The result depends on configuration, data and seed alone, not on threads, checkpoints or
 *  interruptions. Members are trained side by side, each with a checkpoint of its own, PATH.K; the
 *  report then has sums of steps and rows and means of loss and best_auc.
 *  @retval HEL_EMODEL the checkpoint belongs to another training. */
HEL_CHECKED hel_status hel_dlrm_fit(hel_fit_report *report, hel_dlrm *m, const hel_cache *cache,
				    const hel_split *split, const hel_fit_options *o);

#endif
