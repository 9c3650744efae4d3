/* Published files, plain or gz, as a stream: what is not counted as malformed is a row. */
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
		fuzz_expect(isfinite(b->value[i]) && b->value[i] >= 0);
	*(uint64_t *)arg += b->count;
	return HEL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	uint64_t rows = 0;
	hel_scan_report r;
	const char *paths[] = {path};
	if (!*path)
		snprintf(path, sizeof path, "fuzz_scan.%ld.tmp", (long)getpid());
	FILE *f = fopen(path, "wb");
	fuzz_expect(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
	if (hel_scan(&r, NULL, hel_dataset_by_name("criteo"), paths, 1, UINT64_MAX, NULL, NULL,
		     take, &rows) == HEL_OK)
		fuzz_expect(rows == r.rows && rows >= 1);
	fuzz_expect(r.rows >= rows);
	unlink(path);
	return 0;
}
