/* Files, plain or gz, as a stream: what is not counted as malformed is a row. Columns that are
 * proposed for them read them. */
#include "features/propose.h"
#include "features/scan.h"
#include "fuzz.h"
#include <math.h>
#include <unistd.h>

static hel_status take(void *arg, const hel_block *b)
{
	fuzz_expect(b->count >= 1 && b->count <= HEL_BLOCK_ROWS);
	for (size_t i = 0; i < b->count; i++)
		fuzz_expect(b->label[i] <= 1);
	for (size_t i = 0; i < b->count * b->dense; i++)
		fuzz_expect(!isinf(b->value[i]));
	*(uint64_t *)arg += b->count;
	return HEL_OK;
}

/* Rows of a data set that may list its values. */
static uint64_t try_scan(const hel_dataset *set, const char *path)
{
	uint64_t rows = 0;
	hel_scan_report r;
	hel_dictionary *d;
	fuzz_expect(hel_dictionary_new(&d, set) == HEL_OK);
	if (hel_scan(&r, d, set, &path, 1, UINT64_MAX, NULL, NULL, take, &rows) == HEL_OK)
		fuzz_expect(rows == r.rows && rows >= 1);
	fuzz_expect(r.rows >= rows);
	hel_dictionary_free(d);
	return rows;
}

static void try_proposal(const char *path, const char *label)
{
	hel_proposal p = {0};
	if (hel_propose(&p, "x", label, &path, 1, NULL) != HEL_OK)
		return;
	fuzz_expect(p.rows >= 1 && hel_dataset_nth(p.set, HEL_LABEL, 0));
	for (size_t i = 0; i < p.set->columns; i++)
		fuzz_expect(p.column[i].missing <= p.column[i].rows && p.column[i].distinct >= 0);
	fuzz_expect(try_scan(p.set, path) <= p.rows + 1); /* a first row may be a header for one */
	hel_proposal_clear(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	if (!*path)
		snprintf(path, sizeof path, "fuzz_scan.%ld.tmp", (long)getpid());
	FILE *f = fopen(path, "wb");
	fuzz_expect(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
	(void)try_scan(hel_dataset_by_name("criteo"), path);
	(void)try_scan(hel_dataset_by_name("movies"), path);
	try_proposal(path, "1");
	try_proposal(path, "rating");
	unlink(path);
	return 0;
}
