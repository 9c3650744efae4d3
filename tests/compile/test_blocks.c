/* Many tables in one product: every packing, in the clear, against the tables themselves. */
#include "../features/vocabulary.h"
#include "../testing.h"
#include "compile/transform.h"
#include "prog/codes.h"
#include <math.h>

#define LOG_SLOTS 9
#define SLOTS (1u << LOG_SLOTS)

static hel_schema *schema_of(const uint32_t *rows, size_t tables)
{
	hel_schema *s = hel_alloc(1, sizeof *s);
	s->clip = 3;
	s->table_count = tables;
	s->table = hel_alloc(tables, sizeof *s->table);
	for (size_t i = 0; i < tables; i++) {
		snprintf(s->table[i].name, HEL_NAME_MAX, "t%zu", i);
		s->table[i].digits = 1;
		list_values(&s->table[i], rows[i] - 1, "%08u"); /* and one row for unknown values */
	}
	return s;
}

/* The packing of a lookup as the planner makes it. */
static hel_packing packing_of(hel_blocks *b, bool conjugate_here)
{
	hel_packing k = {.rows = (size_t)1 << (b->shape.log_blocks + b->log_outputs), .blocks = b};
	k.out = (hel_layout){.log_slots = LOG_SLOTS, .width = (uint32_t)k.rows};
	for (unsigned bit = 0; bit < b->shape.log_blocks + b->log_outputs; bit++)
		k.out.position[k.out.bits++] = (uint8_t)bit;
	k.folds = (SLOTS - 1) & ~(uint32_t)(k.rows - 1);
	if (conjugate_here)
		k.folds |= SLOTS;
	k.source = hel_alloc(b->sources, sizeof *k.source);
	for (size_t i = 0; i < b->sources; i++)
		k.source[k.sources++] = (hel_packing_source){
		    .fresh = true,
		    .offset = (uint32_t)i,
		    .layout = hel_blocks_layout(b, i, false),
		    .diagonals = (uint32_t)(k.rows - 1) & ~((1u << b->shape.log_blocks) - 1),
		    .giants = true};
	k.result = hel_alloc(SLOTS, sizeof *k.result);
	return k;
}

static hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* What the server has made of an element's code: one-hot entries, a root's powers, or (roots) an
 * entry that a factor makes one. row: of the element's table. */
static hel_complex element_value(const hel_blocks *b, size_t source, size_t block, uint32_t element,
				 uint32_t row)
{
	const hel_table_field *t = &b->schema.table[b->table[block]];
	const size_t power = hel_blocks_source(b, source).power;
	if (t->coding == HEL_CODING_POWERS) {
		const double angle = 2 * M_PI * (double)power * row / t->coding_size;
		return (hel_complex){element % 2 ? sin(angle) : cos(angle), 0};
	}
	if (t->coding == HEL_CODING_GRID)
		return (hel_complex){element == row % t->coding_size, 0};
	if (t->coding == HEL_CODING_ROOTS && element == row) {
		const hel_complex f = hel_geometric_factor(hel_log2_ceil(t->coding_size), element);
		const double size = f.re * f.re + f.im * f.im;
		return (hel_complex){f.re / size, -f.im / size};
	}
	return (hel_complex){element == row, 0};
}

/* The slots of one source for the chosen rows of all tables. */
static void fill(hel_complex *x, const hel_blocks *b, size_t source, const uint32_t *row)
{
	const hel_layout l = hel_blocks_layout(b, source, false);
	const unsigned piece = hel_blocks_source(b, source).codes->log_piece;
	memset(x, 0, SLOTS * sizeof *x);
	for (size_t q = 0; q < 2 * SLOTS; q++) {
		const int32_t e =
		    q < SLOTS || hel_layout_is_complex(&l) ? hel_layout_at(&l, q) : -1;
		if (e < 0)
			continue;
		const size_t block = (size_t)e >> piece;
		const hel_piece p = hel_blocks_rows(b, source, block);
		const uint32_t i = (uint32_t)e & ((1u << piece) - 1);
		if (i >= p.width)
			continue;
		const hel_complex v =
		    element_value(b, source, block, p.first + i, row[b->table[block]]);
		if (q < SLOTS)
			x[q] = (hel_complex){x[q].re + v.re, x[q].im + v.im};
		else
			x[q - SLOTS].im += v.re;
	}
}

/* What a selection lets pass of an output element. */
static double passes(const hel_blocks *b, size_t selection, size_t element, const uint32_t *row)
{
	const size_t block = element & (((size_t)1 << b->shape.log_blocks) - 1);
	const size_t place = element >> (b->shape.log_blocks + b->log_dim);
	if (block >= b->used)
		return 0;
	const hel_table_field *t = &b->schema.table[b->table[block]];
	if (t->coding != HEL_CODING_GRID)
		return selection == 0;
	const hel_piece highs = hel_blocks_highs(b, selection, block);
	return place < highs.width && highs.first + place == row[b->table[block]] / t->coding_size;
}

/* y = the product of all sources with the weights of one selection, summed over folds. */
static void product(hel_complex *y, hel_transform *packed, const hel_packing *k, size_t selection,
		    const uint32_t *row)
{
	hel_complex x[SLOTS], w[SLOTS];
	int32_t step[SLOTS];
	memset(y, 0, SLOTS * sizeof *y);
	const size_t steps = hel_subset_sums(step, k->source[0].diagonals);
	for (size_t i = 0; i < k->blocks->sources; i++) {
		assert_ok(hel_transform_lookup(packed, k, i, selection));
		fill(x, k->blocks, i, row);
		for (size_t j = 0; j < steps; j++) {
			hel_linear_weights(w, &packed->t, i, step[j], 0);
			for (size_t q = 0; q < SLOTS; q++) {
				hel_complex v = times(w[q], x[(q + (size_t)step[j]) % SLOTS]);
				y[q] = (hel_complex){y[q].re + v.re, y[q].im + v.im};
			}
		}
	}
	for (uint32_t bit = 1; bit < SLOTS; bit *= 2)
		for (size_t q = 0; k->folds & bit && q < SLOTS; q++)
			if (!(q & bit)) { /* elements repeat: a sum of a pair, in both */
				const double sum = y[q].re + y[q | bit].re;
				y[q].re = y[q | bit].re = sum;
			}
}

/* Every output of every table in every slot that claims to hold a part of it. */
static void check_lookup(const hel_dlrm *m, const hel_stage *s, hel_blocks *b, bool conjugate_here,
			 hel_prng *g)
{
	hel_packing k = packing_of(b, conjugate_here);
	hel_transform *packed;
	assert_ok(hel_transform_new(&packed, s, &k, (const hel_packing *[HEL_MAX_SOURCES]){NULL},
				    LOG_SLOTS));
	assert_ok(hel_linear_check(k.result, &packed->t));
	uint32_t row[8];
	for (size_t t = 0; t < m->schema->table_count; t++)
		row[t] = (uint32_t)(hel_prng_u64(g) % hel_table_width(&m->schema->table[t]));
	hel_complex y[SLOTS];
	double part[SLOTS];
	memset(part, 0, sizeof part);
	for (size_t a = 0; a < HEL_MAX(b->shape.selections, 1); a++) {
		product(y, packed, &k, a, row);
		for (size_t q = 0; q < SLOTS; q++) {
			assert_equal(k.result[q], (int32_t)(q & (k.rows - 1)));
			/* conjugate_here: the fold by conjugation */
			if (q < k.rows)
				part[q] +=
				    (conjugate_here ? 2 : 1) * y[q].re * passes(b, a, q, row);
		}
	}
	/* a long table's parts, and places, add up to its row; powers leave a constant to add */
	const size_t dim = b->dim;
	double *sum = hel_alloc(m->schema->table_count * dim, sizeof *sum);
	for (size_t e = 0; e < k.rows; e++) {
		const int32_t column = hel_blocks_column(b, e);
		if (column >= 0)
			sum[column] += part[e];
		else
			assert_less(fabs(part[e]), 1e-12);
	}
	for (size_t t = 0; t < m->schema->table_count; t++)
		for (size_t d = 0; d < dim; d++) {
			const float *table = hel_tensor_data(m, hel_dlrm_table(m, t));
			if (s->bias[0])
				sum[t * dim + d] += s->bias[0][t * dim + d].re;
			if (!(fabs(sum[t * dim + d] - (double)table[row[t] * dim + d]) < 1e-9))
				fail_msg("table %zu, dim %zu: %g instead of %g", t, d,
					 sum[t * dim + d], (double)table[row[t] * dim + d]);
		}
	hel_free(sum);
	hel_transform_free(packed);
	hel_free(k.source);
	hel_free(k.result);
}

/* Every shape of one way for entries to travel. */
static unsigned check_shapes(const hel_dlrm *m, hel_way way, hel_prng *g)
{
	hel_stages *s;
	unsigned packings = 0;
	assert_ok(hel_stages_new(&s, m, way));
	const hel_stage *lookup = &s->stage[0];
	assert_true(lookup->map == HEL_MAP_TABLES);
	assert_equal(lookup->rows, m->config.embedding_dim * m->schema->table_count);
	for (unsigned i = 0; i < (LOG_SLOTS + 1) * 2 * (lookup->then == HEL_THEN_SELECT ? 12 : 1);
	     i++) {
		const hel_blocks_shape shape = {.complex = i % 2,
						.log_blocks = i / 2 % (LOG_SLOTS + 1),
						.log_places = i / 2 / (LOG_SLOTS + 1) % 4,
						.selections = lookup->then == HEL_THEN_SELECT
								  ? 1 + i / 8 / (LOG_SLOTS + 1)
								  : 0};
		hel_blocks *b;
		assert_ok(hel_blocks_new(&b, s, LOG_SLOTS, shape));
		for (int here = 0; b && here <= hel_blocks_is_complex(b); here++, packings++)
			check_lookup(m, lookup, b, here, g);
		hel_blocks_free(b);
	}
	hel_stages_free(s);
	return packings;
}

static void test_lookups(void **state)
{
	(void)state;
	static const uint32_t rows[] = {3, 700, 17, 2, 129};
	static const hel_coding mixed[] = {HEL_CODING_POWERS, HEL_CODING_GRID, HEL_CODING_ROOTS,
					   HEL_CODING_CODED, HEL_CODING_GRID};
	static const hel_coding short_ones[] = {HEL_CODING_POWERS, HEL_CODING_ONE_HOT,
						HEL_CODING_POWERS, HEL_CODING_ROOTS,
						HEL_CODING_ONE_HOT};
	const hel_way ways[] = {{.sum = true},
				{.sum = true, .grid = true},
				{.sum = true, .powers = 24},
				{.sum = true, .powers = 3, .grid = true},
				{.sum = true, .coding = mixed},
				{.sum = true, .coding = short_ones}};
	hel_prng g;
	test_prng(&g, 21);
	for (unsigned dim = 1; dim <= 6; dim += dim < 4 ? 1 : 2) {
		hel_dlrm_config c = hel_dlrm_config_default();
		hel_dlrm *m;
		c.embedding_dim = dim;
		c.bottom_layers = 0;
		assert_ok(hel_dlrm_new(&m, &c, schema_of(rows, HEL_ARRAY_LEN(rows)), dim));
		for (size_t w = 0; w < HEL_ARRAY_LEN(ways); w++) {
			const unsigned packings = check_shapes(m, ways[w], &g);
			print_message("dim %u, way %zu: %u packings\n", dim, w, packings);
			assert_more(packings, 5);
		}
		hel_dlrm_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lookups)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
