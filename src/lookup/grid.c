/* grid: exact rows, short queries. A row of a lane's range is (a, q, u, g): g and u are one-hot in
 * `sources` vectors that the server rotates past each slot (the scan), a and q in `select` vectors
 * that pick from the `select` sums (products of ciphertexts). Two vectors travel in each
 * ciphertext, as z = x + i y; the server takes them apart with the conjugate of z, inside the
 * weights: W x + V y = (W - i V)/2 z + (W + i V)/2 conj(z). */
#include "method.h"
#include <math.h>

static unsigned levels(const hel_lookup_spec *s)
{
	(void)s;
	return 2;
}

/* A vector alone needs no conjugate. */
static size_t ciphertexts(size_t vectors)
{
	return (vectors + 1) / 2;
}

static size_t values(size_t vectors)
{
	return vectors > 1 ? vectors : 1;
}

/* --- packing ------------------------------------------------------------------------- */

#define TURN_BITS_MAX 7	       /* every turn more is a rotation key more */
#define SECONDS_BYTE (1 / 4e6) /* of upload: 32 Mbit/s */

/* Seconds for upload and sums together. */
static double price(const hel_lane_packing *packing, const hel_params *p)
{
	const double scan = (double)ciphertexts(packing->sources) * (double)p->limbs[2];
	const double pick = (double)ciphertexts(packing->select) * (double)p->limbs[1];
	const double bytes = (scan + pick) * (double)hel_packed_size(p->ring.n, HEL_PRIME_BITS);
	const double terms =
	    (double)(packing->sources * packing->select) * exp2(packing->turn_bits);
	const double turned = (double)packing->sources * exp2((packing->turn_bits + 1) / 2u);
	hel_cost c = hel_cost_sum(&p->spec, p->limbs[2], terms, turned, (double)packing->select);
	hel_cost_add(&c, hel_cost_product(&p->spec, p->limbs[2]), turned);
	hel_cost_add(&c, hel_cost_product(&p->spec, p->limbs[1]), 2 * (double)packing->select);
	return bytes * SECONDS_BYTE + hel_cost_seconds(hel_cost_model_default(), c);
}

/* Even, or 1. */
static size_t even(size_t n)
{
	return n > 1 ? (n + 1) / 2 * 2 : n;
}

/* The fewest selected sums for which the ranges fit the lanes, 0 for none. */
static size_t selections(const hel_lane_packing *packing, const hel_lookup_spec *s)
{
	const size_t scanned = packing->sources << packing->turn_bits << packing->select_bits;
	const size_t lanes = (size_t)1 << packing->lane_bits;
	size_t low = 0, high = (hel_lookup_most_rows(s) - 1) / scanned + 1;
	if (hel_lanes_ranges(s, high * scanned) > lanes)
		return 0;
	while (high - low > 1) {
		const size_t middle = (low + high) / 2;
		if (hel_lanes_ranges(s, middle * scanned) <= lanes)
			high = middle;
		else
			low = middle;
	}
	return even(high);
}

static bool pack_grid(hel_lane_packing *packing, const hel_lookup_spec *s, const hel_params *params)
{
	hel_lane_packing best = {0};
	double least = INFINITY;
	packing->pairs = true;
	packing->results = 1;
	const unsigned column_bits = hel_log2_ceil(hel_lanes_columns(packing, s));
	for (unsigned lanes = hel_log2_ceil(s->batch * s->tables);
	     lanes + column_bits <= packing->log_slots; lanes++) {
		hel_lane_packing p = *packing;
		p.lane_bits = lanes;
		p.column_bits = packing->log_slots - lanes;
		p.select_bits = p.column_bits - column_bits;
		p.turn_bits = HEL_MIN(p.column_bits, TURN_BITS_MAX);
		for (p.sources = 1; p.sources <= 64; p.sources = even(p.sources + 1)) {
			p.select = selections(&p, s);
			const double seconds = price(&p, params);
			if (!p.select || p.select > HEL_MAX_INPUTS || seconds >= least)
				continue;
			least = seconds;
			best = p;
		}
	}
	*packing = best;
	return least < INFINITY;
}

/* --- ops ------------------------------------------------------------------------------ */

static hel_complex row_at(const hel_draft *d, size_t lane, size_t a, size_t u, size_t entry,
			  size_t column)
{
	const hel_lane_packing *packing = &d->l->packing;
	const unsigned column_bits = packing->column_bits - packing->select_bits;
	const hel_lane *at = &d->l->lane[lane];
	const size_t q = column >> column_bits, k = column & (((size_t)1 << column_bits) - 1);
	const size_t row =
	    ((a << packing->select_bits) + q) * (packing->sources << packing->turn_bits) +
	    (u << packing->turn_bits) + entry;
	return hel_table_pair(d->l, at->table, at->first + row, k);
}

/* (x -+ i y) / 2: what z and conj(z) multiply with */
static hel_complex half(hel_complex x, hel_complex y, bool conjugated)
{
	return conjugated ? (hel_complex){(x.re - y.im) / 2, (x.im + y.re) / 2}
			  : (hel_complex){(x.re + y.im) / 2, (x.im - y.re) / 2};
}

/* The weight of scanned value v for one selected vector a. */
static hel_complex scanned(const hel_draft *d, size_t lane, size_t a, size_t v, size_t entry,
			   size_t column)
{
	if (d->l->packing.sources == 1)
		return row_at(d, lane, a, 0, entry, column);
	return half(row_at(d, lane, a, v & ~(size_t)1, entry, column),
		    row_at(d, lane, a, v | 1, entry, column), v & 1);
}

/* What a scanned value is multiplied with in the sum number `selecting`, of which one is picked
 * later. */
static hel_complex weight(const hel_draft *d, size_t value, size_t entry, size_t column,
			  size_t lane)
{
	const size_t a = d->selecting;
	if (d->l->packing.select == 1)
		return scanned(d, lane, 0, value, entry, column);
	return half(scanned(d, lane, a & ~(size_t)1, value, entry, column),
		    scanned(d, lane, a | 1, value, entry, column), a & 1);
}

/* Ciphertexts of `vectors` vectors and their conjugates: value[0 .. values). */
static hel_status emit_vectors(hel_draft *d, uint32_t *value, size_t vectors, unsigned level,
			       const uint8_t *position, unsigned bits)
{
	hel_status st = HEL_OK;
	hel_layout layout = {.log_slots = (uint8_t)d->l->packing.log_slots};
	for (unsigned i = 0; i < bits; i++)
		layout.position[layout.bits++] = position[i];
	if (vectors > 1)
		layout.position[layout.bits++] = layout.log_slots;
	layout.width = 1u << layout.bits;
	for (size_t c = 0; c < ciphertexts(vectors); c++) {
		TRY(hel_emit_input(&d->b, (hel_input){.level = (uint8_t)level,
						      .first = d->b.p->manifest->features,
						      .layout = layout}));
		value[2 * c] = d->b.value;
		if (vectors == 1)
			continue;
		TRY(hel_emit_conjugate(d, d->b.value));
		value[2 * c + 1] = d->b.value;
	}
done:
	return st;
}

static unsigned lane_positions(uint8_t *position, const hel_lane_packing *packing, unsigned first,
			       unsigned bits)
{
	unsigned n = 0;
	for (unsigned i = 0; i < bits; i++)
		position[n++] = (uint8_t)(first + i);
	for (unsigned i = 0; i < packing->lane_bits; i++)
		position[n++] = (uint8_t)i;
	return n;
}

/* Sum over all a of sum[a] * pick[a]; sum becomes the products. */
static hel_status emit_selection(hel_draft *d, uint32_t *sum, const uint32_t *pick, size_t count)
{
	hel_status st = HEL_OK;
	for (size_t a = 0; a < count; a++) {
		TRY(hel_emit_op(&d->b,
				(hel_op){.kind = HEL_OP_MUL, .value = sum[a], .index = pick[a]}));
		sum[a] = d->b.value;
	}
	TRY(hel_emit_sum(&d->b, sum, count, 1));
	TRY(hel_emit_unary(&d->b, HEL_OP_RESCALE));
done:
	return st;
}

static hel_status emit(hel_draft *d)
{
	hel_status st = HEL_OK;
	hel_lane_packing *packing = &d->l->packing;
	const size_t scans = values(packing->sources), picks = values(packing->select);
	uint32_t *scan = NULL, *pick = NULL, *sum = NULL;
	uint8_t position[HEL_MAX_INDEX_BITS];
	char text[240];
	TRY_ALLOC(scan, hel_alloc(scans + 1, sizeof *scan));
	TRY_ALLOC(pick, hel_alloc(picks + 1, sizeof *pick));
	TRY_ALLOC(sum, hel_alloc(picks, sizeof *sum));
	snprintf(text, sizeof text,
		 "grid, scan: %zu lanes of up to %zu rows; %zu vectors of %u turns, %zu sums",
		 d->l->lanes, hel_lanes_lane_rows(packing), packing->sources,
		 1u << packing->turn_bits, picks);
	TRY(hel_emit_layer(&d->b, text));
	unsigned bits = lane_positions(position, packing, packing->lane_bits, packing->turn_bits);
	TRY(emit_vectors(d, scan, packing->sources, 2, position, bits));
	packing->babies = hel_lanes_babies(packing, d->params, 2, scans, picks);
	for (size_t a = picks; a-- > 0;) { /* the fullest last: errors are read off it */
		d->selecting = a;
		TRY(hel_emit_product(d, scan, scans, 0, weight));
		TRY(hel_emit_unary(&d->b, HEL_OP_RESCALE));
		sum[a] = d->b.value;
	}
	snprintf(text, sizeof text, "grid, selection: one of %zu sums and %u places",
		 packing->select, 1u << packing->select_bits);
	TRY(hel_emit_layer(&d->b, text));
	bits = lane_positions(position, packing,
			      packing->lane_bits + packing->column_bits - packing->select_bits,
			      packing->select_bits);
	TRY(emit_vectors(d, pick, packing->select, 1, position, bits));
	TRY(emit_selection(d, sum, pick, picks));
	d->l->result[0] = d->b.value;
done:
	hel_free(scan);
	hel_free(pick);
	hel_free(sum);
	return st;
}

/* --- the client ------------------------------------------------------------------------ */

/* Features of vector `vector` out of `vectors`: element (i, lane) of ciphertext vector / 2. */
static size_t feature(const hel_lane_packing *packing, size_t vectors, size_t vector, unsigned bits,
		      size_t i, size_t lane)
{
	const unsigned one = bits + packing->lane_bits;
	if (vectors == 1)
		return i + (lane << bits);
	return (vector / 2 << (one + 1)) + ((vector & 1) << one) + (lane << bits) + i;
}

static void fill(double *features, const hel_lookup *l, size_t lane, const uint32_t *code)
{
	const hel_lane_packing *packing = &l->packing;
	const size_t first = l->lane[lane].first, turns = (size_t)1 << packing->turn_bits;
	if (code[0] < first || code[0] - first >= hel_lanes_lane_rows(packing))
		return;
	const size_t row = code[0] - first, scanned_rows = packing->sources * turns;
	const size_t u = row % scanned_rows / turns, g = row % turns, high = row / scanned_rows;
	const size_t a = high >> packing->select_bits;
	const size_t q = high & (((size_t)1 << packing->select_bits) - 1);
	const unsigned both = packing->turn_bits + packing->lane_bits + (packing->sources > 1);
	double *picks = features + (ciphertexts(packing->sources) << both);
	features[feature(packing, packing->sources, u, packing->turn_bits, g, lane)] = 1;
	picks[feature(packing, packing->select, a, packing->select_bits, q, lane)] = 1;
}

const hel_method hel_method_grid = {
    .name = "grid",
    .keeps_rows = true,
    .levels = levels,
    .pack = pack_grid,
    .emit = emit,
    .fill = fill,
};
