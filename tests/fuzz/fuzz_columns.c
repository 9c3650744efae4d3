/* A description of columns. What is accepted is written as the same description, has bounded
 * columns, and takes any text as records that a schema of it can apply. */
#include "features/coding.h"
#include "features/schema.h"
#include "fuzz.h"
#include <math.h>

#define WORDS_MAX 100000 /* of a record; more only takes longer */

static void expect_bounds(const hel_dataset *set)
{
	size_t dense = 0, tables = 0, words = 0;
	fuzz_expect(*set->name && set->columns && set->columns <= HEL_MAX_COLUMNS);
	for (size_t i = 0; i < set->columns; i++) {
		const hel_column *c = &set->column[i];
		fuzz_expect(*c->name && hel_dataset_column(set, c->name) == c);
		fuzz_expect(hel_dataset_nth(set, c->kind, c->nth) == c);
		fuzz_expect(!c->log || c->least + c->plus > 0);
		fuzz_expect(c->bag.limit <= HEL_MAX_BAG && isfinite(hel_bag_reach(&c->bag)));
		fuzz_expect(c->kind != HEL_CATEGORICAL || c->values != HEL_MODULO || c->modulo);
		dense += c->kind == HEL_DENSE;
		tables += c->kind == HEL_CATEGORICAL;
		if (c->kind == HEL_CATEGORICAL) {
			fuzz_expect(c->word == words);
			words += (size_t)HEL_MAX(c->bag.limit, 1u) << c->bag.weighted;
		}
	}
	fuzz_expect(dense == set->dense && tables == set->tables && words == set->words);
	fuzz_expect(dense <= HEL_MAX_DENSE && tables <= HEL_MAX_TABLES && dense + tables > 0);
}

/* Whatever the description says, a text is records; its schema takes them and can be stored. */
static void try_records(const hel_dataset *set)
{
	static const char *const texts[] = {"1,a|b|b:2,3,x\n-1,,?,\n",
					    "{\"a\": [1, \"b\"], \"b\": 2}", "a,b,c\n1,2,3\n"};
	hel_schema *s, *t;
	char *text;
	fuzz_expect(hel_schema_of(&s, set) == HEL_OK);
	s->clip = 3;
	for (size_t i = 0; i < s->dense_count; i++)
		s->dense[i].deviation = 1;
	fuzz_expect(hel_schema_fits(s, set) == HEL_OK);
	fuzz_expect(hel_schema_to_json(&text, s) == HEL_OK);
	fuzz_expect(hel_schema_from_json(&t, text, strlen(text)) == HEL_OK);
	const size_t words = hel_schema_hots(t), entries = hel_schema_onehots(t);
	fuzz_expect(words == hel_schema_hots(s) && entries == hel_schema_onehots(s));
	double *dense = malloc((t->dense_count + 1) * sizeof *dense);
	uint32_t *word = malloc((words + 1) * sizeof *word);
	for (size_t i = 0; words <= WORDS_MAX && i < HEL_ARRAY_LEN(texts); i++) {
		hel_records r;
		size_t unknown = 0;
		fuzz_expect(hel_records_take(&r, set, "x", texts[i], strlen(texts[i]), 4) ==
			    HEL_OK);
		fuzz_expect(r.count >= 4);
		for (size_t row = 0; row < r.count; row++)
			fuzz_expect(hel_schema_apply(t, &r, row, HEL_UNKNOWN_IS_MISSING, dense,
						     word, &unknown) == HEL_OK);
		for (size_t k = 0; k < t->dense_count; k++)
			fuzz_expect(fabs(dense[k]) <= t->clip);
		hel_records_clear(&r);
	}
	free(dense);
	free(word);
	hel_free(text);
	hel_schema_free(s);
	hel_schema_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *text = fuzz_copy(data, size);
	hel_dataset *set = NULL, *again = NULL;
	char *first = NULL, *second = NULL;
	if (hel_dataset_from_json(&set, (const char *)text, size) == HEL_OK) {
		expect_bounds(set);
		fuzz_expect(hel_dataset_to_json(&first, set) == HEL_OK);
		fuzz_expect(hel_dataset_from_json(&again, first, strlen(first)) == HEL_OK);
		fuzz_expect(hel_dataset_to_json(&second, again) == HEL_OK);
		fuzz_expect(strcmp(first, second) == 0);
		try_records(set);
	}
	hel_free(first);
	hel_free(second);
	hel_dataset_drop(set);
	hel_dataset_drop(again);
	free(text);
	return 0;
}
