/* The schema, which a client takes from the manifest. */
#include "features/coding.h"
#include "fuzz.h"
#include <math.h>

#define WIDTH_MAX (1u << 16)

static void expect_words(const hel_schema *s, const uint32_t *word, size_t onehots)
{
	for (size_t t = 0; t < s->table_count; word += hel_table_words(&s->table[t++])) {
		const size_t places = hel_table_places(&s->table[t]);
		double sum = 0;
		for (size_t k = 0; k < places; k++) {
			fuzz_expect(word[k] < onehots || word[k] == HEL_NO_HOT);
			if (s->table[t].bag.limit && word[k] != HEL_NO_HOT)
				sum += fabs((double)hel_word_weight(word[places + k]));
		}
		fuzz_expect(sum <= s->table[t].digits * hel_bag_reach(&s->table[t].bag) * 1.000001);
	}
}

/* One row of missing and one of unknown values. */
static void try_apply(const hel_schema *s)
{
	const size_t width = hel_features_width(s, 2);
	const size_t onehots = hel_schema_onehots(s), hot_count = hel_schema_hots(s);
	hel_records r = {.count = 2, .dense = s->dense_count, .tables = s->table_count};
	if (width > WIDTH_MAX)
		return;
	r.value = hel_alloc(2 * r.dense, sizeof *r.value);
	char unknown_text[] = "not known";
	hel_entry one = {0, 1};
	r.cell = hel_alloc(2 * r.tables, sizeof *r.cell);
	r.entry = &one;
	r.text = unknown_text;
	r.label = hel_alloc(2, 1);
	double *dense = hel_alloc(r.dense, sizeof *dense),
	       *features = hel_alloc(width, sizeof *features);
	uint32_t *hots = hel_alloc(hot_count, sizeof *hots);
	fuzz_expect(r.value && r.cell && r.label && dense && features && hots);
	for (size_t i = 0; i < r.dense; i++) {
		r.value[i] = NAN;
		r.value[r.dense + i] = -1e308;
	}
	for (size_t i = 0; i < r.tables; i++)
		r.cell[r.tables + i] = (hel_span){0, 1};
	for (size_t row = 0; row < 2; row++) {
		size_t unknown = 0;
		fuzz_expect(hel_schema_apply(s, &r, row, HEL_UNKNOWN_IS_MISSING, dense, hots,
					     &unknown) == HEL_OK);
		expect_words(s, hots, onehots);
		for (size_t k = 0; k < r.dense; k++)
			fuzz_expect(fabs(dense[k]) <= s->clip);
		hel_features_fill(features, s, dense, hots, 2);
	}
	hel_free(dense);
	hel_free(features);
	hel_free(hots);
	r.entry = NULL;
	r.text = NULL;
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
