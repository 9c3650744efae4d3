#include "method.h"
#include <math.h>

size_t hel_lanes_columns(const hel_lane_packing *packing, const hel_lookup_spec *s)
{
	const size_t dim = s->table[0].dim;
	return packing->pairs ? (dim + 1) / 2 : dim;
}

size_t hel_lanes_lane_rows(const hel_lane_packing *packing)
{
	return (packing->sources << packing->turn_bits) * HEL_MAX(packing->select, 1)
	       << packing->select_bits;
}

size_t hel_lanes_ranges(const hel_lookup_spec *s, size_t rows)
{
	size_t ranges = 0;
	for (size_t t = 0; t < s->tables; t++)
		ranges += (s->table[t].rows + rows - 1) / rows;
	return ranges * s->batch;
}

bool hel_lanes_by_table(hel_lane_packing *packing, const hel_lookup_spec *s, size_t entries)
{
	packing->lane_bits = hel_log2_ceil(s->batch * s->tables);
	if (packing->lane_bits > packing->log_slots)
		return false;
	const size_t columns = hel_lanes_columns(packing, s);
	const unsigned left = packing->log_slots - packing->lane_bits,
		       bits = hel_log2_ceil(entries);
	packing->column_bits = HEL_MIN(left, hel_log2_ceil(columns));
	packing->results =
	    (columns + ((size_t)1 << packing->column_bits) - 1) >> packing->column_bits;
	packing->fold_bits = HEL_MIN(left - packing->column_bits, bits);
	packing->turn_bits = HEL_MIN(bits - packing->fold_bits, packing->column_bits);
	const unsigned one = packing->fold_bits + packing->turn_bits;
	packing->sources = (entries + ((size_t)1 << one) - 1) >> one;
	return true;
}

size_t hel_lanes_babies(const hel_lane_packing *packing, const hel_params *params, unsigned level,
			size_t values, size_t sums)
{
	const hel_params_spec *spec = &params->spec;
	const size_t limbs = params->limbs[level];
	size_t best = 1;
	double least = INFINITY;
	for (unsigned bits = 0; bits <= (packing->sums_only ? 0 : packing->turn_bits); bits++) {
		const double babies = exp2(bits), giants = exp2(packing->turn_bits - bits);
		hel_cost c = {0};
		if (bits)
			hel_cost_add(&c, hel_cost_decompose(spec, limbs), (double)values);
		hel_cost_add(&c, hel_cost_product(spec, limbs), (double)values * (babies - 1));
		hel_cost_add(&c, hel_cost_finish(spec, limbs), (double)values * (babies - 1));
		hel_cost_add(&c, hel_cost_decompose(spec, limbs), (double)sums * (giants - 1));
		hel_cost_add(&c, hel_cost_product(spec, limbs), (double)sums * (giants - 1));
		/* a key must be made, sent and kept: a millisecond each */
		const double seconds =
		    hel_cost_seconds(hel_cost_model_default(), c) + 1e-3 * (babies + giants);
		if (seconds < least) {
			least = seconds;
			best = (size_t)1 << bits;
		}
	}
	return best;
}

size_t hel_lanes_width(const hel_lane_packing *packing, bool complex_input)
{
	return (size_t)1 << (packing->turn_bits + packing->fold_bits + packing->lane_bits +
			     complex_input);
}

size_t hel_lanes_feature(const hel_lane_packing *packing, bool complex_input, size_t source,
			 size_t entry, size_t lane)
{
	const size_t one = entry + (lane << (packing->turn_bits + packing->fold_bits));
	return source * hel_lanes_width(packing, complex_input) + (one << complex_input);
}
