/* Rows of any columns, as the trainer reads them (a stream, a cache, samples) and as a client does
 * (records): the same numbers, whatever the number of threads. */
#include "../testing.h"
#include "features/coding.h"
#include "features/hash.h"
#include "features/learn.h"
#include "model/samples.h"
#include "model/train.h"
#include <math.h>
#include <unistd.h>

#define ROWS 20000

static const char columns[] =
    "{\"helrm_columns\": 1, \"name\": \"all\", \"columns\": ["
    "{\"name\": \"city\", \"kind\": \"category\"},"
    "{\"name\": \"film\", \"kind\": \"category\", \"values\": \"hashed\"},"
    "{\"name\": \"id\", \"kind\": \"category\", \"values\": \"modulo\", \"modulo\": 50},"
    "{\"name\": \"tags\", \"kind\": \"bag\", \"limit\": 4},"
    "{\"name\": \"likes\", \"kind\": \"bag\", \"limit\": 3, \"weight\": 2, \"pool\": \"mean\", "
    "\"values\": "
    "\"hashed\"},"
    "{\"name\": \"seen\", \"kind\": \"bag\", \"limit\": 5, \"pool\": \"max\", \"values\": "
    "\"modulo\", "
    "\"modulo\": 9},"
    "{\"name\": \"x\", \"kind\": \"dense\", \"log\": 1},"
    "{\"name\": \"y\", \"kind\": \"dense\", \"quantiles\": [0.1, 0.95]},"
    "{\"name\": \"label\", \"kind\": \"label\"}]}";

static void put_bag(FILE *f, hel_prng *g, const char *format, bool weights)
{
	const uint64_t count = hel_prng_u64(g) % 7;
	for (uint64_t k = 0; k < count; k++) {
		fputs(k ? "|" : "", f);
		fprintf(f, format[0] == 'n' ? "%u" : "tag %u", (unsigned)(hel_prng_u64(g) % 40));
		if (weights)
			fprintf(f, ":%.2f", 2 * hel_prng_normal(g));
	}
}

static const char *write_rows(void)
{
	static const char path[] = "test_columns.csv";
	hel_prng g;
	test_prng(&g, 2);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < ROWS; i++) {
		/* rare and frequent ones */
		const double skewed = hel_prng_unit(&g) * hel_prng_unit(&g) * hel_prng_unit(&g);
		fprintf(f, "\"city %u, or so\",film %u,%llu,",
			i % 6000 ? (unsigned)(57 * skewed) : 60 + (unsigned)i / 6000,
			(unsigned)(hel_prng_u64(&g) % 3000), (unsigned long long)hel_prng_u64(&g));
		put_bag(f, &g, "t", false);
		fputc(',', f);
		put_bag(f, &g, "t", true);
		fputc(',', f);
		put_bag(f, &g, "n", false);
		if (i % 50)
			fprintf(f, ",%.0f,%.6g,%u\n", 1000 * hel_prng_unit(&g),
				exp(hel_prng_normal(&g)), (unsigned)(hel_prng_u64(&g) & 1));
		else
			fprintf(f, ",?,,%d\n", i % 100 > 0);
	}
	fclose(f);
	return path;
}

static hel_cache *open_cache(const hel_dataset *set, const char *path, const char *rows, bool *made,
			     hel_pool *pool)
{
	hel_cache *c;
	hel_scan_report report;
	assert_ok(hel_cache_open(&c, &report, made, path, set, &rows, 1, 0, pool));
	assert_int_equal(ROWS, report.rows);
	return c;
}

static int ascending(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Of the training part, by sorting. */
static void check_quantiles(const hel_schema *s, const hel_records *r, const hel_split *split)
{
	double *v = hel_alloc(ROWS, sizeof *v);
	size_t n = 0;
	for (size_t i = 0; i < ROWS; i++)
		if (hel_split_of(split, i) == HEL_TRAIN && !isnan(r->value[2 * i + 1]))
			v[n++] = r->value[2 * i + 1];
	qsort(v, n, sizeof *v, ascending);
	assert_equal(v[(size_t)floor(0.1 * (double)(n - 1))], s->dense[1].low);
	assert_equal(v[(size_t)ceil(0.95 * (double)(n - 1))], s->dense[1].high);
	assert_true(isinf(s->dense[0].low) && isinf(s->dense[0].high));
	hel_free(v);
}

/* Listed are the texts that the training part has twice, and no others. */
static void check_list(const hel_schema *s, const hel_records *r, const hel_split *split)
{
	const hel_table_field *t = &s->table[0];
	uint32_t *count = hel_alloc(64, sizeof *count);
	size_t listed = 0;
	for (size_t i = 0; i < ROWS; i++) {
		unsigned city;
		assert_int_equal(1, sscanf(hel_records_category(r, i, 0), "city %u", &city));
		count[city] += hel_split_of(split, i) == HEL_TRAIN;
	}
	for (unsigned city = 0; city < 64; city++) {
		char text[32];
		snprintf(text, sizeof text, "city %u, or so", city);
		assert_int_equal(count[city] >= 2, hel_table_row(t, text) > 0);
		listed += count[city] >= 2;
	}
	assert_int_equal(listed, t->values);
	hel_free(count);
}

static void test_trainer_and_client_agree(void **state)
{
	(void)state;
	const char *rows = write_rows();
	hel_dataset *set;
	bool made;
	hel_records r;
	hel_samples a, b;
	hel_schema *s;
	hel_pool *pool = hel_pool_new(3);
	const hel_split split = {.seed = 3, .test = 5};
	hel_embedding_plan plan = hel_embedding_plan_default();
	plan.threshold = 100;
	assert_ok(hel_embedding_parse(&plan.kind, "frequent(200)+digits(16)"));
	assert_ok(hel_dataset_from_json(&set, columns, strlen(columns)));
	hel_cache *one = open_cache(set, "test_columns.one", rows, &made, NULL),
		  *many = open_cache(set, "test_columns.many", rows, &made, pool);
	assert_true(made);
	assert_memory_equal(hel_cache_stamp(one), hel_cache_stamp(many), HEL_HASH_BYTES);
	hel_cache_free(one);
	one = open_cache(set, "test_columns.one", rows, &made, NULL);
	assert_false(made);
	assert_ok(hel_schema_learn(&s, one, &split, &plan, 3, pool));
	assert_ok(hel_records_read(&r, set, &rows, 1));
	check_quantiles(s, &r, &split);
	check_list(s, &r, &split);
	const hel_split all = {0};
	assert_ok(hel_samples_load(&a, s, many, NULL, &all, HEL_TRAIN, NULL, hel_cache_blocks(many),
				   pool));
	assert_ok(hel_samples_new(&b, s, &r, NULL, r.count, HEL_UNKNOWN_IS_MISSING));
	assert_int_equal(ROWS, a.count);
	assert_int_equal(a.unknown, b.unknown);
	assert_more(a.unknown, 0);
	assert_memory_equal(a.label, b.label, ROWS);
	assert_memory_equal(a.value, b.value, ROWS * a.dense * sizeof *a.value);
	assert_memory_equal(a.hot, b.hot, ROWS * a.hots * sizeof *a.hot);
	hel_samples_clear(&a);
	hel_samples_clear(&b);
	hel_records_clear(&r);
	hel_schema_free(s);
	hel_cache_free(one);
	hel_cache_free(many);
	hel_dataset_drop(set);
	hel_pool_free(pool);
}

/* A cache whose dictionary is damaged is made again. */
static void test_damaged_dictionary(void **state)
{
	(void)state;
	hel_dataset *set;
	bool made;
	const char *rows = write_rows();
	assert_ok(hel_dataset_from_json(&set, columns, strlen(columns)));
	hel_cache_free(open_cache(set, "test_columns.one", rows, &made, NULL));
	FILE *f = fopen("test_columns.one", "r+");
	assert_non_null(f);
	fseek(f, -40, SEEK_END);
	fputc('#', f);
	fclose(f);
	hel_cache *c = open_cache(set, "test_columns.one", rows, &made, NULL);
	assert_true(made);
	assert_more(hel_dictionary_count(hel_cache_dictionary(c), 0), 20);
	hel_cache_free(c);
	hel_cache_free(open_cache(set, "test_columns.one", rows, &made, NULL));
	assert_false(made);
	/* another description of the same rows is another cache */
	char *other = hel_strdup(columns);
	*strstr(other, "9}") = '8';
	hel_dataset_drop(set);
	assert_ok(hel_dataset_from_json(&set, other, strlen(other)));
	hel_cache_free(open_cache(set, "test_columns.one", rows, &made, NULL));
	assert_true(made);
	hel_free(other);
	hel_dataset_drop(set);
}

/* A step of training against differences: what a row of a bag's table adds to the loss. */
static double loss_of(const hel_dlrm *m, const hel_samples *s, size_t count)
{
	double sum = 0, logit;
	for (size_t i = 0; i < count; i++) {
		assert_ok(hel_dlrm_logit(&logit, m, s->value + i * s->dense, s->hot + i * s->hots));
		sum += fmax(logit, 0) - logit * s->label[i] + log1p(exp(-fabs(logit)));
	}
	return sum / (double)count;
}

/* Adagrad's squares after one step are those of the gradient: the part before the last. */
typedef struct parts {
	size_t number, size;
	const float *square;
} parts;

static hel_status take_part(void *arg, void *bytes, size_t size)
{
	parts *p = arg;
	if (p->number++ == 3) {
		p->square = bytes;
		p->size = size;
	}
	return HEL_OK;
}

static void test_gradient(void **state)
{
	(void)state;
	hel_dataset *set;
	hel_schema *s;
	hel_samples x;
	hel_prng g;
	hel_dlrm *m;
	hel_trainer *t;
	test_prng(&g, 5);
	assert_ok(hel_dataset_from_json(&set, columns, strlen(columns)));
	assert_ok(hel_schema_of(&s, set));
	hel_dataset_drop(set);
	s->clip = 3;
	for (size_t i = 0; i < s->dense_count; i++)
		s->dense[i].deviation = 1;
	for (size_t i = 0; i < s->table_count; i++) {
		const char *const text[] = {"a", "b", "c"};
		const uint32_t hash[] = {5, 6, 7};
		if (!s->table[i].hashed)
			assert_ok(hel_table_list(&s->table[i], text, 3));
		else if (!s->table[i].modulo)
			assert_ok(hel_table_know(s, i, hash, 3, true));
	}
	hel_dlrm_config c = hel_dlrm_config_default();
	c.training.batch = 16;
	c.training.adagrad = true; /* the first step is rate times the gradient's sign */
	c.training.weight_decay = 0;
	c.training.warmup = 0;
	c.training.rate = 1e-4;
	c.training.gradient_clip = 1e9;
	assert_ok(hel_dlrm_new(&m, &c, s, 3));
	assert_ok(hel_samples_reserve(&x, s, 16));
	for (; x.count < 16; x.count++) {
		hel_schema_random(s, &g, x.value + x.count * x.dense, x.hot + x.count * x.hots);
		x.label[x.count] = x.count % 3 == 0;
	}
	float *before = hel_alloc(m->parameters, sizeof *before);
	double *slope = hel_alloc(m->parameters, sizeof *slope);
	for (size_t i = 0; i < m->tensors; i++) /* rows that matter */
		for (size_t k = 0;
		     m->tensor[i].table && k < m->tensor[i].rows * m->tensor[i].columns; k++)
			m->parameter[m->tensor[i].offset + k] = (float)(0.4 * hel_prng_normal(&g));
	memcpy(before, m->parameter, m->parameters * sizeof *before);
	for (size_t p = 0; p < m->parameters; p++) {
		const float v = before[p];
		m->parameter[p] = v + 0x1p-10f;
		slope[p] = loss_of(m, &x, 16);
		m->parameter[p] = v - 0x1p-10f;
		slope[p] = (slope[p] - loss_of(m, &x, 16)) / 0x1p-9;
		m->parameter[p] = v;
	}
	uint32_t order[16];
	double loss;
	size_t number = 0;
	size_t checked = 0;
	for (uint32_t i = 0; i < 16; i++)
		order[i] = i;
	assert_ok(hel_trainer_new(&t, m, 10, NULL));
	assert_ok(hel_trainer_step(t, &x, order, 16, &loss));
	parts taken = {0};
	assert_ok(hel_trainer_state(t, take_part, &taken));
	assert_within(loss, loss_of(m, &x, 16), 0.01);
	for (size_t i = 0; i < m->tensors; i++) {
		const hel_tensor *e = &m->tensor[i];
		for (size_t k = e->offset; e->table && k < e->offset + e->rows * e->columns; k++) {
			const double moved = (double)m->parameter[k] - (double)before[k],
				     gradient = sqrt((double)taken.square[number++]);
			assert_within(gradient, fabs(slope[k]), 1e-5 + 0.01 * fabs(slope[k]));
			assert_true(fabs(slope[k]) < 1e-4 || moved * slope[k] < 0);
			checked += fabs(slope[k]) > 1e-4;
		}
	}
	assert_int_equal(number * sizeof(float), taken.size);
	print_message("%zu weights of rows have the slopes of differences\n", checked);
	assert_more(checked, 100);
	hel_trainer_free(t);
	hel_free(before);
	hel_free(slope);
	hel_samples_clear(&x);
	hel_dlrm_free(m);
}

static int clean(void **state)
{
	(void)state;
	unlink("test_columns.csv");
	unlink("test_columns.one");
	unlink("test_columns.many");
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_trainer_and_client_agree),
					   cmocka_unit_test(test_damaged_dictionary),
					   cmocka_unit_test(test_gradient)};
	return cmocka_run_group_tests(tests, NULL, clean);
}
