/* Descriptions of data sets: JSON there and back, what is refused, and what cells mean by them. The
 * right values are written down here, or computed by libm. */
#include "../testing.h"
#include "features/coding.h"
#include "features/hash.h"
#include "features/records.h"
#include "features/schema.h"
#include <math.h>

#define TABLE                                                                                      \
	"{\"helrm_columns\": 1, \"name\": \"films\", \"missing\": [\"NA\", -1], \"columns\": ["    \
	"{\"name\": \"user\", \"kind\": \"category\", \"values\": \"modulo\", \"modulo\": 100},"   \
	"{\"name\": \"film\", \"kind\": \"category\", \"values\": \"hashed\"},"                    \
	"{\"name\": \"genres\", \"kind\": \"bag\", \"limit\": 3, \"separator\": \"|\"},"           \
	"{\"name\": \"tags\", \"kind\": \"bag\", \"limit\": 4, \"separator\": \"json\", "          \
	"\"weight\": 2, \"pool\": \"mean\"},"                                                      \
	"{\"name\": \"age\", \"kind\": \"dense\", \"log\": 3, \"least\": -2, \"missing\": 0},"     \
	"{\"name\": \"note\", \"kind\": \"ignore\"},"                                              \
	"{\"name\": \"rating\", \"kind\": \"label\", \"above\": 3.5}]}"

static const hel_dataset *read_set(const char *text)
{
	hel_dataset *set = NULL;
	assert_ok(hel_dataset_from_json(&set, text, strlen(text)));
	return set;
}

static void test_there_and_back(void **state)
{
	(void)state;
	const char *const texts[] = {TABLE, hel_builtin_heart.text, hel_builtin_criteo.text};
	for (size_t i = 0; i < HEL_ARRAY_LEN(texts); i++) {
		char *first, *second;
		const hel_dataset *set = read_set(texts[i]), *again;
		assert_ok(hel_dataset_to_json(&first, set));
		again = read_set(first);
		assert_ok(hel_dataset_to_json(&second, again));
		assert_string_equal(first, second);
		assert_int_equal(set->columns, again->columns);
		assert_memory_equal(set->column, again->column, set->columns * sizeof *set->column);
		hel_free(first);
		hel_free(second);
		hel_dataset_drop(set);
		hel_dataset_drop(again);
	}
	const hel_dataset *heart = hel_dataset_by_name("heart"),
			  *criteo = hel_dataset_by_name("criteo");
	assert_ptr_equal(heart, hel_dataset_number(0));
	assert_true(heart->small && heart->dense == 5 && heart->tables == 8);
	assert_true(!criteo->small && criteo->dense == 13 && criteo->words == 26);
}

#define ONE(column)                                                                                \
	"{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": [{\"name\": \"a\", \"kind\": "       \
	"\"dense\"}, "                                                                             \
	"{\"name\": \"b\", " column "}]}"

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"[]", "no 'helrm_columns'"},
	    {"{\"helrm_columns\": 2, \"name\": \"x\"}", "version 2"},
	    {"{\"helrm_columns\": 1}", "'name' is missing"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\"}", "'columns' must be an array"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": []}", "'columns' must be"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": [1]}", "column 1: expected an"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"column\": []}", "unknown key 'column'"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"separator\": \"a\"}", "one character of"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": [{\"name\": \"l\", \"kind\": "
	     "\"label\"}]}",
	     "no column is dense"},
	    {ONE("\"kind\": \"sparse\""), "column 'b': 'kind' must be dense, category"},
	    {ONE("\"kind\": \"dense\", \"values\": \"hashed\""), "unknown key 'values'"},
	    {ONE("\"kind\": \"dense\", \"log\": 1, \"least\": -1"), "the logarithm of -1 + 1"},
	    {ONE("\"kind\": \"dense\", \"quantiles\": [0.9, 0.1]"), "the lower first"},
	    {ONE("\"kind\": \"dense\", \"missing\": \"median\""), "'missing' must be a number"},
	    {ONE("\"kind\": \"category\", \"values\": \"modulo\""), "ids need 'modulo'"},
	    {ONE("\"kind\": \"category\", \"modulo\": 5"), "are of \"values\": \"modulo\" only"},
	    {ONE("\"kind\": \"category\", \"values\": \"modulo\", \"modulo\": 1e9"),
	     "from 1 to 16777215"},
	    {ONE("\"kind\": \"bag\""), "a bag needs 'limit'"},
	    {ONE("\"kind\": \"bag\", \"limit\": 1025"),
	     "'limit' must be a whole number from 1 to 1024"},
	    {ONE("\"kind\": \"bag\", \"limit\": 5, \"pool\": \"median\""), "sum, mean or max"},
	    {ONE("\"kind\": \"bag\", \"limit\": 5, \"over_limit\": \"drop\""), "cut or error"},
	    {ONE("\"kind\": \"label\", \"most\": 2, \"above\": 1"), "a label has"},
	    {ONE("\"kind\": \"label\", \"positive\": \"yes\""), "must be two texts"},
	    {"{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": [{\"name\": \"a\", \"kind\": "
	     "\"dense\"},"
	     "{\"name\": \"a\", \"kind\": \"dense\"}]}",
	     "two columns are named 'a'"},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_dataset *set = NULL;
		const hel_status st =
		    hel_dataset_from_json(&set, cases[i].text, strlen(cases[i].text));
		if ((st != HEL_EFORMAT && st != HEL_EVERSION) ||
		    !strstr(hel_error_detail(), cases[i].says))
			fail_msg("case %zu: %d, '%s', not '%s'", i, (int)st, hel_error_detail(),
				 cases[i].says);
	}
}

/* A million columns: refused by one line, before there is a row. */
static void test_million_columns(void **state)
{
	(void)state;
	char *text;
	size_t size;
	hel_dataset *set;
	FILE *f = open_memstream(&text, &size);
	fputs("{\"helrm_columns\": 1, \"name\": \"x\", \"columns\": [", f);
	for (int i = 0; i < 1000000; i++)
		fprintf(f, "%s{\"name\": \"c%d\", \"kind\": \"dense\"}", i ? "," : "", i);
	fputs("]}", f);
	fclose(f);
	assert_status(HEL_EFORMAT, hel_dataset_from_json(&set, text, size));
	assert_non_null(strstr(hel_error_detail(), "1000000 columns; at most 4096 are possible"));
	free(text);
}

static void test_rows(void **state)
{
	(void)state;
	static const char csv[] =
	    "user,film,genres,tags,age,note,rating\n"
	    "205,\"Fargo, the film\",a|b,\"[\"\"x:2\"\", \"\"y:0.5\"\"]\",18,?,4\n"
	    "-1,NA,,{\"x\": 1},NA,hm,3.5\n"
	    "7.0,2001,a| c ||b|d,[],-7,,5\n";
	static const char json[] =
	    "{\"user\": 205, \"film\": \"Fargo, the film\", \"genres\": [\"a\", \"b\"], "
	    "\"tags\": {\"x\": 2, \"y\": 0.5}, \"age\": 18, \"rating\": 4}\n"
	    "{\"user\": null, \"film\": null, \"genres\": [], \"tags\": [\"x:1\"], \"age\": null, "
	    "\"rating\": 3.5}\n"
	    "{\"user\": 7, \"film\": \"2001\", \"genres\": \"a|c|b|d\", \"tags\": [], \"age\": -7, "
	    "\"rating\": 5}\n";
	const hel_dataset *set = read_set(TABLE);
	for (int form = 0; form < 2; form++) {
		const char *text = form ? json : csv;
		hel_records r;
		assert_ok(hel_records_parse(&r, set, "rows", text, strlen(text)));
		assert_int_equal(3, r.count);
		assert_true(r.labelled && r.label[0] && !r.label[1] && r.label[2]);
		assert_string_equal("5", hel_records_category(&r, 0, 0)); /* 205 mod 100 */
		assert_string_equal("", hel_records_category(&r, 1, 0));
		assert_string_equal("7", hel_records_category(&r, 2, 0));
		assert_string_equal("Fargo, the film", hel_records_category(&r, 0, 1));
		assert_string_equal("", hel_records_category(&r, 1, 1));
		assert_equal(r.value[0], (double)(float)log(18 + 3));
		assert_equal(r.value[1], (double)(float)log(0 + 3)); /* missing is 0 */
		assert_true(fabs(r.value[2] - log(-2 + 3)) < 1e-7);
		const hel_span genres = hel_records_cell(&r, 0, 2),
			       none = hel_records_cell(&r, 1, 2), cut = hel_records_cell(&r, 2, 2),
			       tags = hel_records_cell(&r, 0, 3);
		assert_int_equal(2, genres.count);
		assert_string_equal("b", hel_records_text(&r, genres.first + 1));
		assert_int_equal(0, none.count);
		assert_int_equal(3, cut.count);
		assert_string_equal("c", hel_records_text(&r, cut.first + 1));
		assert_true((r.state[2] & HEL_RECORD_CUT) && !(r.state[0] & HEL_RECORD_CUT));
		assert_int_equal(2, tags.count);
		assert_equal(2, r.entry[tags.first].weight);
		assert_equal(0.5, r.entry[tags.first + 1].weight);
		hel_records_clear(&r);
	}
	hel_dataset_drop(set);
}

static void test_bad_rows(void **state)
{
	(void)state;
	static const struct {
		const char *row, *says;
	} cases[] = {
	    {"x,f,a,[],1,,4\n", "rows:1: user is 'x', not an id"},
	    {"-5,f,a,[],1,,4\n", "user is '-5', not an id"},
	    {"99999999999999999999,f,a,[],1,,4\n", "not an id"},
	    {"1,f,a,[\"x\"],1,,4\n", "tags has an entry 'x', not VALUE:WEIGHT"},
	    {"1,f,a,x:1,1,,4\n", "tags is 'x:1', not a JSON array"},
	    {"1,f,a,[],old,,4\n", "age is 'old'"},
	    {"1,f,a,[],1e39,,4\n1,f,a,[],1,,x\n", "rows:2: the label rating is 'x', not a number"},
	    {"{\"user\": 1e300, \"film\": 1, \"genres\": 1, \"tags\": [], \"age\": 1}",
	     "beyond 2^53"},
	    {"{\"user\": [1], \"film\": 1, \"genres\": 1, \"tags\": [], \"age\": 1}",
	     "rows: record 1: column 'user' is neither"},
	    {"{\"user\": 1, \"film\": 1, \"genres\": {\"a\": 1}, \"tags\": [], \"age\": 1}",
	     "its entries have no weights"},
	};
	const hel_dataset *set = read_set(TABLE);
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_records r = {0};
		const size_t size = strlen(cases[i].row);
		assert_status(HEL_EDATA, hel_records_parse(&r, set, "rows", cases[i].row, size));
		if (!strstr(hel_error_detail(), cases[i].says))
			fail_msg("case %zu: '%s', not '%s'", i, hel_error_detail(), cases[i].says);
		/* whoever must take a record whatever it holds gets one, and is told */
		assert_ok(hel_records_take(&r, set, "rows", cases[i].row, size, 5));
		assert_int_equal(5, r.count);
		assert_true(r.state[4] & HEL_RECORD_UNREADABLE);
		assert_true(*r.unreadable);
		assert_true(isnan(r.value[4]) && !*hel_records_category(&r, 4, 0));
		hel_records_clear(&r);
		/* of a number that no such text holds, gigabytes are not filled */
		assert_status(HEL_EINVAL, hel_records_take(&r, set, "rows", cases[i].row, size,
							   ((size_t)1 << 31) + 1));
	}
	hel_dataset_drop(set);
}

#define POOL(pool, more)                                                                           \
	"{\"helrm_columns\": 1, \"name\": \"pool\", \"small\": true, \"columns\": ["               \
	"{\"name\": \"n\", \"kind\": \"dense\", \"quantiles\": [0.1, 0.9]},"                       \
	"{\"name\": \"bag\", \"kind\": \"bag\", \"limit\": 4, \"pool\": \"" pool "\"" more "},"    \
	"{\"name\": \"one\", \"kind\": \"category\"},"                                             \
	"{\"name\": \"y\", \"kind\": \"label\"}]}"

/* Features of bags: entries 0 (missing), a, b, c. */
static void test_pooling(void **state)
{
	(void)state;
	static const struct {
		const char *text, *bag;
		double feature[4], reach;
	} cases[] = {
	    {POOL("sum", ""), "a|b|a", {0, 2, 1, 0}, 4},
	    {POOL("mean", ""), "a|b|a|c", {0, 0.5, 0.25, 0.25}, 1},
	    {POOL("max", ""), "a|b|a", {0, 1, 1, 0}, 4},
	    {POOL("sum", ""), "", {1, 0, 0, 0}, 4},
	    {POOL("sum", ""), "b|unheard-of", {1, 0, 1, 0}, 4},
	    {POOL("sum", ", \"weight\": 3"), "a:2|a:-1.5|b:9", {0, 0.5, 3, 0}, 12},
	    {POOL("max", ", \"weight\": 3"), "a:-2|a:1|b:-1", {0, 1, -1, 0}, 12},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		char text[400], *json;
		const bool weights = strchr(cases[i].bag, ':');
		const hel_dataset *set = read_set(cases[i].text);
		hel_records r;
		hel_schema *s, *t;
		double dense[1], f[16], range[16];
		uint32_t hots[16], group[16];
		size_t unknown = 0;
		snprintf(text, sizeof text, "n,bag,one,y\n0,%s,u,1\n1,%s,u,0\n", cases[i].bag,
			 weights ? "c:1|b:1|a:1" : "c|b|a");
		assert_ok(hel_records_parse(&r, set, "rows", text, strlen(text)));
		const size_t second = 1; /* learned from: a, b, c */
		assert_ok(hel_schema_fit(&s, set, &r, &second, 1, 3, 0));
		assert_ok(hel_schema_to_json(&json, s));
		assert_ok(hel_schema_from_json(&t, json, strlen(json)));
		assert_int_equal(4 + 4 + 1, hel_schema_hots(t));
		assert_ok(
		    hel_schema_apply(t, &r, 0, HEL_UNKNOWN_IS_MISSING, dense, hots, &unknown));
		assert_int_equal(strstr(cases[i].bag, "unheard") != NULL, unknown);
		hel_features_fill(f, t, dense, hots, 1);
		for (int k = 0; k < 4; k++)
			assert_equal(cases[i].feature[k], f[1 + k]);
		assert_int_equal(2, hel_features_ranges(range, group, t, 1));
		assert_equal(cases[i].reach, range[1]);
		assert_false(hel_table_can_be(&t->table[0], HEL_CODING_POWERS, 8));
		assert_true(hel_table_can_be(&t->table[1], HEL_CODING_POWERS, 8));
		hel_prng g;
		test_prng(&g, 1);
		for (int k = 0; k < 1000; k++) { /* random records stay within the ranges */
			double sum = 0;
			hel_schema_random(t, &g, dense, hots);
			hel_features_fill(f, t, dense, hots, 1);
			for (int e = 1; e <= 4; e++)
				sum += fabs(f[e]);
			assert_true(sum <= cases[i].reach * (1 + 1e-6));
		}
		hel_free(json);
		hel_schema_free(s);
		hel_schema_free(t);
		hel_records_clear(&r);
		hel_dataset_drop(set);
	}
}

/* What lies outside the quantiles of what was learned from counts as they do. */
static void test_quantiles(void **state)
{
	(void)state;
	char text[4096] = "";
	const hel_dataset *set = read_set(POOL("sum", ""));
	hel_records r;
	hel_schema *s;
	for (int i = 0; i <= 100; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%d,a,u,%d\n",
			 i == 100 ? 1000000 : i, i % 2);
	assert_ok(hel_records_parse(&r, set, "rows", text, strlen(text)));
	assert_ok(hel_schema_fit(&s, set, &r, NULL, r.count, 3, 0));
	assert_equal(10, s->dense[0].low);
	assert_equal(90, s->dense[0].high);
	assert_true(fabs(s->dense[0].mean - 50) < 1e-9);
	assert_equal(hel_dense_apply(s, 0, 90), hel_dense_apply(s, 0, 1e9));
	assert_equal(hel_dense_apply(s, 0, 10), hel_dense_apply(s, 0, -5));
	hel_schema_free(s);
	hel_records_clear(&r);
	hel_dataset_drop(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),  cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_million_columns), cmocka_unit_test(test_rows),
	    cmocka_unit_test(test_bad_rows),	    cmocka_unit_test(test_pooling),
	    cmocka_unit_test(test_quantiles)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
