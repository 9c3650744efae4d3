#include "features/hash.h"
#include "rowfile.h"
#include <math.h>
#include <zlib.h>

/* All rows in one block of columns. */
typedef struct collected {
	uint64_t rows, hash;
	double values;
	hel_block all;
} collected;

static hel_status collect(void *arg, const hel_block *b)
{
	collected *c = arg;
	assert_true(b->count == HEL_BLOCK_ROWS || b->count + c->rows <= c->all.count);
	for (size_t i = 0; i < b->count; i++, c->rows++) {
		c->all.label[c->rows] = b->label[i];
		for (size_t k = 0; k < b->dense; k++)
			c->all.value[k * c->all.count + c->rows] = b->value[k * b->count + i];
		for (size_t t = 0; t < b->words; t++)
			c->all.hash[t * c->all.count + c->rows] = b->hash[t * b->count + i];
	}
	return HEL_OK;
}

static hel_status scan(collected *c, hel_scan_report *r, const char *path, uint64_t most,
		       hel_pool *pool)
{
	memset(c, 0, sizeof *c);
	assert_ok(hel_block_init(&c->all, hel_dataset_by_name("criteo"), 60000));
	return hel_scan(r, NULL, hel_dataset_by_name("criteo"), &path, 1, most, pool, NULL, collect,
			c);
}

static void assert_same(const collected *a, const collected *b)
{
	assert_int_equal(a->rows, b->rows);
	assert_memory_equal(a->all.label, b->all.label, a->all.count);
	assert_memory_equal(a->all.hash, b->all.hash, 4 * a->all.count * a->all.words);
	assert_memory_equal(a->all.value, b->all.value, 4 * a->all.count * a->all.dense);
}

/* Bulk rows against the reader of single records: every cell, over several pieces of text. */
static void test_agrees_with_records(void **state)
{
	(void)state;
	collected c, threads;
	hel_scan_report r;
	hel_records records;
	size_t size;
	char *text = criteo_text(45000, 1, &size); /* more than two pieces */
	assert_ok(hel_file_write(temp_path("plain"), text, size, 0644));
	assert_ok(scan(&c, &r, temp_path("plain"), 0, NULL));
	assert_equal(r.rows, 45000);
	assert_equal(c.rows, 45000);
	assert_equal(r.malformed, 0);
	assert_ok(hel_records_parse(&records, hel_dataset_by_name("criteo"), "test", text, size));
	assert_int_equal(45000, records.count);
	for (size_t i = 0; i < records.count; i++) {
		assert_int_equal(records.label[i], c.all.label[i]);
		for (size_t k = 0; k < records.dense; k++)
			assert_equal(records.value[i * records.dense + k],
				     (double)c.all.value[k * c.all.count + i]);
		for (size_t t = 0; t < records.tables; t++) {
			const char *v = hel_records_category(&records, i, t);
			assert_int_equal(hel_value_hash(v, strlen(v)),
					 c.all.hash[t * c.all.count + i]);
		}
	}
	hel_records_clear(&records);
	hel_pool *pool = hel_pool_new(3);
	assert_ok(scan(&threads, &r, temp_path("plain"), 0, pool));
	assert_same(&c, &threads);
	hel_pool_free(pool);
	hel_block_clear(&threads.all);

	/* gz, with other line ends and none at the end */
	gzFile f = gzopen(temp_path("packed"), "wb1");
	for (char *p = text, *next; p < text + size; p = next + 1) {
		next = memchr(p, '\n', (size_t)(text + size - p));
		gzwrite(f, p, (unsigned)(next - p));
		if (next + 1 < text + size)
			gzwrite(f, "\r\n", 2);
	}
	gzclose(f);
	assert_ok(scan(&threads, &r, temp_path("packed"), 0, NULL));
	assert_same(&c, &threads);
	hel_block_clear(&threads.all);

	uint8_t *packed;
	assert_ok(hel_file_read(temp_path("packed"), 1 << 30, &packed, &size));
	assert_ok(hel_file_write(temp_path("short"), packed, size / 2, 0644));
	assert_status(HEL_ETRUNC, scan(&threads, &r, temp_path("short"), UINT64_MAX, NULL));
	hel_block_clear(&threads.all);
	packed[size / 2] ^= 0x55;
	assert_ok(hel_file_write(temp_path("damaged"), packed, size, 0644));
	assert_unequal(scan(&threads, &r, temp_path("damaged"), UINT64_MAX, NULL), HEL_OK);
	hel_free(packed);
	hel_block_clear(&threads.all);
	hel_block_clear(&c.all);
	free(text);
}

#define EMPTY_COUNTS "\t\t\t\t\t\t\t\t\t\t\t\t"
#define EMPTY_CODES "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t"
#define GOOD "1\t" EMPTY_COUNTS "\t" EMPTY_CODES "\n"

static void test_values(void **state)
{
	(void)state;
	collected c;
	hel_scan_report r;
	const char *text = GOOD "0\t7\t-2" EMPTY_COUNTS "68fd1e64" EMPTY_CODES "\n";
	assert_ok(hel_file_write(temp_path("values"), text, strlen(text), 0644));
	assert_ok(scan(&c, &r, temp_path("values"), 0, NULL));
	assert_int_equal(2, c.rows);
	assert_equal(c.all.label[0], 1);
	assert_equal(c.all.label[1], 0);
	assert_equal(c.all.value[1], (float)log(8));
	assert_equal(c.all.value[c.all.count + 1], 0.0f);
	for (size_t t = 0; t < c.all.words; t++)
		assert_int_equal(0, c.all.hash[t * c.all.count]);
	assert_int_equal(hel_value_hash("68fd1e64", 8), c.all.hash[1]);
	hel_block_clear(&c.all);
}

static void test_malformed_rows(void **state)
{
	(void)state;
	static const struct {
		const char *row, *says;
	} cases[] = {
	    {"1\t2\t3\n", "3 columns, expected 40"},
	    {"2\t" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "the label is '2', not 0 or 1"},
	    {"\t" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "the row has no label"},
	    {"1\t" EMPTY_COUNTS "\t" EMPTY_CODES "\t\n", "41 columns, expected 40"},
	    {"\"1\t" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "a quote that opens"},
	    {"1\t" EMPTY_COUNTS EMPTY_CODES "\n", "39 columns, expected 40"},
	    {"1\t2,5" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "decimals are written with a point"},
	    {"1\tx" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "I1 is 'x', not a whole number"},
	    {"1\t1.5" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "I1 is '1.5'"},
	    {"1\t-" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "I1 is '-'"},
	    {"1\t99999999999999999999" EMPTY_COUNTS "\t" EMPTY_CODES "\n", "I1 is '9999"},
	    {"1\t" EMPTY_COUNTS "\t0123456789abcdef" EMPTY_CODES "\n", "C1 is not a code"},
	    {"1\t" EMPTY_COUNTS "\ta b" EMPTY_CODES "\n", "C1 is not a code"},
	    {"1\t" EMPTY_COUNTS "\t\x01" EMPTY_CODES "\n", "C1 is not a code"},
	};
	collected c;
	hel_scan_report r;
	for (size_t i = 0; i < HEL_ARRAY_LEN(cases); i++) {
		char text[512];
		snprintf(text, sizeof text, GOOD "%s" GOOD, cases[i].row);
		assert_ok(hel_file_write(temp_path("bad"), text, strlen(text), 0644));
		assert_ok(scan(&c, &r, temp_path("bad"), 1, NULL));
		assert_equal(c.rows, 2);
		assert_equal(r.rows, 2);
		assert_equal(r.malformed, 1);
		if (!strstr(r.shown[0], cases[i].says) || !strstr(r.shown[0], "bad:2: "))
			fail_msg("case %zu says '%s', not '%s'", i, r.shown[0], cases[i].says);
		hel_block_clear(&c.all);
		assert_status(HEL_EDATA, scan(&c, &r, temp_path("bad"), 0, NULL));
		assert_non_null(strstr(hel_error_detail(), cases[i].says));
		hel_block_clear(&c.all);
	}
	/* line numbers hold far into a file, over parts and pieces */
	size_t size;
	char *text = criteo_text(40000, 2, &size), *at = text;
	for (int line = 1; line < 35000; line++)
		at = strchr(at, '\n') + 1;
	*at = 'x';
	assert_ok(hel_file_write(temp_path("late"), text, size, 0644));
	assert_ok(scan(&c, &r, temp_path("late"), 10, NULL));
	assert_equal(r.malformed, 1);
	assert_equal(c.rows, 39999);
	assert_non_null(strstr(r.shown[0], "late:35000: the label"));
	hel_block_clear(&c.all);
	free(text);
}

/* A mark, a blank line, a header in another order, quotes: the rows that the plain text has. */
static void test_forms_agree(void **state)
{
	(void)state;
	collected plain, c;
	hel_scan_report r;
	char header[1024] = "C1\tI1\tlabel", row[1024] = "\"68fd1e64\"\t 7 \t0";
	for (int i = 2; i <= 13; i++)
		snprintf(header + strlen(header), 8, "\tI%d", i);
	for (int i = 2; i <= 26; i++)
		snprintf(header + strlen(header), 8, "\tC%d", i);
	for (int i = 0; i < 37; i++)
		strcat(row, i == 0 ? "\t-2.0" : i == 1 ? "\t?" : "\t");
	char text[4096];
	snprintf(text, sizeof text, "0\t7\t-2" EMPTY_COUNTS "68fd1e64" EMPTY_CODES "\n");
	assert_ok(hel_file_write(temp_path("plain"), text, strlen(text), 0644));
	assert_ok(scan(&plain, &r, temp_path("plain"), 0, NULL));
	snprintf(text, sizeof text, "\xef\xbb\xbf \n%s\n\r\n%s\r\n", header, row);
	assert_ok(hel_file_write(temp_path("header"), text, strlen(text), 0644));
	assert_ok(scan(&c, &r, temp_path("header"), 0, NULL));
	assert_same(&plain, &c);
	hel_block_clear(&c.all);
	hel_block_clear(&plain.all);
	snprintf(text, sizeof text, "I1\tlabel\tI2\n");
	assert_ok(hel_file_write(temp_path("bad"), text, strlen(text), 0644));
	assert_status(HEL_EDATA, scan(&c, &r, temp_path("bad"), UINT64_MAX, NULL));
	assert_non_null(strstr(hel_error_detail(), "bad:1: column 'I3' is missing"));
	hel_block_clear(&c.all);
}

static void test_refuses(void **state)
{
	(void)state;
	collected c;
	hel_scan_report r;
	assert_status(HEL_EIO, scan(&c, &r, temp_path("absent"), 0, NULL));
	hel_block_clear(&c.all);
	assert_status(HEL_EIO, scan(&c, &r, temp_dir, 0, NULL));
	hel_block_clear(&c.all);
	assert_ok(hel_file_write(temp_path("empty"), "", 0, 0644));
	assert_status(HEL_EDATA, scan(&c, &r, temp_path("empty"), 0, NULL));
	hel_block_clear(&c.all);
	const size_t size = (size_t)9 << 20; /* one endless line */
	char *text = malloc(size);
	memset(text, 'x', size);
	assert_ok(hel_file_write(temp_path("endless"), text, size, 0644));
	assert_status(HEL_EDATA, scan(&c, &r, temp_path("endless"), UINT64_MAX, NULL));
	hel_block_clear(&c.all);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_agrees_with_records),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_malformed_rows),
	    cmocka_unit_test(test_forms_agree),
	    cmocka_unit_test(test_refuses),
	};
	return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
