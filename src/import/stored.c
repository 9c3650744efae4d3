/* Named tensors: kept, found, read. */
#include "checkpoint.h"
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#define NAME_MOST 512

size_t hel_element_bytes(hel_element element)
{
	static const size_t bytes[] = {
#define X(element, name, bytes) bytes,
	    HEL_ELEMENT_LIST(X)
#undef X
	};
	return bytes[element];
}

hel_status hel_checkpoint_add(hel_checkpoint *c, const char *name, const hel_stored *t)
{
	hel_status st = HEL_OK;
	hel_stored *more = NULL;
	if (c->count == HEL_MAX_STORED)
		FAIL(HEL_ELIMIT, "weights: more than %u tensors", HEL_MAX_STORED);
	if (strlen(name) > NAME_MOST)
		FAIL(HEL_ELIMIT, "weights: a tensor's name of more than %d bytes", NAME_MOST);
	if (c->count == c->room) {
		c->room = HEL_MAX(2 * c->room, (size_t)64);
		TRY_ALLOC(more, hel_alloc(c->room, sizeof *more));
		if (c->count)
			memcpy(more, c->tensor, c->count * sizeof *more);
		hel_free(c->tensor);
		c->tensor = more;
	}
	hel_stored *to = &c->tensor[c->count];
	*to = *t;
	to->type = NULL;
	TRY_ALLOC(to->name, hel_strdup(name));
	c->count++;
	TRY_ALLOC(to->type, hel_strdup(t->type));
done:
	return st;
}

void hel_checkpoint_clear(hel_checkpoint *c)
{
	for (size_t i = 0; i < c->count; i++) {
		hel_free(c->tensor[i].name);
		hel_free(c->tensor[i].type);
	}
	hel_free(c->tensor);
	hel_free(c->prefix);
	json_decref(c->index);
	json_decref(c->sequential);
	*c = (hel_checkpoint){0};
}

hel_status hel_checkpoint_index(hel_checkpoint *c)
{
	hel_status st = HEL_OK;
	json_t *index = json_object();
	c->index = index;
	for (size_t i = 0; i < c->count; i++) {
		const char *name = c->tensor[i].name;
		if (json_object_get(index, name))
			FAIL(HEL_EFORMAT, "weights: two tensors are called '%.80s'", name);
		if (json_object_set_new(index, name, json_integer((json_int_t)i)))
			FAIL(HEL_EFORMAT, "weights: a tensor's name is not UTF-8");
	}
done:
	return st;
}

/* --- finding ----------------------------------------------------------------------- */

hel_stored *hel_checkpoint_find(const hel_checkpoint *c, const char *format, ...)
{
	char name[NAME_MOST + 1];
	va_list args;
	va_start(args, format);
	const int length = vsnprintf(name, sizeof name, format, args);
	va_end(args);
	const json_t *number = length < (int)sizeof name ? json_object_get(c->index, name) : NULL;
	return number ? &c->tensor[json_integer_value(number)] : NULL;
}

bool hel_checkpoint_has(const hel_checkpoint *c, const char *prefix)
{
	for (size_t i = 0; i < c->count; i++)
		if (strncmp(c->tensor[i].name, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

static hel_status check_numbers(hel_stored *t)
{
	t->taken = true;
	if (t->element == HEL_NO_NUMBER)
		return hel_fail(HEL_EUNSUPPORTED,
				"weights: '%.80s' has type %.20s, expected F64, F32, F16 or BF16; "
				"save it as one of these",
				t->name, t->type);
	if (!t->rows || !t->columns)
		return hel_fail(HEL_EFORMAT, "weights: '%.80s' is empty", t->name);
	return HEL_OK;
}

hel_status hel_stored_matrix(hel_stored *t)
{
	const hel_status st = check_numbers(t);
	if (st == HEL_OK && t->dimensions != 2)
		return hel_fail(HEL_EFORMAT, "weights: '%.80s' has %zu dimensions, expected 2",
				t->name, t->dimensions);
	return st;
}

hel_status hel_stored_vector(hel_stored *t, size_t entries)
{
	const hel_status st = check_numbers(t);
	if (st == HEL_OK && (t->dimensions > 2 || t->columns != 1 || t->rows != entries))
		return hel_fail(HEL_EFORMAT, "weights: '%.80s' does not have %zu entries", t->name,
				entries);
	return st;
}

static float of_f16(uint16_t v)
{
	const uint32_t exponent = v >> 10 & 31, fraction = v & 1023;
	const float sign = v >> 15 ? -1.0F : 1.0F;
	if (exponent == 31)
		return fraction ? NAN : sign * INFINITY;
	return exponent ? sign * ldexpf((float)(1024 + fraction), (int)exponent - 25)
			: sign * ldexpf((float)fraction, -24);
}

static float element_at(const hel_stored *t, size_t at)
{
	const uint8_t *p = t->data + at * hel_element_bytes(t->element);
	union {
		double f64;
		float f32;
		uint32_t u32;
		uint16_t u16;
	} v = {0};
	memcpy(&v, p, hel_element_bytes(t->element));
	switch (t->element) {
	case HEL_F64:
		return (float)v.f64;
	case HEL_F32:
		return v.f32;
	case HEL_F16:
		return of_f16(v.u16);
	case HEL_BF16:
		v.u32 = (uint32_t)v.u16 << 16;
		return v.f32;
	case HEL_NO_NUMBER:
		break;
	}
	return NAN;
}

hel_stored hel_stored_transposed(const hel_stored *t)
{
	hel_stored out = *t;
	out.rows = t->columns;
	out.columns = t->rows;
	out.stride[0] = t->stride[1];
	out.stride[1] = t->stride[0];
	return out;
}

/* As they lie in memory: most files. */
static void read_floats(float *out, const hel_stored *t, size_t row)
{
	memcpy(out, t->data + row * t->stride[0] * sizeof(float), t->columns * sizeof(float));
}

hel_status hel_stored_rows(float *out, const hel_stored *t, size_t first, size_t count)
{
	const bool floats = t->element == HEL_F32 && (t->stride[1] == 1 || t->columns == 1);
	for (size_t r = first; r < first + count; r++, out += t->columns) {
		bool finite = true;
		if (floats)
			read_floats(out, t, r);
		for (size_t k = 0; k < t->columns; k++) {
			if (!floats)
				out[k] = element_at(t, r * t->stride[0] + k * t->stride[1]);
			finite &= isfinite(out[k]) != 0;
		}
		if (!finite)
			return hel_fail(HEL_EFORMAT,
					"weights: '%.80s' holds a value that is not finite, in row "
					"%zu",
					t->name, r);
	}
	return HEL_OK;
}
