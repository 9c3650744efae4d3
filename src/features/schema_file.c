/* A schema as JSON: inside a model's model.json and inside every manifest. */
#include "features.h"
#include <jansson.h>
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Fingerprints, packed and in base64. */
static json_t *prints_to(const hel_table_field *t)
{
	hel_writer w = {0};
	json_t *out = NULL;
	if (t->values)
		hel_write_packed(&w, t->print, t->values, t->print_bits);
	const size_t size = sodium_base64_ENCODED_LEN(w.size, sodium_base64_VARIANT_ORIGINAL);
	char *text = w.status == HEL_OK ? hel_alloc(size, 1) : NULL;
	if (text)
		out = json_string(
		    sodium_bin2base64(text, size, w.bytes, w.size, sodium_base64_VARIANT_ORIGINAL));
	hel_free(text);
	hel_writer_clear(&w);
	return out;
}

static json_t *table_to(const hel_table_field *t)
{
	if (t->hashed)
		return json_pack("{s:s, s:i, s:i, s:i, s:i, s:o}", "name", t->name, "base",
				 (int)t->base, "digits", (int)t->digits, "known", (int)t->values,
				 "print_bits", (int)t->print_bits, "prints", prints_to(t));
	json_t *values = json_array();
	int bad = 0;
	for (uint32_t v = 0; v < t->values; v++)
		bad |= json_array_append_new(values, json_string(t->value[v]));
	if (bad) {
		json_decref(values);
		return NULL;
	}
	return json_pack("{s:s, s:i, s:i, s:o}", "name", t->name, "base", (int)t->base, "digits",
			 (int)t->digits, "values", values);
}

/* How the table's entries travel, where they are not one-hot. */
static void coding_to(json_t *object, const hel_table_field *t)
{
	if (object && t->coding != HEL_BY_ONE_HOT)
		json_object_set_new(object, "coding",
				    json_pack("{s:s, s:i}", "kind", hel_coding_name(t->coding),
					      "size", (int)t->coding_size));
}

hel_status hel_schema_to_json(char **out, const hel_schema *s)
{
	hel_status st = HEL_OK;
	json_t *dense = json_array(), *tables = json_array();
	int bad = 0; /* jansson refuses what is not finite or not UTF-8 */
	for (size_t i = 0; i < s->dense_count; i++)
		bad |= json_array_append_new(
		    dense, json_pack("{s:s, s:f, s:f}", "name", s->dense[i].name, "mean",
				     s->dense[i].mean, "deviation", s->dense[i].deviation));
	bool memory = true;
	for (size_t i = 0; i < s->table_count; i++) {
		json_t *table = table_to(&s->table[i]);
		coding_to(table, &s->table[i]);
		memory &= table || !s->table[i].hashed; /* fingerprints have no other reason */
		bad |= json_array_append_new(tables, table);
	}
	json_t *root = json_pack("{s:s, s:f, s:o, s:o}", "dataset", s->dataset, "clip", s->clip,
				 "dense", dense, "tables", tables);
	if (root && s->table_count && s->table[0].hashed) {
		char salt[2 * HEL_SALT_BYTES + 1];
		sodium_bin2hex(salt, sizeof salt, s->salt, sizeof s->salt);
		json_object_set_new(root, "salt", json_string(salt));
	}
	char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
	if (!memory)
		FAIL(HEL_ENOMEM, "out of memory for fingerprints");
	if (bad)
		FAIL(HEL_EDATA, "the records hold a text that is not UTF-8, or values too large");
	TRY_ALLOC(*out, text ? hel_strdup(text) : NULL);
done:
	free(text);
	json_decref(root);
	return st;
}

static hel_status read_name(char out[HEL_NAME_MAX], const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	if (!text || !*text || strlen(text) >= HEL_NAME_MAX)
		return hel_fail(HEL_EFORMAT, "schema: '%s' must be a text of 1 to %d bytes", key,
				HEL_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return HEL_OK;
}

static hel_status read_number(double *out, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	*out = json_number_value(value);
	return json_is_number(value) && isfinite(*out)
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "schema: '%s' must be a number", key);
}

static hel_status read_values(hel_table_field *t, const json_t *values)
{
	hel_status st = HEL_OK;
	if (!json_is_array(values) || json_array_size(values) >= HEL_MAX_VOCABULARY)
		FAIL(HEL_EFORMAT, "schema: 'values' of %s must be an array", t->name);
	const uint32_t count = (uint32_t)json_array_size(values);
	TRY_ALLOC(t->value, hel_alloc(HEL_MAX(count, 1), sizeof *t->value));
	for (; t->values < count; t->values++) {
		const char *text = json_string_value(json_array_get(values, t->values));
		if (!text || !*text || strlen(text) >= HEL_VALUE_MAX)
			FAIL(HEL_EFORMAT, "schema: values of %s must be texts of 1 to %d bytes",
			     t->name, HEL_VALUE_MAX - 1);
		memcpy(t->value[t->values], text, strlen(text) + 1);
		if (t->values && strcmp(t->value[t->values - 1], text) >= 0)
			FAIL(HEL_EFORMAT, "schema: values of %s are not sorted", t->name);
	}
done:
	return st;
}

static hel_status read_prints(hel_table_field *t, const json_t *object)
{
	hel_status st = HEL_OK;
	double known, bits;
	uint8_t *packed = NULL;
	size_t size;
	const char *text = json_string_value(json_object_get(object, "prints"));
	TRY(read_number(&known, object, "known"));
	TRY(read_number(&bits, object, "print_bits"));
	if (known != floor(known) || known < 0 || known >= HEL_MAX_VOCABULARY ||
	    bits != floor(bits) || bits < (known > 0) || bits > 32)
		FAIL(HEL_EFORMAT, "schema: the fingerprints of %s are out of range", t->name);
	t->hashed = true;
	t->print_bits = (uint8_t)bits;
	const size_t count = (size_t)known, expected = (count * t->print_bits + 7) / 8;
	TRY_ALLOC(t->print, hel_alloc(HEL_MAX(count, 1), sizeof *t->print));
	TRY_ALLOC(packed, hel_alloc(expected + 1, 1));
	if (!text ||
	    sodium_base642bin(packed, expected + 1, text, strlen(text), NULL, &size, NULL,
			      sodium_base64_VARIANT_ORIGINAL) ||
	    size != expected)
		FAIL(HEL_EFORMAT, "schema: 'prints' of %s must be %zu bytes in base64", t->name,
		     expected);
	hel_reader r = hel_reader_of(packed, size);
	if (count)
		hel_read_packed(&r, t->print, count, t->print_bits);
	TRY(hel_reader_finish(&r));
	for (; t->values < count; t->values++)
		if (t->values && t->print[t->values - 1] >= t->print[t->values])
			FAIL(HEL_EFORMAT, "schema: fingerprints of %s are not sorted", t->name);
done:
	hel_free(packed);
	return st;
}

static hel_status read_coding(hel_table_field *t, const json_t *object)
{
	hel_status st = HEL_OK;
	double size;
	const json_t *coding = json_object_get(object, "coding");
	const char *kind = json_string_value(json_object_get(coding, "kind"));
	if (!coding)
		return HEL_OK;
	TRY(read_number(&size, coding, "size"));
	t->coding = kind ? hel_coding_by_name(kind) : HEL_CODINGS;
	if (t->coding == HEL_CODINGS || size != floor(size) || size < 0 ||
	    size > HEL_MAX_VOCABULARY || !hel_table_can_be(t, t->coding, (uint32_t)size))
		FAIL(HEL_EFORMAT, "schema: table %s has no such coding", t->name);
	t->coding_size = (uint32_t)size;
done:
	return st;
}

static hel_status read_table(hel_table_field *t, const json_t *object)
{
	hel_status st = HEL_OK;
	double base, digits;
	TRY(read_name(t->name, object, "name"));
	TRY(read_number(&base, object, "base"));
	TRY(read_number(&digits, object, "digits"));
	const bool hashed = json_object_get(object, "prints") != NULL;
	TRY(hashed ? read_prints(t, object) : read_values(t, json_object_get(object, "values")));
	bool ok = base == floor(base) && base >= 0 && base <= 1 << 20;
	if (ok && hashed) /* one group of any size is plain hashing */
		ok = base > 0 ? digits == floor(digits) && digits >= 1 && digits <= HEL_MAX_DIGITS
			      : digits == 1;
	else if (ok)
		ok = base != 1 &&
		     digits == (base > 0 ? hel_digits_for(t->values + 1, (uint32_t)base) : 1);
	if (!ok)
		FAIL(HEL_EFORMAT, "schema: digits of %s do not fit its %u values", t->name,
		     t->values);
	t->base = (uint32_t)base;
	t->digits = (uint32_t)digits;
	TRY(read_coding(t, object));
done:
	return st;
}

/* Hashed tables are the data set's choice, all or none. */
static hel_status read_salt(hel_schema *s, const json_t *root)
{
	const char *text = json_string_value(json_object_get(root, "salt"));
	size_t size = 0;
	bool hashed = s->table_count && s->table[0].hashed;
	for (size_t i = 0; i < s->table_count; i++)
		if (s->table[i].hashed != hashed)
			return hel_fail(HEL_EFORMAT, "schema: some tables are hashed, some not");
	if (hashed &&
	    (!text || strlen(text) != 2 * HEL_SALT_BYTES ||
	     sodium_hex2bin(s->salt, sizeof s->salt, text, strlen(text), NULL, &size, NULL) ||
	     size != HEL_SALT_BYTES))
		return hel_fail(HEL_EFORMAT, "schema: 'salt' must be %d bytes in hexadecimal",
				HEL_SALT_BYTES);
	return HEL_OK;
}

hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	json_error_t error;
	json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		FAIL(HEL_EFORMAT, "schema, line %d: %s", error.line, error.text);
	const json_t *dense = json_object_get(root, "dense"),
		     *tables = json_object_get(root, "tables");
	if (!json_is_array(dense) || !json_is_array(tables) ||
	    json_array_size(dense) > HEL_MAX_DENSE || json_array_size(tables) > HEL_MAX_TABLES ||
	    json_array_size(dense) + json_array_size(tables) == 0)
		FAIL(HEL_EFORMAT,
		     "schema: 'dense' and 'tables' must be arrays of at most %d and %d",
		     HEL_MAX_DENSE, HEL_MAX_TABLES);
	TRY(hel_schema_new(&s, json_array_size(dense), json_array_size(tables)));
	TRY(read_name(s->dataset, root, "dataset"));
	TRY(read_number(&s->clip, root, "clip"));
	if (!(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT, "schema: clip is %g, expected above 0 and up to 1000", s->clip);
	for (size_t i = 0; i < s->dense_count; i++) {
		const json_t *object = json_array_get(dense, i);
		TRY(read_name(s->dense[i].name, object, "name"));
		TRY(read_number(&s->dense[i].mean, object, "mean"));
		TRY(read_number(&s->dense[i].deviation, object, "deviation"));
		if (!(s->dense[i].deviation > 0))
			FAIL(HEL_EFORMAT, "schema: deviation of %s must be positive",
			     s->dense[i].name);
	}
	for (size_t i = 0; i < s->table_count; i++)
		TRY(read_table(&s->table[i], json_array_get(tables, i)));
	TRY(read_salt(s, root));
	*out = s;
	s = NULL;
done:
	json_decref(root);
	hel_schema_free(s);
	return st;
}
