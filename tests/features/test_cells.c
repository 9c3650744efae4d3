/* One grammar, two readers: what scan.c makes of a hundred thousand mutated rows and what records.c
 * makes of each of them. */
#include "features/cells.h"
#include "features/hash.h"
#include "rowfile.h"
#include <math.h>

#define ROWS 100000

static char *mutated_rows(hel_prng *g, size_t *size)
{
	static const char odd[] = "\t\t\t  \"\"?-?-+..,,eE019fa\r\x01\x7f\xc3\xa9\xffNnIi_";
	char *text = criteo_text(ROWS, 3, size), *out = malloc(2 * *size), *to = out;
	for (char *p = text, *next; p < text + *size; p = next) {
		next = strchr(p, '\n') + 1;
		const size_t changes = hel_prng_u64(g) % 4;
		size_t at[3] = {0};
		for (size_t k = 0; k < changes; k++)
			at[k] = hel_prng_u64(g) % (size_t)(next - p - 1);
		for (char *q = p; q < next - 1; q++) {
			bool changed = false;
			for (size_t k = 0; k < changes; k++)
				changed |= (size_t)(q - p) == at[k];
			const uint64_t how = hel_prng_u64(g);
			if (changed && how % 4 == 0) /* lost */
				continue;
			if (changed)
				*to++ = odd[(how >> 8) % (sizeof odd - 1)];
			if (!changed || how % 4 == 1)
				*to++ = *q;
		}
		*to++ = '\n';
	}
	free(text);
	*size = (size_t)(to - out);
	return out;
}

static hel_status collect(void *arg, const hel_block *b)
{
	hel_block *all = arg;
	for (size_t i = 0; i < b->count; i++, all->count++) {
		all->label[all->count] = b->label[i];
		for (size_t k = 0; k < b->dense; k++)
			all->value[all->count * b->dense + k] = b->value[k * b->count + i];
		for (size_t t = 0; t < b->words; t++)
			all->hash[all->count * b->words + t] = b->hash[t * b->count + i];
	}
	return HEL_OK;
}

static void assert_row(const hel_block *all, size_t row, const hel_records *r, const char *line)
{
	assert_int_equal(all->label[row], r->label[1]);
	for (size_t k = 0; k < r->dense; k++)
		if ((double)all->value[row * r->dense + k] != r->value[r->dense + k])
			fail_msg("dense %zu of '%s': %g and %g", k, line,
				 (double)all->value[row * r->dense + k], r->value[r->dense + k]);
	for (size_t t = 0; t < r->tables; t++) {
		const char *v = hel_records_category(r, 1, t);
		if (all->hash[row * r->tables + t] != hel_value_hash(v, strlen(v)))
			fail_msg("category %zu of '%s' is '%s' to one only", t, line, v);
	}
}

static void test_readers_agree(void **state)
{
	(void)state;
	hel_prng g;
	size_t size, good_size, row = 1, malformed = 0;
	test_prng(&g, 4);
	char *good = criteo_text(1, 5, &good_size), *rows = mutated_rows(&g, &size);
	char *text = malloc(good_size + size + 1), pair[8192];
	memcpy(text, good, good_size);
	memcpy(text + good_size, rows, size);
	text[good_size + size] = 0;
	assert_ok(hel_file_write(temp_path("rows"), text, good_size + size, 0644));
	hel_block all;
	hel_scan_report report;
	const char *path = temp_path("rows");
	assert_ok(hel_block_init(&all, hel_dataset_by_name("criteo"), ROWS + 1));
	all.count = 0;
	assert_ok(hel_scan(&report, NULL, hel_dataset_by_name("criteo"), &path, 1, UINT64_MAX, NULL,
			   NULL, collect, &all));
	for (char *p = text + good_size, *next; *p; p = next) {
		next = strchr(p, '\n') + 1;
		hel_records r;
		snprintf(pair, sizeof pair, "%s%.*s", good, (int)(next - p), p);
		const hel_status st = hel_records_parse(&r, hel_dataset_by_name("criteo"), "pair",
							pair, strlen(pair));
		if (st == HEL_OK && r.count == 2 && r.labelled)
			assert_row(&all, row++, &r, pair + good_size);
		else if (st != HEL_OK || r.count == 2)
			malformed++;
		if (st == HEL_OK)
			hel_records_clear(&r);
	}
	print_message("%zu rows read, %zu malformed\n", row, malformed);
	assert_equal(row, all.count);
	assert_equal(row, report.rows);
	assert_equal(malformed, report.malformed);
	assert_more(row, ROWS / 4);
	assert_more(malformed, ROWS / 4);
	hel_block_clear(&all);
	free(text);
	free(rows);
	free(good);
}

static void test_marks(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size, skipped;
		const char *encoding;
	} cases[] = {
	    {"a", 1, 0, NULL},
	    {"", 0, 0, NULL},
	    {"\xef\xbb\xbf"
	     "6",
	     4, 3, NULL},
	    {"\xef\xbb", 2, 0, NULL},
	    {"\xff\xfe"
	     "6\0",
	     4, 0, "UTF-16"},
	    {"\xfe\xff\0006", 4, 0, "UTF-16"},
	    {"\xff\xfe\0\0006\0\0\0", 8, 0, "UTF-32"},
	    {"\0\0\xfe\xff\0\0\0006", 8, 0, "UTF-32"},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		const char *text = cases[i].bytes;
		size_t size = cases[i].size;
		const char *encoding = hel_skip_mark(&text, &size);
		if (cases[i].encoding)
			assert_string_equal(cases[i].encoding, encoding);
		else
			assert_null(encoding);
		assert_int_equal(cases[i].skipped, text - cases[i].bytes);
		assert_int_equal(cases[i].size - cases[i].skipped, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_marks),
					   cmocka_unit_test(test_readers_agree)};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
