/* What a client sends for its codes, and reads out of the results. */
#include "method.h"
#include <string.h>

size_t hel_lookup_code_width(const hel_lookup_spec *s)
{
	return hel_lookup_keeps_rows(s->method) ? 1 : s->digits;
}

hel_status hel_lookup_code(uint32_t *code, const hel_lookup_spec *s, uint64_t index)
{
	hel_status st = HEL_OK;
	const uint64_t wanted = index;
	if (hel_lookup_keeps_rows(s->method)) {
		if (index > UINT32_MAX)
			FAIL(HEL_EDATA, "row %llu does not exist", (unsigned long long)index);
		code[0] = (uint32_t)index;
		goto done;
	}
	for (unsigned i = 0; i < s->digits; i++, index /= s->base)
		code[i] = (uint32_t)(index % s->base);
	if (index)
		FAIL(HEL_EDATA, "index %llu has more than %u digits in base %u",
		     (unsigned long long)wanted, s->digits, s->base);
done:
	return st;
}

static hel_status check_code(const hel_lookup_spec *s, size_t query, size_t table,
			     const uint32_t *code)
{
	hel_status st = HEL_OK;
	if (hel_lookup_keeps_rows(s->method)) {
		if (code[0] >= s->table[table].rows && code[0] != HEL_LOOKUP_NONE)
			FAIL(HEL_EDATA, "lookup %zu asks for row %u of table %zu, which has %zu",
			     query, code[0], table, s->table[table].rows);
		goto done;
	}
	for (unsigned i = 0; i < s->digits; i++)
		if (code[i] >= s->base)
			FAIL(HEL_EDATA, "digit %u of lookup %zu in table %zu is %u, the base is %u",
			     i, query, table, code[i], s->base);
done:
	return st;
}

static const uint32_t *code_of(const hel_lookup_spec *s, const uint32_t *code, size_t query,
			       size_t table)
{
	return code + (query * s->tables + table) * hel_lookup_code_width(s);
}

hel_status hel_lookup_fill(double *features, const hel_lookup *l, const uint32_t *code)
{
	hel_status st = HEL_OK;
	const hel_lookup_spec *s = &l->spec;
	for (size_t q = 0; q < s->batch; q++)
		for (size_t t = 0; t < s->tables; t++)
			TRY(check_code(s, q, t, code_of(s, code, q, t)));
	memset(features, 0, l->program->manifest->features * sizeof *features);
	for (size_t b = 0; b < l->lanes; b++)
		l->method->fill(features, l, b,
				code_of(s, code, l->lane[b].query, l->lane[b].table));
done:
	return st;
}

/* The lane that answers, and the fold or copy in which its answer stands. */
static size_t answering(size_t *above, const hel_lookup *l, size_t query, size_t table,
			const uint32_t *code)
{
	const bool rows = hel_lookup_keeps_rows(l->spec.method);
	const size_t in_lane = hel_lanes_lane_rows(&l->packing);
	*above = 0;
	for (size_t b = 0; b < l->lanes; b++) {
		const hel_lane *lane = &l->lane[b];
		if (lane->query != query || lane->table != table)
			continue;
		if (!rows)
			return b;
		if (code[0] >= lane->first && code[0] - lane->first < in_lane) {
			const size_t scanned = l->packing.sources << l->packing.turn_bits;
			*above = (code[0] - lane->first) / scanned &
				 (((size_t)1 << l->packing.select_bits) - 1);
			return b;
		}
	}
	return 0; /* no such lookup */
}

void hel_lookup_read(double *out, const hel_lookup *l, const hel_complex *const *result,
		     size_t query, size_t table, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const unsigned column_bits = packing->column_bits - packing->select_bits;
	size_t above;
	const size_t lane = answering(&above, l, query, table, code);
	for (size_t i = 0; i < l->spec.table[0].dim; i++) {
		const size_t column = packing->pairs ? i / 2 : i;
		const size_t at = column & (((size_t)1 << column_bits) - 1);
		const hel_complex v =
		    result[column >> column_bits]
			  [(above << column_bits | at) << packing->lane_bits | lane];
		out[i] = l->norm * (packing->pairs && i % 2 ? v.im : v.re);
	}
}

void hel_lookup_truth(double *out, const hel_lookup_spec *s, size_t table, const uint32_t *code)
{
	const hel_table *t = &s->table[table];
	memset(out, 0, t->dim * sizeof *out);
	if (code[0] == HEL_LOOKUP_NONE)
		return;
	for (size_t i = 0; i < hel_lookup_code_width(s); i++) {
		const size_t row = (hel_lookup_keeps_rows(s->method) ? 0 : i * s->base) + code[i];
		for (size_t k = 0; k < t->dim; k++)
			out[k] += (double)t->value[row * t->dim + k];
	}
}
