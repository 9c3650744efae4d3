/* Tails by click rate: buckets against rates counted by hand, what clients see against what the
 * trainer sees, and no label of a row in its own rate. */
#include "../features/rowfile.h"
#include "features/hash.h"
#include "features/rates.h"
#include "model/accuracy.h"
#include "model/fit.h"
#include <math.h>
#include <stdlib.h>

#define ROWS 40000

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"noise\", \"columns\": ["
    "{\"name\": \"y\", \"kind\": \"label\"}, {\"name\": \"x\", \"kind\": \"dense\"},"
    "{\"name\": \"item\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"noise\", \"kind\": \"category\", \"values\": \"hashed\"}]}";

/* 2,000 items of which each has a click rate of its own; 20,000 values that mean nothing. */
static void make_rows(const char *path)
{
	hel_prng g;
	test_prng(&g, 7);
	FILE *f = fopen(path, "w");
	fprintf(f, "y,x,item,noise\n");
	for (int i = 0; i < ROWS; i++) {
		const double x = hel_prng_normal(&g);
		const int item = (int)(2000 * hel_prng_unit(&g) * hel_prng_unit(&g));
		const double z = 0.7 * x + sin(item) - 0.5;
		fprintf(f, "%d,%.4f,i%d,n%d\n", hel_prng_unit(&g) < 1 / (1 + exp(-z)), x, item,
			(int)(20000 * hel_prng_unit(&g)));
	}
	fclose(f);
}

static hel_dataset *set;
static hel_cache *cache;

static int setup(void **state)
{
	hel_scan_report report;
	bool made;
	if (temp_dir_make(state))
		return -1;
	const char *data = temp_path("rows.csv");
	make_rows(data);
	assert_ok(hel_dataset_from_json(&set, columns, strlen(columns)));
	assert_ok(
	    hel_cache_open(&cache, &report, &made, temp_path("cache"), set, &data, 1, 0, NULL));
	assert_equal(report.rows, ROWS);
	return 0;
}

static int teardown(void **state)
{
	hel_cache_free(cache);
	hel_dataset_drop(set);
	return temp_dir_remove(state);
}

static hel_dlrm_config config(const char *embedding)
{
	hel_dlrm_config c = hel_dlrm_config_for(hel_dataset_by_name("criteo"));
	c.architecture = HEL_ARCHITECTURE_MLP;
	c.embedding_dim = 4;
	c.top[0] = 8;
	c.plan.threshold = 0;
	c.training.epochs = 4;
	assert_ok(hel_embedding_parse(&c.plan.kind, embedding));
	return c;
}

static hel_schema *learn(const hel_dlrm_config *c, hel_pool *pool)
{
	hel_schema *s;
	const hel_split split = hel_dlrm_split(c);
	assert_ok(hel_schema_learn(&s, cache, &split, &c->plan, c->clip, pool));
	return s;
}

typedef struct value {
	uint32_t hash, rows[HEL_FOLDS + 1], clicks[HEL_FOLDS + 1]; /* the last: of all folds */
} value;

/* Rows and clicks of a table's values in the training part. */
static size_t count_values(value *v, size_t word, const hel_split *split, double *mean)
{
	hel_block b;
	size_t n = 0, rows = 0, clicks = 0;
	assert_ok(hel_block_init(&b, set, HEL_BLOCK_ROWS));
	for (size_t i = 0; i < hel_cache_blocks(cache); i++) {
		assert_ok(hel_cache_read(cache, i, &b));
		for (size_t k = 0; k < b.count; k++) {
			const uint64_t row = i * HEL_BLOCK_ROWS + k;
			const uint32_t hash = b.hash[word * b.count + k];
			size_t at = 0;
			if (hel_split_of(split, row) != HEL_TRAIN)
				continue;
			while (at < n && v[at].hash != hash)
				at++;
			if (at == n)
				v[n++] = (value){.hash = hash};
			v[at].rows[hel_fold_of(row)]++;
			v[at].rows[HEL_FOLDS]++;
			v[at].clicks[hel_fold_of(row)] += b.label[k];
			v[at].clicks[HEL_FOLDS] += b.label[k];
			rows++;
			clicks += b.label[k];
		}
	}
	hel_block_clear(&b);
	*mean = (double)clicks / (double)rows;
	return n;
}

static double rate(uint32_t rows, uint32_t clicks, double mean)
{
	return (clicks + 10 * mean) / (rows + 10.0);
}

static uint32_t entry(const hel_schema *s, uint32_t hash)
{
	uint32_t hot;
	hel_table_hots(&hot, s, 0, 0, hash);
	return hot;
}

/* Two values in a million or so have one fingerprint. */
static bool shares_print(hel_schema *s, const value *v, size_t n, size_t i)
{
	bool shares = false;
	const uint8_t bits = s->table[0].print_bits;
	s->table[0].print_bits = s->table[0].rate_bits;
	for (size_t k = 0; k < n; k++)
		shares |=
		    k != i && hel_value_print(s, 0, v[k].hash) == hel_value_print(s, 0, v[i].hash);
	s->table[0].print_bits = bits;
	return shares;
}

/* Higher rate, higher bucket; about as many rows in each; values seen once share the last row. */
static void test_buckets(void **state)
{
	(void)state;
	static value v[4000];
	const hel_dlrm_config c = config("rates(8)");
	const hel_split split = hel_dlrm_split(&c);
	hel_pool *pool = hel_pool_new(3);
	hel_schema *s = learn(&c, NULL), *again = learn(&c, pool), *read;
	double mean, low[8], high[8];
	uint64_t rows[8] = {0};
	const size_t n = count_values(v, 0, &split, &mean);
	for (int b = 0; b < 8; b++)
		low[b] = 1, high[b] = 0;
	assert_equal(s->table[0].values, 0);
	assert_equal(s->table[0].buckets, 8);
	assert_equal(hel_table_width(&s->table[0]), 1 + 8 + 1);
	for (size_t i = 0; i < n; i++) {
		const uint32_t at = entry(s, v[i].hash);
		const double r = rate(v[i].rows[HEL_FOLDS], v[i].clicks[HEL_FOLDS], mean);
		if (v[i].rows[HEL_FOLDS] < c.plan.min_count || shares_print(s, v, n, i))
			continue; /* the rest, or one bucket for two values */
		assert_true(at >= 1 && at <= 8);
		rows[at - 1] += v[i].rows[HEL_FOLDS];
		low[at - 1] = fmin(low[at - 1], r);
		high[at - 1] = fmax(high[at - 1], r);
	}
	for (int b = 1; b < 8; b++) {
		assert_true(high[b - 1] < low[b]);
		assert_within((double)rows[b] / (double)rows[0], 1, 0.2);
	}
	assert_equal(entry(s, 0), 0);
	size_t rest = 0;
	for (uint32_t i = 0; i < 1000; i++)
		rest += entry(s, (uint32_t)hel_mix(i) | 1) == 9;
	assert_more(rest, 990); /* one in 1,024 has a known value's fingerprint */
	/* written and read, learned on three threads: the same */
	char *text, *other;
	assert_ok(hel_schema_to_json(&text, s));
	assert_ok(hel_schema_to_json(&other, again));
	assert_string_equal(text, other);
	hel_free(other);
	assert_ok(hel_schema_from_json(&read, text, strlen(text)));
	for (size_t i = 0; i < n; i++)
		assert_equal(entry(read, v[i].hash), entry(s, v[i].hash));
	assert_ok(hel_schema_to_json(&other, read));
	assert_string_equal(text, other);
	hel_free(text);
	hel_free(other);
	hel_schema_free(read);
	hel_schema_free(again);
	hel_schema_free(s);
	hel_pool_free(pool);
}

/* A training row's bucket is that of the rates of the other folds. */
static void test_folds(void **state)
{
	(void)state;
	static value v[4000];
	const hel_dlrm_config c = config("frequent(100)+rates(8)");
	const hel_split split = hel_dlrm_split(&c);
	hel_schema *s = learn(&c, NULL);
	double mean, low[8];
	const size_t n = count_values(v, 0, &split, &mean);
	for (int b = 0; b < 8; b++)
		low[b] = 1;
	size_t own = 0, differ = 0;
	for (size_t i = 0; i < n; i++) {
		const uint32_t at = entry(s, v[i].hash);
		own += at >= 1 && at <= 100;
		if (at > 100 && at <= 108)
			low[at - 101] = fmin(low[at - 101], rate(v[i].rows[HEL_FOLDS],
								 v[i].clicks[HEL_FOLDS], mean));
	}
	assert_within(own, 100, 3);
	for (size_t i = 0; i < n; i++)
		for (unsigned f = 0; f < HEL_FOLDS; f++) {
			uint32_t hot, expected = 109;
			const uint32_t rows = v[i].rows[HEL_FOLDS] - v[i].rows[f],
				       clicks = v[i].clicks[HEL_FOLDS] - v[i].clicks[f];
			hel_table_hots_in_fold(&hot, s, 0, 0, v[i].hash, f);
			if (entry(s, v[i].hash) <= 100) {
				assert_equal(hot, entry(s, v[i].hash));
				continue;
			}
			if (v[i].rows[HEL_FOLDS] >= 2 && rows >= 2)
				for (expected = 108; expected > 101 && rate(rows, clicks, mean) <
									   low[expected - 101];)
					expected--;
			assert_equal(hot, expected);
			differ += hot != entry(s, v[i].hash);
		}
	assert_more(differ, n / 10);
	hel_schema_free(s);
}

static double judged(const hel_dlrm_config *c, bool own_labels)
{
	const hel_split split = hel_dlrm_split(c);
	hel_schema *s = learn(c, NULL);
	hel_dlrm *m;
	hel_fit_report r;
	hel_metrics metrics;
	if (own_labels) {
		hel_fold_rates_free(s->folds);
		s->folds = NULL;
	}
	assert_ok(hel_dlrm_new(&m, c, s, 1));
	assert_ok(hel_dlrm_fit(&r, m, cache, &split, &(hel_fit_options){.quiet = true}));
	assert_ok(hel_metrics_of_part(&metrics, NULL, m, cache, &split, HEL_TEST, NULL));
	hel_dlrm_free(m);
	return metrics.auc;
}

/* A column of noise, of which most values are seen a few times: its rates are its rows' own labels.
 * Trained on those of other folds it gains nothing; on those of all, the model believes it. */
static void test_no_leak(void **state)
{
	(void)state;
	hel_dlrm_config c = config("frequent(400)+rates(8)");
	c.plan.exceptions = 1;
	snprintf(c.plan.exception[0].table, HEL_NAME_MAX, "noise");
	assert_ok(hel_embedding_parse(&c.plan.exception[0].kind, "frequent(1)"));
	const double without = judged(&c, false);
	assert_ok(hel_embedding_parse(&c.plan.exception[0].kind, "rates(8)"));
	const double folds = judged(&c, false), leak = judged(&c, true);
	print_message("AUC %.4f without the column, %.4f with it, %.4f with labels leaking\n",
		      without, folds, leak);
	assert_more(without, 0.7);
	assert_less(fabs(folds - without), 0.003);
	assert_less(leak, without - 0.02);
}

static void test_refuses(void **state)
{
	(void)state;
	hel_embedding e;
	char text[80];
	static const char *const good[] = {"rates(8)", "frequent(all)+rates(8)",
					   "frequent(58)+rates(64)"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(good); i++) {
		assert_ok(hel_embedding_parse(&e, good[i]));
		hel_embedding_describe(text, sizeof text, e);
		assert_string_equal(text, good[i]);
	}
	static const char *const bad[] = {"rates",	   "rates(0)",
					  "rates(65)",	   "rates(8)+digits(4)",
					  "full+rates(8)", "frequent(3)+rates(8)x"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		assert_status(HEL_EINVAL, hel_embedding_parse(&e, bad[i]));
	/* schemas that lie about their buckets */
	const hel_dlrm_config c = config("rates(3)");
	hel_schema *s = learn(&c, NULL), *read = NULL;
	char *whole, *at, *end;
	assert_ok(hel_schema_to_json(&whole, s));
	static const char *const lies[] = {
	    "[]",	  "[0, 0, 0]",	   "[1, 2]",	 "[-1, 5, 3]", "[1.5, 2, 3]",
	    "[99999999]", "[1e300, 2, 3]", "{\"a\": 1}", "\"3\""};
	at = strstr(whole, "\"buckets\": [");
	assert_non_null(at);
	end = strchr(at, ']') + 1;
	for (size_t i = 0; i < HEL_ARRAY_LEN(lies); i++) {
		char *forged = NULL;
		assert_more(asprintf(&forged, "%.*s\"buckets\": %s%s", (int)(at - whole), whole,
				     lies[i], end),
			    0);
		assert_status(HEL_EFORMAT, hel_schema_from_json(&read, forged, strlen(forged)));
		free(forged);
	}
	hel_free(whole);
	hel_schema_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_buckets), cmocka_unit_test(test_folds),
	    cmocka_unit_test(test_no_leak), cmocka_unit_test(test_refuses)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
