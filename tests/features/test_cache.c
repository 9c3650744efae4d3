#include "rowfile.h"
#include <fcntl.h>
#include <sys/stat.h>

static uint64_t sum_of(const hel_cache *c, hel_status *worst)
{
	hel_block b;
	uint64_t sum = 0;
	*worst = HEL_OK;
	assert_ok(hel_block_init(&b, hel_dataset_by_name("criteo"), HEL_BLOCK_ROWS));
	for (size_t i = 0; i < hel_cache_blocks(c); i++) {
		hel_status st = hel_cache_read(c, i, &b);
		*worst = st != HEL_OK ? st : *worst;
		for (size_t k = 0; st == HEL_OK && k < b.count * b.words; k++)
			sum = hel_mix(sum ^ b.hash[k]);
	}
	hel_block_clear(&b);
	return sum;
}

static void test_is_made_once(void **state)
{
	(void)state;
	bool made;
	hel_status worst;
	make_criteo(temp_path("data"), 20000, 1);
	hel_cache *c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	assert_true(made);
	assert_equal(hel_cache_rows(c), 20000);
	assert_equal(hel_cache_blocks(c), 3);
	const uint64_t sum = sum_of(c, &worst);
	assert_ok(worst);
	hel_cache_free(c);
	c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	assert_false(made);
	assert_equal(sum_of(c, &worst), sum);
	assert_equal(worst, HEL_OK);
	hel_cache_limit(c, 8193);
	assert_int_equal(2 * HEL_BLOCK_ROWS, hel_cache_rows(c));
	sum_of(c, &worst);
	assert_ok(worst);
	hel_cache_limit(c, UINT64_MAX);
	assert_int_equal(20000, hel_cache_rows(c));
	assert_equal(sum_of(c, &worst), sum);
	hel_cache_free(c);
	make_criteo(temp_path("data"), 20000, 2); /* the same size, other rows */
	c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	assert_true(made);
	assert_unequal(sum_of(c, &worst), sum);
	hel_cache_free(c);
}

/* The time of a change is the only trace of one between the ends and the middle; rows that are the
 * same have the same stamp. */
static void test_changed_in_place(void **state)
{
	(void)state;
	bool made;
	struct stat info;
	uint8_t stamp[HEL_HASH_BYTES];
	make_criteo(temp_path("data"), 20000, 1);
	hel_cache *c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	memcpy(stamp, hel_cache_stamp(c), sizeof stamp);
	hel_cache_free(c);
	assert_return_code(stat(temp_path("data"), &info), 0);
	const struct timespec later[2] = {{0, UTIME_OMIT}, {info.st_mtim.tv_sec, 17}};
	assert_return_code(utimensat(AT_FDCWD, temp_path("data"), later, 0), 0);
	c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	assert_true(made);
	assert_memory_equal(stamp, hel_cache_stamp(c), sizeof stamp);
	hel_cache_free(c);
	FILE *f = fopen(temp_path("data"), "r+");
	fseek(f, info.st_size / 2, SEEK_SET);
	int at = fgetc(f);
	while (at == '\t' || at == '\n' || at == '1')
		at = fgetc(f);
	fseek(f, -1, SEEK_CUR);
	fputc('1', f);
	fclose(f);
	assert_return_code(utimensat(AT_FDCWD, temp_path("data"), later, 0), 0); /* as before */
	c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	assert_true(made);
	assert_memory_not_equal(stamp, hel_cache_stamp(c), sizeof stamp);
	hel_cache_free(c);
}

/* A damaged cache is made again or refused, never used. */
static void test_damage(void **state)
{
	(void)state;
	bool made;
	hel_status worst;
	uint8_t *bytes;
	size_t size;
	make_criteo(temp_path("data"), 3000, 3);
	hel_cache *c = open_criteo(temp_path("data"), temp_path("cache"), &made);
	const uint64_t sum = sum_of(c, &worst);
	hel_cache_free(c);
	assert_ok(hel_file_read(temp_path("cache"), 1 << 30, &bytes, &size));
	for (size_t i = 0; i < 60; i++) {
		const bool cut = i % 3 == 0;
		const size_t at = i < 30 ? 8 + i * 4 : size / 60 * i;
		bytes[at] ^= 0x40;
		assert_ok(hel_file_write(temp_path("cache"), bytes, cut ? at : size, 0644));
		bytes[at] ^= 0x40;
		c = open_criteo(temp_path("data"), temp_path("cache"), &made);
		const uint64_t found = sum_of(c, &worst);
		assert_equal(made, worst == HEL_OK);
		if (made)
			assert_equal(found, sum);
		else
			assert_status(HEL_EHASH, worst);
		hel_cache_free(c);
	}
	hel_free(bytes);
}

static void test_refuses(void **state)
{
	(void)state;
	hel_cache *c = NULL;
	hel_scan_report report;
	bool made;
	const char *data = temp_path("none");
	assert_status(HEL_EIO, hel_cache_open(&c, &report, &made, temp_path("cache2"),
					      hel_dataset_by_name("criteo"), &data, 1, 0, NULL));
	assert_ok(hel_file_write(data, "not rows\n", 9, 0644));
	assert_status(HEL_EDATA, hel_cache_open(&c, &report, &made, temp_path("cache2"),
						hel_dataset_by_name("criteo"), &data, 1, 0, NULL));
	assert_null(fopen(temp_path("cache2"), "r")); /* nothing is left behind */
	/* a file that is no cache stays as it is, the data file itself for one */
	make_criteo(data, 100, 1);
	uint8_t *before, *after;
	size_t size, size_after;
	assert_ok(hel_file_read(data, 1 << 20, &before, &size));
	assert_status(HEL_EFORMAT,
		      hel_cache_open(&c, &report, &made, data, hel_dataset_by_name("criteo"), &data,
				     1, 0, NULL));
	assert_ok(hel_file_read(data, 1 << 20, &after, &size_after));
	assert_int_equal(size, size_after);
	assert_memory_equal(before, after, size);
	hel_free(before);
	hel_free(after);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_is_made_once),
	    cmocka_unit_test(test_changed_in_place),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
