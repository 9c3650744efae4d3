/* A schema as JSON: inside a model's model.json and inside every manifest. */
#include "base/json.h"
#include "coding.h"
#include "hash.h"
#include "schema.h"
#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Fingerprints, packed and in base64. */
static hel_status put_prints(hel_json_writer *j, const char *key, const uint32_t *print,
			     uint32_t count, unsigned bits)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	char *text = NULL;
	if (count)
		hel_write_packed(&w, print, count, bits);
	TRY(w.status);
	const size_t size = sodium_base64_ENCODED_LEN(w.size, sodium_base64_VARIANT_ORIGINAL);
	TRY_ALLOC(text, hel_alloc(size, 1));
	sodium_bin2base64(text, size, w.bytes, w.size, sodium_base64_VARIANT_ORIGINAL);
	hel_json_put_text(j, key, text);
done:
	hel_free(text);
	hel_writer_clear(&w);
	return st;
}

/* Bucket by bucket, each sorted: how many, then all fingerprints. */
static hel_status put_rates(hel_json_writer *j, const hel_table_field *t)
{
	hel_status st = HEL_OK;
	uint32_t *print = NULL, count = 0;
	TRY_ALLOC(print, hel_alloc(HEL_MAX(t->rated, 1u), sizeof *print));
	hel_json_open(j, "buckets", '[');
	for (uint32_t b = 0; b < t->buckets; b++) {
		const uint32_t before = count;
		for (uint32_t i = 0; i < t->rated; i++)
			if (t->bucket[i] == b)
				print[count++] = t->rated_print[i];
		hel_json_put_integer(j, NULL, count - before);
	}
	hel_json_close(j, ']');
	hel_json_put_integer(j, "rate_bits", t->rate_bits);
	TRY(put_prints(j, "rated", print, count, t->rate_bits));
done:
	hel_free(print);
	return st;
}

static hel_status put_table(hel_json_writer *j, const hel_table_field *t)
{
	hel_status st = HEL_OK;
	hel_json_open(j, NULL, '{');
	hel_json_put_text(j, "name", t->name);
	hel_json_put_integer(j, "base", t->base);
	hel_json_put_integer(j, "digits", t->digits);
	if (t->moved)
		hel_json_put_integer(j, "moved", t->moved);
	if (t->modulo)
		hel_json_put_bool(j, "modulo", true);
	else if (t->hashed) {
		hel_json_put_integer(j, "known", t->values);
		hel_json_put_integer(j, "print_bits", t->print_bits);
		TRY(put_prints(j, "prints", t->print, t->values, t->print_bits));
		if (t->buckets)
			TRY(put_rates(j, t));
	} else {
		hel_json_open(j, "values", '[');
		for (uint32_t v = 0; v < t->values; v++)
			hel_json_put_text(j, NULL, t->value[v]);
		hel_json_close(j, ']');
	}
	if (t->coding != HEL_CODING_ONE_HOT) { /* how the entries travel */
		hel_json_open(j, "coding", '{');
		hel_json_put_text(j, "kind", hel_coding_name(t->coding));
		hel_json_put_integer(j, "size", t->coding_size);
		hel_json_close(j, '}');
	}
	hel_json_close(j, '}');
done:
	return st;
}

static bool needs_salt(const hel_schema *s)
{
	for (size_t i = 0; i < s->table_count; i++)
		if (s->table[i].hashed && !s->table[i].modulo)
			return true;
	return false;
}

hel_status hel_schema_to_json(char **out, const hel_schema *s)
{
	hel_status st = HEL_OK;
	hel_json_writer j = {.indent = true};
	hel_json_open(&j, NULL, '{');
	hel_json_put_text(&j, "dataset", s->dataset);
	if (s->set && !s->set->implied)
		hel_dataset_put(&j, "columns", s->set);
	hel_json_put_number(&j, "clip", s->clip);
	hel_json_open(&j, "dense", '[');
	for (size_t i = 0; i < s->dense_count; i++) {
		hel_json_open(&j, NULL, '{');
		hel_json_put_text(&j, "name", s->dense[i].name);
		hel_json_put_number(&j, "mean", s->dense[i].mean);
		hel_json_put_number(&j, "deviation", s->dense[i].deviation);
		if (isfinite(s->dense[i].low) || isfinite(s->dense[i].high)) {
			hel_json_put_number(&j, "low", s->dense[i].low);
			hel_json_put_number(&j, "high", s->dense[i].high);
		}
		if (isfinite(s->dense[i].least) && isfinite(s->dense[i].most)) {
			hel_json_put_number(&j, "least", s->dense[i].least);
			hel_json_put_number(&j, "most", s->dense[i].most);
		}
		hel_json_close(&j, '}');
	}
	hel_json_close(&j, ']');
	hel_json_open(&j, "tables", '[');
	for (size_t i = 0; i < s->table_count; i++)
		TRY(put_table(&j, &s->table[i]));
	hel_json_close(&j, ']');
	if (needs_salt(s)) {
		char salt[2 * HEL_SALT_BYTES + 1];
		sodium_bin2hex(salt, sizeof salt, s->salt, sizeof s->salt);
		hel_json_put_text(&j, "salt", salt);
	}
	hel_json_close(&j, '}');
	TRY(hel_json_take(out, NULL, &j));
done:
	hel_writer_clear(&j.w);
	return st;
}

static hel_status read_name(char out[HEL_NAME_MAX], const hel_json_value *object, const char *key)
{
	const char *text = hel_json_text(object, key);
	if (!text || !*text || strlen(text) >= HEL_NAME_MAX)
		return hel_fail(HEL_EFORMAT, "schema: '%s' must be a text of 1 to %d bytes", key,
				HEL_NAME_MAX - 1);
	memcpy(out, text, strlen(text) + 1);
	return HEL_OK;
}

static hel_status read_number(double *out, const hel_json_value *object, const char *key)
{
	const hel_json_value *value = hel_json_member(object, key);
	*out = value ? value->number : 0;
	return value && value->kind == HEL_JSON_NUMBER
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "schema: '%s' must be a number", key);
}

static hel_status read_values(hel_table_field *t, const hel_json_value *values)
{
	hel_status st = HEL_OK;
	const char **text = NULL;
	size_t count = 0;
	if (!values || values->kind != HEL_JSON_ARRAY || values->count >= HEL_MAX_VOCABULARY)
		FAIL(HEL_EFORMAT, "schema: 'values' of %s must be an array", t->name);
	TRY_ALLOC(text, hel_alloc(HEL_MAX(values->count, 1), sizeof *text));
	for (const hel_json_value *v = values->first; v; v = v->next) {
		if (!v->text || !*v->text || strlen(v->text) >= HEL_VALUE_MAX)
			FAIL(HEL_EFORMAT, "schema: values of %s must be texts of 1 to %d bytes",
			     t->name, HEL_VALUE_MAX - 1);
		if (count && strcmp(text[count - 1], v->text) >= 0)
			FAIL(HEL_EFORMAT, "schema: values of %s are not sorted", t->name);
		text[count++] = v->text;
	}
	TRY(hel_table_list(t, text, count));
done:
	hel_free(text);
	return st;
}

/* `count` fingerprints of `bits`, packed and in base64. */
static hel_status unpack_prints(uint32_t *print, size_t count, unsigned bits, const char *text,
				const char *key, const char *table)
{
	hel_status st = HEL_OK;
	uint8_t *packed = NULL;
	size_t size;
	const size_t expected = (count * bits + 7) / 8;
	TRY_ALLOC(packed, hel_alloc(expected + 1, 1));
	if (!text ||
	    sodium_base642bin(packed, expected + 1, text, strlen(text), NULL, &size, NULL,
			      sodium_base64_VARIANT_ORIGINAL) ||
	    size != expected)
		FAIL(HEL_EFORMAT, "schema: '%s' of %s must be %zu bytes in base64", key, table,
		     expected);
	hel_reader r = hel_reader_of(packed, size);
	if (count)
		hel_read_packed(&r, print, count, bits);
	TRY(hel_reader_finish(&r));
done:
	hel_free(packed);
	return st;
}

static hel_status read_rates(hel_table_field *t, const hel_json_value *object)
{
	hel_status st = HEL_OK;
	const hel_json_value *buckets = hel_json_member(object, "buckets");
	uint32_t in_bucket[HEL_MAX_BUCKETS], b = 0, twice;
	double bits, all = 0;
	if (!buckets)
		goto done;
	if (buckets->kind != HEL_JSON_ARRAY || !buckets->count || buckets->count > HEL_MAX_BUCKETS)
		FAIL(HEL_EFORMAT, "schema: 'buckets' of %s must be 1 to %d numbers of values",
		     t->name, HEL_MAX_BUCKETS);
	for (const hel_json_value *v = buckets->first; v; v = v->next) {
		if (v->kind != HEL_JSON_NUMBER || v->number != floor(v->number) || v->number < 0 ||
		    v->number >= HEL_MAX_VOCABULARY)
			FAIL(HEL_EFORMAT, "schema: 'buckets' of %s are out of range", t->name);
		in_bucket[b++] = (uint32_t)v->number;
		all += v->number;
	}
	TRY(read_number(&bits, object, "rate_bits"));
	if (all < 1 || all >= HEL_MAX_VOCABULARY || bits != floor(bits) || bits < 1 || bits > 32)
		FAIL(HEL_EFORMAT, "schema: the rated values of %s are out of range", t->name);
	t->buckets = b;
	t->rated = (uint32_t)all;
	t->rate_bits = (uint8_t)bits;
	TRY_ALLOC(t->rated_print, hel_alloc(t->rated, sizeof *t->rated_print));
	TRY_ALLOC(t->bucket, hel_alloc(t->rated, 1));
	TRY(unpack_prints(t->rated_print, t->rated, t->rate_bits, hel_json_text(object, "rated"),
			  "rated", t->name));
	for (uint32_t i = 0, at = 0; at < b; at++)
		for (uint32_t k = 0; k < in_bucket[at]; k++)
			t->bucket[i++] = (uint8_t)at;
	TRY(hel_table_sort_rated(t, &twice));
	if (twice) /* no value is in two buckets, nor twice in one */
		FAIL(HEL_EFORMAT, "schema: a value of %s is in two buckets", t->name);
done:
	return st;
}

static hel_status read_prints(hel_table_field *t, const hel_json_value *object)
{
	hel_status st = HEL_OK;
	double known, bits;
	TRY(read_number(&known, object, "known"));
	TRY(read_number(&bits, object, "print_bits"));
	if (known != floor(known) || known < 0 || known >= HEL_MAX_VOCABULARY ||
	    bits != floor(bits) || bits < (known > 0) || bits > 32)
		FAIL(HEL_EFORMAT, "schema: the fingerprints of %s are out of range", t->name);
	t->hashed = true;
	t->print_bits = (uint8_t)bits;
	const size_t count = (size_t)known;
	TRY_ALLOC(t->print, hel_alloc(HEL_MAX(count, 1), sizeof *t->print));
	TRY(unpack_prints(t->print, count, t->print_bits, hel_json_text(object, "prints"), "prints",
			  t->name));
	for (; t->values < count; t->values++)
		if (t->values && t->print[t->values - 1] >= t->print[t->values])
			FAIL(HEL_EFORMAT, "schema: fingerprints of %s are not sorted", t->name);
	TRY(read_rates(t, object));
done:
	return st;
}

static hel_status read_coding(hel_table_field *t, const hel_json_value *object)
{
	hel_status st = HEL_OK;
	double size;
	const hel_json_value *coding = hel_json_member(object, "coding");
	const char *kind = hel_json_text(coding, "kind");
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

/* The data set: carried along, or known by its name. Its columns say which tables are bags, and
 * come first. */
static hel_status read_columns(hel_schema *s, const hel_json_value *root)
{
	hel_status st = HEL_OK;
	hel_dataset *set = NULL;
	const hel_json_value *columns = hel_json_member(root, "columns");
	if (!columns) {
		s->set = hel_dataset_by_name(s->dataset);
		goto done;
	}
	TRY(hel_dataset_from_value(&set, columns));
	s->set = set;
	if (strcmp(s->dataset, set->name) != 0)
		FAIL(HEL_EFORMAT, "schema: 'dataset' is '%s', its columns are of '%s'", s->dataset,
		     set->name);
done:
	return st;
}

static void link_table(hel_table_field *t, const hel_dataset *set)
{
	const hel_column *c = set ? hel_dataset_column(set, t->name) : NULL;
	if (c && c->kind == HEL_CATEGORICAL)
		t->bag = c->bag;
}

static hel_status read_table(hel_table_field *t, const hel_json_value *object,
			     const hel_dataset *set)
{
	hel_status st = HEL_OK;
	double base, digits, moved;
	TRY(read_name(t->name, object, "name"));
	link_table(t, set);
	TRY(read_number(&base, object, "base"));
	TRY(read_number(&digits, object, "digits"));
	if (hel_json_member(object, "moved")) {
		TRY(read_number(&moved, object, "moved"));
		if (moved != floor(moved) || moved < 0 || moved > HEL_MAX_TABLES)
			FAIL(HEL_EFORMAT, "schema: table %s was moved too far", t->name);
		t->moved = (uint32_t)moved;
	}
	const bool hashed = hel_json_member(object, "prints") != NULL;
	t->modulo = hel_json_member(object, "modulo") != NULL;
	if (t->modulo)
		t->hashed = true;
	else
		TRY(hashed ? read_prints(t, object)
			   : read_values(t, hel_json_member(object, "values")));
	bool ok =
	    base == floor(base) && base >= 0 && base <= (t->modulo ? HEL_MAX_MODULO : 1 << 20);
	if (ok && t->modulo)
		ok = base >= 1 && digits == 1;
	else if (ok && hashed) /* one group of any size is plain hashing */
		ok = base > 0 ? digits == floor(digits) && digits >= 1 &&
				    digits <= HEL_MAX_DIGITS && !t->buckets
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

static hel_status read_salt(hel_schema *s, const hel_json_value *root)
{
	const char *text = hel_json_text(root, "salt");
	size_t size = 0;
	if (needs_salt(s) &&
	    (!text || strlen(text) != 2 * HEL_SALT_BYTES ||
	     sodium_hex2bin(s->salt, sizeof s->salt, text, strlen(text), NULL, &size, NULL) ||
	     size != HEL_SALT_BYTES))
		return hel_fail(HEL_EFORMAT, "schema: 'salt' must be %d bytes in hexadecimal",
				HEL_SALT_BYTES);
	return HEL_OK;
}

/* The values of an array of at most `limit`, NULL when it is none. */
static const hel_json_value *find_array(const hel_json_value *root, const char *name,
					uint32_t limit)
{
	const hel_json_value *v = hel_json_member(root, name);
	return v && v->kind == HEL_JSON_ARRAY && v->count <= limit ? v : NULL;
}

static hel_status read_dense(hel_dense_field *d, const hel_json_value *object)
{
	hel_status st = HEL_OK;
	TRY(read_name(d->name, object, "name"));
	TRY(read_number(&d->mean, object, "mean"));
	TRY(read_number(&d->deviation, object, "deviation"));
	if (hel_json_member(object, "low") || hel_json_member(object, "high")) {
		TRY(read_number(&d->low, object, "low"));
		TRY(read_number(&d->high, object, "high"));
		if (!(d->low <= d->high))
			FAIL(HEL_EFORMAT, "schema: 'low' of %s is above 'high'", d->name);
	}
	if (hel_json_member(object, "least") || hel_json_member(object, "most")) {
		TRY(read_number(&d->least, object, "least"));
		TRY(read_number(&d->most, object, "most"));
		if (!(d->least <= d->most))
			FAIL(HEL_EFORMAT, "schema: 'least' of %s is above 'most'", d->name);
	}
	if (!hel_dense_is_plausible(d))
		FAIL(HEL_EFORMAT,
		     "schema: mean %g and deviation %g of %s: no records have these; do values "
		     "need other units?",
		     d->mean, d->deviation, d->name);
done:
	return st;
}

hel_status hel_schema_from_value(hel_schema **out, const hel_json_value *root)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	size_t i = 0;
	const hel_json_value *dense = find_array(root, "dense", HEL_MAX_DENSE),
			     *tables = find_array(root, "tables", HEL_MAX_TABLES);
	if (!dense || !tables || dense->count + tables->count == 0)
		FAIL(HEL_EFORMAT,
		     "schema: 'dense' and 'tables' must be arrays of at most %d and %d",
		     HEL_MAX_DENSE, HEL_MAX_TABLES);
	TRY(hel_schema_new(&s, dense->count, tables->count));
	TRY(read_name(s->dataset, root, "dataset"));
	TRY(read_columns(s, root));
	TRY(read_number(&s->clip, root, "clip"));
	if (!(s->clip > 0 && s->clip <= 1000))
		FAIL(HEL_EFORMAT, "schema: clip is %g, expected above 0 and up to 1000", s->clip);
	for (const hel_json_value *v = dense->first; v; v = v->next)
		TRY(read_dense(&s->dense[i++], v));
	i = 0;
	for (const hel_json_value *v = tables->first; v; v = v->next)
		TRY(read_table(&s->table[i++], v, s->set));
	TRY(read_salt(s, root));
	if (hel_json_member(root, "columns"))
		TRY(hel_schema_fits(s, s->set));
	*out = s;
	s = NULL;
done:
	hel_schema_free(s);
	return st;
}

hel_status hel_schema_from_json(hel_schema **out, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_json *json = NULL;
	st = hel_json_read(&json, text, size);
	if (st != HEL_OK)
		FAIL(st, "schema, %s", hel_error_detail());
	st = hel_schema_from_value(out, hel_json_root(json));
done:
	hel_json_free(json);
	return st;
}

hel_status hel_schema_copy(hel_schema **out, const hel_schema *s)
{
	char *text = NULL;
	hel_status st = hel_schema_to_json(&text, s);
	if (st == HEL_OK)
		st = hel_schema_from_json(out, text, strlen(text));
	hel_free(text);
	return st;
}
