/* Files that lose their bytes while they are mapped. */
#include "../testing_dir.h"
#include "base/mapping.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 8
#define PAGE ((size_t)4096)

static int make_file(char path[64])
{
	static uint8_t bytes[PAGES * PAGE];
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(1 + i / PAGE);
	snprintf(path, 64, "%s/mapped", temp_dir);
	assert_ok(hel_file_write(path, bytes, sizeof bytes, 0600));
	int fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t sum(const hel_mapping *m)
{
	const volatile uint8_t *p = hel_mapping_bytes(m);
	uint64_t total = 0;
	for (size_t i = 0; i < PAGES * PAGE; i++)
		total += p[i];
	return total;
}

static void test_truncated(void **state)
{
	(void)state;
	char path[64];
	hel_mapping *m, *whole;
	int fd = make_file(path);
	assert_ok(hel_mapping_open(&m, fd, PAGES * PAGE));
	assert_int_equal(PAGE * (1 + 2 + 3 + 4 + 5 + 6 + 7 + 8), sum(m));
	assert_false(hel_mapping_damaged(m));
	assert_int_equal(0, ftruncate(fd, 3 * PAGE));
	assert_int_equal(PAGE * (1 + 2 + 3), sum(m)); /* zeros stand in, the process lives */
	assert_true(hel_mapping_damaged(m));
	assert_status(HEL_ETRUNC, hel_mapping_open(&whole, fd, PAGES * PAGE));
	/* a place that is used again is not damaged by what was there before */
	hel_mapping_close(m);
	assert_ok(hel_mapping_open(&m, fd, 3 * PAGE));
	assert_false(hel_mapping_damaged(m));
	hel_mapping_close(m);
	close(fd);
}

/* Faults of others end the process as ever. In a process of its own: cmocka has a handler, too. */
static void test_foreign_fault(void **state)
{
	(void)state;
	char path[64];
	int fd = make_file(path), status;
	pid_t child = fork();
	if (!child) {
		hel_mapping *m;
		signal(SIGBUS, SIG_DFL);
		const volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
		_exit(hel_mapping_open(&m, fd, PAGES * PAGE) || ftruncate(fd, 0) || sum(m) || p[0]);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(SIGBUS, WTERMSIG(status));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_foreign_fault),
	    cmocka_unit_test(test_truncated),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
