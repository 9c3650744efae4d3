/* A table out of foreign bytes: a row a line, or NumPy's format. What is taken over is finite. */
#include "fuzz.h"
#include "lookup/lookup.h"
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	float *value = NULL;
	size_t rows = 0, dim = 0;
	hel_npy npy;
	uint8_t *copy = fuzz_copy(data, size);
	hel_status st = hel_npy_open(&npy, copy, size);
	if (st == HEL_OK) {
		rows = npy.rows;
		dim = npy.dim;
		st = hel_npy_read(&value, &npy);
	} else
		st = hel_table_from_text(&value, &rows, &dim, (const char *)copy, size);
	if (st == HEL_OK) {
		fuzz_expect(rows && dim && value);
		for (size_t i = 0; i < rows * dim; i++)
			fuzz_expect(isfinite(value[i]));
		hel_free(value);
	} else
		fuzz_expect(!value);
	free(copy);
	return 0;
}
