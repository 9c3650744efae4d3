#include "zip.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define END_SIGNATURE 0x06054b50u
#define END64_SIGNATURE 0x06064b50u
#define LOCATOR_SIGNATURE 0x07064b50u
#define ENTRY_SIGNATURE 0x02014b50u
#define LOCAL_SIGNATURE 0x04034b50u
#define END_SIZE 22
#define LOCATOR_SIZE 20
#define LARGE 0xffffffffu /* the value stands in a 64-bit field */

typedef struct directory {
	uint64_t at, entries;
} directory;

static hel_reader reader_at(const uint8_t *bytes, size_t size, uint64_t at)
{
	hel_reader r = hel_reader_of(bytes, size);
	if (at <= size)
		(void)hel_read_bytes(&r, (size_t)at);
	else
		r.status = hel_fail(HEL_ETRUNC, "weights: the archive points beyond its end");
	return r;
}

static hel_status damaged(const char *what)
{
	return hel_fail(HEL_EFORMAT, "weights: the archive is damaged: %s", what);
}

/* The end record stands last, before a comment of at most 65,535 bytes. */
static hel_status find_end(size_t *at, const uint8_t *bytes, size_t size)
{
	for (size_t back = END_SIZE; back <= size && back <= END_SIZE + 65535; back++) {
		hel_reader r = reader_at(bytes, size, size - back);
		if (hel_read_u32(&r) == END_SIGNATURE) {
			*at = size - back;
			return HEL_OK;
		}
	}
	return hel_fail(HEL_ETRUNC, "weights: an archive without an end: cut off?");
}

static hel_status find_directory(directory *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	size_t end = 0;
	TRY(find_end(&end, bytes, size));
	hel_reader r = reader_at(bytes, size, end + 10);
	out->entries = hel_read_u16(&r);
	(void)hel_read_u32(&r);
	out->at = hel_read_u32(&r);
	TRY(r.status);
	if (end < LOCATOR_SIZE)
		goto done;
	r = reader_at(bytes, size, end - LOCATOR_SIZE);
	if (hel_read_u32(&r) != LOCATOR_SIGNATURE)
		goto done;
	(void)hel_read_u32(&r);
	r = reader_at(bytes, size, hel_read_u64(&r));
	if (hel_read_u32(&r) != END64_SIGNATURE)
		TRY(damaged("its 64-bit end is elsewhere"));
	(void)hel_read_bytes(&r, 28);
	out->entries = hel_read_u64(&r);
	(void)hel_read_u64(&r);
	out->at = hel_read_u64(&r);
	TRY(r.status);
done:
	return st;
}

/* The values that do not fit 32 bits, in this order. */
static void read_large(const uint8_t *extra, size_t extra_size, uint64_t *size, uint64_t *packed,
		       uint64_t *offset)
{
	uint64_t *const value[] = {size, packed, offset};
	hel_reader r = hel_reader_of(extra, extra_size);
	while (hel_reader_left(&r) >= 4) {
		const uint16_t kind = hel_read_u16(&r), length = hel_read_u16(&r);
		const uint8_t *field = hel_read_bytes(&r, length);
		if (kind != 1 || !field)
			continue;
		hel_reader f = hel_reader_of(field, length);
		for (size_t i = 0; i < 3; i++)
			if (*value[i] == LARGE && hel_reader_left(&f) >= 8)
				*value[i] = hel_read_u64(&f);
	}
}

static hel_status find_data(hel_zip_entry *e, uint64_t offset, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_reader r = reader_at(bytes, size, offset);
	if (hel_read_u32(&r) != LOCAL_SIGNATURE)
		TRY(damaged("an entry begins elsewhere"));
	(void)hel_read_bytes(&r, 22);
	const uint16_t name = hel_read_u16(&r), extra = hel_read_u16(&r);
	(void)hel_read_bytes(&r, (size_t)name + extra);
	e->data = hel_read_bytes(&r, e->size);
	TRY(r.status);
done:
	return st;
}

static hel_status read_entry(hel_zip_entry *e, hel_reader *r, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	if (hel_read_u32(r) != ENTRY_SIGNATURE)
		TRY(damaged("its table of contents"));
	(void)hel_read_bytes(r, 6);
	const uint16_t method = hel_read_u16(r);
	(void)hel_read_u32(r);
	e->crc = hel_read_u32(r);
	uint64_t packed = hel_read_u32(r), length = hel_read_u32(r);
	const uint16_t name = hel_read_u16(r), extra = hel_read_u16(r), comment = hel_read_u16(r);
	(void)hel_read_bytes(r, 8);
	uint64_t offset = hel_read_u32(r);
	e->name = (const char *)hel_read_bytes(r, name);
	e->name_size = name;
	const uint8_t *more = hel_read_bytes(r, extra);
	(void)hel_read_bytes(r, comment);
	TRY(r->status);
	read_large(more, extra, &length, &packed, &offset);
	e->compressed = method != 0 || packed != length;
	if (e->compressed)
		goto done;
	if (length > size)
		FAIL(HEL_ETRUNC, "weights: '%.*s' is larger than the file",
		     (int)HEL_MIN(e->name_size, (size_t)60), e->name);
	e->size = (size_t)length;
	TRY(find_data(e, offset, bytes, size));
done:
	return st;
}

static int compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
	const int order = memcmp(a, b, HEL_MIN(a_size, b_size));
	return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int by_name(const void *a, const void *b)
{
	const hel_zip_entry *x = a, *y = b;
	return compare_names(x->name, x->name_size, y->name, y->name_size);
}

hel_status hel_zip_open(hel_zip *out, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	hel_zip z = {0};
	directory d = {0};
	TRY(find_directory(&d, bytes, size));
	if (d.entries > HEL_MAX_ZIP_ENTRIES)
		FAIL(HEL_ELIMIT, "weights: an archive of more than %u entries",
		     HEL_MAX_ZIP_ENTRIES);
	TRY_ALLOC(z.entry, hel_alloc((size_t)d.entries, sizeof *z.entry));
	hel_reader r = reader_at(bytes, size, d.at);
	for (; z.count < d.entries; z.count++)
		TRY(read_entry(&z.entry[z.count], &r, bytes, size));
	if (z.count)
		qsort(z.entry, z.count, sizeof *z.entry, by_name);
	for (size_t i = 1; i < z.count; i++)
		if (by_name(&z.entry[i - 1], &z.entry[i]) == 0)
			TRY(damaged("two entries of one name"));
	*out = z;
	z.entry = NULL;
done:
	hel_zip_clear(&z);
	return st;
}

void hel_zip_clear(hel_zip *z)
{
	hel_free(z->entry);
	*z = (hel_zip){0};
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
	uLong crc = crc32(0, NULL, 0);
	for (size_t at = 0; at < size;) {
		const size_t n = HEL_MIN(size - at, (size_t)1 << 30);
		crc = crc32(crc, data + at, (uInt)n);
		at += n;
	}
	return (uint32_t)crc;
}

hel_status hel_zip_find(const hel_zip_entry **out, const hel_zip *z, const char *name)
{
	const hel_zip_entry key = {.name = name, .name_size = strlen(name)};
	hel_zip_entry *e = z->count ? bsearch(&key, z->entry, z->count, sizeof key, by_name) : NULL;
	*out = e;
	if (e && e->compressed)
		return hel_fail(
		    HEL_EUNSUPPORTED,
		    "weights: '%.60s' is compressed; torch.save stores: load it and save it "
		    "again",
		    name);
	if (e && !e->checked && checksum(e->data, e->size) != e->crc)
		return hel_fail(HEL_EHASH, "weights: '%.60s' is damaged", name);
	if (e)
		e->checked = true;
	return HEL_OK;
}
