/* coded and roots: the client sends each digit x as a number, once for every entry (i, j); the
 * server computes for all slots at once whether x = j, then multiplies as for one-hot digits.
 *
 * coded is the recipe of [KPLC24]: u = 2 ((x - j) / p)^2 - 1 is -1 for x = j and strictly inside
 * (-1, 1) otherwise; r squarings drive it to 1 or 0, s steps u <- 3 u^2 - 2 u^3 clean it.
 *
 * roots takes digits as roots of unity z = exp(2 pi i x / P), P a power of two: with w = z /
 * zeta^j, (1 + w)(1 + w^2)(1 + w^4) ... = 1 + w + ... + w^(P-1) = P or 0, exactly, and errors are
 * amplified by less than P/2 instead of 2^r. It takes log2 P levels and 2 log2 P - 2 products. */
#include "method.h"
#include <math.h>

static size_t entries(const hel_lookup_spec *s)
{
	return (size_t)s->base * s->digits;
}

static unsigned coded_levels(const hel_lookup_spec *s)
{
	return 1 + hel_indicator_levels(s->base);
}

static unsigned order_bits(const hel_lookup_spec *s)
{
	return hel_log2_ceil(s->base);
}

static unsigned roots_levels(const hel_lookup_spec *s)
{
	return 1 + order_bits(s);
}

static bool pack_coded(hel_lane_packing *packing, const hel_lookup_spec *s,
		       const hel_params *params)
{
	(void)params;
	packing->pairs = true;
	return hel_lanes_by_table(packing, s, entries(s));
}

/* --- coded ----------------------------------------------------------------------- */

static hel_status emit_indicator(hel_draft *d, unsigned level)
{
	return hel_emit_indicator(&d->b, d->l->spec.base, level);
}

static hel_complex coded_weight(const hel_draft *d, size_t value, size_t entry, size_t column,
				size_t lane)
{
	const size_t one = d->l->packing.turn_bits + d->l->packing.fold_bits;
	return hel_table_pair(d->l, d->l->lane[lane].table, (value << one) + entry, column);
}

static hel_status emit_all(hel_draft *d, const char *name, unsigned levels,
			   hel_status (*indicator)(hel_draft *, unsigned), hel_weight weight)
{
	hel_status st = HEL_OK;
	uint32_t *value = NULL;
	char text[200];
	const hel_lane_packing *packing = &d->l->packing;
	TRY_ALLOC(value, hel_alloc(packing->sources, sizeof *value));
	snprintf(text, sizeof text, "%s: %u digits of %u as numbers in %zu ciphertext%s", name,
		 d->l->spec.digits, d->l->spec.base, packing->sources,
		 packing->sources > 1 ? "s" : "");
	TRY(hel_emit_layer(&d->b, text));
	TRY(hel_emit_inputs(d, value, levels));
	for (size_t s = 0; s < packing->sources; s++) {
		d->b.value = value[s];
		TRY(indicator(d, levels));
		value[s] = d->b.value;
	}
	snprintf(text, sizeof text, "codebook: %u turns, %u folds", 1u << packing->turn_bits,
		 packing->fold_bits);
	TRY(hel_emit_layer(&d->b, text));
	TRY(hel_emit_results(d, value, packing->sources, weight, false));
done:
	hel_free(value);
	return st;
}

static hel_status emit_coded(hel_draft *d)
{
	return emit_all(d, "coded", coded_levels(&d->l->spec), emit_indicator, coded_weight);
}

/* (x - j) / p: j is the slot's, which the client knows */
static void fill_coded(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const unsigned base = l->spec.base, one = packing->turn_bits + packing->fold_bits;
	for (size_t e = 0; e < entries(&l->spec); e++)
		features[hel_lanes_feature(packing, false, e >> one, e & (((size_t)1 << one) - 1),
					   lane)] =
		    ((double)code[e / base] - (double)(e % base)) / base;
}

static double coded_bound(const hel_lookup_spec *s)
{
	return (s->base - 1.0) / s->base;
}

/* --- roots ------------------------------------------------------------------------- */

/* Each slot's digit: the same for all sources, whose entries differ by a multiple of the base. */
static hel_status emit_geometric(hel_draft *d, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_lane_packing *packing = &d->l->packing;
	const size_t turns = (size_t)1 << packing->turn_bits,
		     folds = (size_t)1 << packing->fold_bits;
	uint8_t *number = NULL;
	TRY_ALLOC(number, hel_alloc(d->b.slots, 1));
	for (size_t p = 0; p < d->b.slots; p++) {
		const size_t position = p >> packing->lane_bits;
		const size_t entry = (position >> packing->column_bits & (folds - 1)) * turns +
				     (position & (turns - 1));
		number[p] = (uint8_t)(entry % d->l->spec.base);
	}
	TRY(hel_emit_geometric(&d->b, order_bits(&d->l->spec), number, level));
done:
	hel_free(number);
	return st;
}

static hel_complex roots_weight(const hel_draft *d, size_t value, size_t entry, size_t column,
				size_t lane)
{
	const hel_complex w = coded_weight(d, value, entry, column, lane);
	const hel_lookup_spec *s = &d->l->spec;
	const hel_complex f = hel_geometric_factor(order_bits(s), (unsigned)(entry % s->base));
	return (hel_complex){w.re * f.re - w.im * f.im, w.re * f.im + w.im * f.re};
}

/* A source's entries begin at a multiple of the base, so that all share their roots. */
static bool pack_roots(hel_lane_packing *packing, const hel_lookup_spec *s,
		       const hel_params *params)
{
	if (!pack_coded(packing, s, params))
		return false;
	const size_t one = (size_t)1 << (packing->turn_bits + packing->fold_bits);
	return packing->sources == 1 || one % s->base == 0;
}

static hel_status emit_roots(hel_draft *d)
{
	return emit_all(d, "roots", roots_levels(&d->l->spec), emit_geometric, roots_weight);
}

static void fill_roots(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const unsigned base = l->spec.base, one = packing->turn_bits + packing->fold_bits;
	for (size_t e = 0; e < entries(&l->spec); e++) {
		const size_t at =
		    hel_lanes_feature(packing, true, e >> one, e & (((size_t)1 << one) - 1), lane);
		const hel_complex z = hel_root(1u << order_bits(&l->spec), code[e / base]);
		features[at] = z.re;
		features[at + 1] = z.im;
	}
}

/* Of each part, so that the whole is bounded by 1. */
static double roots_bound(const hel_lookup_spec *s)
{
	(void)s;
	return M_SQRT1_2;
}

const hel_method hel_method_coded = {
    .name = "coded",
    .levels = coded_levels,
    .pack = pack_coded,
    .emit = emit_coded,
    .fill = fill_coded,
    .bound = coded_bound,
};
const hel_method hel_method_roots = {
    .name = "roots",
    .complex_input = true,
    .levels = roots_levels,
    .pack = pack_roots,
    .emit = emit_roots,
    .fill = fill_roots,
    .bound = roots_bound,
};
