/* The file of API keys: what editors leave in it, names, quotas, and what cannot be meant. */
#include "../testing.h"
#include "net/server/api_keys.h"
#include <string.h>

#define KEY "sixteen-letters-or-more"

static hel_status parse(hel_api_key **keys, size_t *count, const char *text)
{
	return hel_api_keys_parse(keys, count, text, strlen(text), "keys");
}

static void test_forms(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
		uint64_t rate, sessions, queue;
	} good[] = {
	    {KEY, "key-", 0, 0, 0},
	    {KEY "\n", "key-", 0, 0, 0},
	    {KEY "\r\n", "key-", 0, 0, 0},
	    {"  " KEY " \t \r\n", "key-", 0, 0, 0},
	    {"\xef\xbb\xbf" KEY "\n", "key-", 0, 0, 0},
	    {"\xef\xbb\xbf# a comment\n\n \t\n" KEY, "key-", 0, 0, 0},
	    {"clinic " KEY, "clinic", 0, 0, 0},
	    {"clinic\t" KEY "  ", "clinic", 0, 0, 0},
	    {KEY " sessions=7", "key-", 0, 7, 0},
	    {"a.b_c-9 " KEY " queue=3 sessions=5 queries-per-minute=60", "a.b_c-9", 60, 5, 3}};
	uint8_t hash[HEL_HASH_BYTES];
	hel_hash(hash, KEY, strlen(KEY));
	for (size_t i = 0; i < HEL_ARRAY_LEN(good); i++) {
		hel_api_key *k;
		size_t count;
		assert_ok(parse(&k, &count, good[i].text));
		assert_int_equal(1, count);
		assert_memory_equal(hash, k->hash, sizeof hash);
		if (strcmp(good[i].name, "key-") == 0)
			assert_int_equal(0, strncmp(k->name, "key-", 4));
		else
			assert_string_equal(good[i].name, k->name);
		assert_equal(k->queries_per_minute, good[i].rate);
		assert_equal(k->sessions, good[i].sessions);
		assert_equal(k->queue, good[i].queue);
		hel_free(k);
	}
}

static void test_bad(void **state)
{
	(void)state;
	static const char *const bad[] = {"",
					  "\n\n# nothing\n",
					  "\xef\xbb\xbf",
					  "short",
					  "clinic short",
					  KEY "\nshort\n",
					  "two words " KEY,
					  "na\"me " KEY,
					  "a-name-that-is-longer-than-32-characters " KEY,
					  KEY " sessions=0",
					  KEY " sessions=-1",
					  KEY " sessions=1x",
					  KEY " sessions=",
					  KEY " sessions=99999999999999999999",
					  KEY " colour=red",
					  KEY "\r" KEY "x",
					  "one " KEY "\ntwo " KEY,
					  KEY "\r\n" KEY "\r\n"};
	hel_api_key *k = NULL;
	size_t count;
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		if (parse(&k, &count, bad[i]) != HEL_EINVAL)
			fail_msg("taken: %s", bad[i]);
	/* what a C string would not show */
	static const char nul[] = KEY "\n\0" KEY "\n";
	assert_status(HEL_EINVAL, hel_api_keys_parse(&k, &count, nul, sizeof nul - 1, "keys"));
	assert_non_null(strstr(hel_error_detail(), "NUL"));
	/* the line is named, the key is not */
	assert_status(HEL_EINVAL, parse(&k, &count, "# one\n" KEY "\nclinic tooshort\n"));
	assert_non_null(strstr(hel_error_detail(), "line 3"));
	assert_null(strstr(hel_error_detail(), "tooshort"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),
					   cmocka_unit_test(test_bad)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
