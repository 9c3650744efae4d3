/* What is learned, against counting by hand; the client's way to one-hot entries against the
 * trainer's. */
#include "features/hash.h"
#include "features/learn.h"
#include "rowfile.h"
#include <math.h>

static const hel_split split = {.seed = 3, .test = 7, .validation = 0.1};

static hel_cache *rows(size_t count)
{
	bool made;
	make_criteo(temp_path("data"), count, 1);
	return open_criteo(temp_path("data"), temp_path("cache"), &made);
}

static hel_schema *learn(const hel_cache *c, const hel_embedding_plan *plan)
{
	hel_schema *s;
	assert_ok(hel_schema_learn(&s, c, &split, plan, 3, NULL));
	return s;
}

static void test_split(void **state)
{
	(void)state;
	size_t parts[5] = {0};
	for (uint64_t row = 0; row < 100000; row++)
		parts[hel_split_of(&split, row)]++;
	assert_less(abs((int)parts[HEL_TEST] - 100000 / 7), 500);
	assert_less(abs((int)parts[HEL_VALIDATION] - 100000 * 6 / 70), 400);
	assert_int_equal(100000, parts[HEL_TEST] + parts[HEL_VALIDATION] + parts[HEL_TRAIN]);
	const hel_split all = {.seed = 3};
	for (uint64_t row = 0; row < 1000; row++)
		assert_int_equal(HEL_TRAIN, hel_split_of(&all, row));
}

/* What is one class in the training part teaches nothing. */
static void test_one_class(void **state)
{
	(void)state;
	bool made;
	size_t size;
	hel_schema *s = NULL;
	const hel_embedding_plan plan = hel_embedding_plan_default();
	char *text = criteo_text(500, 1, &size);
	for (char *p = text; p < text + size; p = strchr(p, '\n') + 1)
		*p = '1';
	assert_ok(hel_file_write(temp_path("ones"), text, size, 0644));
	hel_cache *c = open_criteo(temp_path("ones"), temp_path("ones.cache"), &made);
	assert_status(HEL_EDATA, hel_schema_learn(&s, c, &split, &plan, 3, NULL));
	assert_non_null(strstr(hel_error_detail(), "have the label 1: there is nothing to learn"));
	assert_null(s);
	hel_cache_free(c);
	free(text);
}

/* Counts of one table's values in the training part, by brute force. */
static size_t count_by_hand(const hel_cache *c, size_t table, uint32_t *value, uint32_t *count)
{
	uint32_t hash[HEL_BLOCK_ROWS];
	size_t distinct = 0, n;
	for (size_t b = 0; b < hel_cache_blocks(c); b++) {
		assert_ok(hel_cache_read_hashes(c, b, table, hash, &n));
		for (size_t i = 0; i < n; i++) {
			if (!hash[i] || hel_split_of(&split, b * HEL_BLOCK_ROWS + i) != HEL_TRAIN)
				continue;
			size_t k = 0;
			while (k < distinct && value[k] != hash[i])
				k++;
			if (k == distinct) {
				value[distinct] = hash[i];
				count[distinct++] = 0;
			}
			count[k]++;
		}
	}
	return distinct;
}

static int descending(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x < y) - (x > y);
}

static void test_frequent_values_get_rows(void **state)
{
	(void)state;
	enum { OWN = 40, ROWS = 9000 };
	hel_cache *c = rows(ROWS);
	hel_embedding_plan plan = hel_embedding_plan_default();
	plan.kind = (hel_embedding){OWN, 4, 0};
	plan.threshold = 100;
	hel_schema *s = learn(c, &plan);
	uint32_t *value = hel_alloc(3 * ROWS, sizeof *value), *count = value + ROWS,
		 *sorted = count + ROWS;
	for (size_t t = 0; t < s->table_count; t += 5) {
		const hel_table_field *f = &s->table[t];
		const size_t distinct = count_by_hand(c, t, value, count);
		size_t known = 0, own = 0;
		memcpy(sorted, count, distinct * sizeof *sorted);
		qsort(sorted, distinct, sizeof *sorted, descending);
		while (own < distinct && sorted[own] >= 2)
			own++;
		own = distinct > 100 ? HEL_MIN(own, (size_t)OWN) : own;
		for (size_t k = 0; k < distinct; k++) {
			uint32_t hots[32];
			hel_table_hots(hots, s, t, 1000, value[k]);
			const bool is_known = hots[0] <= 1000 + f->values;
			assert_more(hots[0], 1000);
			assert_less(hots[0], 1000 + hel_table_width(f));
			known += is_known;
			if (count[k] > sorted[own - 1])
				assert_true(is_known);
			for (uint32_t d = 1; d < f->digits; d++)
				if (is_known)
					assert_int_equal(HEL_NO_HOT, hots[d]);
				else
					assert_in_range(hots[d], 1001 + f->values + 4 * d,
							1004 + f->values + 4 * d);
		}
		/* one in 2^10 unknown values is taken for a known one */
		assert_at_most(f->values, own);
		assert_at_least(f->values + 1, own);
		assert_at_least(known, f->values);
		assert_at_most(known, f->values + 1 + distinct / 100);
		assert_int_equal(distinct > 100 ? 4 : 0, f->base);
	}
	hel_free(value);
	hel_schema_free(s);
	hel_cache_free(c);
}

static void test_budget(void **state)
{
	(void)state;
	hel_cache *c = rows(20000);
	hel_embedding_plan plan = hel_embedding_plan_default();
	plan.threshold = 100;
	hel_schema *full = learn(c, &plan);
	const size_t width = hel_schema_onehots(full);
	for (uint32_t budget = 2000; budget < width; budget *= 2) {
		plan.max_onehot = budget;
		hel_schema *s = learn(c, &plan);
		print_message("%u of %zu allowed: %zu\n", budget, width, hel_schema_onehots(s));
		assert_at_most(hel_schema_onehots(s), budget);
		assert_at_least(hel_schema_onehots(s), budget * 3 / 5);
		hel_schema_free(s);
	}
	plan.max_onehot = 50;
	hel_schema *none = NULL;
	assert_status(HEL_EUNSUPPORTED, hel_schema_learn(&none, c, &split, &plan, 3, NULL));
	plan.max_onehot = 0;
	plan.exceptions = 1;
	strcpy(plan.exception[0].table, "C99");
	assert_status(HEL_EINVAL, hel_schema_learn(&none, c, &split, &plan, 3, NULL));
	hel_schema_free(full);
	hel_cache_free(c);
}

/* Means and deviations over the training part alone. */
static void test_dense(void **state)
{
	(void)state;
	hel_cache *c = rows(9000);
	const hel_embedding_plan plan = hel_embedding_plan_default();
	hel_schema *s = learn(c, &plan);
	hel_block b;
	assert_ok(hel_block_init(&b, hel_dataset_by_name("criteo"), HEL_BLOCK_ROWS));
	double n = 0, sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
	for (size_t k = 0; k < hel_cache_blocks(c); k++) {
		assert_ok(hel_cache_read(c, k, &b));
		for (size_t i = 0; i < b.count; i++) {
			if (hel_split_of(&split, k * HEL_BLOCK_ROWS + i) != HEL_TRAIN)
				continue;
			const double v = ((double)b.value[4 * b.count + i] - s->dense[4].mean) /
					 s->dense[4].deviation;
			n++;
			sum += v;
			squares += v * v;
			least = fmin(least, v);
			most = fmax(most, v);
		}
	}
	assert_less(fabs(sum / n), 1e-9);
	assert_within(squares / n, 1, 1e-9);
	/* what was seen, in quarters of a deviation */
	const hel_dense_field *d = &s->dense[4];
	assert_within((d->least - d->mean) / d->deviation, floor(4 * least) / 4, 1e-6);
	assert_within((d->most - d->mean) / d->deviation, ceil(4 * most) / 4, 1e-6);
	hel_block_clear(&b);
	hel_schema_free(s);
	hel_cache_free(c);
}

/* A client that reads the schema from JSON and a record from text gives what training saw. */
static void test_client_agrees(void **state)
{
	(void)state;
	static const char *const kinds[] = {"full", "digits(16)", "frequent(20)+digits(4)",
					    "hash(50)", "frequent(30)"};
	hel_cache *c = rows(3000);
	hel_records records;
	hel_block b;
	const char *path = temp_path("data");
	assert_ok(hel_records_read(&records, hel_dataset_by_name("criteo"), &path, 1));
	assert_ok(hel_block_init(&b, hel_dataset_by_name("criteo"), HEL_BLOCK_ROWS));
	assert_ok(hel_cache_read(c, 0, &b));
	for (size_t k = 0; k < HEL_ARRAY_LEN(kinds); k++) {
		hel_embedding_plan plan = hel_embedding_plan_default();
		plan.threshold = 50;
		assert_ok(hel_embedding_parse(&plan.kind, kinds[k]));
		hel_schema *s = learn(c, &plan), *client;
		char *x, *y;
		assert_ok(hel_schema_to_json(&x, s));
		assert_ok(hel_schema_from_json(&client, x, strlen(x)));
		assert_ok(hel_schema_to_json(&y, client));
		assert_string_equal(x, y);
		print_message("%s: %zu entries, schema of %zu bytes\n", kinds[k],
			      hel_schema_onehots(s), strlen(x));
		assert_less(strlen(x), 8000 + 6 * hel_schema_onehots(s));
		assert_null(strstr(x, hel_records_category(&records, 0, 0))); /* nobody's value */
		const size_t hots = hel_schema_hots(s);
		uint32_t *mine = hel_alloc(2 * hots, sizeof *mine), *theirs = mine + hots;
		double dense[13];
		for (size_t i = 0; i < records.count; i++) {
			uint32_t first = 0;
			size_t hot = 0;
			assert_ok(hel_schema_apply(client, &records, i, HEL_UNKNOWN_IS_ERROR, dense,
						   mine, NULL));
			for (size_t t = 0; t < s->table_count; t++) {
				hel_table_hots(theirs + hot, s, t, first, b.hash[t * b.count + i]);
				hot += s->table[t].digits;
				first += (uint32_t)hel_table_width(&s->table[t]);
			}
			assert_memory_equal(mine, theirs, hots * sizeof *mine);
			for (size_t d = 0; d < 13; d++)
				assert_equal(dense[d], hel_dense_apply(
							   s, d, (double)b.value[d * b.count + i]));
		}
		hel_free(mine);
		hel_free(x);
		hel_free(y);
		hel_schema_free(s);
		hel_schema_free(client);
	}
	hel_block_clear(&b);
	hel_records_clear(&records);
	hel_cache_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_split),
	    cmocka_unit_test(test_one_class),
	    cmocka_unit_test(test_frequent_values_get_rows),
	    cmocka_unit_test(test_budget),
	    cmocka_unit_test(test_dense),
	    cmocka_unit_test(test_client_agrees),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
