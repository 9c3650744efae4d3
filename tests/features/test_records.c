#include "../testing.h"
#include "features/records.h"
#include <math.h>

static hel_status parse(hel_records *r, const char *text)
{
	return hel_records_parse(r, hel_dataset_by_name("heart"), "test", text, strlen(text));
}

#define ROW "63.0,1.0,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0"
#define HEADER "thal,age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca"

static void test_forms_agree(void **state)
{
	(void)state;
	static const char *const forms[] = {
	    ROW ",2\n",
	    "  " ROW ",2",
	    ROW ",1\r\n\r\n",
	    "\xef\xbb\xbf" ROW ",4\n",
	    "\"63.0\", \"1.0\" ,1.0,145.0,233.0,1.0,2.0,150.0,0.0,2.3,3.0,0.0,6.0,\"1\"\r\n",
	    "  \t \n\r\n" ROW ",+1.0",
	    "\"thal\",age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,"
	    "\"num\"\n6,63,1,1,145,"
	    "233,1,2,150,0,2.3,3,0,1\n",
	    HEADER ",num\n6,63,1,1,145,233,1,2,150,0,2.3,3,0,1\n",
	    "\xef\xbb\xbf[{\"age\":\" 63 "
	    "\",\"sex\":1,\"cp\":1,\"trestbps\":145,\"chol\":233,\"fbs\":true,"
	    "\"restecg\":2,\"thalach\":1.5e2,\"exang\":false,\"oldpeak\":2.3,\"slope\":3,\"ca\":"
	    "\"0.0\","
	    "\"thal\":6,\"num\":1}]",
	    "{\"age\":63,\"sex\":1,\"cp\":1,\"trestbps\":145,\"chol\":233,\"fbs\":true,\"restecg\":"
	    "2,"
	    "\"thalach\":150,\"exang\":false,\"oldpeak\":2.3,\"slope\":3,\"ca\":\"0\",\"thal\":6,"
	    "\"num\":1}",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(forms); i++) {
		hel_records r;
		assert_ok(parse(&r, forms[i]));
		assert_int_equal(1, r.count);
		assert_true(r.labelled);
		assert_equal(r.label[0], 1);
		static const double dense[] = {63, 145, 233, 150, 2.3};
		static const char *const category[] = {"1", "1", "1", "2", "0", "3", "0", "6"};
		for (int k = 0; k < 5; k++)
			assert_equal(r.value[k], dense[k]);
		for (size_t k = 0; k < 8; k++)
			assert_string_equal(category[k], hel_records_category(&r, 0, k));
		hel_records_clear(&r);
	}
}

static void test_missing_values(void **state)
{
	(void)state;
	hel_records r;
	assert_ok(parse(&r, "28,1,2,0,?,,2,185,0,0,?,?,?\n"));
	assert_false(r.labelled);
	assert_true(isnan(r.value[1])); /* a pressure of 0 */
	assert_true(isnan(r.value[2]));
	assert_equal(r.value[4], 0); /* an oldpeak of 0 is one */
	assert_string_equal("", hel_records_category(&r, 0, 2));
	assert_string_equal("", hel_records_category(&r, 0, 7));
	hel_records_clear(&r);
}

/* What UCI's authors wrote for what they do not know (heart-disease.names, 9.); a row in which all
 * is missing is a row. */
static void test_codes_for_missing(void **state)
{
	(void)state;
	hel_records r, q;
	assert_ok(parse(&r, "61,1,3,-9,-9.0,0,2,151,-9,-9,2,-9,7\n,,,,,,,,,,,,\n"));
	assert_ok(parse(&q, "61,1,3,?,?,0,2,151,?,?,2,?,7\n?,?,?,?,?,?,?,?,?,?,?,?,?\n"));
	assert_int_equal(2, r.count);
	assert_int_equal(2, q.count);
	assert_string_equal("test:1", r.unlabelled);
	for (size_t i = 0; i < 2 * r.dense; i++)
		assert_true(isnan(r.value[i]) ? isnan(q.value[i]) : r.value[i] == q.value[i]);
	for (size_t k = 0; k < 2 * r.tables; k++)
		assert_string_equal(hel_records_category(&r, k / r.tables, k % r.tables),
				    hel_records_category(&q, k / r.tables, k % r.tables));
	assert_true(isnan(r.value[1]) && isnan(r.value[4]));
	assert_string_equal("", hel_records_category(&r, 0, 4));
	assert_string_equal("", hel_records_category(&r, 0, 6));
	hel_records_clear(&r);
	hel_records_clear(&q);
}

#define L64 "abcdefghijklmnopabcdefghijklmnopabcdefghijklmnopabcdefghijklmnop"

static void test_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} cases[] = {
	    {"", "no record"},
	    {"\n\n", "no record"},
	    {"1,2,3\n", "3 columns, expected 14"},
	    {ROW ",0,1\n", "15 columns"},
	    {ROW "\n" ROW ",0\n", ":2: 14 columns, expected 13"}, /* the first row decides */
	    {ROW ",0\n" ROW "\n", ":2: 13 columns, expected 14"},
	    {ROW "\n\n1,2\n", ":3: 2 columns"},
	    {"63;1;1\n", "1 column, expected 14: cells are separated by ','"},
	    {ROW ",0,5\n", "decimals are written with a point"},
	    {"\"63,5\",1,1,145,233,1,2,150,0,2.3,3,0,6\n",
	     "age is '63,5', not a finite number: decimals"},
	    {"\"63,1,1,145,233,1,2,150,0,2.3,3,0,6\n", ":1: a quote that opens"},
	    {"\"63\"0,1,1,145,233,1,2,150,0,2.3,3,0,6\n", "text after the closing quote of cell 1"},
	    {"0x3f,1,1,145,233,1,2,150,0,2.3,3,0,6\n", "age is '0x3f'"},
	    {ROW ",5\n", ":1: the label num is '5', not a whole number from 0 to 4"},
	    {ROW ",0\n" ROW ",0.5\n", ":2: the label num is '0.5'"},
	    {ROW ",-1\n", "the label num is '-1'"},
	    {"\xff\xfe"
	     "6",
	     "UTF-16"},
	    {"[{\"age\": 63}]", "record 1: column 'sex' is missing"},
	    {"[{\"age\": [1]}]", "record 1: "},
	    {"nan,1,1,145,233,1,2,150,0,2.3,3,0,6\n", "age is 'nan'"},
	    {"inf,1,1,145,233,1,2,150,0,2.3,3,0,6\n", "age is 'inf'"},
	    {"old,1,1,145,233,1,2,150,0,2.3,3,0,6\n", "age is 'old'"},
	    {"63,nan,1,145,233,1,2,150,0,2.3,3,0,6\n", "sex is 'nan'"},
	    {"63,1," L64 L64 L64 L64 ",145,233,1,2,150,0,2.3,3,0,6\n", "longer than 255"},
	    {"age,sex\n63,1\n", "column 'cp' is missing"},
	    {"age,age\n63,1\n", "twice"},
	    {"age,colour\n63,1\n", "unknown column 'colour'"},
	    {"{\"age\": 63}", "column 'sex' is missing"},
	    {"{\"age\": 63", "test, line 1"},
	    {"{\"age\": 63, \"colour\": 1}", "unknown column 'colour'"},
	    {"{\"age\": 1, \"age\": 2}", "duplicate"},
	    {"[1, 2]", "record 1: no JSON object"},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		hel_records r = {0};
		assert_status(HEL_EDATA, parse(&r, cases[i].text));
		if (!strstr(hel_error_detail(), cases[i].says))
			fail_msg("'%s' says '%s', not '%s'", cases[i].text, hel_error_detail(),
				 cases[i].says);
		assert_null(r.value);
	}
	hel_records r;
	assert_status(HEL_EDATA,
		      hel_records_parse(&r, hel_dataset_by_name("heart"), "test", "a\0b", 3));
	assert_null(hel_dataset_by_name("lung"));
}

static void test_synthetic_rows_parse(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size;
	hel_prng g;
	test_prng(&g, 1);
	FILE *f = open_memstream(&text, &size);
	hel_dataset_by_name("heart")->synthesise(f, 2000, &g);
	fclose(f);
	hel_records r;
	assert_ok(parse(&r, text));
	assert_int_equal(2000, r.count);
	double ill = 0;
	for (size_t i = 0; i < r.count; i++)
		ill += r.label[i];
	print_message("%.1f %% ill\n", ill / 20);
	assert_more(ill, 700);
	assert_less(ill, 1300);
	hel_records_clear(&r);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms_agree),		 cmocka_unit_test(test_missing_values),
	    cmocka_unit_test(test_codes_for_missing),	 cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_synthetic_rows_parse),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
