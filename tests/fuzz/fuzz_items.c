/* Items as their owner has them: CSV with a header, or JSON objects. */
#include "fuzz.h"
#include "owner/item_list.h"

static const char columns[] =
    "{\"dataset\": \"heart\", \"clip\": 3, \"dense\": [{\"name\": \"age\", \"mean\": 50, "
    "\"deviation\": 8}], \"tables\": [{\"name\": \"sex\", \"base\": 0, \"digits\": 1, \"values\": "
    "[\"0\", \"1\"]}]}";

static void expect_clean(const hel_item_list *l, const hel_schema *s)
{
	const hel_samples *x = &l->samples;
	fuzz_expect(x->count);
	for (size_t i = 0; i < x->count; i++)
		fuzz_expect(*l->id[i]);
	for (size_t i = 0; i < x->count * x->hots; i++)
		fuzz_expect(x->hot[i] < hel_schema_onehots(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static hel_schema *schema;
	static const char *const ids[] = {NULL, "age", "name"};
	if (!schema)
		fuzz_expect(hel_schema_from_json(&schema, columns, strlen(columns)) == HEL_OK);
	uint8_t *text = fuzz_copy(data, size);
	for (size_t i = 0; i < HEL_ARRAY_LEN(ids); i++) {
		const hel_item_text from = {"input", (const char *)text, size, ids[i]};
		hel_item_list list;
		if (hel_item_list_read(&list, &from, schema) != HEL_OK) {
			fuzz_expect(*hel_error_detail());
			continue;
		}
		expect_clean(&list, schema);
		hel_item_list_clear(&list);
	}
	free(text);
	return 0;
}
