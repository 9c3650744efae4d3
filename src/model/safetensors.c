#include "safetensors.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADER_MAX ((size_t)16 << 20)

static void to_hex(char out[2 * HEL_HASH_BYTES + 1], const uint8_t hash[HEL_HASH_BYTES])
{
	for (size_t i = 0; i < HEL_HASH_BYTES; i++)
		sprintf(out + 2 * i, "%02x", hash[i]);
}

void hel_hash_hex(char out[2 * HEL_HASH_BYTES + 1], const void *bytes, size_t size)
{
	uint8_t hash[HEL_HASH_BYTES];
	hel_hash(hash, bytes, size);
	to_hex(out, hash);
}

hel_status hel_safetensors_write(const hel_dlrm *m, const char *path,
				 char hash[2 * HEL_HASH_BYTES + 1])
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	hel_stream *stream = NULL;
	uint8_t bytes[HEL_HASH_BYTES];
	char *text = NULL;
	json_t *header = json_object();
	for (size_t i = 0; i < m->tensors; i++) {
		const hel_tensor *t = &m->tensor[i];
		bool bias = strstr(t->name, ".bias") != NULL;
		json_t *shape =
		    bias ? json_pack("[I]", (json_int_t)t->rows)
			 : json_pack("[I, I]", (json_int_t)t->rows, (json_int_t)t->columns);
		size_t begin = t->offset * sizeof(float);
		json_object_set_new(
		    header, t->name,
		    json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape,
			      "data_offsets", (json_int_t)begin,
			      (json_int_t)(begin + t->rows * t->columns * sizeof(float))));
	}
	TRY_ALLOC(text, json_dumps(header, JSON_COMPACT));
	size_t size = strlen(text), padded = (size + 7) / 8 * 8; /* data starts aligned */
	hel_write_u64(&w, padded);
	hel_write_bytes(&w, text, size);
	for (size_t i = size; i < padded; i++)
		hel_write_u8(&w, ' ');
	TRY(w.status);
	TRY(hel_stream_new(&stream, path, 0644));
	TRY(hel_stream_write(stream, w.bytes, w.size));
	TRY(hel_stream_write(stream, m->parameter, m->parameters * sizeof(float)));
	hel_stream_hash(stream, bytes);
	to_hex(hash, bytes);
	TRY(hel_stream_finish(stream, NULL, 0));
done:
	hel_stream_free(stream);
	free(text);
	json_decref(header);
	hel_writer_clear(&w);
	return st;
}

/* Where a tensor lies. */
typedef struct extent {
	const char *name;
	uint64_t begin, end;
} extent;

static int by_begin(const void *a, const void *b)
{
	const extent *x = a, *y = b;
	return x->begin != y->begin ? (x->begin > y->begin) - (x->begin < y->begin)
				    : (x->end > y->end) - (x->end < y->end);
}

static size_t bytes_of_type(const char *type)
{
	static const struct {
		const char *name;
		size_t bytes;
	} types[] = {{"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4}, {"I32", 4},
		     {"U32", 4}, {"F16", 2}, {"BF16", 2}, {"I16", 2}, {"U16", 2},
		     {"I8", 1},	 {"U8", 1},  {"BOOL", 1}};
	for (size_t i = 0; type && i < HEL_ARRAY_LEN(types); i++)
		if (strcmp(types[i].name, type) == 0)
			return types[i].bytes;
	return 0;
}

static hel_status read_extent(extent *out, const char *name, const json_t *entry)
{
	const json_t *offsets = json_object_get(entry, "data_offsets"),
		     *shape = json_object_get(entry, "shape"), *side;
	const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
	const char *type = json_string_value(json_object_get(entry, "dtype"));
	const uint64_t width = bytes_of_type(type);
	uint64_t bytes = width;
	size_t i;
	if (!type || !width)
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' has type %.10s, expected F32", name,
				type ? type : "?");
	json_array_foreach((json_t *)shape, i, side)
	{
		const json_int_t v = json_integer_value(side);
		if (!json_is_integer(side) || v < 0 ||
		    (v && bytes > (uint64_t)INT64_MAX / (uint64_t)v))
			return hel_fail(HEL_EFORMAT, "weights: '%.60s' has no valid shape", name);
		bytes *= (uint64_t)v;
	}
	if (!json_is_array(shape) || json_array_size(offsets) != 2 || !json_is_integer(begin) ||
	    !json_is_integer(end) || json_integer_value(begin) < 0 ||
	    json_integer_value(end) < json_integer_value(begin))
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' has no valid offsets", name);
	*out =
	    (extent){name, (uint64_t)json_integer_value(begin), (uint64_t)json_integer_value(end)};
	if (out->end - out->begin != bytes)
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' has %llu bytes, its shape %llu",
				name, (unsigned long long)(out->end - out->begin),
				(unsigned long long)bytes);
	if (width == sizeof(float) && out->begin % width) /* others are not read */
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' begins at byte %llu: not aligned",
				name, (unsigned long long)out->begin);
	return HEL_OK;
}

/* Texts by name, says the format. */
static hel_status check_metadata(const json_t *o)
{
	const char *name;
	json_t *value;
	if (!json_is_object(o))
		return hel_fail(HEL_EFORMAT, "weights: __metadata__ is no JSON object");
	json_object_foreach((json_t *)o, name, value)
	{
		if (!json_is_string(value))
			return hel_fail(HEL_EFORMAT, "weights: __metadata__ '%.60s' is no text",
					name);
	}
	return HEL_OK;
}

static hel_status check_extents(const json_t *header, uint64_t size)
{
	hel_status st = HEL_OK;
	extent *e = NULL;
	size_t count = 0;
	uint64_t at = 0;
	const char *name;
	json_t *entry;
	TRY_ALLOC(e, hel_alloc(json_object_size(header) + 1, sizeof *e));
	json_object_foreach((json_t *)header, name, entry)
	{
		if (strcmp(name, "__metadata__") == 0)
			TRY(check_metadata(entry));
		else
			TRY(read_extent(&e[count++], name, entry));
	}
	qsort(e, count, sizeof *e, by_begin);
	for (size_t i = 0; i < count; at = e[i++].end) {
		if (e[i].end > size)
			FAIL(HEL_ETRUNC, "weights: '%.60s' lies outside the file", e[i].name);
		if (e[i].begin != at)
			FAIL(HEL_EFORMAT, "weights: '%.60s' %s", e[i].name,
			     e[i].begin < at ? "overlaps another tensor"
					     : "begins after a gap that belongs to no tensor");
	}
	if (at != size)
		FAIL(HEL_EFORMAT, "weights: %llu bytes too many at the end",
		     (unsigned long long)(size - at));
done:
	hel_free(e);
	return st;
}

hel_status hel_safetensors_open(hel_safetensors *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	json_error_t error;
	hel_reader r = hel_reader_of(bytes, size);
	const uint64_t length = hel_read_u64(&r);
	*out = (hel_safetensors){0};
	if (r.status == HEL_OK && length > HEADER_MAX)
		FAIL(HEL_ELIMIT, "weights: a header of %llu bytes; not a safetensors file?",
		     (unsigned long long)length);
	const uint8_t *text = hel_read_bytes(&r, (size_t)length);
	TRY(r.status);
	json_t *header =
	    json_loadb((const char *)text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(header)) {
		json_decref(header);
		FAIL(HEL_EFORMAT, "weights: the header is no JSON object: %s", error.text);
	}
	st = check_extents(header, hel_reader_left(&r));
	if (st != HEL_OK) {
		json_decref(header);
		goto done;
	}
	*out = (hel_safetensors){header, r.at, hel_reader_left(&r)};
done:
	return st;
}

void hel_safetensors_close(hel_safetensors *f)
{
	json_decref(f->header);
	f->header = NULL;
}

hel_status hel_safetensors_find(hel_stored_tensor *out, const hel_safetensors *f, const char *name)
{
	const json_t *entry = json_object_get(f->header, name);
	const char *type = json_string_value(json_object_get(entry, "dtype"));
	const json_t *shape = json_object_get(entry, "shape");
	const json_t *offsets = json_object_get(entry, "data_offsets");
	const size_t dimensions = json_array_size(shape);
	if (!entry)
		return hel_fail(HEL_EFORMAT, "weights: tensor '%.60s' is missing", name);
	if (!type || strcmp(type, "F32") != 0)
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' has type %.10s, expected F32", name,
				type ? type : "?");
	const json_int_t rows = json_integer_value(json_array_get(shape, 0));
	const json_int_t columns =
	    dimensions == 2 ? json_integer_value(json_array_get(shape, 1)) : 1;
	const json_int_t most = (json_int_t)HEL_MAX_PARAMETERS;
	if (dimensions < 1 || dimensions > 2 || rows < 1 || columns < 1 || rows > most ||
	    columns > most || rows > most / columns)
		return hel_fail(HEL_EFORMAT, "weights: '%.60s' is no vector or matrix", name);
	const json_int_t begin = json_integer_value(json_array_get(offsets, 0));
	const json_int_t end = json_integer_value(json_array_get(offsets, 1));
	if (begin < 0 || end < begin || (uint64_t)end > f->size ||
	    end - begin != rows * columns * (json_int_t)sizeof(float))
		return hel_fail(HEL_ETRUNC, "weights: '%.60s' lies outside the file", name);
	*out = (hel_stored_tensor){(size_t)rows, (size_t)columns, dimensions, f->data + begin};
	return HEL_OK;
}

hel_status hel_stored_tensor_read(float *out, const hel_stored_tensor *t, size_t first,
				  size_t count, const char *name)
{
	hel_reader r = hel_reader_of(t->data + first * sizeof(float), count * sizeof(float));
	for (size_t i = 0; i < count; i++) {
		out[i] = hel_read_f32(&r);
		if (!isfinite(out[i]))
			return hel_fail(HEL_EFORMAT,
					"weights: '%.60s' holds a value that is not finite", name);
	}
	return HEL_OK;
}

static hel_status read_tensor(hel_dlrm *m, const hel_tensor *t, const hel_safetensors *f)
{
	hel_status st = HEL_OK;
	hel_stored_tensor stored;
	TRY(hel_safetensors_find(&stored, f, t->name));
	if (stored.rows != t->rows || stored.columns != t->columns)
		FAIL(HEL_EFORMAT, "weights: '%s' does not have shape %zu x %zu", t->name, t->rows,
		     t->columns);
	TRY(hel_stored_tensor_read(m->parameter + t->offset, &stored, 0, t->rows * t->columns,
				   t->name));
done:
	return st;
}

hel_status hel_safetensors_read(hel_dlrm *m, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_safetensors f = {0};
	TRY(hel_safetensors_open(&f, bytes, size));
	if (json_object_size(f.header) !=
	    m->tensors + (json_object_get(f.header, "__metadata__") != NULL))
		FAIL(HEL_EFORMAT, "weights: %zu tensors, the model has %zu",
		     json_object_size(f.header), m->tensors);
	for (size_t i = 0; i < m->tensors; i++)
		TRY(read_tensor(m, &m->tensor[i], &f));
done:
	hel_safetensors_close(&f);
	return st;
}
