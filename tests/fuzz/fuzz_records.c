/* Records in CSV and JSON, and the schema learned from what they hold. */
#include "features/schema.h"
#include "fuzz.h"
#include <math.h>

static void expect_clean(const hel_records *r)
{
	for (size_t i = 0; i < r->count; i++)
		fuzz_expect(r->label[i] <= 1);
	for (size_t i = 0; i < r->count * r->dense; i++)
		fuzz_expect(!isinf(r->value[i]));
	for (size_t i = 0; i < r->count * r->tables; i++)
		for (size_t k = r->cell[i].first; k < r->cell[i].first + r->cell[i].count; k++)
			fuzz_expect(k < r->entries &&
				    strlen(hel_records_text(r, k)) < HEL_VALUE_MAX);
}

/* What was learned can be stored, and fits the rows it was learned from. */
static void try_schema(const hel_records *r, uint32_t base)
{
	hel_schema *s = NULL, *stored = NULL;
	char *text = NULL;
	hel_status fit =
	    hel_schema_fit(&s, hel_dataset_by_name("heart"), r, NULL, r->count, 3, base);
	fuzz_expect(fit == HEL_OK ||
		    fit == HEL_EDATA); /* finite values may have no finite variance */
	if (fit != HEL_OK)
		return;
	double *dense = hel_alloc(r->dense, sizeof *dense);
	uint32_t *hots = hel_alloc(hel_schema_hots(s), sizeof *hots);
	fuzz_expect(dense && hots);
	/* refused when a value or text cannot be stored; never stored as something else */
	if (hel_schema_to_json(&text, s) == HEL_OK) {
		fuzz_expect(hel_schema_from_json(&stored, text, strlen(text)) == HEL_OK);
		fuzz_expect(hel_schema_onehots(stored) == hel_schema_onehots(s));
		for (size_t i = 0; i < r->count; i++) {
			fuzz_expect(hel_schema_apply(stored, r, i, HEL_UNKNOWN_IS_ERROR, dense,
						     hots, NULL) == HEL_OK);
			for (size_t k = 0; k < hel_schema_hots(s); k++)
				fuzz_expect(hots[k] < hel_schema_onehots(s));
			for (size_t k = 0; k < r->dense; k++)
				fuzz_expect(fabs(dense[k]) <= stored->clip);
		}
	}
	hel_free(dense);
	hel_free(hots);
	hel_free(text);
	hel_schema_free(stored);
	hel_schema_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_records r;
	uint8_t *text = fuzz_copy(data, size);
	if (hel_records_parse(&r, hel_dataset_by_name("heart"), "input", (const char *)text,
			      size) == HEL_OK) {
		expect_clean(&r);
		try_schema(&r, 0);
		try_schema(&r, 2);
		hel_records_clear(&r);
	}
	if (hel_records_parse(&r, hel_dataset_by_name("criteo"), "input", (const char *)text,
			      size) == HEL_OK) {
		expect_clean(&r);
		hel_records_clear(&r);
	}
	free(text);
	return 0;
}
