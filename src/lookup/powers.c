/* powers: one encrypted number per digit ([IVE]). A function of x in {0 .. p-1} is a linear
 * combination of the powers of z = exp(2 pi i x / p); a real one is the real part of one of
 * z^0 .. z^(p/2) alone. So the server makes p/2 powers by a balanced tree and multiplies them with
 * the codebook in that basis (a unitary one, hence well conditioned at any p); the conjugate is
 * added at the end, so that nothing but the outputs is left. */
#include "method.h"
#include <math.h>
#include <string.h>

static size_t highest(const hel_lookup_spec *s)
{
	return hel_powers_of(s->base);
}

static size_t entries(const hel_lookup_spec *s)
{
	return s->digits;
}

static unsigned levels(const hel_lookup_spec *s)
{
	return 1 + hel_log2_ceil(highest(s));
}

static bool pack_powers(hel_lane_packing *packing, const hel_lookup_spec *s,
			const hel_params *params)
{
	(void)params;
	packing->pairs = false;
	return hel_lanes_by_table(packing, s, entries(s));
}

/* --- the codebook in the basis of powers ---------------------------------------------- */

/* transform[table][digit][power][dim], power 0 .. p/2, real parts of sums to be taken */
static hel_status transform_tables(hel_draft *d)
{
	hel_status st = HEL_OK;
	const hel_lookup_spec *s = &d->l->spec;
	const size_t dim = s->table[0].dim, powers = highest(s) + 1, p = s->base;
	TRY_ALLOC(d->transform,
		  hel_alloc(s->tables * s->digits * powers * dim, sizeof *d->transform));
	for (size_t at = 0; at < s->tables * s->digits * powers; at++) {
		const size_t m = at % powers, i = at / powers % s->digits;
		const hel_table *table = &s->table[at / powers / s->digits];
		for (size_t j = 0; j < p; j++) {
			const hel_complex f = hel_power_coefficient(s->base, m, (unsigned)j);
			const float *row = table->value + (i * p + j) * dim;
			hel_complex *out = d->transform + at * dim;
			for (size_t k = 0; k < dim; k++) {
				out[k].re += f.re * (double)row[k] / d->l->norm;
				out[k].im += f.im * (double)row[k] / d->l->norm;
			}
		}
	}
done:
	return st;
}

static hel_complex coefficient(const hel_draft *d, size_t table, size_t digit, size_t power,
			       size_t column)
{
	const hel_lookup_spec *s = &d->l->spec;
	const size_t dim = s->table[0].dim, powers = highest(s) + 1;
	if (digit >= s->digits || column >= dim)
		return (hel_complex){0, 0};
	return d->transform[((table * s->digits + digit) * powers + power) * dim + column];
}

/* Values are the powers 1 .. p/2 of the first source, then of the next. Halved: the conjugate is
 * added. */
static hel_complex weight(const hel_draft *d, size_t value, size_t entry, size_t column,
			  size_t lane)
{
	const size_t powers = highest(&d->l->spec), source = value / powers;
	const size_t one = d->l->packing.turn_bits + d->l->packing.fold_bits;
	const hel_complex c = coefficient(d, d->l->lane[lane].table, (source << one) + entry,
					  value % powers + 1, column);
	return (hel_complex){c.re / 2, c.im / 2};
}

/* --- ops ------------------------------------------------------------------------------ */

/* The powers 0, which are 1 for every digit: constants. */
static hel_status add_constants(hel_draft *d, size_t result)
{
	hel_status st = HEL_OK;
	const hel_lane_packing *packing = &d->l->packing;
	const hel_lookup_spec *s = &d->l->spec;
	const size_t lanes = (size_t)1 << packing->lane_bits,
		     columns = (size_t)1 << packing->column_bits;
	uint32_t index;
	for (size_t p = 0; p < d->b.slots; p++) {
		const size_t lane = p & (lanes - 1),
			     column = p >> packing->lane_bits & (columns - 1);
		d->b.vector[p] = (hel_complex){0, 0};
		for (size_t i = 0; lane < d->l->lanes && i < s->digits; i++)
			d->b.vector[p].re += coefficient(d, d->l->lane[lane].table, i, 0,
							 (result << packing->column_bits) + column)
						 .re;
	}
	TRY(hel_program_add_vector(d->b.p, d->b.vector, packing->log_slots, &index));
	TRY(hel_emit_op(&d->b,
			(hel_op){.kind = HEL_OP_ADD_PLAIN, .value = d->b.value, .index = index}));
	d->l->result[result] = d->b.value;
done:
	return st;
}

static hel_status emit(hel_draft *d)
{
	hel_status st = HEL_OK;
	uint32_t *input = NULL, *power = NULL;
	char text[200];
	hel_lane_packing *packing = &d->l->packing;
	const size_t count = highest(&d->l->spec), values = count * packing->sources;
	const unsigned top = levels(&d->l->spec);
	TRY_ALLOC(input, hel_alloc(packing->sources, sizeof *input));
	TRY_ALLOC(power, hel_alloc(values, sizeof *power));
	TRY(transform_tables(d));
	snprintf(text, sizeof text, "powers: %u digits as roots of unity of order %u, %zu powers",
		 d->l->spec.digits, d->l->spec.base, count);
	TRY(hel_emit_layer(&d->b, text));
	TRY(hel_emit_inputs(d, input, top));
	for (size_t s = 0; s < packing->sources; s++) {
		power[s * count] = input[s];
		TRY(hel_emit_powers(&d->b, power + s * count, count, 1));
	}
	snprintf(text, sizeof text, "codebook of powers: %u turns, %u folds",
		 1u << packing->turn_bits, packing->fold_bits);
	TRY(hel_emit_layer(&d->b, text));
	packing->babies = hel_lanes_babies(packing, d->params, 1, values, packing->results);
	for (size_t r = 0; r < packing->results; r++) {
		TRY(hel_emit_product(d, power, values, r << packing->column_bits, weight));
		TRY(hel_emit_folds(d, 1, true));
		TRY(hel_emit_unary(&d->b, HEL_OP_RESCALE));
		TRY(add_constants(d, r));
	}
done:
	hel_free(input);
	hel_free(power);
	return st;
}

static void fill(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const unsigned one = packing->turn_bits + packing->fold_bits;
	for (size_t i = 0; i < l->spec.digits; i++) {
		const hel_complex z = hel_root(l->spec.base, code[i]);
		const size_t at =
		    hel_lanes_feature(packing, true, i >> one, i & (((size_t)1 << one) - 1), lane);
		features[at] = z.re;
		features[at + 1] = z.im;
	}
}

static double bound(const hel_lookup_spec *s)
{
	(void)s;
	return M_SQRT1_2;
}

const hel_method hel_method_powers = {
    .name = "powers",
    .complex_input = true,
    .levels = levels,
    .pack = pack_powers,
    .emit = emit,
    .fill = fill,
    .bound = bound,
};
