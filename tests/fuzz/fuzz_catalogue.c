/* A catalogue's head and ids. Input: eight numbers of eight bytes, as they stand in a head, then
 * ids. They are read as they are, and sealed as a head. */
#include "fuzz.h"
#include "rank/catalogue.h"
#include "rank/catalogue_file.h"

#define NUMBERS 8

static void read_ids(const hel_catalogue_head *h, const uint8_t *ids, size_t size)
{
	if (h->ids > size || h->items > 1 << 12)
		return;
	char *copy = (char *)fuzz_copy(ids, h->ids);
	const char **id = hel_alloc(h->items, sizeof *id);
	if (id && hel_catalogue_ids(id, h, copy) == HEL_OK)
		for (size_t i = 0; i < h->items; i++)
			fuzz_expect(id[i] >= copy && id[i] < copy + h->ids && *id[i] &&
				    strlen(id[i]) <= HEL_ITEM_ID_MAX);
	hel_free(id);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_catalogue_head h, sealed;
	uint64_t number[NUMBERS];
	uint8_t head[HEL_CATALOGUE_HEAD_BYTES];
	if (!size)
		return 0;
	uint8_t *copy = fuzz_copy(data, size);
	(void)!hel_catalogue_head_read(&h, copy, size);
	free(copy);
	if (size < sizeof number)
		return 0;
	memcpy(number, data, sizeof number);
	h = (hel_catalogue_head){.log_n = number[0],
				 .limbs = number[1],
				 .log_width = number[2],
				 .items = number[3],
				 .dense = number[4],
				 .hots = number[5],
				 .ids = number[6],
				 .bytes = number[7]};
	hel_catalogue_head_write(head, &h);
	if (hel_catalogue_head_read(&sealed, head, h.bytes) != HEL_OK)
		return 0;
	const hel_catalogue_map m = hel_catalogue_map_of(&sealed);
	fuzz_expect(sealed.bytes == h.bytes && m.bytes == h.bytes && m.blocks < m.checksums &&
		    m.checksums < m.ids && m.ids <= m.records && m.records <= m.bytes);
	fuzz_expect(m.checksums - m.blocks >= m.block_bytes);
	read_ids(&sealed, data + sizeof number, size - sizeof number);
	return 0;
}
