#include "../testing_dir.h"
#include <unistd.h>

static void path_of(char path[64], const char *name)
{
	snprintf(path, 64, "%s/%s", temp_dir, name);
}

static size_t files_left(void)
{
	char command[96];
	unsigned n = 99;
	snprintf(command, sizeof command, "ls %s | wc -l", temp_dir);
	FILE *f = popen(command, "r");
	assert_int_equal(1, fscanf(f, "%u", &n));
	pclose(f);
	return n;
}

static void test_all_or_nothing(void **state)
{
	(void)state;
	char path[64];
	hel_stream *s;
	uint8_t *bytes, piece[70000], hash[HEL_HASH_BYTES], expected[HEL_HASH_BYTES];
	size_t size;
	path_of(path, "big");
	assert_ok(hel_stream_new(&s, path, 0644));
	for (unsigned i = 0; i < 40; i++) { /* more than the buffer, in odd pieces */
		memset(piece, (int)i, sizeof piece);
		assert_ok(hel_stream_write(s, piece, sizeof piece - i));
	}
	hel_stream_hash(s, hash);
	assert_ok(hel_stream_finish(s, NULL, 0));
	hel_stream_free(s);
	assert_ok(hel_file_read(path, 1 << 24, &bytes, &size));
	assert_int_equal(40 * sizeof piece - 780, size);
	assert_equal(bytes[0], 0);
	assert_equal(bytes[size - 1], 39);
	hel_hash(expected, bytes, size);
	assert_memory_equal(expected, hash, sizeof hash);
	hel_free(bytes);

	/* an unfinished one leaves the old file as it was and nothing beside it */
	assert_ok(hel_stream_new(&s, path, 0644));
	assert_ok(hel_stream_write(s, "new", 3));
	hel_stream_free(s);
	assert_ok(hel_file_read(path, 1 << 24, &bytes, &size));
	assert_int_equal(40 * sizeof piece - 780, size);
	hel_free(bytes);

	assert_ok(hel_stream_new(&s, path, 0644));
	assert_ok(hel_stream_write(s, "____tail", 8));
	assert_ok(hel_stream_finish(s, "head", 4));
	hel_stream_free(s);
	assert_ok(hel_file_read(path, 1 << 24, &bytes, &size));
	assert_string_equal("headtail", (char *)bytes);
	hel_free(bytes);
	assert_int_equal(1, files_left());
}

static void test_refuses(void **state)
{
	(void)state;
	hel_stream *s = NULL;
	char path[64];
	assert_status(HEL_EIO, hel_stream_new(&s, temp_dir, 0644));
	path_of(path, "no/such/directory");
	assert_status(HEL_EIO, hel_stream_new(&s, path, 0644));
	assert_null(s);
	if (access("/dev/full", W_OK) == 0)
		assert_status(HEL_EIO, hel_stream_new(&s, "/dev/full", 0644));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_or_nothing),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
