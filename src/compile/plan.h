/* plan.h -- what planning and pricing share. Internal. */
#ifndef HEL_PLAN_H
#define HEL_PLAN_H

#include "compile.h"

static inline unsigned popcount(uint32_t mask)
{
	return (unsigned)__builtin_popcount(mask);
}

/* The lowest, or highest, `count` bits of a mask. */
static inline uint32_t lowest(uint32_t mask, unsigned count)
{
	uint32_t r = 0;
	for (; count && mask; count--) {
		uint32_t bit = mask & -mask;
		r |= bit;
		mask ^= bit;
	}
	return r;
}

static inline uint32_t highest(uint32_t mask, unsigned count)
{
	return mask ^ lowest(mask, popcount(mask) - HEL_MIN(count, popcount(mask)));
}

/* One way to pack a stage, before it is checked. */
typedef struct candidate {
	double value; /* with all before it */
	size_t inputs, number;
	uint32_t folds, diagonals, out; /* slot bits; diagonals of the main source */
	uint32_t extra;			/* diagonal bits of fresh sources beside a computed one */
	int parent[2];			/* states of its computed sources' stages */
	size_t main;			/* which of these has the diagonals */
	unsigned kind;			/* only candidates of one kind compete */
	hel_blocks *blocks;		/* of a lookup; borrowed */
	uint32_t baby_bits;
	unsigned fold_radix;
} candidate;

/* --- price.c ------------------------------------------------------------------ */

/** What prices depend on. */
typedef struct pricing {
	const hel_stages *s;
	const hel_params *params;
	hel_objective objective;
	hel_cost_model machine; /* for what the run reads, about */
} pricing;

pricing hel_pricing_of(const hel_stages *s, const hel_params *params,
		       const hel_objective *objective, const hel_cost_model *machine);
/** The stages that a stage's computed sources come from; returns how many. */
size_t hel_computed_sources(const hel_stage *s, const hel_stage_source *out[2]);
bool hel_is_computed(const hel_stage *s);
/** How many ciphertexts fresh sources take with the index bits of `mask`. */
size_t hel_fresh_count(const hel_stage *s, uint32_t mask);
/** The diagonal bits of a candidate's fresh sources, and how many ciphertexts they take. */
uint32_t hel_fresh_diagonals(const hel_stage *s, const candidate *c);
size_t hel_fresh_inputs(const hel_stage *s, const candidate *c);
/** Fills in the cheapest baby/giant split and the fold radix; returns what the stage alone is
 *  worth. beside: diagonals of a second computed source. */
double hel_price_stage(candidate *c, const pricing *p, const hel_stage *s, unsigned level,
		       uint32_t beside);
/** The same for a lookup: codes before it, selections after it. */
double hel_price_lookup(candidate *c, const pricing *p, const hel_stage *s, unsigned level);
/** Adds what polynomials cost: the same in every packing. */
HEL_CHECKED hel_status hel_price_polynomials(double *seconds, const pricing *p);

#endif
