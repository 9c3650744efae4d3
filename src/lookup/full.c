/* full: one-hot over all rows. Each lane takes a range of a table's rows, so that no sums over
 * lanes or folds are needed: all lanes but one of a query hold zeros, and the client knows which.
 */
#include "method.h"

static unsigned levels(const hel_lookup_spec *s)
{
	(void)s;
	return 1;
}

/* The fewest ciphertexts with which the ranges fit the lanes. */
static bool pack_full(hel_lane_packing *packing, const hel_lookup_spec *s, const hel_params *params)
{
	(void)params;
	packing->pairs = true;
	const size_t columns = hel_lanes_columns(packing, s);
	packing->column_bits = HEL_MIN(packing->log_slots, hel_log2_ceil(columns));
	packing->results =
	    (columns + ((size_t)1 << packing->column_bits) - 1) >> packing->column_bits;
	packing->lane_bits = packing->log_slots - packing->column_bits;
	const size_t lanes = (size_t)1 << packing->lane_bits, one = s->batch * s->tables;
	if (one > lanes)
		return false;
	packing->turn_bits = HEL_MIN(packing->column_bits, hel_log2_ceil(hel_lookup_most_rows(s)));
	size_t low = 0, high = ((hel_lookup_most_rows(s) - 1) >> packing->turn_bits) + 1;
	while (high - low > 1) { /* high fits, low does not */
		const size_t middle = (low + high) / 2;
		if (hel_lanes_ranges(s, middle << packing->turn_bits) <= lanes)
			high = middle;
		else
			low = middle;
	}
	packing->sources = high;
	return true;
}

static hel_complex weight(const hel_draft *d, size_t value, size_t entry, size_t column,
			  size_t lane)
{
	const hel_lane *at = &d->l->lane[lane];
	const size_t row = at->first + (value << d->l->packing.turn_bits) + entry;
	return hel_table_pair(d->l, at->table, row, column);
}

static hel_status emit(hel_draft *d)
{
	char text[200];
	const hel_lane_packing *packing = &d->l->packing;
	snprintf(text, sizeof text,
		 "full: %zu lanes of up to %zu rows, one-hot in %zu ciphertexts, %u turns",
		 d->l->lanes, hel_lanes_lane_rows(packing), packing->sources,
		 1u << packing->turn_bits);
	return hel_emit_lookup(d, text, weight);
}

static void fill(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const size_t first = l->lane[lane].first, turns = (size_t)1 << packing->turn_bits;
	if (code[0] < first || code[0] - first >= hel_lanes_lane_rows(packing))
		return;
	const size_t at = code[0] - first;
	features[hel_lanes_feature(packing, false, at >> packing->turn_bits, at & (turns - 1),
				   lane)] = 1;
}

const hel_method hel_method_full = {
    .name = "full",
    .keeps_rows = true,
    .levels = levels,
    .pack = pack_full,
    .emit = emit,
    .fill = fill,
};
