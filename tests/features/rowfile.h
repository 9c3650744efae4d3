/* rowfile.h -- synthetic Criteo files for tests. */
#ifndef HEL_TEST_ROWFILE_H
#define HEL_TEST_ROWFILE_H

#include "../testing.h"
#include "../testing_dir.h"
#include "features/cache.h"

/* A path inside the test's directory; overwritten by the fourth call after it. */
static inline const char *temp_path(const char *name)
{
	static char path[4][128];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof path[0], "%s/%s", temp_dir, name);
	return p;
}

static inline char *criteo_text(size_t rows, uint64_t stream, size_t *size)
{
	char *text = NULL;
	hel_prng g;
	test_prng(&g, stream);
	FILE *f = open_memstream(&text, size);
	hel_dataset_by_name("criteo")->synthesise(f, rows, &g);
	fclose(f);
	return text;
}

static inline void make_criteo(const char *path, size_t rows, uint64_t stream)
{
	size_t size;
	char *text = criteo_text(rows, stream, &size);
	assert_ok(hel_file_write(path, text, size, 0644));
	free(text);
}

static inline hel_cache *open_criteo(const char *data, const char *path, bool *made)
{
	hel_cache *c = NULL;
	hel_scan_report report;
	assert_ok(hel_cache_open(&c, &report, made, path, hel_dataset_by_name("criteo"), &data, 1,
				 0, NULL));
	return c;
}

#endif
