/* A checkpoint: as a file of any container, and as the pickle in an archive whose checksums fit it,
 * so that mutations are not stopped by them. What is listed can be read. */
#include "fuzz.h"
#include "import/checkpoint.h"
#include <zlib.h>

static void read_all(const uint8_t *bytes, size_t size)
{
	hel_checkpoint c = {0};
	if (hel_checkpoint_open(&c, bytes, size, NULL) != HEL_OK)
		return;
	fuzz_expect(c.count > 0);
	if (hel_checkpoint_below(&c, "") != HEL_OK) {
		hel_checkpoint_clear(&c);
		return;
	}
	for (size_t i = 0; i < c.count; i++) {
		hel_stored *t = &c.tensor[i];
		fuzz_expect(hel_checkpoint_find(&c, "%s", t->name) == t);
		if (hel_stored_matrix(t) != HEL_OK)
			continue;
		float *row = malloc(t->columns * sizeof *row);
		fuzz_expect(row);
		for (size_t r = 0; r < t->rows; r++)
			if (hel_stored_rows(row, t, r, 1) != HEL_OK)
				break;
		free(row);
	}
	hel_checkpoint_clear(&c);
}

typedef struct entry {
	const char *name;
	const uint8_t *bytes;
	size_t size, at;
} entry;

static void put_entry(hel_writer *w, const entry *e, bool listed)
{
	hel_write_u32(w, listed ? 0x02014b50 : 0x04034b50);
	for (int i = 0; i < (listed ? 3 : 2); i++) /* versions, flags */
		hel_write_u16(w, 0);
	hel_write_u16(w, 0); /* stored */
	hel_write_u32(w, 0);
	hel_write_u32(w, (uint32_t)crc32(crc32(0, NULL, 0), e->bytes, (uInt)e->size));
	hel_write_u32(w, (uint32_t)e->size);
	hel_write_u32(w, (uint32_t)e->size);
	hel_write_u16(w, (uint16_t)strlen(e->name));
	hel_write_u16(w, 0);
	for (int i = 0; listed && i < 5; i++)
		hel_write_u16(w, 0);
	if (listed)
		hel_write_u32(w, (uint32_t)e->at);
	hel_write_bytes(w, e->name, strlen(e->name));
	if (!listed)
		hel_write_bytes(w, e->bytes, e->size);
}

/* An archive of this pickle and two storages. */
static void archive(hel_writer *w, const uint8_t *pickle, size_t size)
{
	static const uint8_t floats[96] = {[3] = 0x3f, [7] = 0xbf, [11] = 0x40};
	entry e[] = {{"a/data.pkl", pickle, size, 0},
		     {"a/data/0", floats, sizeof floats, 0},
		     {"a/data/1", floats, 16, 0}};
	for (size_t i = 0; i < HEL_ARRAY_LEN(e); i++) {
		e[i].at = w->size;
		put_entry(w, &e[i], false);
	}
	const size_t at = w->size;
	for (size_t i = 0; i < HEL_ARRAY_LEN(e); i++)
		put_entry(w, &e[i], true);
	const size_t end = w->size;
	hel_write_u32(w, 0x06054b50);
	hel_write_u32(w, 0);
	hel_write_u16(w, HEL_ARRAY_LEN(e));
	hel_write_u16(w, HEL_ARRAY_LEN(e));
	hel_write_u32(w, (uint32_t)(end - at));
	hel_write_u32(w, (uint32_t)at);
	hel_write_u16(w, 0);
	fuzz_expect(w->status == HEL_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_writer w = {0};
	uint8_t *bytes = fuzz_copy(data, size);
	read_all(bytes, size);
	archive(&w, bytes, size);
	free(bytes);
	bytes = fuzz_copy(w.bytes, w.size);
	read_all(bytes, w.size);
	free(bytes);
	hel_writer_clear(&w);
	return 0;
}
