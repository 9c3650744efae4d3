#include "cohort.h"
#include "features/coding.h"
#include "features/hash.h"
#include <math.h>

static void test_learns_from_its_rows_only(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 300, 1);
	size_t rows[100];
	for (size_t i = 0; i < 100; i++)
		rows[i] = 2 * i;
	hel_schema *a, *b;
	assert_ok(hel_schema_fit(&a, hel_dataset_by_name("heart"), &r, rows, 100, 3, 0));
	for (size_t i = 0; i < 100; i++) { /* what the others hold does not matter */
		r.value[(2 * i + 1) * r.dense] = 1e6;
		strcpy(r.text + r.entry[hel_records_cell(&r, 2 * i + 1, 0).first].text, "n");
	}
	assert_ok(hel_schema_fit(&b, hel_dataset_by_name("heart"), &r, rows, 100, 3, 0));
	char *x, *y;
	assert_ok(hel_schema_to_json(&x, a));
	assert_ok(hel_schema_to_json(&y, b));
	assert_string_equal(x, y);
	double sum = 0, square = 0, dense[5];
	uint32_t hots[8];
	for (size_t i = 0; i < 100; i++) {
		assert_ok(
		    hel_schema_apply(a, &r, rows[i], HEL_UNKNOWN_IS_ERROR, dense, hots, NULL));
		sum += dense[0];
		square += dense[0] * dense[0];
	}
	assert_less(fabs(sum), 2);
	assert_within(square / 100, 1, 0.1);
	/* far values are clipped, unknown ones refused or taken as missing */
	assert_status(HEL_EDATA,
		      hel_schema_apply(a, &r, 1, HEL_UNKNOWN_IS_ERROR, dense, hots, NULL));
	assert_non_null(strstr(hel_error_detail(), "unknown category 'n' for sex; known: 0 1"));
	size_t unknown = 0;
	assert_ok(hel_schema_apply(a, &r, 1, HEL_UNKNOWN_IS_MISSING, dense, hots, &unknown));
	assert_equal(unknown, 1);
	assert_equal(hots[0], 0);
	assert_equal(dense[0], 3);
	hel_free(x);
	hel_free(y);
	hel_schema_free(a);
	hel_schema_free(b);
	hel_records_clear(&r);
}

/* Digits: the number they spell is the row's, and every one stands in its own block. */
static void test_digits(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 300, 2);
	for (uint32_t base = 2; base <= 4; base++) {
		hel_schema *full, *digits;
		assert_ok(
		    hel_schema_fit(&full, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
		assert_ok(hel_schema_fit(&digits, hel_dataset_by_name("heart"), &r, NULL, r.count,
					 3, base));
		const size_t hots = hel_schema_hots(digits);
		uint32_t *hot = hel_alloc(hots, sizeof *hot), rows[8];
		double dense[5];
		for (size_t i = 0; i < r.count; i++) {
			assert_ok(
			    hel_schema_apply(full, &r, i, HEL_UNKNOWN_IS_ERROR, dense, rows, NULL));
			assert_ok(hel_schema_apply(digits, &r, i, HEL_UNKNOWN_IS_ERROR, dense, hot,
						   NULL));
			uint32_t *at = hot, first = 0, row_first = 0;
			for (size_t t = 0; t < 8; t++) {
				uint32_t number = 0, power = 1;
				for (uint32_t d = 0; d < digits->table[t].digits; d++) {
					assert_at_least(*at, first);
					assert_less(*at, first + base);
					number += (*at++ - first) * power;
					power *= base;
					first += base;
				}
				assert_int_equal(rows[t] - row_first, number);
				row_first += (uint32_t)hel_table_width(&full->table[t]);
			}
		}
		hel_free(hot);
		hel_schema_free(full);
		hel_schema_free(digits);
	}
	hel_records_clear(&r);
}

/* Whatever the record, each place of its hots names an entry of that place's group. */
static void test_groups(void **state)
{
	(void)state;
	static const struct {
		bool hashed;
		uint32_t base, digits, values;
	} kinds[] = {{false, 0, 1, 7}, {false, 3, 3, 20}, {true, 0, 1, 5},
		     {true, 1, 1, 9},  {true, 4, 3, 6},	  {true, 16, 2, 0}};
	hel_schema *s;
	hel_prng g;
	uint32_t all[401], hots[16], seen[400] = {0};
	double dense[1];
	test_prng(&g, 77);
	assert_ok(hel_schema_new(&s, 1, HEL_ARRAY_LEN(kinds)));
	s->clip = 3;
	for (size_t i = 0; i < s->table_count; i++) {
		static const uint32_t hash[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
		hel_table_field *t = &s->table[i];
		t->values = kinds[i].values;
		t->base = kinds[i].base;
		t->digits = kinds[i].digits;
		if (kinds[i].hashed)
			assert_ok(hel_table_know(s, i, hash, kinds[i].values, true));
	}
	const size_t onehots = hel_schema_onehots(s), places = hel_schema_hots(s);
	assert_at_most(onehots, HEL_ARRAY_LEN(all) - 1);
	assert_at_most(places, HEL_ARRAY_LEN(hots));
	double range[401];
	assert_int_equal(places, hel_features_ranges(range, all, s, 1));
	const uint32_t *group = all + s->dense_count;
	for (int n = 0; n < 20000; n++) {
		hel_schema_random(s, &g, dense, hots);
		for (uint32_t k = 0; k < places; k++)
			if (hots[k] != HEL_NO_HOT) {
				assert_less(hots[k], onehots);
				assert_equal(group[hots[k]], k);
				seen[hots[k]] = 1;
			}
	}
	size_t named = 0;
	for (size_t i = 0; i < onehots; i++)
		named += seen[i];
	assert_more(named + 16, onehots); /* all, but digits no number of rows needs */
	hel_schema_free(s);
}

/* What each coding sends of every entry, against what it says of itself. */
static void test_codings(void **state)
{
	(void)state;
	hel_schema *s, *again;
	hel_prng g;
	char *text;
	double dense[1], f[200], range[200];
	uint32_t hots[4], group[200];
	static const uint32_t hash[] = {1, 2, 3, 4, 5};
	test_prng(&g, 78);
	assert_ok(hel_schema_new(&s, 1, 2));
	s->clip = 3;
	strcpy(s->dataset, "criteo");
	strcpy(s->dense[0].name, "d");
	s->dense[0].deviation = 1;
	/* seven rows of its own; and five, or two digits of four */
	const uint32_t base[] = {2, 4}, digits[] = {1, 2};
	for (size_t i = 0; i < 2; i++) {
		snprintf(s->table[i].name, HEL_NAME_MAX, "t%zu", i);
		s->table[i].base = base[i];
		s->table[i].digits = digits[i];
		assert_ok(hel_table_know(s, i, hash, 4, true));
	}
	const hel_table_field *one = &s->table[0], *two = &s->table[1];
	assert_int_equal(7, hel_table_width(one));
	assert_int_equal(7, hel_table_order(one));
	assert_int_equal(13, hel_table_width(two));
	assert_int_equal(10, hel_table_order(two)); /* nine, and none */
	assert_true(hel_table_can_be(one, HEL_CODING_GRID, 7) &&
		    !hel_table_can_be(one, HEL_CODING_GRID, 8));
	assert_true(!hel_table_can_be(two, HEL_CODING_GRID, 3) &&
		    !hel_table_can_be(one, HEL_CODING_GRID, 0));
	assert_true(hel_table_can_be(two, HEL_CODING_POWERS, 10));
	assert_true(!hel_table_can_be(two, HEL_CODING_POWERS, 9));
	assert_true(!hel_table_can_be(two, HEL_CODING_POWERS, 65));
	assert_true(hel_table_can_be(two, HEL_CODING_ROOTS, 16) &&
		    !hel_table_can_be(two, HEL_CODING_ROOTS, 12));
	for (hel_coding a = 0; a < HEL_CODINGS; a++)
		for (hel_coding b = 0; b < HEL_CODINGS; b++) {
			if (b == HEL_CODING_GRID)
				continue;
			s->table[0].coding = a;
			s->table[1].coding = b;
			s->table[0].coding_size = a == HEL_CODING_GRID	  ? 3
						  : a == HEL_CODING_ROOTS ? 8
									  : 7;
			s->table[1].coding_size = b == HEL_CODING_ROOTS ? 16 : 11;
			assert_ok(hel_schema_to_json(&text, s));
			assert_ok(hel_schema_from_json(&again, text, strlen(text)));
			assert_equal(again->table[0].coding, a);
			assert_equal(again->table[1].coding, b);
			const size_t first = hel_table_features(one),
				     width = hel_features_width(again, 1);
			assert_int_equal(
			    1 + first + hel_table_features(two) + (a == HEL_CODING_GRID), width);
			const uint32_t groups = hel_features_ranges(range, group, again, 1);
			for (int n = 0; n < 200; n++) {
				uint8_t seen[200] = {0};
				hel_schema_random(s, &g, dense, hots);
				memset(f, 0xff, sizeof f);
				hel_features_fill(f, again, dense, hots, 1);
				for (size_t i = 0; i < width; i++) {
					assert_at_most(fabs(f[i]), range[i]);
					assert_true(isfinite(f[i]));
					assert_true(group[i] >= HEL_COSINE || group[i] < groups);
					if (group[i] == HEL_COSINE)
						assert_within(hypot(f[i], f[i + 1]), 1, 1e-12);
					if (group[i] < groups && f[i] != 0)
						assert_false(seen[group[i]]++);
				}
				if (a == HEL_CODING_GRID) {
					assert_equal(f[1 + hots[0] % 3], 1);
					assert_equal(f[1 + 3 + hots[0] / 3], 1);
					assert_equal(f[width - 1], 1);
				} else if (a == HEL_CODING_CODED)
					assert_equal(f[1 + hots[0]], 0);
				else if (a == HEL_CODING_ONE_HOT)
					assert_equal(f[1 + hots[0]], 1);
				else /* the cosine of the row's own root */
					assert_less(
					    fabs(f[1 + (a == HEL_CODING_ROOTS ? 2 * hots[0] : 0)] -
						 cos(2 * M_PI * hots[0] / s->table[0].coding_size)),
					    1e-12);
				if (b == HEL_CODING_POWERS && hots[2] == HEL_NO_HOT)
					/* no entry is a root behind all entries */
					assert_within(f[1 + first + 2], cos(2 * M_PI * 4 / 11),
						      1e-12);
			}
			hel_schema_free(again);
			hel_free(text);
		}
	/* sizes that do not fit, codings that there are not */
	s->table[0].coding = s->table[1].coding = HEL_CODING_ONE_HOT;
	static const char *const bad[] = {"grid\",\"size\":8",	   "grid\",\"size\":0",
					  "powers\",\"size\":6",   "roots\",\"size\":12",
					  "coded\",\"size\":65",   "scan\",\"size\":7",
					  "powers\",\"size\":7.5", "onehot\""};
	assert_ok(hel_schema_to_json(&text, s));
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		const size_t room = strlen(text) + 100;
		char *changed = hel_alloc(room, 1);
		char *at = strstr(text, "\"name\": \"t0\",");
		assert_non_null(at);
		snprintf(changed, room, "%.*s\"coding\":{\"kind\":\"%s},%s", (int)(at - text), text,
			 bad[i], at);
		assert_status(HEL_EFORMAT, hel_schema_from_json(&again, changed, strlen(changed)));
		hel_free(changed);
	}
	hel_free(text);
	hel_schema_free(s);
}

static void test_json_round_trip(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 50, 3);
	hel_schema *a, *b = NULL;
	char *x, *y;
	assert_ok(hel_schema_fit(&a, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 2));
	assert_ok(hel_schema_to_json(&x, a));
	assert_ok(hel_schema_from_json(&b, x, strlen(x)));
	assert_ok(hel_schema_to_json(&y, b));
	assert_string_equal(x, y);
	hel_schema_free(b);
	b = NULL;
	for (size_t size = 0; size < strlen(x) - 1; size += 7)
		assert_unequal(hel_schema_from_json(&b, x, size), HEL_OK);
	static const char *const bad[] = {
	    "{}",
	    "[]",
	    "{\"dense\":[],\"tables\":[]}",
	    "{\"dataset\":\"d\",\"clip\":-1,\"dense\":[{\"name\":\"a\",\"mean\":0,\"deviation\":1}]"
	    ",\"tables\":[]}",
	    "{\"dataset\":\"d\",\"clip\":3,\"dense\":[{\"name\":\"a\",\"mean\":0,\"deviation\":0}],"
	    "\"tables\":[]}",
	    "{\"dataset\":\"d\",\"clip\":3,\"dense\":[],\"tables\":[{\"name\":\"a\",\"base\":0,"
	    "\"digits\":1,\"values\":[\"2\",\"1\"]}]}",
	    "{\"dataset\":\"d\",\"clip\":3,\"dense\":[],\"tables\":[{\"name\":\"a\",\"base\":2,"
	    "\"digits\":5,\"values\":[\"1\"]}]}",
	    "{\"dataset\":\"d\",\"clip\":3,\"dense\":[],\"tables\":[{\"name\":\"a\",\"base\":1,"
	    "\"digits\":1,\"values\":[]}]}",
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		assert_status(HEL_EFORMAT, hel_schema_from_json(&b, bad[i], strlen(bad[i])));
	hel_free(x);
	hel_free(y);
	hel_schema_free(a);
	hel_records_clear(&r);
}

static void test_feature_vector(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 50, 4);
	hel_schema *s;
	assert_ok(hel_schema_fit(&s, hel_dataset_by_name("heart"), &r, NULL, r.count, 3, 0));
	double dense[5], f[100];
	uint32_t hots[8];
	assert_ok(hel_schema_apply(s, &r, 0, HEL_UNKNOWN_IS_ERROR, dense, hots, NULL));
	const size_t onehots = hel_schema_onehots(s), width = hel_features_width(s, 2);
	assert_int_equal(5 + 15 + onehots, width);
	hel_features_fill(f, s, dense, hots, 2);
	double *product = f + 5, ones = 0;
	for (int i = 0; i < 5; i++)
		for (int j = i; j < 5; j++)
			assert_equal(*product++, dense[i] * dense[j]);
	for (size_t i = 20; i < width; i++)
		ones += f[i];
	assert_equal(ones, 8);
	hel_schema_free(s);
	hel_records_clear(&r);
}

/* Fingerprints from outside: bounded, sorted, salted. */
static void test_hashed_json(void **state)
{
	(void)state;
	static const char form[] =
	    "{\"dataset\":\"criteo\",\"clip\":3,%s\"dense\":[],\"tables\":[{\"name\":\"C1\","
	    "\"base\":%s,\"digits\":%s,\"known\":%s,\"print_bits\":%s,\"prints\":\"%s\"}%s]}";
	static const char salt[] = "\"salt\":\"000102030405060708090a0b0c0d0e0f\",";
	static const char text_table[] =
	    ",{\"name\":\"C2\",\"base\":0,\"digits\":1,\"values\":[\"a\"]}";
	static const struct {
		const char *salt, *base, *digits, *known, *bits, *prints, *more;
		bool good;
	} cases[] = {
	    {salt, "0", "1", "2", "11", "BQAw", "", true}, /* 5 and 1536 */
	    {salt, "4", "3", "0", "0", "", "", true},
	    {salt, "7", "1", "1", "10", "BQA=", "", true},
	    {"", "0", "1", "2", "11", "BQAw", "", false},
	    {"\"salt\":\"00\",", "0", "1", "2", "11", "BQAw", "", false},
	    {salt, "0", "1", "2", "11", "BQDA", "", false}, /* 5 and 0 */
	    {salt, "0", "1", "2", "11", "BQA=", "", false}, /* too short */
	    {salt, "0", "1", "2", "11", "!!!!", "", false},
	    {salt, "0", "1", "-1", "11", "BQAw", "", false},
	    {salt, "0", "1", "1e9", "11", "BQAw", "", false},
	    {salt, "0", "1", "2", "33", "BQAw", "", false},
	    {salt, "0", "1", "2", "0", "", "", false},
	    {salt, "0", "2", "2", "11", "BQAw", "", false},
	    {salt, "4", "0", "2", "11", "BQAw", "", false},
	    {salt, "4", "33", "2", "11", "BQAw", "", false},
	    {salt, "1e7", "1", "2", "11", "BQAw", "", false},
	    {salt, "0", "1", "2", "11", "BQAw", text_table, true},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		char text[600];
		hel_schema *s = NULL;
		snprintf(text, sizeof text, form, cases[i].salt, cases[i].base, cases[i].digits,
			 cases[i].known, cases[i].bits, cases[i].prints, cases[i].more);
		const hel_status st = hel_schema_from_json(&s, text, strlen(text));
		if (st != (cases[i].good ? HEL_OK : HEL_EFORMAT))
			fail_msg("case %zu: %d, %s", i, (int)st, hel_error_detail());
		hel_schema_free(s);
	}
}

/* Beyond ten deviations, before clipping; what is missing is not. */
static void test_far_values(void **state)
{
	(void)state;
	hel_schema *s;
	assert_ok(hel_schema_new(&s, 1, 0));
	s->clip = 3;
	s->dense[0] = (hel_dense_field){.mean = 50, .deviation = 10};
	static const struct {
		double value;
		bool far;
	} cases[] = {{50, false}, {150, false},	  {150.1, true}, {-50, false},
		     {-51, true}, {-1e300, true}, {NAN, false}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++)
		assert_int_equal(cases[i].far, hel_dense_is_far(s, 0, cases[i].value));
	hel_schema_free(s);
}

/* Ranges of what was learned from, rounded outward, as a client reads them. */
static void test_what_was_seen(void **state)
{
	(void)state;
	hel_schema *s, *back;
	char *text;
	assert_ok(hel_schema_new(&s, 2, 1));
	s->clip = 3;
	snprintf(s->dataset, sizeof s->dataset, "d");
	for (size_t i = 0; i < 2; i++) {
		s->dense[i].mean = 50;
		s->dense[i].deviation = 8;
		snprintf(s->dense[i].name, sizeof s->dense[i].name, "x%zu", i);
	}
	snprintf(s->table[0].name, sizeof s->table[0].name, "t");
	s->table[0].digits = 1;
	hel_dense_saw(&s->dense[0], 29, 77); /* 2.625 and 3.375 deviations from the mean */
	hel_dense_saw(&s->dense[1], INFINITY, -INFINITY); /* nothing but missing values */
	assert_ok(hel_schema_to_json(&text, s));
	assert_ok(hel_schema_from_json(&back, text, strlen(text)));
	assert_equal(back->dense[0].least, 50 - 2.75 * 8);
	assert_equal(back->dense[0].most, 50 + 3.5 * 8);
	assert_true(isinf(back->dense[1].least) && isinf(back->dense[1].most));
	hel_schema_free(back);
	memcpy(strstr(text, "\"least\""), "\"other\"", 7);
	assert_status(HEL_EFORMAT, hel_schema_from_json(&back, text, strlen(text)));
	hel_free(text);
	hel_schema_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_was_seen),
	    cmocka_unit_test(test_far_values),
	    cmocka_unit_test(test_learns_from_its_rows_only),
	    cmocka_unit_test(test_digits),
	    cmocka_unit_test(test_groups),
	    cmocka_unit_test(test_codings),
	    cmocka_unit_test(test_json_round_trip),
	    cmocka_unit_test(test_feature_vector),
	    cmocka_unit_test(test_hashed_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
