/* search.h -- the search for a ring and a way to write a model. Internal. */
#ifndef HEL_SEARCH_H
#define HEL_SEARCH_H

#include "explain.h"
#include "plan.h"

#define SCALE_BITS 30
#define SHORT_SCALE_BITS 28 /* planned with first, see compile.c */

/* One complete choice. */
typedef struct choice {
	hel_way way;
	hel_stages *stages;
	hel_params *params;
	hel_plan *plan;
} choice;

/* What is searched, and for what. */
typedef struct search_options {
	const hel_dlrm *model;
	hel_objective objective;
	const hel_cost_model *machine;
	unsigned max_log_n, log_batch;
	bool precise; /* keys: see hel_choose_digits */
	unsigned scale_bits;
	bool one_hot; /* no other codings than there must be */
	bool no_monomials, no_fusion;
	const hel_coding *coding; /* per table; HEL_CODINGS: what is best; NULL: for all */
	double floor;		  /* plans worth no more are left: others are wanted */
	double unit;		  /* of the result, see hel_way */
	const hel_complex *turn;  /* the same */
	double spread;		  /* of logits: what bits are relative to */
	hel_verdicts *verdicts;	  /* of all searches for one model so far */
	hel_pool *pool;		  /* NULL: one thread; the result is the same */
	hel_progress *progress;	  /* may be NULL */
} search_options;

/* All that was planned, and the best of it. */
typedef struct search {
	double spread;
	choice best;
	hel_alternative seen[HEL_MAX_ALTERNATIVES];
	size_t count;
} search;

void hel_choice_clear(choice *c);
/** Some table must travel in another way than one-hot. */
bool hel_coding_is_wanted(const hel_coding *coding, size_t tables);
/** The best choice; without a plan when nothing fits. */
HEL_CHECKED hel_status hel_search(search *found, const search_options *o);

#endif
