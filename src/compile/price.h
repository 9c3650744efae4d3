/* price.h -- what packings are worth: time, and bytes at what the objective says. Internal. */
#ifndef HEL_PRICE_H
#define HEL_PRICE_H

#include "plan.h"

/* One way to pack a stage, before it is checked. */
typedef struct candidate {
	double value; /* with all before it */
	size_t inputs, number;
	uint32_t folds, diagonals, out;	 /* slot bits; diagonals of the main source */
	uint32_t extra;			 /* diagonal bits of fresh sources beside a computed one */
	double own;			 /* of the stage alone */
	int16_t parent[HEL_MAX_PARENTS]; /* states of its computed sources' stages */
	uint32_t field[HEL_MAX_PARENTS]; /* slot bits of these */
	size_t main;			 /* which of these has the diagonals */
	bool spread;			 /* bits that number nothing are folded, too */
	bool conjugated;      /* of a lookup: conjugates are added here, not by the next layer */
	bool likely_complete; /* folds end above all outputs: right in every slot */
	bool after_complete;  /* all it reads is right in every slot */
	hel_blocks *blocks;   /* of a lookup; borrowed */
	uint32_t baby_bits;
	unsigned fold_radix;
} candidate;

/* Only candidates of one kind compete for being tried. */
#define HEL_CANDIDATE_KINDS 16

static inline unsigned hel_candidate_kind(const candidate *c)
{
	return c->spread | 2u * c->conjugated | 4u * c->likely_complete | 8u * c->after_complete;
}

/** What prices depend on. */
typedef struct pricing {
	const hel_stages *s;
	const hel_params *params;
	hel_objective objective;
	hel_cost_model machine; /* for what the run reads, about */
} pricing;

pricing hel_pricing_of(const hel_stages *s, const hel_params *params,
		       const hel_objective *objective, const hel_cost_model *machine);
/** The diagonal bits of a candidate's fresh sources, and how many ciphertexts they take. */
uint32_t hel_fresh_diagonals(const hel_stage *s, const candidate *c);
size_t hel_fresh_inputs(const hel_stage *s, const candidate *c);
/** The diagonal bits of a computed source that is not the main one. */
static inline uint32_t hel_diagonals_beside(const candidate *c, size_t source)
{
	return c->field[source] & ~c->folds;
}
/** The main computed source, or another one with so many diagonals that those among the main one's
 *  giant steps are giant steps, too. */
#define HEL_BESIDE 4
static inline bool hel_shares_giants(const candidate *c, size_t source)
{
	return source == c->main ||
	       __builtin_popcount(hel_diagonals_beside(c, source)) > HEL_BESIDE;
}
/** Fills in the cheapest baby/giant split and the fold radix; returns what the stage alone is
 *  worth. */
double hel_price_stage(candidate *c, const pricing *p, const hel_stage *s, unsigned level);
/** Of HEL_MAP_PLACE, or, with folds, of HEL_MAP_PAIRS; fills in the giant step and the fold radix.
 */
double hel_price_scatter(hel_scatter *s, candidate *c, const pricing *p, unsigned level);
/** Of HEL_MAP_MEET; fills in the fold radix. */
double hel_price_meet(candidate *c, const pricing *p, unsigned level);
/** What it is worth to add the conjugate to a product at a level. */
double hel_price_conjugate(const pricing *p, unsigned level);
/** The same for a lookup: codes before it, selections after it. */
double hel_price_lookup(candidate *c, const pricing *p, const hel_stage *s, unsigned level);
/** Adds what polynomials cost: the same in every packing. */
HEL_CHECKED hel_status hel_price_polynomials(double *seconds, const pricing *p);

#endif
