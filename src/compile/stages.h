/* stages.h -- what a model computes, in as few levels as exact identities allow. */
#ifndef HEL_STAGES_H
#define HEL_STAGES_H

#include "circuit/polynomial.h"
#include "features/schema.h"
#include "model/dlrm.h"

enum { HEL_FROM_FEATURES = -1 };

/** Part of an affine map: matrix times features [first, first + width), or times stage `stage`. */
typedef struct hel_stage_source {
	int stage;
	uint32_t first;
	size_t width;
	hel_complex *matrix; /* [rows][width] */
} hel_stage_source;

/** What a stage multiplies its sources with. */
typedef enum hel_stage_map {
	HEL_MAP_MATRIX, /* each with a matrix of its own */
	HEL_MAP_TABLES, /* a lookup: all embedding vectors, one after the other, from its one
			 * source, the entries of all tables as their codings say */
	HEL_MAP_ONES,	/* the sum of its one source's slots: no product */
} hel_stage_map;

/** What follows the affine map. */
typedef enum hel_stage_then {
	HEL_THEN_NOTHING,
	HEL_THEN_SQUARE,
	HEL_THEN_POLYNOMIAL, /* in Chebyshev's basis, for which values lie within -1..1 */
	HEL_THEN_SELECT,     /* the product with ciphertexts that select (GRID) */
} hel_stage_then;

/** y = then(sum of sources + bias). */
typedef struct hel_stage {
	char name[HEL_NAME_MAX];
	size_t rows, sources;
	hel_stage_source source[2];
	hel_complex *bias;
	hel_stage_map map;
	hel_stage_then then;
	const hel_approximation *polynomial; /* of HEL_THEN_POLYNOMIAL; borrowed from the model */
} hel_stage;

/** Which of the identities below are used where they can be, and how tables' entries travel. */
typedef struct hel_way {
	bool monomials, fuse, sum;
	bool grid;		  /* GRID for tables that take fewer blocks so */
	uint32_t powers;	  /* POWERS for tables of at most this order */
	const hel_coding *coding; /* per table; HEL_CODINGS: any; NULL: any for all */
	double unit;		  /* the result is the logit over this; 0: 1 */
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
/** Levels a stage consumes, and all from the first stage on that leads to the last. */
unsigned hel_stage_levels(const hel_stage *s);
unsigned hel_stages_levels(const hel_stages *s);
/** The level at which a stage's product is taken. */
unsigned hel_stage_level(const hel_stages *s, size_t stage);
/** The stages that a stage's computed sources come from; returns how many. */
size_t hel_stage_computed(const hel_stage *s, const hel_stage_source *out[2]);
bool hel_stage_is_computed(const hel_stage *s);
/** How many ciphertexts fresh sources take with the index bits of `mask`. */
size_t hel_stage_fresh_count(const hel_stage *s, uint32_t mask);

#endif
