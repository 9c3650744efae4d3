/* tune.h -- networks under embedding plans, searched for those whose AUC is worth their time. */
#ifndef HEL_CLI_TUNE_H
#define HEL_CLI_TUNE_H

#include "compile/calibration.h"
#include "data.h"

#define HEL_TUNE_SEEDS 64   /* of one candidate at most */
#define HEL_TUNE_MEMBERS 8  /* numbers of members that are tried */
#define HEL_TUNE_MOST 1024  /* trainings of a rung */
#define HEL_TUNE_NAME 64    /* bytes of a network's or a plan's name */
#define HEL_TUNE_REASON 160 /* bytes of why there is no price */

/** Who gets which row of the tables. */
typedef struct hel_tune_plan {
	char name[HEL_TUNE_NAME];
	hel_embedding_plan plan;
	hel_schema *schema; /* learned from the rows of this rung; NULL: of nobody's interest */
	char why[HEL_TUNE_REASON]; /* it cannot be */
} hel_tune_plan;

/** One network under one plan. Its trainings are those of the members of one model: all that an
 *  ensemble needs is their logits. */
typedef struct hel_trial {
	char name[2 * HEL_TUNE_NAME];
	hel_dlrm_config config; /* of one member */
	size_t plan;
	bool reference; /* a line to compare with: trained at the end only, never compiled */
	/* in the latest rung: */
	unsigned rung;
	uint64_t rows; /* of the cache */
	size_t trained;
	double auc[HEL_TUNE_SEEDS], mean; /* of single members */
	double *logit[HEL_TUNE_SEEDS];	  /* of held-out rows */
	float *weight[HEL_TUNE_SEEDS];	  /* in the last rung */
	double seconds;			  /* predicted; INFINITY: not compiled, see why */
	char why[HEL_TUNE_REASON];
} hel_trial;

/** What is shown: a trial of the last rung with so many members. */
typedef struct hel_candidate {
	char name[2 * HEL_TUNE_NAME + 32];
	const hel_trial *trial;
	hel_dlrm_config config;
	/* means over seeds on the held-out rows, and standard errors: of rows and seeds together;
	 * of the difference to the best candidate, over the same rows and seeds */
	double auc, auc_error, log_loss, behind, behind_error;
	double *placement; /* per held-out row: see hel_auc_placements */
	/* predicted by compiling; `why` not */
	size_t onehots, query_bytes, key_bytes;
	unsigned levels, log_n;
	double seconds, bits;
	bool compiled, front;
	char why[HEL_TUNE_REASON];
} hel_candidate;

typedef struct hel_tuning {
	const hel_args *args;
	const hel_dataset *set;
	hel_cost_model machine;
	hel_cache *cache;
	hel_dlrm_config base;
	hel_split split;
	uint64_t rows;	/* of the cache, in the last rung */
	uint64_t seeds; /* trainings of each candidate of the last rung */
	double within;	/* AUC behind the best; below 0: the knee */
	size_t members, member[HEL_TUNE_MEMBERS];
	size_t plans, trials, count;
	hel_tune_plan *plan;
	hel_trial *trial;
	hel_candidate *candidate; /* [count], by predicted time; references last */
	size_t held_out;
	uint8_t *label; /* of held-out rows, in the latest rung */
} hel_tuning;

/** Plans and trials: every network under every plan, from a file or built in; references.
 *  @retval HEL_EFORMAT what the file must be. */
HEL_CHECKED hel_status hel_tune_candidates(hel_tuning *t);
/** Trains rung after rung on more rows and seeds, and goes on with those that are worth it; then
 *  t->candidate is what was found of the last ones. */
HEL_CHECKED hel_status hel_tune_search(hel_tuning *t);
/** Whether a trial came into the last rung: then candidates are made of it. */
bool hel_tune_is_final(const hel_trial *x);
/** Names what to take: a candidate, or NULL when none can be compiled. */
const hel_candidate *hel_tune_choose(const hel_tuning *t);
void hel_tune_clear(hel_tuning *t);

void hel_tune_table(const hel_tuning *t, const hel_candidate *chosen);
/** All candidates of the last rung; and the trials that were dropped. */
json_t *hel_tune_json(const hel_tuning *t, const hel_candidate *chosen);
json_t *hel_tune_dropped(const hel_tuning *t);
/** An SVG drawing of AUC over server time, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_tune_svg(char **out, const hel_tuning *t, const hel_candidate *chosen);

#endif
