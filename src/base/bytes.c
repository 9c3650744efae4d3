#include "base.h"
#include <stdlib.h>
#include <string.h>

hel_reader hel_reader_of(const void *bytes, size_t size)
{
	return (hel_reader){.at = bytes, .end = (const uint8_t *)bytes + size, .status = HEL_OK};
}

size_t hel_reader_left(const hel_reader *r)
{
	return (size_t)(r->end - r->at);
}

const uint8_t *hel_read_bytes(hel_reader *r, size_t size)
{
	if (r->status != HEL_OK)
		return NULL;
	if (hel_reader_left(r) < size) {
		r->status =
		    hel_fail(HEL_ETRUNC, "file ends too early: %zu bytes expected, %zu left", size,
			     hel_reader_left(r));
		return NULL;
	}
	const uint8_t *p = r->at;
	r->at += size;
	return p;
}

static uint64_t read_le(hel_reader *r, unsigned bytes)
{
	const uint8_t *p = hel_read_bytes(r, bytes);
	uint64_t v = 0;
	for (unsigned i = 0; p && i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint8_t hel_read_u8(hel_reader *r)
{
	return (uint8_t)read_le(r, 1);
}

uint16_t hel_read_u16(hel_reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t hel_read_u32(hel_reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t hel_read_u64(hel_reader *r)
{
	return read_le(r, 8);
}

float hel_read_f32(hel_reader *r)
{
	uint32_t bits = hel_read_u32(r);
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

double hel_read_f64(hel_reader *r)
{
	uint64_t bits = hel_read_u64(r);
	double v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

uint32_t hel_read_u32_max(hel_reader *r, uint32_t limit, const char *what)
{
	uint32_t v = hel_read_u32(r);
	if (r->status == HEL_OK && v > limit) {
		r->status = hel_fail(HEL_ELIMIT, "%s is %u, at most %u is allowed", what, v, limit);
		return 0;
	}
	return v;
}

char *hel_read_text(hel_reader *r, uint32_t limit, const char *what)
{
	uint32_t size = hel_read_u32_max(r, limit, what);
	const uint8_t *p = hel_read_bytes(r, size);
	if (!p)
		return NULL;
	if (memchr(p, 0, size)) {
		r->status = hel_fail(HEL_EFORMAT, "%s contains a zero byte", what);
		return NULL;
	}
	char *text = hel_alloc((size_t)size + 1, 1);
	if (!text) {
		r->status = hel_fail(HEL_ENOMEM, "out of memory for %s", what);
		return NULL;
	}
	memcpy(text, p, size);
	return text;
}

size_t hel_packed_size(size_t count, unsigned bits)
{
	return (count * bits + 7) / 8;
}

static uint32_t word_le(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

void hel_read_packed(hel_reader *r, uint32_t *out, size_t count, unsigned bits)
{
	const uint8_t *p = hel_read_bytes(r, hel_packed_size(count, bits));
	if (!p)
		return;
	const uint32_t mask = (uint32_t)((1ull << bits) - 1);
	uint64_t acc = 0;
	unsigned have = 0;
	for (size_t i = 0; i < count; i++) {
		if (have < bits && r->at - p >= 4) {
			acc |= (uint64_t)word_le(p) << have;
			p += 4;
			have += 32;
		}
		while (have < bits) { /* the last word, cut short */
			acc |= (uint64_t)*p++ << have;
			have += 8;
		}
		out[i] = (uint32_t)acc & mask;
		acc >>= bits;
		have -= bits;
	}
	if (acc) /* one value, one encoding */
		r->status = hel_fail(HEL_EFORMAT, "bits set behind packed integers");
}

hel_status hel_reader_finish(hel_reader *r)
{
	if (r->status == HEL_OK && r->at != r->end)
		r->status =
		    hel_fail(HEL_EFORMAT, "%zu bytes too many at the end", hel_reader_left(r));
	return r->status;
}

void hel_writer_clear(hel_writer *w)
{
	hel_free_secret(w->bytes, w->capacity);
	*w = (hel_writer){0};
}

static uint8_t *grow(hel_writer *w, size_t size)
{
	if (w->status != HEL_OK)
		return NULL;
	if (w->capacity - w->size < size) {
		size_t capacity = HEL_MAX(2 * w->capacity, w->size + size + 256);
		uint8_t *bytes = hel_alloc(capacity, 1);
		if (!bytes) {
			w->status = hel_fail(HEL_ENOMEM, "out of memory for %zu bytes", capacity);
			return NULL;
		}
		if (w->size)
			memcpy(bytes, w->bytes, w->size);
		hel_free_secret(w->bytes, w->size);
		w->bytes = bytes;
		w->capacity = capacity;
	}
	uint8_t *p = w->bytes + w->size;
	w->size += size;
	return p;
}

void hel_write_bytes(hel_writer *w, const void *bytes, size_t size)
{
	uint8_t *p = grow(w, size);
	if (p && size)
		memcpy(p, bytes, size);
}

static void write_le(hel_writer *w, uint64_t v, unsigned bytes)
{
	uint8_t *p = grow(w, bytes);
	for (unsigned i = 0; p && i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

void hel_write_u8(hel_writer *w, uint8_t v)
{
	write_le(w, v, 1);
}

void hel_write_u16(hel_writer *w, uint16_t v)
{
	write_le(w, v, 2);
}

void hel_write_u32(hel_writer *w, uint32_t v)
{
	write_le(w, v, 4);
}

void hel_write_u64(hel_writer *w, uint64_t v)
{
	write_le(w, v, 8);
}

void hel_write_f32(hel_writer *w, float v)
{
	uint32_t bits;
	memcpy(&bits, &v, sizeof bits);
	hel_write_u32(w, bits);
}

void hel_write_f64(hel_writer *w, double v)
{
	uint64_t bits;
	memcpy(&bits, &v, sizeof bits);
	hel_write_u64(w, bits);
}

void hel_write_text(hel_writer *w, const char *text)
{
	size_t size = strlen(text);
	hel_write_u32(w, (uint32_t)size);
	hel_write_bytes(w, text, size);
}

void hel_write_packed(hel_writer *w, const uint32_t *in, size_t count, unsigned bits)
{
	uint8_t *p = grow(w, hel_packed_size(count, bits));
	if (!p)
		return;
	uint64_t acc = 0;
	unsigned have = 0;
	for (size_t i = 0; i < count; i++) {
		acc |= (uint64_t)in[i] << have;
		have += bits;
		if (have >= 32) {
			for (unsigned k = 0; k < 4; k++)
				p[k] = (uint8_t)(acc >> (8 * k));
			p += 4;
			acc >>= 32;
			have -= 32;
		}
	}
	for (; have; have -= HEL_MIN(have, 8u), acc >>= 8)
		*p++ = (uint8_t)acc;
}
