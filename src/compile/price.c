/* What packings are worth: time, and bytes at what the objective says. */
#include "price.h"
#include "codings.h"
#include "vm/refresh_op.h"
#include <math.h>

#define LIKELY_KEYS 16

/* Weights, with what each slot of theirs takes, and a few keys. */
static double likely_bytes(const hel_stages *s, const hel_params *params)
{
	const size_t top = params->limbs[params->spec.levels];
	double bytes = LIKELY_KEYS * hel_cost_product(&params->spec, top).key_bytes;
	for (size_t i = 0; i < s->count; i++) {
		const double limbs = (double)params->limbs[hel_stage_level(s, i)];
		for (size_t k = 0; k < s->stage[i].sources; k++)
			/* a row of a table is multiplied with its entry alone */
			bytes += 8 * limbs * (double)s->stage[i].source[k].width *
				 (s->stage[i].map == HEL_MAP_TABLES
				      ? (double)s->dim
				      : (double)s->stage[i].rows *
					    (double)hel_stage_matrices(&s->stage[i],
								       &s->stage[i].source[k]));
	}
	return bytes;
}

pricing hel_pricing_of(const hel_stages *s, const hel_params *params,
		       const hel_objective *objective, const hel_cost_model *machine)
{
	return (pricing){s, params, *objective,
			 hel_cost_model_for(machine, likely_bytes(s, params))};
}

uint32_t hel_fresh_diagonals(const hel_stage *s, const candidate *c)
{
	return hel_stage_is_computed(s) ? c->extra : c->diagonals;
}

size_t hel_fresh_inputs(const hel_stage *s, const candidate *c)
{
	return c->blocks ? c->blocks->inputs
			 : hel_stage_fresh_count(s, c->folds | hel_fresh_diagonals(s, c));
}

/* What a plan is judged by: time, and bytes at what the objective says they are worth. */
typedef struct price {
	hel_cost cost;
	double keys, limbs; /* evaluation keys; limbs of polynomials that are uploaded */
	double weights;	    /* limbs of encoded weights */
} price;

/* What an evaluation key of a level is worth. */
static double key_seconds(const pricing *p, size_t limbs)
{
	const hel_params *params = p->params;
	const double limb = HEL_PRIME_BITS / 8.0 * (double)params->ring.n;
	const double digits = (double)hel_params_digits_at(params, limbs);
	return digits * (double)(limbs + params->ring.special) * limb * p->objective.key_byte;
}

static double worth(const pricing *p, price x, size_t limbs)
{
	const double limb = HEL_PRIME_BITS / 8.0 * (double)p->params->ring.n;
	return hel_cost_seconds(&p->machine, x.cost) + x.keys * key_seconds(p, limbs) +
	       x.limbs * limb * p->objective.query_byte +
	       x.weights * 4 * (double)p->params->ring.n * p->objective.memory_byte;
}

/* One decomposition for several rotations, each with its ModDown: hoisted baby steps. */
static void add_hoisted(price *x, const hel_params_spec *spec, size_t limbs, double rotations,
			double times)
{
	if (rotations > 0)
		hel_cost_add(&x->cost, hel_cost_decompose(spec, limbs), times);
	hel_cost_add(&x->cost, hel_cost_product(spec, limbs), rotations * times);
	hel_cost_add(&x->cost, hel_cost_finish(spec, limbs), rotations * times);
	x->keys += rotations; /* all inputs share them */
}

/* The cheapest split of the main diagonals: hoisted babies per input, giants with one ModDown for
 * each of `sums` sums. */
static double price_diagonals(candidate *c, const pricing *p, size_t limbs, size_t main,
			      size_t sums)
{
	const hel_params_spec *spec = &p->params->spec;
	const unsigned a = popcount(c->diagonals);
	double best = INFINITY;
	for (unsigned b1 = 0; b1 <= a; b1++) {
		const double babies = exp2(b1) - 1, giants = exp2(a - b1) - 1;
		price x = {.keys = giants};
		add_hoisted(&x, spec, limbs, babies, (double)main);
		hel_cost_add(&x.cost, hel_cost_decompose(spec, limbs), giants * (double)sums);
		hel_cost_add(&x.cost, hel_cost_product(spec, limbs), giants * (double)sums);
		hel_cost_add(&x.cost, hel_cost_finish(spec, limbs), giants > 0 ? (double)sums : 0);
		const double value = worth(p, x, limbs);
		if (value < best) {
			best = value;
			c->baby_bits = lowest(c->diagonals, b1);
		}
	}
	return best;
}

/* The cheapest number of fold bits that share a decomposition and a ModDown. */
static double price_folds(candidate *c, const pricing *p, size_t limbs)
{
	double seconds;
	c->fold_radix = hel_cost_fold_radix(&seconds, &p->machine, &p->params->spec, limbs,
					    popcount(c->folds), key_seconds(p, limbs));
	return seconds;
}

/* Ciphertexts of fresh sources, once for every factor that they are multiplied for. */
static size_t fresh_products(const hel_stage *s, const candidate *c)
{
	const uint32_t mask = c->folds | hel_fresh_diagonals(s, c);
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage < 0)
			n += hel_stage_chunks(s->source[k].width, mask) *
			     hel_stage_matrices(s, &s->source[k]);
	return n;
}

double hel_price_conjugate(const pricing *p, unsigned level)
{
	price x = {.keys = 1};
	add_hoisted(&x, &p->params->spec, p->params->limbs[level], 1, 1);
	return worth(p, x, p->params->limbs[level]);
}

double hel_price_stage(candidate *c, const pricing *p, const hel_stage *s, unsigned level)
{
	const hel_params_spec *spec = &p->params->spec;
	const size_t limbs = p->params->limbs[level], fresh = hel_fresh_inputs(s, c);
	const hel_stage_source *from[HEL_MAX_PARENTS];
	const size_t computed = hel_stage_computed(s, from), products = fresh_products(s, c);
	const double folds = (double)s->factors * price_folds(c, p, limbs);
	if (s->map == HEL_MAP_ONES)
		return folds;
	const size_t main = computed ? hel_stage_matrices(s, from[c->main]) : products;
	const double diagonals = price_diagonals(c, p, limbs, main, s->factors);
	double terms = (double)main * exp2(popcount(c->diagonals));
	price x = {.limbs = (double)(fresh * limbs)};
	if (computed && fresh) {
		const double babies = exp2(popcount(c->extra)) - 1;
		add_hoisted(&x, spec, limbs, babies, (double)products);
		terms += (double)products * (babies + 1);
	}
	for (size_t k = 0; k < computed; k++) {
		const uint32_t beside = hel_diagonals_beside(c, k);
		const uint32_t giants = hel_shares_giants(c, k) ? c->diagonals & ~c->baby_bits : 0;
		const double matrices = (double)hel_stage_matrices(s, from[k]);
		if (k == c->main || matrices == 0)
			continue;
		add_hoisted(&x, spec, limbs, exp2(popcount(beside & ~giants)) - 1, matrices);
		terms += matrices * exp2(popcount(beside));
	}
	hel_cost_add(&x.cost,
		     hel_cost_sum(spec, limbs, terms, (double)(fresh + 1), (double)s->factors), 1);
	hel_cost_add(&x.cost, hel_cost_read(spec, limbs), (double)fresh);
	hel_cost_add(&x.cost, hel_cost_copy(spec, limbs), (double)fresh);
	x.weights = terms * (double)limbs;
	return diagonals + folds + worth(p, x, limbs);
}

/* A product of ciphertexts, relinearised. */
static void add_products(price *x, const hel_params_spec *spec, size_t limbs, double times)
{
	hel_cost_add(&x->cost, hel_cost_tensor(spec, limbs), times);
	hel_cost_add(&x->cost, hel_cost_decompose(spec, limbs), times);
	hel_cost_add(&x->cost, hel_cost_product(spec, limbs), times);
	hel_cost_add(&x->cost, hel_cost_finish(spec, limbs), times);
}

double hel_price_lookup(candidate *c, const pricing *p, const hel_stage *s, unsigned level)
{
	const hel_params_spec *spec = &p->params->spec;
	const hel_blocks *b = c->blocks;
	const size_t limbs = p->params->limbs[level], sums = HEL_MAX(b->shape.selections, 1);
	const double terms = (double)(b->sources * sums) * exp2(popcount(c->diagonals));
	price x = {.limbs = 0};
	for (size_t i = 0; i < b->kinds; i++) {
		const hel_block_codes *k = &b->codes[i];
		const hel_code *code = hel_code_of(k->coding);
		const unsigned levels = code->one_hot ? 0 : p->s->code_levels;
		const size_t top = p->params->limbs[level + levels];
		const double count = (double)k->ciphertexts;
		x.limbs += count * (double)top;
		hel_cost_add(&x.cost, hel_cost_read(spec, top), count);
		hel_cost_add(&x.cost, hel_cost_copy(spec, top), count);
		/* at falling levels; here at the highest */
		add_products(&x, spec, top, count * code->products(k->powers, levels));
	}
	hel_cost_add(&x.cost,
		     hel_cost_sum(spec, limbs, terms, (double)(b->sources + 1), (double)sums), 1);
	x.weights = terms * (double)limbs;
	double value = price_diagonals(c, p, limbs, b->sources, sums) + worth(p, x, limbs);
	const size_t after = p->params->limbs[level - (s->then == HEL_THEN_SELECT)];
	if (s->then == HEL_THEN_SELECT) {
		price y = {.limbs = (double)(sums * after)};
		hel_cost_add(&y.cost, hel_cost_rescale(spec, level), (double)sums);
		hel_cost_add(&y.cost, hel_cost_read(spec, after), (double)sums);
		add_products(&y, spec, after, (double)sums);
		value += worth(p, y, after);
	}
	return value + price_folds(c, p, after);
}

/* Rotations by the cheapest giant step, and the sum of their products. */
static double price_rotations(hel_scatter *s, const pricing *p, size_t limbs)
{
	const hel_params_spec *spec = &p->params->spec;
	double best = INFINITY;
	int32_t giant = 1;
	for (int32_t g = 1; g <= (int32_t)s->slots; g *= 2) {
		size_t babies, giants;
		hel_scatter_steps(&babies, &giants, s, g);
		price x = {.keys = (double)giants, .weights = (double)(s->count * limbs)};
		add_hoisted(&x, spec, limbs, (double)babies, 1);
		hel_cost_add(&x.cost, hel_cost_decompose(spec, limbs), (double)giants);
		hel_cost_add(&x.cost, hel_cost_product(spec, limbs), (double)giants);
		hel_cost_add(&x.cost, hel_cost_finish(spec, limbs), giants > 0);
		hel_cost_add(&x.cost, hel_cost_sum(spec, limbs, (double)s->count, 1, 1), 1);
		const double value = worth(p, x, limbs);
		if (value < best) {
			best = value;
			giant = g;
		}
	}
	s->giant = giant;
	return best;
}

double hel_price_scatter(hel_scatter *s, candidate *c, const pricing *p, unsigned level)
{
	double value = price_rotations(s, p, p->params->limbs[level]);
	price x = {.limbs = 0};
	if (!c->folds)
		return value;
	const size_t product = p->params->limbs[level - 1];
	add_products(&x, &p->params->spec, product, 1);
	return value + worth(p, x, product) + price_folds(c, p, product);
}

double hel_price_meet(candidate *c, const pricing *p, unsigned level)
{
	const size_t limbs = p->params->limbs[level];
	price x = {.limbs = 0};
	add_products(&x, &p->params->spec, limbs, 1);
	return worth(p, x, limbs) + price_folds(c, p, limbs);
}

/* One refresh, its keys apart: all share them, whatever the packing. */
static hel_status price_refresh(double *seconds, const pricing *p)
{
	hel_status st = HEL_OK;
	hel_refresher *r = NULL;
	hel_cost cost;
	TRY(hel_refresher_sketch(&r, p->params, p->s->log_refreshed));
	TRY(hel_refresh_op_cost(&cost, r));
	*seconds = hel_cost_seconds(&p->machine, cost);
done:
	hel_refresher_free(r);
	return st;
}

hel_status hel_price_polynomials(double *seconds, const pricing *p)
{
	hel_status st = HEL_OK;
	double refresh = 0;
	const hel_params_spec *spec = &p->params->spec;
	for (size_t i = 0; i < p->s->count; i++) {
		const hel_stage *s = &p->s->stage[i];
		hel_schedule *schedule = NULL;
		if (s->map == HEL_MAP_REFRESH && !(refresh > 0))
			TRY(price_refresh(&refresh, p));
		*seconds += s->map == HEL_MAP_REFRESH ? refresh : 0;
		if (s->then == HEL_THEN_POLYNOMIAL) {
			const hel_polynomial poly = hel_stage_polynomial(s);
			TRY(hel_schedule_new(&schedule, &poly));
		}
		for (size_t k = 0; schedule && k < schedule->count; k++) {
			const unsigned at = hel_stage_level(p->s, i) - hel_stage_multiplies(s) -
					    schedule->step[k].depth;
			/* each product is part of one sum, and made there */
			const hel_poly_step *step = &schedule->step[k];
			if (step->product)
				continue;
			size_t products = 0;
			for (size_t t = 0; t < step->terms; t++)
				products += hel_term_is_product(schedule, &step->term[t]);
			hel_cost cost =
			    hel_cost_weighted_sum(spec, p->params->limbs[at], (double)step->terms);
			hel_cost_add(&cost,
				     products ? hel_cost_products_rescaled(spec, at, products)
					      : hel_cost_rescale(spec, at),
				     1);
			*seconds += hel_cost_seconds(&p->machine, cost);
		}
		hel_schedule_free(schedule);
	}
done:
	return st;
}
