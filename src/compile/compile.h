/* compile.h -- from a trained DLRM to a program: exact algebra first (stages.c),
 * then packing (plan.c), then ops (emit.c), around them the choice of
 * parameters (compile.c); what records do to it (bounds.c).
 */
#ifndef HEL_COMPILE_H
#define HEL_COMPILE_H

#include "circuit/circuit.h"
#include "circuit/polynomial.h"
#include "dlrm/dlrm.h"
#include "vm/vm.h"

/* --- blocks.c ------------------------------------------------------------- */

/** The ciphertexts of one coding among those of a lookup. Each gives the product `powers` vectors.
 */
typedef struct hel_block_codes {
	hel_coding coding;  /* ONE_HOT: the low one-hots of GRID, too */
	bool complex;	    /* elements in imaginary parts of vectors, too */
	unsigned log_piece; /* elements of a block in one vector */
	size_t ciphertexts, powers;
} hel_block_codes;

/** What may be chosen of a packing of blocks. */
typedef struct hel_blocks_shape {
	unsigned log_blocks, log_places;
	size_t selections; /* 0: no table is GRID */
	bool complex;	   /* one-hot entries in imaginary parts, too */
} hel_blocks_shape;

/** Many embedding tables in one product (DESIGN 5.3). 2^log_blocks blocks of 2^log_outputs outputs
 * each: output d of block b is element d * 2^log_blocks + b, so that rotations by multiples of the
 * number of blocks stay in a block and spill into the next copy, which the fold over copies
 * completes. A block belongs to one table in all inputs; a long table takes several, whose parts of
 * the vector the next layer adds up by repeating its columns.
 *
 * GRID: outputs are places of 2^log_dim numbers each; there are `selections` sums. Row
 * (high, low) stands in the place and sum that `high` names, and is seen with entry `low`. A
 * ciphertext per sum, with the high one-hot, lets one place pass and zeros the others, which the
 * next layer adds up as it does parts. Tables that are not GRID have a 1 there. */
typedef struct hel_blocks {
	hel_schema schema; /* the model's, with the codings of this packing; its values are
			    * borrowed */
	size_t dim, used, kinds, sources, inputs; /* sources: vectors; inputs: ciphertexts */
	unsigned log_slots, log_dim, log_outputs;
	hel_blocks_shape shape;
	hel_block_codes codes[HEL_CODINGS];
	uint32_t *table, *part; /* of each used block */
} hel_blocks;

/** One vector that the product takes: a power of one ciphertext of one coding. */
typedef struct hel_block_source {
	const hel_block_codes *codes;
	size_t ciphertext, power;
} hel_block_source;

struct hel_stages;
/** The fewest inputs that hold all rows; *out stays NULL when the blocks are too few for the tables
 *  or too many for the slots, or take too many vectors, or nothing is selected from `selections`.
 */
HEL_CHECKED hel_status hel_blocks_new(hel_blocks **out, const struct hel_stages *s,
				      unsigned log_slots, hel_blocks_shape shape);
void hel_blocks_free(hel_blocks *b);
hel_block_source hel_blocks_source(const hel_blocks *b, size_t source);
/** The elements of its table's code that a block holds in one source; width 0: none. */
hel_piece hel_blocks_rows(const hel_blocks *b, size_t source, size_t block);
/** The number (table * dim + d) of an output element, negative for one that is not used. */
int32_t hel_blocks_column(const hel_blocks *b, size_t element);
/** Where a source's elements stand: element i of block b is number b * 2^log_piece + i. fresh: as
 *  the client sends them. */
hel_layout hel_blocks_layout(const hel_blocks *b, size_t source, bool fresh);
/** The high entries that a block's places stand for in one selection, and where all stand. */
hel_piece hel_blocks_highs(const hel_blocks *b, size_t selection, size_t block);
hel_layout hel_blocks_selector(const hel_blocks *b);
/** Some source has elements in imaginary parts. */
bool hel_blocks_is_complex(const hel_blocks *b);
/** The largest order of the tables of a coding. */
uint32_t hel_blocks_order(const hel_blocks *b, hel_coding coding);
/** Of each slot of a source: the number of its entry within its digit; 0 where there is none. */
void hel_blocks_numbers(uint8_t *number, const hel_blocks *b, size_t source);
/** The element's weights in a selection, one for each output of its block. */
void hel_blocks_weights(hel_complex *out, const hel_blocks *b, const hel_dlrm *m, size_t source,
			size_t selection, size_t block, uint32_t element);

/* --- stages.c ------------------------------------------------------------- */

enum { HEL_FROM_FEATURES = -1 };

/** Part of an affine map: matrix times features [first, first + width), or times stage `stage`. */
typedef struct hel_stage_source {
	int stage;
	uint32_t first;
	size_t width;
	hel_complex *matrix; /* [rows][width] */
} hel_stage_source;

/** y = sum of sources + bias, then squared when `square`, or taken through a polynomial in
 *  Chebyshev's basis, for which y lies within -1..1 (borrowed from the model). A stage with
 * `plain_sum` adds up the slots of its one source without a product (its matrix is all ones). A
 * `lookup` holds all embedding vectors, one after the other, from its one source, the entries of
 * all tables as their codings say; its matrix is the model's tables. `selected`: the product with a
 * ciphertext follows that selects (GRID). */
typedef struct hel_stage {
	char name[HEL_NAME_MAX];
	size_t rows, sources;
	hel_stage_source source[2];
	hel_complex *bias;
	bool plain_sum, square, lookup, selected;
	const hel_approximation *polynomial;
} hel_stage;

/** Which of the identities below are used where they can be, and how tables' entries travel. */
typedef struct hel_way {
	bool monomials, fuse, sum;
	bool grid;		  /* GRID for tables that take fewer blocks so */
	uint32_t powers;	  /* POWERS for tables of at most this order */
	const hel_coding *coding; /* per table; HEL_CODINGS: any; NULL: any for all */
} hel_way;

/** What the model computes, with as few levels as exact identities allow:
 *  - linear maps in sequence are multiplied out (fuse: embeddings into the first top layer, too);
 *  - a x^2 + b x = a (x + b/2a)^2 - b^2/4a: shifts go into biases, a into the next matrix;
 *  - monomials: the first dense layer and its activation are one linear map of the products of
 *    dense features, which the client sends (degree 2);
 *  - sum: sum_i w_i z_i^2 = sum_i (sqrt(w_i) z_i)^2: the last product disappears; but garbage in
 *    slots would be added, too, where a product would leave it out. */
typedef struct hel_stages {
	const hel_dlrm *model; /* borrowed */
	size_t count;
	unsigned degree, code_levels; /* consumed by codes, before the lookup */
	hel_stage *stage;
	hel_way way;
	hel_coding *coding; /* per table; GRID: may be, must be where the way's coding says so */
	uint32_t *order;    /* per table: of its code's roots or differences */
} hel_stages;

#define HEL_MAX_STAGES (2 * HEL_MAX_LAYERS + 2)

/** Whether all that a way uses can be used in the model: otherwise another way is the same. */
bool hel_way_differs(const hel_dlrm *m, hel_way way);
/** @retval HEL_EUNSUPPORTED an activation that ciphertexts cannot take; names the layer. */
HEL_CHECKED hel_status hel_stages_new(hel_stages **out, const hel_dlrm *m, hel_way way);
void hel_stages_free(hel_stages *s);
hel_polynomial hel_stage_polynomial(const hel_stage *s);
/** All weights are real, so that imaginary parts may carry something else. */
bool hel_stage_is_real(const hel_stage *s);
/** Levels a code consumes before the lookup. */
unsigned hel_code_levels(hel_coding coding, uint32_t order);
/** Levels a stage consumes, and all from the first stage on that leads to the last. */
unsigned hel_stage_levels(const hel_stage *s);
unsigned hel_stages_levels(const hel_stages *s);
/** The level at which a stage's product is taken. */
unsigned hel_stage_level(const hel_stages *s, size_t stage);

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

/* --- plan.c ---------------------------------------------------------------- */

/** How one source enters: an earlier stage's value, or a fresh ciphertext. */
typedef struct hel_packed_source {
	size_t source; /* of the stage */
	bool fresh;    /* from the client */
	uint32_t
	    offset; /* first column of the source's matrix it carries; of a lookup: its source */
	hel_layout layout;  /* of a fresh one */
	uint32_t diagonals; /* slot bits covered by rotations instead of folds */
	bool giants;
} hel_packed_source;

typedef struct hel_packing {
	size_t rows;	    /* of the stage; of a lookup: of all blocks, used or not */
	hel_layout out;	    /* element order of the result ... */
	int32_t *result;    /* ... and where it is right: per slot the element, ZERO or ANY */
	uint32_t folds;	    /* slot bits summed over; bit log_slots: the conjugate is added */
	bool imaginary;	    /* imaginary parts of the result hold garbage */
	hel_blocks *blocks; /* of a lookup */
	uint32_t baby_bits, giant_bits; /* slot bits of the main diagonals */
	unsigned fold_radix;		/* slot bits per rotate_sum */
	size_t sources;
	hel_packed_source *source;
} hel_packing;

/** Why a stage is packed as it is: the best result with another layout or another baby/giant split,
 *  as far as this stage. Slot bits as in hel_packing. */
typedef struct hel_plan_note {
	double value, up_to_here; /* of the stage alone; with all before it */
	bool has_runner_up;
	double runner_up; /* up to here */
	uint32_t out, folds, baby_bits, giant_bits;
	size_t inputs;
} hel_plan_note;

typedef struct hel_plan {
	size_t count;
	hel_packing *packing; /* one per stage */
	hel_plan_note *note;  /* one per stage */
	double value;	      /* estimated seconds on one thread, and what bytes are worth */
	unsigned log_batch;   /* of the manifest */
	size_t inputs;
} hel_plan;

/** What bytes are worth, in seconds: what plans are compared by besides their time. */
typedef struct hel_objective {
	double key_byte, query_byte, memory_byte;
} hel_objective;

/** The cheapest packing of all stages, found by dynamic programming over result layouts. Every
 *  candidate is checked slot by slot (hel_linear_check).
 *  @retval HEL_EUNSUPPORTED a layer has more outputs than a record has slots. */
HEL_CHECKED hel_status hel_plan_new(hel_plan **out, const hel_stages *s, const hel_params *params,
				    unsigned log_batch, const hel_objective *objective,
				    const hel_cost_model *machine);
/** The schema that clients are told: the model's, with the codings of the plan. */
const hel_schema *hel_plan_schema(const hel_plan *plan, const hel_stages *s);
void hel_plan_free(hel_plan *plan);

/* --- packed.c --------------------------------------------------------------- */

/** A packed stage as a linear transform of its packed sources, with all that belongs to it. */
typedef struct hel_packed {
	hel_linear t;
	hel_linear_source *source; /* one per packed source */
	int32_t *maps, *columns;
	hel_complex *matrix; /* of one lookup at a time */
} hel_packed;

/** parent[i]: the packing of source i where that is computed. Matrices of lookups are not there
 *  before hel_packed_lookup. Cost: a few passes over the slots per source. */
HEL_CHECKED hel_status hel_packed_new(hel_packed **out, const hel_stage *s, const hel_packing *k,
				      const hel_packing *const parent[2], unsigned log_slots);
/** Fills the matrix of packed source number `source` of a lookup, in one of its selections, in
 * place of any other's. */
HEL_CHECKED hel_status hel_packed_lookup(hel_packed *p, const hel_packing *k, const hel_dlrm *m,
					 size_t source, size_t selection);
void hel_packed_free(hel_packed *p);

/* --- explain.c --------------------------------------------------------------- */

/** One way and ring that was planned, and what it came to. */
typedef struct hel_alternative {
	hel_way way;
	hel_params_spec spec;
	double value;
	size_t inputs;
} hel_alternative;

#define HEL_MAX_ALTERNATIVES 128

/** JSON for hel_program's plan: the choice among alternatives, and stage by stage. */
HEL_CHECKED hel_status hel_plan_explain(char **out, const hel_stages *s, const hel_plan *plan,
					const hel_params *params, hel_goal goal,
					const hel_alternative *alternatives, size_t count);

/* --- emit.c ----------------------------------------------------------------- */

/** The program without manifest details that only the shape machine knows. */
HEL_CHECKED hel_status hel_emit(hel_program **out, const hel_stages *s, const hel_plan *plan,
				const hel_params *params);

/* --- compile.c --------------------------------------------------------------- */

#define HEL_ANY_BATCH UINT32_MAX /* the one of which a record costs least */

typedef struct hel_compile_options {
	const char *name; /* of the model, for people */
	hel_goal goal;
	size_t max_key_bytes, max_query_bytes, max_memory_bytes; /* 0: any */
	double bits;	    /* wanted of the score; below it, keys are made more precise. 0: 12.5 */
	unsigned max_log_n; /* 0: up to 17 */
	unsigned log_batch; /* 2^log_batch records in one query, or HEL_ANY_BATCH */
	bool no_monomials, no_fusion;
	const hel_coding *coding;      /* per table; HEL_CODINGS: what is best; NULL: for all */
	hel_pool *pool;		       /* NULL: one thread; the result is the same */
	const hel_samples *records;    /* typical ones; NULL: random ones of the schema */
	bool proved_only;	       /* fail where bounds cannot be proved */
	const hel_cost_model *machine; /* to be fast on; NULL: the default of this backend */
	hel_progress *progress;	       /* a step for each way tried; may be NULL */
} hel_compile_options;

typedef struct hel_compile_report {
	hel_shape shape;
	double log_qp, log_qp_limit;
	double seconds;		/* predicted, on one thread: query read, run, result written */
	hel_cost_model machine; /* it was predicted for, and for this run */
	size_t key_bytes, query_bytes, memory_bytes; /* memory: weights and one run */
} hel_compile_report;

/** Chooses ring, moduli, packing and keys by estimated time, then checks the program against the
 *  model on random records in the clear.
 *  @retval HEL_EUNSUPPORTED nothing fits; names the layers, the levels they need, what to change.
 *  @retval HEL_ELIMIT no plan was found within the limits; names the closest.
 *  @retval HEL_ERANGE values outgrow the modulus, see hel_dry_run. */
HEL_CHECKED hel_status hel_compile(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				   const hel_compile_options *options);
void hel_compile_report_clear(hel_compile_report *r);

/* --- bounds.c ---------------------------------------------------------------- */

/* Where bounds are measured: scores up to this many times the largest one are accepted ... */
#define HEL_SCORE_MARGIN 256
/* ... which leaves at least this many bits to where scores wrap around; and this many are left
 * between values and modulus everywhere. */
#define HEL_SCORE_ROOM 12
#define HEL_HEAD_ROOM 4
/* The result's slots show errors of this many sums where a plan is found that does. */
#define HEL_INDEPENDENT_SUMS 8

/** The dry run of a program that m was compiled to; s: the schema clients are told. Bounds are
 * proved for all records that the schema allows; where those do not fit the modulus, *measured
 * becomes true and they are the largest values that records cause. Checks the program against the
 * model on sample records.
 *  @retval HEL_ERANGE neither fits. */
HEL_CHECKED hel_status hel_dry_run(hel_shape *out, bool *measured, const hel_program *p,
				   const hel_params *params, const hel_dlrm *m, const hel_schema *s,
				   const hel_compile_options *o);
/** The same for a program alone, on random records of its manifest's schema; where its bounds were
 *  measured, on ones with Gaussian dense values, closer to those that they were measured on. */
HEL_CHECKED hel_status hel_program_shape(hel_shape *out, const hel_program *p,
					 const hel_params *params);
/** What the schema guarantees of every record's feature vector. */
HEL_CHECKED hel_status hel_ranges_new(hel_ranges *out, const hel_schema *s, unsigned degree);
void hel_ranges_clear(hel_ranges *r);

#endif
