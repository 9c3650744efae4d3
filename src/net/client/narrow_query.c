/* A query for some of a catalogue's items. */
#include "client_inside.h"
#include "net/ranking_file.h"
#include <string.h>

/* Lines of plain text, one of which at least names something. */
static hel_status check_lines(const char *text, size_t size)
{
	bool any = false;
	if (size > HEL_CANDIDATES_MAX)
		return hel_fail(HEL_ELIMIT, "candidates of %zu bytes; at most %u are possible",
				size, HEL_CANDIDATES_MAX);
	for (size_t at = 0, line = 1; at < size; line++) {
		char word[HEL_ITEM_ID_MAX + 1];
		const char *end = memchr(text + at, '\n', size - at);
		size_t length = end ? (size_t)(end - text) - at : size - at;
		const size_t next = at + length + 1;
		length -= length && text[at + length - 1] == '\r';
		if (length > HEL_ITEM_ID_MAX)
			return hel_fail(HEL_EDATA,
					"candidates, line %zu: an id has at most %d bytes", line,
					HEL_ITEM_ID_MAX);
		memcpy(word, text + at, length);
		word[length] = 0;
		if (strlen(word) != length || !hel_is_text(word))
			return hel_fail(HEL_EDATA, "candidates, line %zu: no plain text", line);
		any |= length > 0;
		at = next;
	}
	return any ? HEL_OK : hel_fail(HEL_EDATA, "no candidates are named: one id a line");
}

hel_status hel_client_candidates(uint8_t **out, size_t *out_size, const hel_client *c,
				 const void *query, size_t query_size, const char *text,
				 size_t size)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	if (!c->manifest->items.any)
		FAIL(HEL_EMODEL, "'%s' scores records one by one: it ranks no candidates",
		     c->manifest->model);
	if (hel_container_kind(query, query_size) != HEL_KIND_QUERY)
		FAIL(HEL_EFORMAT, "candidates are of a query, and this is none");
	TRY(check_lines(text, size));
	hel_container_begin(&w, HEL_KIND_CANDIDATES);
	hel_write_bytes(&w, c->manifest->id, HEL_HASH_BYTES);
	hel_write_u32(&w, (uint32_t)size);
	hel_write_bytes(&w, text, size);
	hel_write_bytes(&w, query, query_size);
	TRY(hel_container_end(&w));
	*out = w.bytes;
	*out_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	return st;
}
