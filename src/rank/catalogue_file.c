/* The file of a catalogue: a head of one page; blocks, as they lie in memory; a checksum of each;
 * ids; records. The head carries hashes of all of it, and its own. */
#include "catalogue_file.h"
#include "base/mapping.h"
#include "catalogue.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1
#define HASHED 256 /* bytes of the head that its hash is of */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "blocks are stored as they lie in memory");

static const uint8_t magic[8] = {'H', 'E', 'L', 'C', 'A', 'T', 'L', 'G'};

struct hel_catalogue {
	hel_catalogue_head head;
	hel_catalogue_map map;
	hel_mapping *mapping;
	const uint8_t *bytes;
	const char **id;
	uint32_t *by_id; /* items, ascending by id */
};

void hel_catalogue_head_write(uint8_t out[HEL_CATALOGUE_HEAD_BYTES], hel_catalogue_head *h)
{
	const uint64_t number[] = {VERSION,  h->log_n, h->limbs, h->log_width, h->items,
				   h->dense, h->hots,  h->ids,	 h->bytes,     h->values};
	memset(out, 0, HEL_CATALOGUE_HEAD_BYTES);
	memcpy(out, magic, sizeof magic);
	memcpy(out + 8, number, sizeof number);
	memcpy(out + 96, h->model, HEL_HASH_BYTES);
	memcpy(out + 128, h->params, HEL_HASH_BYTES);
	memcpy(out + 160, h->tail, HEL_HASH_BYTES);
	memcpy(out + 192, h->records, HEL_HASH_BYTES);
	hel_hash(h->id, out, HASHED);
	memcpy(out + HASHED, h->id, HEL_HASH_BYTES);
}

size_t hel_catalogue_block_size(const hel_catalogue_head *h)
{
	return h->values ? (size_t)1 << h->log_width : hel_block_items((size_t)1 << h->log_n);
}

static size_t blocks_of(const hel_catalogue_head *h)
{
	const size_t most = hel_catalogue_block_size(h);
	return (h->items + most - 1) / most;
}

hel_catalogue_map hel_catalogue_map_of(const hel_catalogue_head *h)
{
	hel_catalogue_map m = {.blocks = HEL_CATALOGUE_HEAD_BYTES};
	const uint64_t blocks = blocks_of(h);
	m.block_bytes = h->values
			    ? (4 * h->values) << h->log_width
			    : ((((uint64_t)1 << h->log_width) + 1) * h->limbs * 4) << h->log_n;
	m.checksums = m.blocks + blocks * m.block_bytes;
	m.ids = m.checksums + blocks * HEL_CHECKSUM_BYTES;
	m.records = m.ids + h->ids;
	m.bytes = m.records + h->items * (8 * h->dense + 4 * h->hots);
	return m;
}

static bool is_plausible(const hel_catalogue_head *h)
{
	return h->log_n >= 12 && h->log_n <= 17 && h->limbs >= 1 && h->limbs <= 4 &&
	       h->log_width <= HEL_MAX_LOG_ITEM_WIDTH && h->items && h->items <= HEL_MAX_ITEMS &&
	       h->dense <= 4096 && h->hots <= (1u << 24) && h->values <= HEL_MAX_ITEM_VALUES &&
	       h->ids <= h->items * (HEL_ITEM_ID_MAX + 1);
}

hel_status hel_catalogue_head_read(hel_catalogue_head *out, const void *bytes, uint64_t size)
{
	hel_catalogue_head h;
	uint64_t number[10];
	uint8_t again[HEL_CATALOGUE_HEAD_BYTES];
	const uint8_t *b = bytes;
	if (size < sizeof magic || memcmp(b, magic, sizeof magic) != 0)
		return hel_fail(HEL_EFORMAT, "not a catalogue");
	if (size < HEL_CATALOGUE_HEAD_BYTES)
		return hel_fail(HEL_ETRUNC, "the catalogue ends within its head");
	memcpy(number, b + 8, sizeof number);
	if (number[0] != VERSION)
		return hel_fail(HEL_EVERSION,
				"the catalogue has version %llu; this helrm reads version %d",
				(unsigned long long)number[0], VERSION);
	h = (hel_catalogue_head){.log_n = number[1],
				 .limbs = number[2],
				 .log_width = number[3],
				 .items = number[4],
				 .dense = number[5],
				 .hots = number[6],
				 .ids = number[7],
				 .bytes = number[8],
				 .values = number[9]};
	memcpy(h.model, b + 96, HEL_HASH_BYTES);
	memcpy(h.params, b + 128, HEL_HASH_BYTES);
	memcpy(h.tail, b + 160, HEL_HASH_BYTES);
	memcpy(h.records, b + 192, HEL_HASH_BYTES);
	hel_catalogue_head_write(again, &h);
	if (memcmp(again, b, sizeof again) != 0 || !is_plausible(&h) ||
	    hel_catalogue_map_of(&h).bytes != h.bytes)
		return hel_fail(HEL_EHASH, "the catalogue has a damaged head");
	if (h.bytes != size)
		return hel_fail(HEL_ETRUNC, "the catalogue has %llu bytes, expected %llu",
				(unsigned long long)size, (unsigned long long)h.bytes);
	*out = h;
	return HEL_OK;
}

hel_status hel_catalogue_ids(const char **at, const hel_catalogue_head *h, const char *ids)
{
	size_t left = h->ids;
	for (size_t i = 0; i < h->items; i++) {
		const char *end = left ? memchr(ids, 0, left) : NULL;
		if (!end || end == ids || (size_t)(end - ids) > HEL_ITEM_ID_MAX ||
		    !hel_is_text(ids))
			return hel_fail(HEL_EFORMAT, "item %zu of the catalogue has no id", i + 1);
		at[i] = ids;
		left -= (size_t)(end + 1 - ids);
		ids = end + 1;
	}
	return left ? hel_fail(HEL_EFORMAT, "the catalogue has ids behind its last item") : HEL_OK;
}

/* --- opening -------------------------------------------------------------------------------- */

static hel_status map_file(hel_catalogue *c, const char *path)
{
	hel_status st = HEL_OK;
	struct stat info;
	uint8_t head[HEL_CATALOGUE_HEAD_BYTES] = {0};
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &info))
		FAIL(HEL_EIO, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode))
		FAIL(HEL_EIO, "%s is not a regular file", path);
	if (pread(fd, head, sizeof head, 0) < 0)
		FAIL(HEL_EIO, "cannot read %s: %s", path, strerror(errno));
	st = hel_catalogue_head_read(&c->head, head, (uint64_t)info.st_size);
	if (st != HEL_OK)
		FAIL(st, "%s: %s", path, hel_error_detail());
	TRY(hel_mapping_open(&c->mapping, fd, c->head.bytes));
	c->bytes = hel_mapping_bytes(c->mapping);
	c->map = hel_catalogue_map_of(&c->head);
done:
	if (fd >= 0)
		close(fd);
	return st;
}

static hel_status check_block(void *arg, size_t i)
{
	const hel_catalogue *c = arg;
	uint8_t sum[HEL_CHECKSUM_BYTES];
	hel_checksum(sum, hel_catalogue_block(c, i), c->map.block_bytes, c->head.params);
	return memcmp(sum, c->bytes + c->map.checksums + i * sizeof sum, sizeof sum) == 0
		   ? HEL_OK
		   : hel_fail(HEL_EHASH, "block %zu of the catalogue is damaged", i + 1);
}

static int by_id(const void *a, const void *b, void *arg)
{
	const char **id = arg;
	return strcmp(id[*(const uint32_t *)a], id[*(const uint32_t *)b]);
}

hel_status hel_ids_sort(uint32_t *order, const char **id, size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, count, sizeof *order, by_id, id);
	for (size_t i = 1; i < count; i++)
		if (strcmp(id[order[i - 1]], id[order[i]]) == 0)
			return hel_fail(HEL_EDATA, "items %u and %u have the same id '%s'",
					HEL_MIN(order[i - 1], order[i]) + 1,
					HEL_MAX(order[i - 1], order[i]) + 1, id[order[i]]);
	return HEL_OK;
}

static hel_status check_all(hel_catalogue *c, hel_pool *pool)
{
	hel_status st = HEL_OK;
	uint8_t hash[HEL_HASH_BYTES];
	hel_hash(hash, c->bytes + c->map.checksums, c->map.records - c->map.checksums);
	if (memcmp(hash, c->head.tail, sizeof hash) != 0)
		FAIL(HEL_EHASH, "the catalogue's ids are damaged");
	hel_hash(hash, c->bytes + c->map.records, c->map.bytes - c->map.records);
	if (memcmp(hash, c->head.records, sizeof hash) != 0)
		FAIL(HEL_EHASH, "the catalogue's records are damaged");
	TRY(hel_pool_try(pool, hel_catalogue_blocks(c), check_block, c));
	TRY_ALLOC(c->id, hel_alloc(c->head.items, sizeof *c->id));
	TRY_ALLOC(c->by_id, hel_alloc(c->head.items, sizeof *c->by_id));
	TRY(hel_catalogue_ids(c->id, &c->head, (const char *)c->bytes + c->map.ids));
	TRY(hel_ids_sort(c->by_id, c->id, c->head.items));
	if (hel_catalogue_damaged(c))
		FAIL(HEL_ETRUNC, "the catalogue was truncated while it was read");
done:
	return st;
}

static hel_status fits(const hel_catalogue_head *h, const hel_manifest *m, const hel_params *p)
{
	if (!m->items.any)
		return hel_fail(HEL_EMODEL,
				"'%s' scores records one by one: compile it with --public for "
				"catalogues",
				m->model);
	if (memcmp(h->model, m->id, HEL_HASH_BYTES) != 0)
		return hel_fail(HEL_EMODEL,
				"the catalogue was made for another program than '%s': make it "
				"again with 'helrm catalogue'",
				m->model);
	if (memcmp(h->params, p->fingerprint, HEL_HASH_BYTES) != 0 || h->limbs != p->limbs[1] ||
	    h->log_n != p->spec.log_n || h->values != m->items.width ||
	    h->log_width != (m->items.batched ? m->log_batch : m->items.log_width))
		return hel_fail(HEL_EPARAMS, "the catalogue has other parameters than its program");
	return HEL_OK;
}

hel_status hel_catalogue_open(hel_catalogue **out, const char *path, const hel_manifest *m,
			      const hel_params *p, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_catalogue *c = NULL;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	TRY(map_file(c, path));
	TRY(fits(&c->head, m, p));
	st = check_all(c, pool);
	if (st != HEL_OK)
		FAIL(st, "%s: %s", path, hel_error_detail());
	*out = c;
	c = NULL;
done:
	hel_catalogue_free(c);
	return st;
}

void hel_catalogue_free(hel_catalogue *c)
{
	if (!c)
		return;
	hel_mapping_close(c->mapping);
	hel_free(c->id);
	hel_free(c->by_id);
	hel_free(c);
}

/* --- what is in it ---------------------------------------------------------------------------- */

const hel_catalogue_head *hel_catalogue_head_of(const hel_catalogue *c)
{
	return &c->head;
}

size_t hel_catalogue_blocks(const hel_catalogue *c)
{
	return blocks_of(&c->head);
}

const uint32_t *hel_catalogue_block(const hel_catalogue *c, size_t block)
{
	return (const uint32_t *)(const void *)(c->bytes + c->map.blocks +
						block * c->map.block_bytes);
}

const float *hel_catalogue_values(const hel_catalogue *c, size_t item)
{
	const uint8_t *at = c->bytes + c->map.blocks + item * 4 * c->head.values;
	return (const float *)(const void *)at;
}

const char *hel_catalogue_id(const hel_catalogue *c, size_t item)
{
	return c->id[item];
}

size_t hel_catalogue_find(const hel_catalogue *c, const char *id)
{
	size_t low = 0, high = c->head.items;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const int order = strcmp(c->id[c->by_id[middle]], id);
		if (!order)
			return c->by_id[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return SIZE_MAX;
}

void hel_catalogue_record(const hel_catalogue *c, size_t item, double *dense, uint32_t *hot)
{
	const hel_catalogue_head *h = &c->head;
	const uint8_t *at = c->bytes + c->map.records + item * (8 * h->dense + 4 * h->hots);
	if (h->dense)
		memcpy(dense, at, 8 * h->dense);
	if (h->hots)
		memcpy(hot, at + 8 * h->dense, 4 * h->hots);
}

bool hel_catalogue_damaged(const hel_catalogue *c)
{
	return hel_mapping_damaged(c->mapping);
}
