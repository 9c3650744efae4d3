/* search.h -- the search for a ring and a way to write a model. Internal. */
#ifndef HEL_SEARCH_H
#define HEL_SEARCH_H

#include "compile.h"
#include "explain.h"
#include "plan.h"

#define SCALE_BITS 30

/* One complete choice. */
typedef struct choice {
	hel_way way;
	hel_stages *stages;
	hel_params *params;
	hel_plan *plan;
} choice;

/* All that was planned, and the best of it. one_hot: without other codings than must be. */
typedef struct search {
	bool one_hot;
	choice best;
	hel_alternative seen[HEL_MAX_ALTERNATIVES];
	size_t count;
} search;

void hel_choice_clear(choice *c);
/** Some table must travel in another way than one-hot. */
bool hel_coding_is_wanted(const hel_compile_options *o, size_t tables);
/** A matrix from all one-hot entries to the first top layer is out of proportion: it would never be
 *  the cheapest. */
bool hel_too_wide_to_fuse(const hel_dlrm *m);
/** The best choice; without a plan when nothing fits. precise: see hel_choose_digits. */
HEL_CHECKED hel_status hel_search(search *found, const hel_dlrm *m, const hel_compile_options *o,
				  const hel_objective *objective, unsigned max_log_n, bool precise);

#endif
