/* Many tables in one product: every packing, in the clear, against the tables themselves. */
#include "../testing.h"
#include "compile/compile.h"
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
		s->table[i].values = rows[i] - 1; /* and one row for unknown values */
		s->table[i].value = hel_alloc(rows[i] - 1, sizeof *s->table[i].value);
		for (uint32_t v = 0; v + 1 < rows[i]; v++)
			snprintf(s->table[i].value[v], HEL_VALUE_MAX, "%08u", v);
	}
	return s;
}

/* The packing of a lookup as the planner makes it. */
static hel_packing packing_of(hel_blocks *b, bool conjugate_here)
{
	hel_packing k = {.rows = (size_t)1 << (b->log_blocks + b->log_dim), .blocks = b};
	k.out = (hel_layout){.log_slots = LOG_SLOTS, .width = (uint32_t)k.rows};
	for (unsigned bit = 0; bit < b->log_blocks + b->log_dim; bit++)
		k.out.position[k.out.bits++] = (uint8_t)bit;
	k.folds = (SLOTS - 1) & ~(uint32_t)(k.rows - 1);
	if (conjugate_here)
		k.folds |= SLOTS;
	k.source = hel_alloc(b->inputs, sizeof *k.source);
	for (size_t i = 0; i < b->inputs; i++)
		k.source[k.sources++] = (hel_packed_source){
		    .fresh = true,
		    .offset = (uint32_t)i,
		    .layout = hel_blocks_layout(b),
		    .diagonals = (uint32_t)(k.rows - 1) & ~((1u << b->log_blocks) - 1),
		    .giants = true};
	k.result = hel_alloc(SLOTS, sizeof *k.result);
	return k;
}

static hel_complex times(hel_complex a, hel_complex b)
{
	return (hel_complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* The slots of one input for the chosen rows of all tables. */
static void fill(hel_complex *x, const hel_blocks *b, size_t input, const uint32_t *row)
{
	const hel_layout l = hel_blocks_layout(b);
	for (size_t q = 0; q < 2 * SLOTS; q++) {
		const int32_t e = q < SLOTS || b->complex ? hel_layout_at(&l, q) : -1;
		double v = 0;
		if (e >= 0) {
			const size_t block = (size_t)e >> b->log_piece;
			const hel_piece p = hel_blocks_rows(b, input, block);
			const uint32_t i = (uint32_t)e & ((1u << b->log_piece) - 1);
			v = i < p.width && p.first + i == row[b->table[block]];
		}
		*(q < SLOTS ? &x[q].re : &x[q - SLOTS].im) = v;
	}
}

/* Every output of every table in every slot that claims to hold a part of it. */
static void check_lookup(const hel_dlrm *m, const hel_stage *s, hel_blocks *b, bool conjugate_here,
			 hel_prng *g)
{
	hel_packing k = packing_of(b, conjugate_here);
	hel_packed *packed;
	assert_ok(hel_packed_new(&packed, s, &k, (const hel_packing *[2]){NULL, NULL}, LOG_SLOTS));
	assert_ok(hel_linear_check(k.result, &packed->t));
	uint32_t row[8];
	for (size_t t = 0; t < m->schema->table_count; t++)
		row[t] = (uint32_t)(hel_prng_u64(g) % hel_table_width(&m->schema->table[t]));
	hel_complex x[SLOTS], w[SLOTS], y[SLOTS] = {{0, 0}};
	int32_t step[SLOTS];
	const size_t steps = hel_subset_sums(step, k.source[0].diagonals);
	for (size_t i = 0; i < b->inputs; i++) {
		assert_ok(hel_packed_lookup(packed, &k, m, i));
		fill(x, b, i, row);
		for (size_t j = 0; j < steps; j++) {
			hel_linear_weights(w, &packed->t, i, step[j], 0);
			for (size_t q = 0; q < SLOTS; q++) {
				hel_complex v = times(w[q], x[(q + (size_t)step[j]) % SLOTS]);
				y[q] = (hel_complex){y[q].re + v.re, y[q].im + v.im};
			}
		}
	}
	for (uint32_t bit = 1; bit < SLOTS; bit *= 2)
		for (size_t q = 0; k.folds & bit && q < SLOTS; q++)
			if (!(q & bit)) { /* elements repeat: a sum of a pair, in both */
				const double sum = y[q].re + y[q | bit].re;
				y[q].re = y[q | bit].re = sum;
			}
	double part[SLOTS];
	memset(part, 0, sizeof part);
	for (size_t q = 0; q < SLOTS; q++) {
		assert_true(k.result[q] == (int32_t)(q & (k.rows - 1)));
		part[q] = (conjugate_here ? 2 : 1) * y[q].re; /* the fold by conjugation */
	}
	/* a long table's parts add up to its row */
	const size_t dim = b->dim;
	double *sum = hel_alloc(m->schema->table_count * dim, sizeof *sum);
	for (size_t e = 0; e < k.rows; e++) {
		const int32_t column = hel_blocks_column(b, e);
		if (column >= 0)
			sum[column] += part[e];
		else if (e >> b->log_blocks >= dim || (e & ((1u << b->log_blocks) - 1)) >= b->used)
			assert_true(fabs(part[e]) < 1e-12);
	}
	for (size_t t = 0; t < m->schema->table_count; t++)
		for (size_t d = 0; d < dim; d++) {
			const float *table = hel_tensor_data(m, hel_dlrm_table(m, t));
			if (!(fabs(sum[t * dim + d] - (double)table[row[t] * dim + d]) < 1e-9))
				fail_msg("table %zu, dim %zu: %g instead of %g", t, d,
					 sum[t * dim + d], (double)table[row[t] * dim + d]);
		}
	hel_free(sum);
	hel_packed_free(packed);
	hel_free(k.source);
	hel_free(k.result);
}

static void test_lookups(void **state)
{
	(void)state;
	static const uint32_t rows[] = {3, 700, 17, 2, 129};
	hel_prng g;
	test_prng(&g, 21);
	unsigned packings = 0;
	for (unsigned dim = 1; dim <= 6; dim += dim < 4 ? 1 : 2) {
		hel_dlrm_config c = hel_dlrm_config_default();
		hel_dlrm *m;
		hel_stages *s;
		c.embedding_dim = dim;
		c.bottom_layers = 0;
		assert_ok(hel_dlrm_new(&m, &c, schema_of(rows, HEL_ARRAY_LEN(rows)), dim));
		assert_ok(hel_stages_new(&s, m, (hel_way){false, false, true}));
		assert_true(s->stage[0].lookup && s->stage[0].rows == dim * HEL_ARRAY_LEN(rows));
		for (unsigned log_blocks = 0; log_blocks <= LOG_SLOTS; log_blocks++)
			for (int complex = 0; complex < 2; complex++) {
				hel_blocks *b;
				assert_ok(hel_blocks_new(&b, m->schema, dim, LOG_SLOTS, log_blocks,
							 complex));
				for (int here = 0; b && here <= complex; here++, packings++)
					check_lookup(m, &s->stage[0], b, here, &g);
				hel_blocks_free(b);
			}
		hel_stages_free(s);
		hel_dlrm_free(m);
	}
	print_message("%u packings\n", packings);
	assert_true(packings > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lookups)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
