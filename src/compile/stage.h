/* stage.h -- what a model computes as stages: a product of affine maps of what stands before, or a
 * function of one. What is made of a model: stages.h.
 */
#ifndef HEL_STAGE_H
#define HEL_STAGE_H

#include "circuit/polynomial.h"
#include "features/schema.h"
#include "model/dlrm.h"

enum { HEL_FROM_FEATURES = -1 };

#define HEL_MAX_STAGES 128
#define HEL_MAX_FACTORS 2
#define HEL_MAX_PARENTS 12		      /* stages that one reads */
#define HEL_MAX_SOURCES (HEL_MAX_PARENTS + 2) /* and features */

/** Part of affine maps: a matrix times features [first, first + width), or times stage `stage`. */
typedef struct hel_stage_source {
	int stage;
	uint32_t first;
	size_t width;
	hel_complex *matrix[HEL_MAX_FACTORS]; /* [rows][width] of each; NULL: zero */
} hel_stage_source;

/** What a stage multiplies its sources with. */
typedef enum hel_stage_map {
	HEL_MAP_MATRIX,	 /* each with a matrix of its own */
	HEL_MAP_TABLES,	 /* a lookup: all embedding vectors, one after the other, from its one
			  * source, the entries of all tables as their codings say */
	HEL_MAP_ONES,	 /* the sum of its one source's slots: no product */
	HEL_MAP_REFRESH, /* sines of its one source's coefficients (refreshed.h): no product */
	HEL_MAP_PLACE,	 /* rows of looked-up tables side by side: element d 2^l + b is number d of
			  * the table in place b */
	HEL_MAP_PAIRS,	 /* inner products of places: element c 2^l + b, of b and b + c + !self
			  * modulo the number of places (pairs.h) */
	HEL_MAP_MEET,	 /* inner products of its first source + bias, a vector, with all places of
			  * the second: element b */
} hel_stage_map;

/** What follows the affine map. */
typedef enum hel_stage_then {
	HEL_THEN_NOTHING,
	HEL_THEN_SQUARE,
	/* The real part of a complex map's square, which is a product of two real maps:
	 * (u + v + i (v - u))^2 / 4 = u v + i (v^2 - u^2) / 2; times the second factor if there is
	 * one. Imaginary parts are garbage until conjugates are added, here or by who reads it. */
	HEL_THEN_PRODUCT,
	HEL_THEN_POLYNOMIAL,   /* in Chebyshev's basis, for which values lie within -1..1 */
	HEL_THEN_COEFFICIENTS, /* a refresh: rows are what slots hold of the values' polynomial */
	HEL_THEN_SELECT,       /* the product with ciphertexts that select (GRID) */
} hel_stage_then;

/** y = then(sum of sources + bias). Several stages may read one. */
typedef struct hel_stage {
	char name[HEL_NAME_MAX];
	size_t rows, factors, sources;
	hel_stage_source *source;
	hel_complex *bias[HEL_MAX_FACTORS];
	hel_stage_map map;
	hel_stage_then then;
	bool in_a_row; /* elements stand in neighbouring slot bits, any, and right all over or in
			* half of their copies: who meets it wants that */
	bool in_turn;  /* they stand in the lowest ones, all over the slots; ends at level 1 */
	const hel_approximation *polynomial; /* of HEL_THEN_POLYNOMIAL; borrowed from the model */
	/* HEL_MAP_PLACE, HEL_MAP_PAIRS, HEL_MAP_MEET: */
	size_t places;
	uint32_t *place; /* the table in each */
	bool self;	 /* pairs of one and the same, too */
	unsigned level;	 /* at which its affine maps are taken */
	uint32_t node;	 /* the graph's, for which it was made */
} hel_stage;

const char *hel_stage_then_name(hel_stage_then then);
hel_polynomial hel_stage_polynomial(const hel_stage *s);
/** All weights are real, so that imaginary parts may carry something else. */
bool hel_stage_is_real(const hel_stage *s);
/** Its affine maps take a level. */
static inline bool hel_stage_multiplies(const hel_stage *s)
{
	return s->map != HEL_MAP_ONES && s->map != HEL_MAP_REFRESH;
}
/** Its result is to be rescaled by who reads it. */
bool hel_stage_is_product(const hel_stage *s);
/** Levels a stage consumes. */
unsigned hel_stage_levels(const hel_stage *s);
/** The sources that are stages; returns how many. */
size_t hel_stage_computed(const hel_stage *s, const hel_stage_source *out[HEL_MAX_PARENTS]);
bool hel_stage_is_computed(const hel_stage *s);
/** How many ciphertexts one fresh source, or all, take with the index bits of `mask`. */
size_t hel_stage_chunks(size_t width, uint32_t mask);
size_t hel_stage_fresh_count(const hel_stage *s, uint32_t mask);
/** How many of the factors have a matrix for a source. */
size_t hel_stage_matrices(const hel_stage *s, const hel_stage_source *source);
/** Frees what a stage owns. */
void hel_stage_clear(hel_stage *s);

#endif
