/* The schema, which a client takes from the manifest. */
#include "features/coding.h"
#include "fuzz.h"
#include <math.h>

#define WIDTH_MAX (1u << 16)

/* One row of missing and one of unknown values. */
static void try_apply(const hel_schema *s)
{
	const size_t width = hel_features_width(s, 2);
	const size_t onehots = hel_schema_onehots(s), hot_count = hel_schema_hots(s);
	hel_records r = {.count = 2, .dense = s->dense_count, .tables = s->table_count};
	if (width > WIDTH_MAX)
		return;
	r.value = hel_alloc(2 * r.dense, sizeof *r.value);
	r.category = hel_alloc(2 * r.tables, sizeof *r.category);
	r.label = hel_alloc(2, 1);
	double *dense = hel_alloc(r.dense, sizeof *dense),
	       *features = hel_alloc(width, sizeof *features);
	uint32_t *hots = hel_alloc(hot_count, sizeof *hots);
	fuzz_expect(r.value && r.category && r.label && dense && features && hots);
	for (size_t i = 0; i < r.dense; i++) {
		r.value[i] = NAN;
		r.value[r.dense + i] = -1e308;
	}
	for (size_t i = 0; i < r.tables; i++)
		memcpy(r.category[r.tables + i], "not known", 10);
	for (size_t row = 0; row < 2; row++) {
		size_t unknown = 0;
		fuzz_expect(hel_schema_apply(s, &r, row, HEL_UNKNOWN_IS_MISSING, dense, hots,
					     &unknown) == HEL_OK);
		for (size_t k = 0; k < hot_count; k++)
			fuzz_expect(hots[k] < onehots || hots[k] == HEL_NO_HOT);
		for (size_t k = 0; k < r.dense; k++)
			fuzz_expect(fabs(dense[k]) <= s->clip);
		hel_features_fill(features, s, dense, hots, 2);
	}
	hel_free(dense);
	hel_free(features);
	hel_free(hots);
	hel_records_clear(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_schema *s = NULL, *again = NULL;
	char *first = NULL, *second = NULL;
	uint8_t *text = fuzz_copy(data, size);
	if (hel_schema_from_json(&s, (const char *)text, size) == HEL_OK) {
		/* what was read can be written, and reads the same */
		fuzz_expect(hel_schema_to_json(&first, s) == HEL_OK);
		fuzz_expect(hel_schema_from_json(&again, first, strlen(first)) == HEL_OK);
		fuzz_expect(hel_schema_to_json(&second, again) == HEL_OK);
		fuzz_expect(strcmp(first, second) == 0);
		try_apply(s);
	}
	hel_free(first);
	hel_free(second);
	hel_schema_free(s);
	hel_schema_free(again);
	free(text);
	return 0;
}
