/* digits: one-hot digits, encrypted by the client ([HE-LRM]). The p l entries of a lane meet the
 * stacked tables in one product; folds add what stands in different slots. */
#include "method.h"

static size_t entries(const hel_lookup_spec *s)
{
	return (size_t)s->base * s->digits;
}

static unsigned levels(const hel_lookup_spec *s)
{
	(void)s;
	return 1;
}

static bool pack_digits(hel_lane_packing *packing, const hel_lookup_spec *s,
			const hel_params *params)
{
	(void)params;
	packing->pairs = true;
	return hel_lanes_by_table(packing, s, entries(s));
}

static hel_complex weight(const hel_draft *d, size_t value, size_t entry, size_t column,
			  size_t lane)
{
	const hel_lane_packing *packing = &d->l->packing;
	const size_t one = packing->turn_bits + packing->fold_bits;
	return hel_table_pair(d->l, d->l->lane[lane].table, (value << one) + entry, column);
}

static hel_status emit(hel_draft *d)
{
	char text[200];
	const hel_lane_packing *packing = &d->l->packing;
	snprintf(text, sizeof text,
		 "digits: %u one-hot digits of %u in %zu ciphertext%s, %u turns, %u folds",
		 d->l->spec.digits, d->l->spec.base, packing->sources,
		 packing->sources > 1 ? "s" : "", 1u << packing->turn_bits, packing->fold_bits);
	return hel_emit_lookup(d, text, weight);
}

static void fill(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const unsigned one = packing->turn_bits + packing->fold_bits;
	for (unsigned i = 0; i < l->spec.digits; i++) {
		const size_t e = (size_t)i * l->spec.base + code[i];
		features[hel_lanes_feature(packing, false, e >> one, e & (((size_t)1 << one) - 1),
					   lane)] = 1;
	}
}

const hel_method hel_method_digits = {
    .name = "digits",
    .levels = levels,
    .pack = pack_digits,
    .emit = emit,
    .fill = fill,
};
