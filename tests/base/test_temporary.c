#include "../testing_dir.h"
#include "base/temporary.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *path_of(char *out, const char *name)
{
	sprintf(out, "%s/%s", temp_dir, name);
	return out;
}

/* Entries of a directory but "." and "..". */
static int entries_of(const char *directory)
{
	int count = -2;
	DIR *d = opendir(directory);
	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static unsigned mode_of(const char *path)
{
	struct stat info;
	assert_int_equal(0, stat(path, &info));
	return info.st_mode & 0777;
}

/* A file is never wider than the umask, nor than the one it replaces. */
static void test_modes(void **state)
{
	(void)state;
	char path[300];
	path_of(path, "mode");
	static const unsigned cases[][3] = {
	    {0077, 0644, 0600}, {0022, 0644, 0644}, {0027, 0666, 0640}, {0000, 0600, 0600}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		unlink(path);
		const mode_t before = umask(cases[i][0]);
		assert_ok(hel_file_write(path, "x", 1, cases[i][1]));
		umask(before);
		assert_int_equal(cases[i][2], mode_of(path));
	}
	umask(0022);
	assert_ok(hel_file_write(path, "y", 1, 0644));
	assert_int_equal(0600, mode_of(path));
	unlink(path);
}

/* What a child does until it is told to end; ends it with `number` and waits. */
static pid_t child(void (*work)(const char *), const char *path, int number)
{
	int ready[2];
	char byte;
	assert_int_equal(0, pipe(ready));
	const pid_t pid = fork();
	if (!pid) {
		signal(number, SIG_DFL); /* nohup's children ignore one */
		work(path);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	assert_int_equal(1, read(ready[0], &byte, 1));
	close(ready[0]);
	close(ready[1]);
	if (number) {
		int status;
		kill(pid, number);
		waitpid(pid, &status, 0);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(number, WTERMSIG(status));
	}
	return pid;
}

static void begin_file(const char *path)
{
	hel_partial p;
	hel_temporary_on_signals();
	if (hel_partial_open(&p, path, 0644) != HEL_OK)
		_exit(1);
}

/* Killed processes leave files; those of the living stay, those of the dead go. */
static void test_leftovers(void **state)
{
	(void)state;
	char path[300], other[300], foreign[400];
	path_of(path, "kept");
	const int before = entries_of(temp_dir);
	child(begin_file, path, SIGKILL);
	assert_int_equal(before + 1, entries_of(temp_dir));
	const pid_t living = child(begin_file, path, 0); /* removes the dead one's */
	assert_int_equal(before + 1, entries_of(temp_dir));
	/* another's name, and names that are none of ours */
	child(begin_file, path_of(other, "kept.not"), SIGKILL);
	sprintf(foreign, "%s.12x.partial", path);
	close(open(foreign, O_CREAT | O_WRONLY, 0600));
	assert_ok(hel_file_write(path, "x", 1, 0644));
	assert_int_equal(before + 4, entries_of(temp_dir)); /* kept, living, kept.not, foreign */
	unlink(foreign);
	hel_partial_sweep(other);
	assert_int_equal(before + 2, entries_of(temp_dir));
	kill(living, SIGKILL);
	waitpid(living, NULL, 0);
	hel_partial_sweep(path);
	assert_int_equal(before + 1, entries_of(temp_dir));
	unlink(path);
}

static void test_signals(void **state)
{
	(void)state;
	char path[300];
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
	const int before = entries_of(temp_dir);
	for (size_t i = 0; i < HEL_ARRAY_LEN(numbers); i++) {
		child(begin_file, path_of(path, "signalled"), numbers[i]);
		assert_int_equal(before, entries_of(temp_dir));
	}
}

static void begin_temporary(const char *under)
{
	hel_temporary t;
	hel_temporary_on_signals();
	setenv("TMPDIR", under, 1);
	if (hel_temporary_open(&t) != HEL_OK || hel_file_write(t.file, "rows", 4, 0600) != HEL_OK)
		_exit(1);
}

/* $TMPDIR of any length; nothing stays, whatever ends the process. */
static void test_temporary(void **state)
{
	(void)state;
	char under[300];
	hel_temporary t;
	memset(under, 0, sizeof under);
	path_of(under, "");
	memset(under + strlen(under), 'd', 200);
	assert_int_equal(0, mkdir(under, 0777));
	child(begin_temporary, under, SIGINT);
	assert_int_equal(0, entries_of(under));
	child(begin_temporary, under, SIGKILL);
	assert_int_equal(1, entries_of(under));
	setenv("TMPDIR", under, 1);
	assert_ok(hel_temporary_open(&t));
	assert_int_equal(1, entries_of(under)); /* ours; the dead one's is gone */
	assert_int_equal(0700, mode_of(t.directory));
	assert_ok(hel_file_write(t.file, "rows", 4, 0600));
	hel_temporary_close(&t);
	assert_int_equal(0, entries_of(under));
	setenv("TMPDIR", "no/such/place", 1);
	assert_status(HEL_EIO, hel_temporary_open(&t));
	assert_null(t.file);
	unsetenv("TMPDIR");
}

/* A name as long as the file system takes has a place to be made in, too. */
static void test_long_name(void **state)
{
	(void)state;
	char path[400];
	memset(path, 0, sizeof path);
	path_of(path, "");
	memset(path + strlen(path), 'n', 255);
	assert_ok(hel_file_write(path, "x", 1, 0644));
	assert_int_equal(0, access(path, F_OK));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_modes),     cmocka_unit_test(test_leftovers),
	    cmocka_unit_test(test_signals),   cmocka_unit_test(test_temporary),
	    cmocka_unit_test(test_long_name),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
