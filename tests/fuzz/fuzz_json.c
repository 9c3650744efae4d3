/* JSON. Input: a text. jansson, another reader, reads the same from it. */
#include "base/json.h"
#include "fuzz.h"
#include <jansson.h>

static bool same(const hel_json_value *v, const json_t *j)
{
	const hel_json_kind kind = json_is_object(j)   ? HEL_JSON_OBJECT
				   : json_is_array(j)  ? HEL_JSON_ARRAY
				   : json_is_string(j) ? HEL_JSON_TEXT
				   : json_is_number(j) ? HEL_JSON_NUMBER
				   : json_is_true(j)   ? HEL_JSON_TRUE
				   : json_is_false(j)  ? HEL_JSON_FALSE
						       : HEL_JSON_NULL;
	size_t i = 0;
	if (v->kind != kind)
		return false;
	if (kind == HEL_JSON_TEXT)
		return strcmp(v->text, json_string_value(j)) == 0;
	if (kind == HEL_JSON_NUMBER)
		return v->number == json_number_value(j);
	for (const hel_json_value *e = v->first; e; e = e->next, i++)
		if (!same(e, kind == HEL_JSON_OBJECT ? json_object_get(j, e->name)
						     : json_array_get(j, i)))
			return false;
	return i == v->count && i == json_object_size(j) + json_array_size(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_json *json = NULL;
	json_error_t error;
	json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &error);
	const hel_status st = hel_json_read(&json, data, size);
	/* integers beyond 64 bits are numbers here; too deep, and zeros between values (which
	 * jansson does not see): refused here only */
	if (st == HEL_OK)
		fuzz_expect(other ? same(hel_json_root(json), other)
				  : json_error_code(&error) == json_error_numeric_overflow);
	else
		fuzz_expect(!other || strstr(hel_error_detail(), "too deep") ||
			    memchr(data, 0, size));
	hel_json_free(json);
	json_decref(other);
	return 0;
}
