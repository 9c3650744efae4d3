/* Weights under the names of facebookresearch/dlrm, computed here by hand and by the model. */
#include "../features/cohort.h"
#include "features/hash.h"
#include "import/import.h"
#include "model/model_file.h"
#include <math.h>

enum { DIM = 2, TABLES = 8, ROWS = 5, TOP = 3, BOTTOM = 4 };

/* A file as torch would give it: random weights, and where they start. */
typedef struct foreign {
	char header[8192];
	float value[4096];
	size_t count, tensors;
} foreign;

static size_t add(foreign *f, hel_prng *g, const char *name, size_t rows, size_t columns)
{
	const size_t n = rows * (columns ? columns : 1), at = f->count;
	char shape[64];
	snprintf(shape, sizeof shape, columns ? "%zu, %zu" : "%zu", rows, columns);
	snprintf(f->header + strlen(f->header), sizeof f->header - strlen(f->header),
		 "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%zu, %zu]}",
		 f->tensors++ ? ", " : "{", name, shape, 4 * at, 4 * (at + n));
	for (size_t i = 0; i < n; i++)
		f->value[f->count++] = (float)hel_prng_normal(g);
	return at;
}

static void finish(hel_writer *w, const foreign *f)
{
	*w = (hel_writer){0};
	hel_write_u64(w, strlen(f->header) + 1);
	hel_write_bytes(w, f->header, strlen(f->header));
	hel_write_bytes(w, "}", 1);
	hel_write_bytes(w, f->value, f->count * sizeof(float));
	assert_ok(w->status);
}

/* Columns of the heart data, rows in an order of their own. */
static const char schema[] =
    "{\"dataset\": \"heart\", \"clip\": 4, \"dense\": ["
    "{\"name\": \"age\", \"mean\": 50, \"deviation\": 10},"
    "{\"name\": \"trestbps\", \"mean\": 130, \"deviation\": 20},"
    "{\"name\": \"chol\", \"mean\": 250, \"deviation\": 50},"
    "{\"name\": \"thalach\", \"mean\": 150, \"deviation\": 20},"
    "{\"name\": \"oldpeak\", \"mean\": 1, \"deviation\": 1}], \"tables\": ["
    "{\"name\": \"sex\", \"values\": [\"1\", \"0\", \"\", \"a\", \"b\"]},"
    "{\"name\": \"cp\", \"values\": [\"\", \"4\", \"2\", \"3\", \"1\"]},"
    "{\"name\": \"fbs\", \"values\": [\"0\", \"1\", \"x\", \"y\", \"\"]},"
    "{\"name\": \"restecg\", \"values\": [\"2\", \"1\", \"0\", \"\", \"z\"]},"
    "{\"name\": \"exang\", \"values\": [\"0\", \"1\", \"p\", null, \"q\"]},"
    "{\"name\": \"slope\", \"values\": [\"3\", \"1\", \"2\", \"\", \"u\"]},"
    "{\"name\": \"ca\", \"values\": [\"0\", \"3\", \"2\", \"1\", \"\"]},"
    "{\"name\": \"thal\", \"values\": [\"7\", \"3\", \"6\", \"\", \"v\"]}]}";

static void make(foreign *f, size_t at[TABLES + 6], hel_prng *g, size_t top_in)
{
	char name[32];
	memset(f, 0, sizeof *f);
	at[TABLES] = add(f, g, "bot_l.0.weight", BOTTOM, 5);
	at[TABLES + 1] = add(f, g, "bot_l.0.bias", BOTTOM, 0);
	for (int t = 0; t < TABLES; t++) {
		snprintf(name, sizeof name, "emb_l.%d.weight", t);
		at[t] = add(f, g, name, ROWS, DIM);
	}
	at[TABLES + 2] = add(f, g, "top_l.0.weight", TOP, top_in);
	at[TABLES + 3] = add(f, g, "top_l.0.bias", TOP, 0);
	at[TABLES + 4] = add(f, g, "top_l.2.weight", 1, TOP);
	at[TABLES + 5] = add(f, g, "top_l.2.bias", 1, 0);
}

static hel_status import(hel_dlrm **m, hel_import_report *r, const foreign *f, const char *s)
{
	hel_writer w;
	hel_import_config c = hel_import_config_default();
	c.bottom_last_activation = HEL_YES;
	finish(&w, f);
	hel_status st = hel_import(m, r, &c, NULL, (hel_text){s, strlen(s)}, w.bytes, w.size);
	hel_writer_clear(&w);
	return st;
}

static bool says(const hel_import_report *r, const char *text)
{
	for (size_t i = 0; i < r->lines; i++)
		if (strstr(r->line[i], text))
			return true;
	return false;
}

static double relu_row(const float *w, const float *b, const double *x, size_t row, size_t n)
{
	double sum = b[row];
	for (size_t i = 0; i < n; i++)
		sum += (double)w[row * n + i] * x[i];
	return sum;
}

static void test_heart(void **state)
{
	(void)state;
	hel_prng g;
	foreign f;
	size_t at[TABLES + 6];
	hel_dlrm *m;
	hel_import_report report;
	hel_records r;
	test_prng(&g, 1);
	make(&f, at, &g, BOTTOM + TABLES * DIM);
	assert_ok(import(&m, &report, &f, schema));
	assert_int_equal(0, report.no_missing_row);
	/* 67 years, male, ...; ca is missing */
	const char *record = "67,1,4,160,286,0,2,108,1,1.5,2,?,3";
	const int row[TABLES] = {0, 1, 0, 0, 1, 2, 4, 1};
	const double dense[5] = {1.7, 1.5, 0.72, -2.1, 0.5};
	double x[BOTTOM + TABLES * DIM], h[TOP], want = f.value[at[TABLES + 5]], got, values[5];
	for (size_t i = 0; i < BOTTOM; i++)
		x[i] =
		    fmax(0, relu_row(f.value + at[TABLES], f.value + at[TABLES + 1], dense, i, 5));
	for (size_t t = 0; t < TABLES; t++)
		for (size_t k = 0; k < DIM; k++)
			x[BOTTOM + t * DIM + k] = (double)f.value[at[t] + (size_t)row[t] * DIM + k];
	for (size_t i = 0; i < TOP; i++) {
		h[i] = fmax(0, relu_row(f.value + at[TABLES + 2], f.value + at[TABLES + 3], x, i,
					BOTTOM + TABLES * DIM));
		want += (double)f.value[at[TABLES + 4] + i] * h[i];
	}
	assert_ok(
	    hel_records_parse(&r, hel_dataset_by_name("heart"), "test", record, strlen(record)));
	uint32_t hots[TABLES];
	assert_ok(hel_schema_apply(m->schema, &r, 0, HEL_UNKNOWN_IS_ERROR, values, hots, NULL));
	assert_ok(hel_dlrm_logit(&got, m, values, hots));
	print_message("by hand %.9f, imported %.9f\n", want, got);
	assert_within(got, want, 1e-9 * fmax(1, fabs(want)));
	hel_records_clear(&r);
	hel_dlrm_free(m);
}

static void replace(char *out, const char *text, const char *from, const char *to)
{
	const char *at = strstr(text, from);
	assert_non_null(at);
	sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
}

/* What is listed as the file writes it, "1.0", " 2 ", "?", is what a record's cell becomes. */
static void test_values_are_cells(void **state)
{
	(void)state;
	hel_prng g;
	foreign f;
	size_t at[TABLES + 6];
	hel_dlrm *m, *n;
	hel_import_report report;
	char text[sizeof schema + 64];
	test_prng(&g, 4);
	make(&f, at, &g, BOTTOM + TABLES * DIM);
	assert_ok(import(&m, &report, &f, schema));
	replace(text, schema, "\"1\", \"0\", \"\", \"a\"", "\"1.0\", \" 0e0 \", \"?\", \" a\"");
	assert_ok(import(&n, &report, &f, text));
	assert_int_equal(0, report.no_missing_row);
	assert_int_equal(m->parameters, n->parameters);
	assert_memory_equal(m->parameter, n->parameter, m->parameters * sizeof(float));
	for (uint32_t v = 0; v < 4; v++)
		assert_string_equal(m->schema->table[0].value[v], n->schema->table[0].value[v]);
	hel_dlrm_free(m);
	hel_dlrm_free(n);
}

/* Layers whose numbers follow each other have no activation between them. */
static void test_linear_layers(void **state)
{
	(void)state;
	enum { MIDDLE = 2, IN = 5 + TABLES * DIM };
	hel_prng g;
	foreign f = {0};
	char name[32];
	size_t table[TABLES];
	hel_dlrm *m;
	hel_import_report report;
	test_prng(&g, 5);
	for (int t = 0; t < TABLES; t++) {
		snprintf(name, sizeof name, "emb_l.%d.weight", t);
		table[t] = add(&f, &g, name, ROWS, DIM);
	}
	const size_t a = add(&f, &g, "top_l.0.weight", MIDDLE, IN), /* no bias */
	    b = add(&f, &g, "top_l.1.weight", TOP, MIDDLE), c = add(&f, &g, "top_l.1.bias", TOP, 0),
		     d = add(&f, &g, "top_l.3.weight", 1, TOP),
		     e = add(&f, &g, "top_l.3.bias", 1, 0);
	assert_ok(import(&m, &report, &f, schema));
	assert_true(says(&report, "after the one before: 1, multiplied out"));
	assert_true(says(&report, "1 layers have no bias: 0"));
	const double dense[5] = {1.7, 1.5, 0.72, -2.1, 0.5};
	double x[IN], middle[MIDDLE], want = (double)f.value[e], got;
	float none[MIDDLE] = {0};
	memcpy(x, dense, sizeof dense);
	uint32_t hots[TABLES];
	const uint32_t row[TABLES] = {0, 1, 0, 0, 1, 2, 4, 1}; /* as in test_heart */
	hel_records r;
	const char *record = "67,1,4,160,286,0,2,108,1,1.5,2,?,3";
	double values[5];
	assert_ok(
	    hel_records_parse(&r, hel_dataset_by_name("heart"), "test", record, strlen(record)));
	assert_ok(hel_schema_apply(m->schema, &r, 0, HEL_UNKNOWN_IS_ERROR, values, hots, NULL));
	hel_records_clear(&r);
	for (size_t t = 0; t < TABLES; t++)
		for (size_t k = 0; k < DIM; k++)
			x[5 + t * DIM + k] = (double)f.value[table[t] + row[t] * DIM + k];
	for (size_t i = 0; i < MIDDLE; i++)
		middle[i] = relu_row(f.value + a, none, x, i, IN);
	for (size_t i = 0; i < TOP; i++)
		want += (double)f.value[d + i] *
			fmax(0, relu_row(f.value + b, f.value + c, middle, i, MIDDLE));
	assert_ok(hel_dlrm_logit(&got, m, values, hots));
	assert_within(got, want, 1e-5 * fmax(1, fabs(want)));
	hel_dlrm_free(m);
}

/* Hashed tables: every listed value finds its row, "" the missing one, others null's. */
static void test_criteo(void **state)
{
	(void)state;
	hel_prng g;
	foreign f = {0};
	char text[8192], name[32];
	size_t n = 0;
	hel_dlrm *m;
	hel_import_report report;
	test_prng(&g, 2);
	for (int t = 0; t < 26; t++) {
		snprintf(name, sizeof name, "emb_l.%d.weight", t);
		add(&f, &g, name, 4, 1);
	}
	add(&f, &g, "top_l.0.weight", 1, 13 + 26);
	add(&f, &g, "top_l.0.bias", 1, 0);
	n += (size_t)snprintf(text, sizeof text, "{\"dataset\":\"criteo\",\"clip\":3,\"dense\":[");
	for (int i = 1; i <= 13; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "%s{\"name\":\"I%d\",\"mean\":0,\"deviation\":1}",
				      i > 1 ? "," : "", i);
	n += (size_t)snprintf(text + n, sizeof text - n, "],\"tables\":[");
	for (int i = 1; i <= 26; i++)
		n += (size_t)snprintf(text + n, sizeof text - n,
				      "%s{\"name\":\"C%d\",\"values\":[%s]}", i > 1 ? "," : "", i,
				      i == 1   ? "\"aa\",\"bb\",\"cc\",\"dd\""
				      : i == 2 ? "\"aa\",null,\"bb\",\"cc\""
					       : "\"aa\",\"\",null,\"05db9164\"");
	snprintf(text + n, sizeof text - n, "]}");
	assert_ok(import(&m, &report, &f, text));
	assert_equal(report.no_missing_row, 1);
	assert_equal(report.collisions, 0);
	static const struct {
		int table;
		const char *value;
		int row; /* of the foreign table; -1: zero */
	} cases[] = {{2, "aa", 0}, {2, "05db9164", 3}, {2, "", 1},   {2, "zz", 2}, {0, "bb", 1},
		     {0, "", -1},  {0, "zz", -1},      {1, "cc", 3}, {1, "", 1},   {1, "zz", 1}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		uint32_t hot;
		const char *v = cases[i].value;
		hel_table_hots(&hot, m->schema, (size_t)cases[i].table, 0,
			       hel_value_hash(v, strlen(v)));
		const float got =
		    hel_tensor_data(m, hel_dlrm_table(m, (size_t)cases[i].table))[hot];
		assert_equal(got,
			     (cases[i].row < 0 ? 0 : f.value[4 * cases[i].table + cases[i].row]));
	}
	hel_dlrm_free(m);
}

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *from, *to, *says;
		bool header; /* else the schema */
		hel_status status;
	} cases[] = {
	    {"emb_l.3.weight", "emb_l.3.weight_q", "'emb_l.3' has only one of", true, HEL_EFORMAT},
	    {"emb_l.3.weight", "emb_l.3.emb.weight", "emb_l.3.weight' is missing", true,
	     HEL_EFORMAT},
	    {"emb_l.7.weight", "v_W_l.0", "'v_W_l.0' does not have 5 entries", true, HEL_EFORMAT},
	    {"emb_l.7.weight", "emb_l.8.weight", "emb_l.7.weight' is missing", true, HEL_EFORMAT},
	    {"top_l.2.bias", "top_l.2.bios", "top_l.2.bios", true, HEL_EUNSUPPORTED},
	    {"F32", "F8_E8M0", "type F8_E8M0, expected F32", true, HEL_EFORMAT},
	    {"F32", "F16", "'bot_l.0.weight' has 80 bytes, its shape 40", true, HEL_EFORMAT},
	    {"[80, 96]", "[64, 80]", "overlaps another tensor", true, HEL_EFORMAT},
	    {"[80, 96]", "[84, 100]", "after a gap", true, HEL_EFORMAT},
	    {"[80, 96]", "[81, 97]", "not aligned", true, HEL_EFORMAT},
	    {"[80, 96]", "[80, 95]", "15 bytes, its shape 16", true, HEL_EFORMAT},
	    {"[80, 96]", "[-16, 0]", "no valid offsets", true, HEL_EFORMAT},
	    {"\"bot_l.0.weight\"", "\"__metadata__\": {\"rows\": 5}, \"bot_l.0.weight\"",
	     "__metadata__ 'rows' is no text", true, HEL_EFORMAT},
	    {"\"bot_l.0.weight\"", "\"__metadata__\": \"pt\", \"bot_l.0.weight\"",
	     "__metadata__ is no JSON object", true, HEL_EFORMAT},
	    {"bot_l.0.bias", "bot_l.4.bias", "'bot_l.4.bias' has no 'bot_l.4.weight'", true,
	     HEL_EFORMAT},
	    {"top_l.2.weight\": {\"dtype\": \"F32\", \"shape\": [1, 3]",
	     "top_l.2.weight\": {\"dtype\": \"F32\", \"shape\": [3]", "is a vector", true,
	     HEL_EUNSUPPORTED},
	    {"\"clip\": 4", "\"clip\": 4, \"clop\": 4", "unknown key 'clop' in the schema", false,
	     HEL_EFORMAT},
	    {"\"mean\": 50", "\"mean\": 50, \"std\": 4", "unknown key 'std' in a dense column",
	     false, HEL_EFORMAT},
	    {"{\"name\": \"sex\"", "{\"default\": 1, \"name\": \"sex\"",
	     "unknown key 'default' in a table", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"2.0\", \"2\"", "cp lists '2' twice", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"?\", \"2\"", "cp lists the missing value twice", false,
	     HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"nan\", \"2\"", "value 1, 'nan', can be in no record: cp is 'nan'",
	     false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"a\\u0007\", \"2\"", "not plain UTF-8", false, HEL_EFORMAT},
	    {"[3]", "[1, 3]", "top_l.0.bias", true, HEL_EFORMAT},
	    {"\"heart\"", "\"hart\"", "'dataset' must be 'heart'", false, HEL_EFORMAT},
	    {"\"clip\": 4", "\"clap\": 4", "unknown key 'clap'", false, HEL_EFORMAT},
	    {"\"age\"", "\"sage\"", "'heart' has no column 'sage'", false, HEL_EFORMAT},
	    {"\"deviation\": 10", "\"deviation\": 0", "deviation", false, HEL_EFORMAT},
	    {"\"deviation\": 10", "\"deviation\": 1e-300", "deviation", false, HEL_EFORMAT},
	    {"\"deviation\": 10", "\"deviation\": 1e300", "deviation", false, HEL_EFORMAT},
	    {"\"mean\": 50", "\"mean\": -1e300", "age needs numbers 'mean'", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"4\"", "5 rows of emb_l.1, it has 4", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"4\", \"4\"", "twice", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "\"4\", 2", "neither null nor a text", false, HEL_EFORMAT},
	    {"\"4\", \"2\"", "null, null", "twice", false, HEL_EFORMAT},
	    {"{\"name\": \"sex\", \"values\": [\"1\", \"0\", \"\", \"a\", \"b\"]},", "",
	     "the weights have 8 tables, the schema 7", false, HEL_EFORMAT},
	};
	hel_prng g;
	foreign f, bad;
	size_t at[TABLES + 6];
	hel_dlrm *m = NULL;
	hel_import_report report;
	char text[sizeof schema + 256];
	test_prng(&g, 3);
	make(&f, at, &g, BOTTOM + TABLES * DIM);
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		bad = f;
		strcpy(text, schema);
		if (cases[i].header)
			replace(bad.header, f.header, cases[i].from, cases[i].to);
		else
			replace(text, schema, cases[i].from, cases[i].to);
		const hel_status st = import(&m, &report, &bad, text);
		if (st != cases[i].status || !strstr(hel_error_detail(), cases[i].says))
			fail_msg("case %zu: status %d, '%s', not '%s'", i, (int)st,
				 hel_error_detail(), cases[i].says);
	}
	make(&bad, at, &g, BOTTOM + TABLES * (TABLES + 1) / 2); /* dot, of 4 and 2 elements */
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	assert_non_null(strstr(hel_error_detail(), "they have no product"));
	make(&bad, at, &g, 17);
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	bad = f;
	bad.value[3] = NAN;
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	bad = f;
	bad.value[3] = 2e6F;
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	assert_non_null(strstr(hel_error_detail(), "'bot_l.0.weight' holds 2e+06"));
	bad = f;
	for (size_t i = 0; i < f.count; i++)
		bad.value[i] *= 1e4F;
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	assert_non_null(strstr(hel_error_detail(), "scores beyond"));
	bad = f;
	bad.count -= 8;
	assert_status(HEL_ETRUNC, import(&m, &report, &bad, schema));
	bad = f;
	bad.count += 2;
	assert_status(HEL_EFORMAT, import(&m, &report, &bad, schema));
	assert_non_null(strstr(hel_error_detail(), "8 bytes too many"));
	assert_null(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_heart),	  cmocka_unit_test(test_values_are_cells),
	    cmocka_unit_test(test_linear_layers), cmocka_unit_test(test_criteo),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
