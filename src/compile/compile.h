/* compile.h -- from a trained model to a program: exact algebra first (stages.c), then packing
 * (plan.c), then ops (emit.c), around them the choice of parameters (compile.c); what records do to
 * it (bounds.c).
 */
#ifndef HEL_COMPILE_H
#define HEL_COMPILE_H

#include "features/schema.h"
#include "model/dlrm.h"
#include "model/samples.h"
#include "one_squaring.h"
#include "vm/shape.h"

/** What a plan is made for. */
#define HEL_GOAL_LIST(X)                                                                           \
	X(HEL_LATENCY, "latency")	/* the time of one prediction */                           \
	X(HEL_KEYS, "keys")		/* what a client uploads once */                           \
	X(HEL_QUERY, "query")		/* what it uploads for each prediction */                  \
	X(HEL_THROUGHPUT, "throughput") /* predictions per second of processor time */

typedef enum hel_goal {
#define X(goal, name) goal,
	HEL_GOAL_LIST(X)
#undef X
	    HEL_GOALS
} hel_goal;

const char *hel_goal_name(hel_goal goal);

#define HEL_ANY_BATCH UINT32_MAX /* the one of which a record costs least */

typedef struct hel_compile_options {
	const char *name; /* of the model, for people */
	hel_goal goal;
	size_t max_key_bytes, max_query_bytes, max_memory_bytes; /* 0: any */
	double bits;	    /* wanted of the score, see hel_manifest; below it, keys are made more
			     * precise, and 0.3 below it is refused. 0: 12.5 */
	bool accept_loss;   /* whatever comes out is not refused */
	unsigned max_log_n; /* 0: up to 17 */
	unsigned log_batch; /* 2^log_batch records in one query, or HEL_ANY_BATCH */
	bool no_monomials, no_fusion;
	const hel_coding *coding;   /* per table; HEL_CODINGS: what is best; NULL: for all */
	hel_pool *pool;		    /* NULL: one thread; the result is the same */
	const hel_samples *records; /* typical ones; NULL: random ones of the schema */
	bool proved_only;	    /* fail where bounds cannot be proved ... */
	/* ... and this, unless NULL, has no more to change in the model's polynomials */
	hel_status (*widen)(void *arg, bool *more);
	void *widen_arg;
	const hel_cost_model *machine; /* to be fast on; NULL: the default of this backend */
	/* The so-many-th best plan of all rings and ways, digits of all that are precise enough, in
	 * place of the best: what choices are measured against. */
	unsigned plan_rank, digits_rank;
	hel_progress *progress; /* a step for each way tried; may be NULL */
} hel_compile_options;

/** So many bits less than were wanted are still enough. */
#define HEL_BITS_SHORT 0.3

typedef struct hel_compile_report {
	hel_shape shape;
	double log_qp, log_qp_limit;
	double seconds;		/* predicted, on one thread: query read, run, result written */
	hel_cost_model machine; /* it was predicted for, and for this run */
	size_t key_bytes, query_bytes, memory_bytes; /* memory: weights and one run */
	double wanted_bits;			     /* what was asked for, or the default */
	hel_squares
	    squares; /* of a graph that was taken as a network of one squaring; 0: was not */
} hel_compile_report;

/** The model's graph stage by stage (stages.h), or as one squaring (one_squaring.h) where that is
 * all it is. Chooses ring, moduli, packing and keys by estimated time, then checks the program
 * against the model on random records in the clear.
 *  @retval HEL_EUNSUPPORTED nothing fits, names the layers, the levels they need, what to change;
 * or there are fewer plans or digits than a rank asks for.
 *  @retval HEL_ELIMIT no plan was found within the limits, or too few bits are right; names the
 *  closest.
 *  @retval HEL_ERANGE values outgrow the modulus, see hel_dry_run. */
HEL_CHECKED hel_status hel_compile(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				   const hel_compile_options *options);
/** What the best plan is worth, without a program: seconds, and bytes at what the goal says;
 * INFINITY where nothing fits. Limits and precision are not looked at. */
HEL_CHECKED hel_status hel_compile_value(double *value, const hel_dlrm *m,
					 const hel_compile_options *options);
void hel_compile_report_clear(hel_compile_report *r);

#endif
