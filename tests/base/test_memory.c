#include "../testing.h"
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_alloc(void **state)
{
	(void)state;
	for (size_t size = 0; size < 300; size += 37) {
		uint8_t *p = hel_alloc(size, 1);
		assert_non_null(p);
		assert_int_equal(0, (uintptr_t)p % HEL_ALIGN);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(0, p[i]);
		hel_free(p);
	}
	assert_null(hel_alloc(SIZE_MAX / 2, 3));
	assert_null(hel_alloc(SIZE_MAX - 10, 1));
	hel_alloc_fail_at(2);
	void *first = hel_alloc(1, 1);
	assert_non_null(first);
	assert_null(hel_alloc(1, 1));
	void *third = hel_alloc(1, 1);
	assert_non_null(third);
	hel_free(first);
	hel_free(third);
}

static void test_scratch_is_reused(void **state)
{
	(void)state;
	hel_scratch *pool = hel_scratch_new();
	void *a = hel_scratch_take(pool, 1000), *b = hel_scratch_take(pool, 100);
	assert_true(a);
	assert_true(b);
	assert_unequal(a, b);
	assert_int_equal(0, (uintptr_t)a % HEL_ALIGN);
	hel_scratch_give(pool, a);
	hel_scratch_give(pool, b);
	assert_ptr_equal(b, hel_scratch_take(pool, 50)); /* the smallest that fits */
	assert_ptr_equal(a, hel_scratch_take(pool, 50));
	hel_scratch_give(pool, a);
	hel_scratch_give(pool, b);
	hel_scratch_free(pool);
}

/* What the kernel says of the mapping that holds p. */
static bool has_flag(const void *p, const char *flag)
{
	char line[512];
	unsigned long from, to;
	bool inside = false, has = false;
	FILE *f = fopen("/proc/self/smaps", "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag);
	}
	fclose(f);
	return has;
}

static void test_huge(void **state)
{
	(void)state;
	const size_t huge = (size_t)2 << 20;
	uint8_t *large = hel_alloc_huge(3 * huge + 5, 1), *small = hel_alloc_huge(huge / 2, 1);
	assert_non_null(large);
	assert_non_null(small);
	memset(large, 7, 3 * huge + 5);
	assert_int_equal(0, (uintptr_t)small % HEL_ALIGN);
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0) {
		assert_int_equal(0, (uintptr_t)large % huge);
		assert_true(has_flag(large, " hg"));
	} else
		print_message("this kernel has no huge pages\n");
	hel_free(large);
	hel_free(small);
	assert_null(hel_alloc_huge(SIZE_MAX / 2, 3));
	hel_alloc_fail_at(1);
	assert_null(hel_alloc_huge(1, 1));
}

/* Faults of the process until now. */
static long faults(void)
{
	struct rusage used;
	assert_int_equal(0, getrusage(RUSAGE_SELF, &used));
	return used.ru_minflt;
}

/* Touches 32 MB: a fault for each small page when none is huge. */
static bool takes_small_pages(void)
{
	const size_t bytes = (size_t)32 << 20;
	const long before = faults();
	uint8_t *p = hel_alloc_huge(bytes, 1); /* which a debugging malloc may fill */
	for (size_t i = 0; p && i < bytes; i += 4096)
		p[i] = 1;
	const bool small = faults() - before >= (long)(bytes / 65536);
	hel_free(p);
	return p && small;
}

static void test_one_run(void **state)
{
	(void)state;
	int status;
	const pid_t child = fork(); /* the rest of the tests have theirs */
	if (child == 0) {
		hel_memory_for_one_run();
		_exit(takes_small_pages() ? 0 : 1);
	}
	assert_more(child, 0);
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Small buffers share memory, none another's bytes; large ones are as aligned as small ones. */
static void test_scratch_apart(void **state)
{
	(void)state;
	enum { COUNT = 200 };
	uint8_t *buffer[COUNT];
	size_t bytes[COUNT];
	hel_scratch *pool = hel_scratch_new();
	assert_null(hel_scratch_take(pool, SIZE_MAX));
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT; i++) {
			bytes[i] = i * i * i % 90001 + (i % 50 ? 0 : (size_t)3 << 20);
			buffer[i] = hel_scratch_take(pool, bytes[i]);
			assert_non_null(buffer[i]);
			assert_int_equal(0, (uintptr_t)buffer[i] % HEL_ALIGN);
			memset(buffer[i], (int)i, bytes[i]);
		}
		for (size_t i = 0; i < COUNT; i++) {
			for (size_t k = 0; k < bytes[i]; k++)
				assert_int_equal(i, buffer[i][k]);
			hel_scratch_give(pool, buffer[i]);
		}
	}
	hel_scratch_free(pool);
}

static void test_secret(void **state)
{
	(void)state;
	for (size_t size = 1; size < 100000; size = 3 * size + 1) {
		uint8_t *p = hel_secret_alloc(size, 1);
		assert_non_null(p);
		assert_int_equal(0, (uintptr_t)p % HEL_ALIGN);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 7, size);
		assert_true(has_flag(p, " dd")); /* not in dumps */
		if (!has_flag(p, " lo"))
			print_message("the system does not let %zu bytes be locked\n", size);
		hel_secret_free(p);
	}
	hel_secret_free(NULL);
	assert_null(hel_secret_alloc(SIZE_MAX / 2, 4));
	hel_alloc_fail_at(1);
	assert_null(hel_secret_alloc(1, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alloc),	  cmocka_unit_test(test_secret),
	    cmocka_unit_test(test_huge),	  cmocka_unit_test(test_one_run),
	    cmocka_unit_test(test_scratch_apart), cmocka_unit_test(test_scratch_is_reused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
