/* A manifest that brings its columns along says what a record is, too: whatever it says, it is
 * refused before any record is read, or every text becomes a query, all of one size. Bags with any
 * number of entries, ids, hashed and listed values, rows that are none. */
#include "../testing.h"
#include "draft.h"
#include "features/hash.h"

#define RECORDS 400

#define FILMS(more)                                                                                \
	"{\"helrm_columns\": 1, \"name\": \"films\", \"columns\": ["                               \
	"{\"name\": \"user\", \"kind\": \"category\", \"values\": \"modulo\", \"modulo\": 5},"     \
	"{\"name\": \"film\", \"kind\": \"category\", \"values\": \"hashed\"},"                    \
	"{\"name\": \"genres\", \"kind\": \"bag\"" more "},"                                       \
	"{\"name\": \"age\", \"kind\": \"dense\"},"                                                \
	"{\"name\": \"rating\", \"kind\": \"label\", \"above\": 3.5}]}"

/* In place of heart's schema. */
static void films(draft *d, const char *columns)
{
	hel_dataset *set;
	const uint32_t known[] = {7, 8};
	hel_schema_free(d->s);
	assert_ok(hel_dataset_from_json(&set, columns, strlen(columns)));
	assert_ok(hel_schema_of(&d->s, set));
	hel_dataset_drop(set);
	d->s->clip = 3;
	for (size_t i = 0; i < d->s->dense_count; i++) {
		d->s->dense[i].mean = 30;
		d->s->dense[i].deviation = 10;
	}
	for (size_t t = 0; t < d->s->table_count; t++)
		if (!d->s->table[t].hashed)
			list_values(&d->s->table[t], 4, "genre %u");
		else if (!d->s->table[t].modulo)
			assert_ok(hel_table_know(d->s, t, known, 2, false));
	d->input[0].layout.width = (uint32_t)hel_features_width(d->s, 1);
}

static void honest(draft *d)
{
	films(d, FILMS(", \"limit\": 3"));
}

static void refuses_bags(draft *d)
{
	films(d, FILMS(", \"limit\": 1, \"over_limit\": \"error\", \"weight\": 1"));
}

static void means_of_json(draft *d)
{
	films(d, FILMS(", \"limit\": 1024, \"separator\": \"json\", \"pool\": \"mean\""));
}

static void largest(draft *d)
{
	films(d, FILMS(", \"limit\": 1024, \"pool\": \"max\", \"separator\": \",\""));
}

static void small_level(draft *d)
{
	d->m.params.base = 1;
	d->m.params.scale_bits = 28;
	d->s->clip = 1.5;
}

/* Level 0 of one prime of 29 bits at scale 2^28 holds numbers below 2. */
static void just_fits(draft *d)
{
	films(d, FILMS(", \"limit\": 9, \"weight\": 1.5, \"pool\": \"mean\""));
	small_level(d);
}

static void overflows_by_two_entries(draft *d)
{
	films(d, FILMS(", \"limit\": 2"));
	small_level(d);
}

static void overflows_by_weights(draft *d)
{
	films(d, FILMS(", \"limit\": 1, \"weight\": 2.5"));
	small_level(d);
}

static void odd_cells(draft *d)
{
	films(d,
	      "{\"helrm_columns\": 1, \"name\": \"odd\", \"separator\": \"|\", \"missing\": "
	      "[\"Drama\", 30], "
	      "\"columns\": [{\"name\": \"a\", \"kind\": \"dense\", \"whole\": true, "
	      "\"zero_is_missing\": true},"
	      "{\"name\": \"1\", \"kind\": \"category\", \"text\": \"code\"},"
	      "{\"name\": \"y\", \"kind\": \"label\", \"positive\": \"1\", \"negative\": \"2\"}]}");
}

/* --- refused -------------------------------------------------------------------------------- */

static void lists_what_is_hashed(draft *d)
{
	honest(d);
	d->s->table[1].hashed = false;
	list_values(&d->s->table[1], 2, "%u");
	d->input[0].layout.width = 5;
}

static void other_modulo(draft *d)
{
	honest(d);
	d->s->table[0].base = 6;
	d->input[0].layout.width = (uint32_t)hel_features_width(d->s, 1);
}

static void other_name(draft *d)
{
	honest(d);
	strcpy(d->s->dataset, "heart");
}

static void no_columns(draft *d)
{
	honest(d);
	hel_dataset_drop(d->s->set);
	d->s->set = NULL;
}

static void exchanged(draft *d)
{
	honest(d);
	strcpy(d->s->table[1].name, "genres");
	strcpy(d->s->table[2].name, "film");
}

static void bag_by_powers(draft *d)
{
	honest(d);
	d->s->table[2].coding = HEL_CODING_POWERS;
	d->s->table[2].coding_size = 8;
}

static const struct {
	const char *name;
	void (*write)(draft *d);
	bool accepted;
} kinds[] = {
    {"honest", honest, true},
    {"more than one entry is an error", refuses_bags, true},
    {"means of a thousand entries of JSON", means_of_json, true},
    {"sets of a thousand entries", largest, true},
    {"means just fit a small level", just_fits, true},
    {"sums of two overflow a small level", overflows_by_two_entries, false},
    {"weights overflow a small level", overflows_by_weights, false},
    {"a separator, a header and missing values that records hold", odd_cells, true},
    {"lists what its columns hash", lists_what_is_hashed, false},
    {"another modulo than its columns", other_modulo, false},
    {"a built-in data set's name", other_name, false},
    {"a data set of nobody's", no_columns, false},
    {"tables exchanged", exchanged, false},
    {"a bag by powers", bag_by_powers, false},
};

/* --- records -------------------------------------------------------------------------------- */

static const char *pick(hel_prng *g)
{
	static const char *const cells[] = {"1",
					    "0",
					    "-1",
					    "30",
					    "1e308",
					    "-1e308",
					    "1e-320",
					    "?",
					    "",
					    "Drama",
					    "genre 1",
					    "genre 1|genre 2",
					    "genre 1:1|genre 2:-3|x:1e300",
					    "a|a|a|a|a|a|a|a|a|a",
					    "[\"genre 1\", \"b\"]",
					    "[]",
					    "[1,",
					    "\"quoted, twice\"",
					    "\"open",
					    "18446744073709551615",
					    "99999999999999999999",
					    "nan",
					    "-inf",
					    "\xc3\xa9",
					    "\xff",
					    "user",
					    "film",
					    "{\"user\": 1}",
					    "\x01",
					    "a b",
					    "y"};
	return cells[hel_prng_u64(g) % HEL_ARRAY_LEN(cells)];
}

static void random_text(char *out, size_t size, hel_prng *g)
{
	static const char *const json[] = {
	    "{\"user\": 1, \"film\": \"x\", \"genres\": [\"genre 1\", \"genre 0\"], \"age\": 3}",
	    "[{\"user\": 1}, 2]",
	    "{\"user\": [1]}",
	    "{\"a\": 0, \"1\": null}",
	    "{",
	    "[]",
	    "\xff\xfe"};
	const uint64_t form = hel_prng_u64(g) % 10;
	const size_t cells = form ? 4 : 1 + hel_prng_u64(g) % 8;
	size_t n = 0;
	if (form == 1) {
		snprintf(out, size, "%s", json[hel_prng_u64(g) % HEL_ARRAY_LEN(json)]);
		return;
	}
	for (size_t i = 0; i < cells; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i ? form == 2 ? "|" : "," : "",
				      pick(g));
	snprintf(out + n, size - n, "%s", hel_prng_u64(g) % 2 ? "\n" : "");
}

static void same_for_all(const char *name, const hel_client *c, hel_prng *g)
{
	size_t first = 0, unreadable = 0;
	for (size_t i = 0; i < RECORDS; i++) {
		char text[1024];
		uint8_t *query;
		size_t size;
		hel_doubts doubts;
		random_text(text, sizeof text, g);
		const hel_status st = hel_client_query(&query, &size, c, text, strlen(text), 0);
		if (st != HEL_OK || (i && size != first))
			fail_msg("%s: record %zu, '%s': %s, %zu bytes, not %zu", name, i, text,
				 st ? hel_error_detail() : "ok", size, first);
		first = size;
		assert_ok(hel_client_doubts(&doubts, c, text, strlen(text), 0));
		unreadable += doubts.unknown > 0;
		hel_bytes_free(query, size);
	}
	if (unreadable < RECORDS / 10 || unreadable == RECORDS)
		fail_msg("%s: %zu of %d records are unreadable", name, unreadable, RECORDS);
}

static void test_columns(void **state)
{
	(void)state;
	uint8_t secret[HEL_SECRET_BYTES];
	hel_prng g;
	test_prng(&g, 1);
	assert_ok(hel_random_init());
	assert_ok(hel_secret_new(secret));
	for (size_t i = 0; i < HEL_ARRAY_LEN(kinds); i++) {
		hel_client *c =
		    draft_open(kinds[i].name, kinds[i].write, kinds[i].accepted, secret);
		if (c)
			same_for_all(kinds[i].name, c, &g);
		hel_client_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_columns)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
