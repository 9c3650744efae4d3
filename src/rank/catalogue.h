/* catalogue.h -- items as plaintexts, in blocks of one ciphertext of scores each; and the file that
 * holds them, which is mapped.
 */
#ifndef HEL_CATALOGUE_H
#define HEL_CATALOGUE_H

#include "ckks/ckks.h"
#include "prog/prog.h"

/** Words of a block: weights, [limb][tile][2^log_width][HEL_TILE], in Montgomery form; then the
 *  items' constants at a product's scale, [limb][N]. All of level 1, NTT. */
size_t hel_block_words(const hel_params *p, unsigned log_width);

/** What makes weights plaintexts: the program's. */
typedef struct hel_item_form {
	const hel_params *params;
	unsigned log_width;
	size_t rows;
	const hel_complex *turn;
	double unit, usual;
	/* Where a program takes items' values (hel_items): `rows` of them for each of 2^log_batch
	 * items at once, none beyond `largest`; the rest is not used. */
	bool batched;
	unsigned log_batch;
	double largest;
} hel_item_form;

/** Numbers that make an item: its constant and weights, or its values. */
static inline size_t hel_item_numbers(const hel_item_form *f)
{
	return f->batched ? f->rows : 1 + f->rows;
}

/** Encodes up to hel_block_items items: value[i] is item i's constant, then its `rows` weights.
 *  Cost: 2^log_width encodings, on the pool.
 *  @retval HEL_ERANGE an item's numbers are too large; names none. */
HEL_CHECKED hel_status hel_block_encode(uint32_t *words, const hel_item_form *f,
					const double *value, size_t items, hel_pool *pool);

/* --- the file (catalogue_file.c) ------------------------------------------------------------- */

#define HEL_CATALOGUE_HEAD_BYTES 4096

/** What a catalogue says of itself. */
typedef struct hel_catalogue_head {
	uint8_t model[HEL_HASH_BYTES];	/* the manifest's id */
	uint8_t params[HEL_HASH_BYTES]; /* fingerprint of the parameters */
	uint64_t log_n, limbs, log_width;
	uint64_t items, dense, hots; /* numbers and words of an item's record */
	uint64_t values; /* of an item, as floats; log_width then is that of a block's items. 0:
			  * blocks are plaintexts */
	uint64_t ids;	 /* bytes of all ids, each ended by a zero */
	uint64_t bytes;	 /* of the file */
	uint8_t tail[HEL_HASH_BYTES];	 /* of checksums and ids */
	uint8_t records[HEL_HASH_BYTES]; /* of the records */
	uint8_t id[HEL_HASH_BYTES];	 /* of all that: names the catalogue */
} hel_catalogue_head;

/** The head of a file of `size` bytes in all; bytes: its first HEL_CATALOGUE_HEAD_BYTES, or all.
 *  @retval HEL_EFORMAT no catalogue. @retval HEL_EVERSION, HEL_ETRUNC, HEL_EHASH a damaged one. */
HEL_CHECKED hel_status hel_catalogue_head_read(hel_catalogue_head *out, const void *bytes,
					       uint64_t size);
/** Items of a block. */
size_t hel_catalogue_block_size(const hel_catalogue_head *h);
/** Where things begin in the file. */
typedef struct hel_catalogue_map {
	uint64_t blocks, block_bytes, checksums, ids, records, bytes;
} hel_catalogue_map;
hel_catalogue_map hel_catalogue_map_of(const hel_catalogue_head *h);
/** The ids of a tail: *at[i] becomes where id i begins. */
HEL_CHECKED hel_status hel_catalogue_ids(const char **at, const hel_catalogue_head *h,
					 const char *ids);

typedef struct hel_catalogue hel_catalogue; /* mapped; any number of threads may use one */

/** Maps a catalogue of this model and checks all of it.
 *  Cost: one pass over the file, on the pool.
 *  @retval HEL_EMODEL, HEL_EPARAMS it belongs to another program.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH no whole catalogue. */
HEL_CHECKED hel_status hel_catalogue_open(hel_catalogue **out, const char *path,
					  const hel_manifest *m, const hel_params *p,
					  hel_pool *pool);
HEL_API void hel_catalogue_free(hel_catalogue *c); /* as helrm/server.h has it */
const hel_catalogue_head *hel_catalogue_head_of(const hel_catalogue *c);
size_t hel_catalogue_blocks(const hel_catalogue *c);
const uint32_t *hel_catalogue_block(const hel_catalogue *c, size_t block);
/** Of a catalogue of values: those of an item. */
const float *hel_catalogue_values(const hel_catalogue *c, size_t item);
const char *hel_catalogue_id(const hel_catalogue *c, size_t item);
/** The number of an item, SIZE_MAX when there is none of this id. */
size_t hel_catalogue_find(const hel_catalogue *c, const char *id);
/** An item's record as its model's numbers: `dense` doubles and `hots` words. */
void hel_catalogue_record(const hel_catalogue *c, size_t item, double *dense, uint32_t *hot);
/** Was something read that the file does not hold any more? */
bool hel_catalogue_damaged(const hel_catalogue *c);

/* --- making one (catalogue_write.c) ---------------------------------------------------------- */

/** Items to be encoded; borrowed. */
typedef struct hel_item_source {
	size_t count;
	const char *const *id;
	const double *dense; /* [count][dense] */
	const uint32_t *hot; /* [count][hots] */
	size_t denses, hots;
	/** What makes `count` items of these records: [count][hel_item_numbers]. */
	hel_status (*weigh)(void *arg, double *value, const double *dense, const uint32_t *hot,
			    size_t count);
	void *arg;
} hel_item_source;

/** Writes a catalogue, all or nothing. before: items that stand in front, whose full blocks are
 *  copied; or NULL. Cost: encoding of what is new.
 *  @retval HEL_EDATA an id is there twice, empty or too long. @retval HEL_ELIMIT too many items. */
HEL_CHECKED hel_status hel_catalogue_write(const char *path, const hel_manifest *m,
					   const hel_item_form *f, const hel_item_source *s,
					   const hel_catalogue *before, hel_pool *pool,
					   hel_progress *progress);

#endif
