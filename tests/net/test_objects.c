/* Objects in a directory, and, where HELRM_TEST_S3 says one (tests/net/with-s3), in an
 * S3-compatible store that checks signatures; credentials from where they may come from. */
#include "../testing_dir.h"
#include "net/server/fleet/object_store.h"
#include <pthread.h>
#include <sodium.h>
#include <unistd.h>
#ifdef HELRM_S3
#include "net/server/fleet/s3_credentials.h"
#endif

static hel_objects *objects;

static hel_objects_options options(void)
{
	static char where[64];
	const char *s3 = getenv("HELRM_TEST_S3");
	snprintf(where, sizeof where, "%s/objects", temp_dir);
	return (hel_objects_options){.where = s3 ? "s3://keys/a/fleet" : where,
				     .endpoint = s3 ? s3 : "",
				     .region = "us-east-1",
				     .encryption = s3 ? "AES256" : ""};
}

static int setup(void **state)
{
	if (temp_dir_make(state) || hel_random_init() != HEL_OK)
		return -1;
	const hel_objects_options o = options();
	assert_ok(hel_objects_open(&objects, &o));
	return 0;
}

static int teardown(void **state)
{
	hel_objects_close(objects);
	return temp_dir_remove(state);
}

typedef struct seen {
	uint8_t *bytes;
	size_t size, most;
} seen;

static hel_status take(void *arg, uint64_t at, const void *bytes, size_t size)
{
	seen *s = arg;
	assert_true(at + size <= s->most);
	memcpy(s->bytes + at, bytes, size);
	s->size = at + size;
	return HEL_OK;
}

static hel_status count_name(void *arg, const char *name)
{
	assert_true(strncmp(name, "keys/", 5) == 0);
	++*(size_t *)arg;
	return HEL_OK;
}

static size_t count(const char *prefix)
{
	size_t n = 0;
	assert_ok(hel_objects_list(objects, prefix, count_name, &n));
	return n;
}

static void check_round_trip(const char *name, size_t size)
{
	uint8_t *bytes = hel_alloc(size + 1, 1);
	seen s = {.bytes = hel_alloc(size + 1, 1), .most = size};
	hel_random_bytes(bytes, size);
	assert_ok(hel_objects_put(objects, name, bytes, size));
	assert_ok(hel_objects_get(objects, name, take, &s));
	assert_int_equal(s.size, size);
	assert_memory_equal(s.bytes, bytes, size);
	hel_free(bytes);
	hel_free(s.bytes);
}

static void test_round_trips(void **state)
{
	(void)state;
	/* one piece, then several: to the byte at both sides */
	static const size_t size[] = {0, 1, 100000, 8 << 20, (8 << 20) + 1, 20000001};
	char name[64];
	for (size_t i = 0; i < HEL_ARRAY_LEN(size); i++) {
		snprintf(name, sizeof name, "keys/abc/%zu", i);
		check_round_trip(name, size[i]);
	}
	assert_int_equal(count("keys/abc/"), HEL_ARRAY_LEN(size));
	assert_int_equal(count("keys/ab/"), 0);
	assert_int_equal(count("keys/"), HEL_ARRAY_LEN(size));
	assert_ok(hel_objects_remove(objects, "keys/abc/1"));
	assert_ok(hel_objects_remove(objects, "keys/abc/1")); /* it is gone: as wanted */
	assert_status(HEL_ETRUNC, hel_objects_get(objects, "keys/abc/1", take, NULL));
	assert_ok(hel_objects_remove_all(objects, "keys/abc/"));
	assert_int_equal(count("keys/"), 0);
}

/* More names than one answer of S3 has. */
static void test_many(void **state)
{
	(void)state;
	enum { MANY = 1100 };
	for (int i = 0; i < MANY; i++) {
		char name[64];
		snprintf(name, sizeof name, "keys/many/%d", i);
		assert_ok(hel_objects_put(objects, name, name, strlen(name)));
	}
	assert_int_equal(count("keys/many/"), MANY);
	assert_ok(hel_objects_remove_all(objects, "keys/many/"));
	assert_int_equal(count("keys/"), 0);
}

static hel_status stop(void *arg, uint64_t at, const void *bytes, size_t size)
{
	(void)arg;
	(void)at;
	(void)bytes;
	(void)size;
	return hel_fail(HEL_ESPACE, "full");
}

static void test_sink_that_fails(void **state)
{
	(void)state;
	assert_ok(hel_objects_put(objects, "keys/x/1", "abc", 3));
	assert_status(HEL_ESPACE, hel_objects_get(objects, "keys/x/1", stop, NULL));
	assert_ok(hel_objects_remove_all(objects, "keys/x/"));
}

static void *fill(void *arg)
{
	char name[64];
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof name, "keys/shared/%d-%d", *(int *)arg, i % 3);
		assert_ok(hel_objects_put(objects, name, name, strlen(name)));
		assert_ok(hel_objects_remove(objects, name)); /* and its folder, with luck */
	}
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t thread[4];
	int number[4];
	for (int i = 0; i < 4; i++) {
		number[i] = i;
		assert_int_equal(0, pthread_create(&thread[i], NULL, fill, &number[i]));
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(count("keys/"), 0);
}

static void test_places(void **state)
{
	(void)state;
	hel_objects *o;
	static const char *const bad[] = {"s3://", "s3:///x", "s3://UPPER", "s3://b/pre fix",
					  "s3://b/%2e"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		const hel_objects_options b = {bad[i], "", "eu-1", ""};
#ifdef HELRM_S3
		assert_status(HEL_EINVAL, hel_objects_open(&o, &b));
#else
		assert_status(HEL_EUNSUPPORTED, hel_objects_open(&o, &b));
#endif
	}
}

#ifdef HELRM_S3
static void test_refused(void **state)
{
	(void)state;
	hel_objects *o;
	if (!getenv("HELRM_TEST_S3"))
		return;
	hel_objects_options b = options();
	setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	assert_ok(hel_objects_open(&o, &b));
	setenv("AWS_SECRET_ACCESS_KEY", "S3RVER", 1);
	/* keys that were replaced are asked for again */
	assert_ok(hel_objects_put(o, "keys/y", "abc", 3));
	assert_ok(hel_objects_remove(o, "keys/y"));
	hel_objects_close(o);
	setenv("AWS_SECRET_ACCESS_KEY", "wrong", 1);
	assert_ok(hel_objects_open(&o, &b));
	assert_status(HEL_EDENIED, hel_objects_put(o, "keys/y", "abc", 3));
	hel_objects_close(o);
	setenv("AWS_SECRET_ACCESS_KEY", "S3RVER", 1);
}

static void test_credentials(void **state)
{
	(void)state;
	hel_s3_credentials c = {{0}};
	assert_true(hel_s3_credentials_parse(&c,
					     "# a file\n[other]\naws_access_key_id = no\n"
					     "aws_secret_access_key=no\n [ work ]\r\n"
					     "aws_access_key_id=AKIA\r\n"
					     "aws_secret_access_key = s/e+c=ret \n"
					     "aws_session_token=tok\n[last]\n",
					     "work"));
	assert_string_equal(c.key, "AKIA");
	assert_string_equal(c.secret, "s/e+c=ret");
	assert_string_equal(c.token, "tok");
	static const char *const bad[] = {"",
					  "[",
					  "[]",
					  "[work]",
					  "aws_access_key_id=a\naws_secret_access_key=b",
					  "[work]\naws_access_key_id=a",
					  "[work]\naws_access_key_id=a b\naws_secret_access_key=b",
					  "[work]\naws_access_key_id=a:b\naws_secret_access_key=b"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++)
		assert_false(hel_s3_credentials_parse(&c, bad[i], "work"));
	static const char good[] =
	    "{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":"
	    "\"S\",\"Token\":\"T\",\"Expiration\":\"2020-01-01T00:00:00Z\"}";
	assert_true(hel_s3_credentials_json(&c, good, sizeof good - 1));
	assert_string_equal(c.secret, "S");
	assert_true(c.until > hel_clock() && c.until < hel_clock() + 60);
	static const char *const junk[] = {
	    "", "{}", "[]", "{\"AccessKeyId\":1}",
	    "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"a\\r\\nb\"}"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(junk); i++)
		assert_false(hel_s3_credentials_json(&c, junk[i], strlen(junk[i])));
}
#endif

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trips),	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_sink_that_fails), cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_places),
#ifdef HELRM_S3
	    cmocka_unit_test(test_refused),	    cmocka_unit_test(test_credentials),
#endif
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
