#include "../testing_dir.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_write_read(void **state)
{
	(void)state;
	char path[64];
	uint8_t *bytes;
	size_t size;
	struct stat info;
	snprintf(path, sizeof path, "%s/a", temp_dir);
	assert_ok(hel_file_write(path, "12345", 5, 0600));
	assert_int_equal(0, stat(path, &info));
	assert_int_equal(0600, info.st_mode & 0777);
	assert_ok(hel_file_read(path, 5, &bytes, &size));
	assert_int_equal(5, size);
	assert_string_equal("12345", (char *)bytes);
	hel_free(bytes);
	assert_status(HEL_ELIMIT, hel_file_read(path, 4, &bytes, &size));
	assert_status(HEL_EIO, hel_file_read(temp_dir, 100, &bytes, &size));
	assert_status(HEL_EIO, hel_file_read("no/such/file", 100, &bytes, &size));
}

/* A write that cannot be finished leaves the old file and nothing beside it. */
static void test_failed_write_leaves_nothing(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof path, "%s/d", temp_dir);
	assert_int_equal(0, mkdir(path, 0777));
	assert_status(HEL_EIO, hel_file_write(path, "x", 1, 0644)); /* rename onto a directory */
	assert_status(HEL_EIO, hel_file_write("no/such/dir/file", "x", 1, 0644));
	DIR *d = opendir(temp_dir);
	for (struct dirent *e; (e = readdir(d));)
		assert_null(strstr(e->d_name, ".partial"));
	closedir(d);
}

/* What a user names may be a pipe: all of it is read, whatever the pieces. */
static void test_input(void **state)
{
	(void)state;
	enum { SIZE = 300000 };
	char path[64];
	uint8_t *bytes = NULL;
	size_t size;
	snprintf(path, sizeof path, "%s/pipe", temp_dir);
	assert_int_equal(0, mkfifo(path, 0600));
	for (int round = 0; round < 3; round++) {
		const pid_t writer = fork();
		if (!writer) {
			FILE *f = fopen(path, "w");
			for (int i = 0; round && i < SIZE; i++)
				fputc(i % 251, f);
			_exit(fclose(f) != 0);
		}
		const size_t limit = round == 2 ? SIZE - 1 : SIZE;
		const hel_status st = hel_input_read(path, limit, &bytes, &size);
		if (round < 2) {
			assert_ok(st);
			assert_int_equal(round ? SIZE : 0, size);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(i % 251, bytes[i]);
			hel_free(bytes);
		} else
			assert_status(HEL_ELIMIT, st);
		waitpid(writer, NULL, 0);
	}
	assert_status(HEL_EIO, hel_file_read(path, SIZE, &bytes, &size)); /* never waits */
	assert_status(HEL_EIO, hel_input_read(temp_dir, SIZE, &bytes, &size));
	unlink(path);
}

static void test_dir_make(void **state)
{
	(void)state;
	char path[64];
	snprintf(path, sizeof path, "%s/x/y/z", temp_dir);
	assert_ok(hel_dir_make(path));
	assert_ok(hel_dir_make(path));
	snprintf(path, sizeof path, "%s/a/b", temp_dir);
	assert_status(HEL_EIO, hel_dir_make(path)); /* a is a file */
	struct stat info;
	snprintf(path, sizeof path, "%s/x/private/y", temp_dir);
	chmod(temp_dir, 0755);
	assert_ok(hel_dir_make_private(path));
	assert_int_equal(0, stat(path, &info));
	assert_int_equal(0700, info.st_mode & 0777);
	assert_int_equal(0, stat(temp_dir, &info));
	assert_int_equal(0755, info.st_mode & 0777); /* as it was */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_write_read),
	    cmocka_unit_test(test_failed_write_leaves_nothing),
	    cmocka_unit_test(test_input),
	    cmocka_unit_test(test_dir_make),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
