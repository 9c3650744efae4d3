/* The product with a table: from one-hot slots (or powers) to outputs. */
#include "method.h"
#include <math.h>
#include <string.h>

hel_status hel_emit_inputs(hel_draft *d, uint32_t *value, unsigned level)
{
	hel_status st = HEL_OK;
	const hel_lane_packing *packing = &d->l->packing;
	const bool complex_input = d->l->method->complex_input;
	hel_layout layout = {.log_slots = (uint8_t)packing->log_slots,
			     .width = (uint32_t)hel_lanes_width(packing, complex_input)};
	if (complex_input)
		layout.position[layout.bits++] = (uint8_t)packing->log_slots;
	for (unsigned i = 0; i < packing->turn_bits; i++)
		layout.position[layout.bits++] = (uint8_t)(packing->lane_bits + i);
	for (unsigned i = 0; i < packing->fold_bits; i++)
		layout.position[layout.bits++] =
		    (uint8_t)(packing->lane_bits + packing->column_bits + i);
	for (unsigned i = 0; i < packing->lane_bits; i++)
		layout.position[layout.bits++] = (uint8_t)i;
	for (size_t s = 0; s < packing->sources; s++) {
		TRY(hel_emit_input(&d->b, (hel_input){.level = (uint8_t)level,
						      .first = d->b.p->manifest->features,
						      .layout = layout}));
		value[s] = d->b.value;
	}
done:
	return st;
}

hel_status hel_emit_conjugate(hel_draft *d, uint32_t value)
{
	return hel_emit_rotate_sum(&d->b, value, &(int32_t){(int32_t)d->b.slots}, 1);
}

/* What one term multiplies with, before its giant step moves it. */
static bool term_weights(hel_draft *d, size_t value, size_t first, size_t baby, size_t giant,
			 hel_weight weight)
{
	const hel_lane_packing *packing = &d->l->packing;
	const size_t mask = d->b.slots - 1, lanes = (size_t)1 << packing->lane_bits;
	const size_t columns = (size_t)1 << packing->column_bits;
	const size_t turns = (size_t)1 << packing->turn_bits,
		     folds = (size_t)1 << packing->fold_bits;
	bool any = false;
	for (size_t p = 0; p < d->b.slots; p++) {
		const size_t lane = p & (lanes - 1),
			     column = p >> packing->lane_bits & (columns - 1);
		const size_t seen =
		    ((p + ((baby + giant) << packing->lane_bits)) & mask) >> packing->lane_bits;
		const size_t fold = seen >> packing->column_bits & (folds - 1);
		hel_complex w = {0, 0};
		if (lane < d->l->lanes)
			w = weight(d, value, fold * turns + (seen & (turns - 1)), first + column,
				   lane);
		d->b.vector[(p + (giant << packing->lane_bits)) & mask] = w;
		any |= w.re != 0 || w.im != 0;
	}
	return any;
}

hel_status hel_emit_product(hel_draft *d, const uint32_t *value, size_t count, size_t first,
			    hel_weight weight)
{
	hel_status st = HEL_OK;
	const hel_lane_packing *packing = &d->l->packing;
	const size_t turns = (size_t)1 << packing->turn_bits;
	hel_op op = {.kind = HEL_OP_LINEAR};
	if (count * turns > HEL_MAX_TERMS_PER_OP)
		FAIL(HEL_EUNSUPPORTED, "a product of %zu vectors", count * turns);
	TRY_ALLOC(op.term, hel_alloc(count * turns, sizeof *op.term));
	for (size_t giant = 0; giant < turns; giant += packing->babies)
		for (size_t v = 0; v < count; v++)
			for (size_t baby = 0; baby < packing->babies; baby++) {
				hel_term *t = &op.term[op.terms];
				/* a product with zeros is left out, unless nothing else remains */
				if (!term_weights(d, v, first, baby, giant, weight) &&
				    (op.terms || v + 1 < count || baby + 1 < packing->babies))
					continue;
				*t = (hel_term){.value = value[v],
						.baby = (int32_t)(baby << packing->lane_bits),
						.giant = (int32_t)(giant << packing->lane_bits)};
				TRY(hel_program_add_vector(d->b.p, d->b.vector, packing->log_slots,
							   &t->vector));
				op.terms++;
			}
	st = hel_emit_op(&d->b, op); /* takes the terms over, or frees them */
	op.term = NULL;
done:
	hel_free(op.term);
	return st;
}

hel_status hel_emit_folds(hel_draft *d, unsigned level, bool conjugate)
{
	const hel_lane_packing *packing = &d->l->packing;
	const unsigned low = packing->lane_bits + packing->column_bits;
	uint32_t folds = (((uint32_t)1 << packing->fold_bits) - 1) << low;
	folds |= conjugate ? (uint32_t)d->b.slots : 0;
	const unsigned radix =
	    hel_cost_fold_radix(NULL, hel_cost_model_default(), &d->params->spec,
				d->params->limbs[level], (unsigned)__builtin_popcount(folds), 0);
	return hel_emit_fold(&d->b, folds, radix);
}

hel_status hel_emit_results(hel_draft *d, const uint32_t *value, size_t count, hel_weight weight,
			    bool conjugate)
{
	hel_status st = HEL_OK;
	hel_lane_packing *packing = &d->l->packing;
	packing->babies = hel_lanes_babies(packing, d->params, 1, count, packing->results);
	for (size_t r = 0; r < packing->results; r++) {
		TRY(hel_emit_product(d, value, count, r << packing->column_bits, weight));
		TRY(hel_emit_folds(d, 1, conjugate));
		TRY(hel_emit_unary(&d->b, HEL_OP_RESCALE));
		d->l->result[r] = d->b.value;
	}
done:
	return st;
}

hel_complex hel_table_pair(const hel_lookup *l, size_t table, size_t row, size_t column)
{
	const hel_table *t = &l->spec.table[table];
	const size_t at = l->packing.pairs ? 2 * column : column;
	if (row >= t->rows || at >= t->dim)
		return (hel_complex){0, 0};
	const float *v = t->value + row * t->dim + at;
	const bool second = l->packing.pairs && at + 1 < t->dim;
	return (hel_complex){(double)v[0] / l->norm, second ? (double)v[1] / l->norm : 0};
}

hel_status hel_emit_lookup(hel_draft *d, const char *text, hel_weight weight)
{
	hel_status st = HEL_OK;
	uint32_t *value = NULL;
	const size_t sources = d->l->packing.sources;
	TRY_ALLOC(value, hel_alloc(sources, sizeof *value));
	TRY(hel_emit_layer(&d->b, text));
	TRY(hel_emit_inputs(d, value, 1));
	TRY(hel_emit_results(d, value, sources, weight, false));
done:
	hel_free(value);
	return st;
}

size_t hel_lookup_most_rows(const hel_lookup_spec *s)
{
	size_t most = 0;
	for (size_t t = 0; t < s->tables; t++)
		most = HEL_MAX(most, s->table[t].rows);
	return most;
}
