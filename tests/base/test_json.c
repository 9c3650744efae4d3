/* JSON: against jansson, an independent reader and writer; and what neither may do. */
#include "../testing.h"
#include "base/base.h"
#include "base/json.h"
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void same(const hel_json_value *v, const json_t *j)
{
	if (json_is_object(j) || json_is_array(j)) {
		assert_int_equal(v->kind, json_is_object(j) ? HEL_JSON_OBJECT : HEL_JSON_ARRAY);
		assert_int_equal(v->count,
				 json_is_object(j) ? json_object_size(j) : json_array_size(j));
		size_t i = 0;
		for (const hel_json_value *e = v->first; e; e = e->next, i++)
			same(e, json_is_object(j) ? json_object_get(j, e->name)
						  : json_array_get(j, i));
		assert_int_equal(i, v->count);
	} else if (json_is_string(j))
		assert_string_equal(v->text, json_string_value(j));
	else if (json_is_number(j))
		assert_true(v->kind == HEL_JSON_NUMBER && v->number == json_number_value(j));
	else
		assert_int_equal(v->kind, json_is_true(j)    ? HEL_JSON_TRUE
					  : json_is_false(j) ? HEL_JSON_FALSE
							     : HEL_JSON_NULL);
}

/* Both accept it and read the same, or both refuse. */
static void agree(const char *text, size_t size)
{
	hel_json *json = NULL;
	json_error_t error;
	json_t *other = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	const hel_status st = hel_json_read(&json, text, size);
	if ((st == HEL_OK) != (other != NULL))
		fail_msg("'%.*s': %s; jansson: %s", (int)size, text,
			 st == HEL_OK ? "read" : hel_error_detail(), other ? "read" : error.text);
	if (other)
		same(hel_json_root(json), other);
	hel_json_free(json);
	json_decref(other);
}

static void test_texts(void **state)
{
	(void)state;
	static const char *const text[] = {
	    "{}",
	    "[]",
	    "",
	    " ",
	    "1",
	    "null",
	    "{\"a\":1}",
	    "{\"a\":1,}",
	    "[1,2,3]",
	    "[1 2]",
	    "[,]",
	    "[1,]",
	    "[true,false,null]",
	    "[tru]",
	    "[nul",
	    "[NaN]",
	    "[-0,0,-0.0,1e3,1E+3,1e-3,0.5,-12.25e2]",
	    "[01]",
	    "[1.]",
	    "[.5]",
	    "[+1]",
	    "[1e]",
	    "[1e+]",
	    "[0x10]",
	    "[-]",
	    "[1e999]",
	    "[1e-999]",
	    "[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]",
	    "[\"\\ud83d\"]",
	    "[\"\\ude00\"]",
	    "[\"\\ud83dx\"]",
	    "[\"\\ud83d\\u0041\"]",
	    "[\"\\u0000\"]",
	    "[\"\\u12\"]",
	    "[\"\\x\"]",
	    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
	    "[\"\xc3\xa9\"]",
	    "[\"\xc3\"]",
	    "[\"\xff\"]",
	    "[\"\xed\xa0\x80\"]",
	    "[\"a\nb\"]",
	    "[\"a",
	    "{\"a\":{\"b\":[{}]},\"c\":\"\"}",
	    "{\"a\":1,\"a\":2}",
	    "{a:1}",
	    "{\"a\" 1}",
	    "{\"a\":}",
	    "[]]",
	    "{} x",
	    "\xef\xbb\xbf{}",
	    "[\"\"]",
	    "{\"\":0}",
	    "\r\n\t [ \r\n 1 \t ] \n",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(text); i++)
		agree(text[i], strlen(text[i]));
	agree("[1]\0", 4);
	agree("[\"a\0b\"]", 7);
}

/* Mutations of a text that has everything. */
static void test_mutations(void **state)
{
	(void)state;
	static const char seed_text[] =
	    "{\"dense\":[{\"name\":\"age\",\"mean\":54.5,\"deviation\":9.0e0}],\"t\":[true,null,"
	    "[[-1]],\"\\u00e9\\n\"],\"salt\":\"00ff\"}";
	static const char some[] = "{}[]\",:\\u0123456789eE+-. \n\ttrfalsn\xc3\xa9\xff";
	hel_prng g;
	test_prng(&g, 0);
	for (int round = 0; round < 20000; round++) {
		char text[sizeof seed_text];
		size_t size = sizeof seed_text - 1;
		memcpy(text, seed_text, sizeof text);
		for (int k = 0; k < 1 + round % 3; k++)
			text[hel_prng_u64(&g) % size] = some[hel_prng_u64(&g) % (sizeof some - 1)];
		if (round % 5 == 0)
			size = hel_prng_u64(&g) % size;
		agree(text, size);
	}
}

static void test_limits(void **state)
{
	(void)state;
	hel_json *json;
	char deep[200];
	for (int depth = 31; depth < 34; depth++) {
		memset(deep, '[', (size_t)depth);
		memset(deep + depth, ']', (size_t)depth);
		assert_int_equal(hel_json_read(&json, deep, 2 * (size_t)depth),
				 depth <= 32 ? HEL_OK : HEL_EFORMAT);
		if (depth <= 32)
			hel_json_free(json);
	}
	assert_status(HEL_EFORMAT, hel_json_read(&json, "{\n\n\"a\" 1}", 9));
	assert_string_equal(hel_error_detail(), "line 3: ':' is expected");
	uint64_t v;
	const char text[] = "{\"a\":7,\"b\":7.5,\"c\":-1,\"d\":\"7\",\"e\":1e300}";
	assert_ok(hel_json_read(&json, text, sizeof text - 1));
	const hel_json_value *root = hel_json_root(json);
	assert_true(hel_json_integer(&v, root, "a", 7));
	assert_int_equal(v, 7);
	assert_false(hel_json_integer(&v, root, "a", 6));
	for (const char *name = "bcdef"; *name; name++)
		assert_false(hel_json_integer(&v, root, (char[]){*name, 0}, UINT64_MAX));
	assert_null(hel_json_text(root, "a"));
	assert_null(hel_json_text(NULL, "a"));
	assert_null(hel_json_member(hel_json_member(root, "a"), "b"));
	hel_json_free(json);
}

/* What we write, jansson writes, bit for bit: manifests hold such texts, and hash them. */
static void test_writer(void **state)
{
	(void)state;
	static const double number[] = {0,    -0.0,   1,      0.1,    1e5,    1e17,  1e22,
					1e-5, 1e-300, 123.25, 2. / 3, -1e100, 5e-324};
	hel_json_writer j = {.indent = true};
	char *text;
	json_t *list = json_array();
	hel_json_open(&j, NULL, '{');
	hel_json_put_text(&j, "a", "quote \" \\ / \b\f\n\r\t \x01 \xc3\xa9");
	hel_json_open(&j, "list", '[');
	for (size_t i = 0; i < HEL_ARRAY_LEN(number); i++) {
		hel_json_put_number(&j, NULL, number[i]);
		json_array_append_new(list, json_real(number[i]));
	}
	hel_json_close(&j, ']');
	hel_json_open(&j, "empty", '[');
	hel_json_close(&j, ']');
	hel_json_open(&j, "none", '{');
	hel_json_close(&j, '}');
	hel_json_put_integer(&j, "n", 12345678901234);
	hel_json_close(&j, '}');
	json_t *root =
	    json_pack("{s:s, s:o, s:[], s:{}, s:I}", "a", "quote \" \\ / \b\f\n\r\t \x01 \xc3\xa9",
		      "list", list, "empty", "none", "n", (json_int_t)12345678901234);
	char *want = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
	assert_ok(hel_json_take(&text, NULL, &j));
	assert_string_equal(text, want);
	hel_free(text);
	free(want);
	json_decref(root);
	hel_json_put_text(&j, NULL, "\xff");
	assert_status(HEL_EDATA, hel_json_take(&text, NULL, &j));
	hel_json_put_number(&j, NULL, NAN);
	assert_status(HEL_EDATA, hel_json_take(&text, NULL, &j));
}

/* A program around the library may have set any locale; numbers stay what they are. The locale is
 * made here: few machines have one with a decimal comma. */
static bool decimal_comma(void)
{
	char dir[] = "test_locale_XXXXXX", command[256];
	if (!mkdtemp(dir))
		return false;
	snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1",
		 dir, dir);
	setenv("LOCPATH", dir, 1);
	const bool set = system(command) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") &&
			 strcmp(localeconv()->decimal_point, ",") == 0;
	snprintf(command, sizeof command, "rm -r %s", dir);
	return system(command) == 0 && set;
}

static void test_locale(void **state)
{
	(void)state;
	if (!decimal_comma()) {
		setlocale(LC_ALL, "C");
		print_message("NOT TESTED: localedef and the package 'locales' are needed\n");
		skip();
	}
	char text[32], *end;
	hel_json *json;
	assert_true(hel_number_of("61.5", &end) == 61.5 && !*end);
	hel_print(text, sizeof text, "%.2f", 0.25);
	assert_string_equal(text, "0.25");
	assert_status(HEL_ERANGE, hel_fail(HEL_ERANGE, "%.1f", 2.5));
	assert_string_equal(hel_error_detail(), "2.5");
	assert_ok(hel_json_read(&json, "[1.5]", 5));
	assert_true(hel_json_root(json)->first->number == 1.5);
	hel_json_free(json);
	snprintf(text, sizeof text, "%.1f", 1.5); /* the program's own is as it was */
	assert_string_equal(text, "1,5");
	setlocale(LC_ALL, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),  cmocka_unit_test(test_mutations),
	    cmocka_unit_test(test_limits), cmocka_unit_test(test_writer),
	    cmocka_unit_test(test_locale),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
