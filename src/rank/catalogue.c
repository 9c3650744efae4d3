/* Blocks of items as plaintexts. */
#include "catalogue.h"
#include <string.h>

size_t hel_block_words(const hel_params *p, unsigned log_width)
{
	return (((size_t)1 << log_width) + 1) * p->limbs[1] * p->ring.n;
}

typedef struct block_job {
	uint32_t *words;
	const hel_item_form *form;
	const double *value;
	size_t items;
} block_job;

/* The number of the item in a slot's real (0) or imaginary part, SIZE_MAX for none. */
static size_t item_in(const block_job *j, size_t slot, size_t part)
{
	const size_t pair = slot - slot / HEL_KNOWN_EVERY, item = 2 * pair + part;
	return hel_slot_is_known(slot) || item >= j->items ? SIZE_MAX : item;
}

static hel_complex divided(hel_complex a, hel_complex b)
{
	const double d = b.re * b.re + b.im * b.im;
	return (hel_complex){(a.re * b.re + a.im * b.im) / d, (a.im * b.re - a.re * b.im) / d};
}

/* Plaintext number t: in each slot the weights that the vector, rotated by t, meets there. */
static void fill_weights(hel_complex *slots, const block_job *j, size_t t)
{
	const hel_item_form *f = j->form;
	const size_t mask = ((size_t)1 << f->log_width) - 1, stride = 1 + f->rows;
	for (size_t s = 0; s < f->params->ring.n / 2; s++) {
		const size_t e = (s + t) & mask;
		const size_t item[2] = {item_in(j, s, 0), item_in(j, s, 1)};
		double w[2];
		for (size_t k = 0; k < 2; k++)
			w[k] = e < f->rows && item[k] != SIZE_MAX
				   ? j->value[item[k] * stride + 1 + e] / f->unit
				   : 0;
		slots[s] = e < f->rows ? divided((hel_complex){w[0], w[1]}, f->turn[e])
				       : (hel_complex){0, 0};
	}
}

static void fill_constants(hel_complex *slots, const block_job *j)
{
	const hel_item_form *f = j->form;
	for (size_t s = 0; s < f->params->ring.n / 2; s++) {
		const size_t item[2] = {item_in(j, s, 0), item_in(j, s, 1)};
		double w[2];
		for (size_t k = 0; k < 2; k++)
			w[k] = item[k] == SIZE_MAX
				   ? 0
				   : (j->value[item[k] * (1 + f->rows)] + f->usual) / f->unit;
		slots[s] = (hel_complex){w[0], w[1]};
	}
}

/* From [limb][N] to the block's tiles. */
static void to_tiles(const block_job *j, size_t t, const uint32_t *data)
{
	const hel_params *p = j->form->params;
	const size_t width = (size_t)1 << j->form->log_width, tiles = p->ring.n / HEL_TILE;
	for (size_t i = 0; i < p->limbs[1] * tiles; i++)
		memcpy(j->words + (i * width + t) * HEL_TILE, data + i * HEL_TILE,
		       HEL_TILE * sizeof *data);
}

static hel_status encode_one(void *arg, size_t t)
{
	hel_status st = HEL_OK;
	const block_job *j = arg;
	const hel_params *p = j->form->params;
	const size_t words = p->limbs[1] * p->ring.n, width = (size_t)1 << j->form->log_width;
	const double scale = p->scale[1];
	hel_complex *slots = NULL;
	uint32_t *data = NULL;
	TRY_ALLOC(slots, hel_alloc_raw(p->ring.n / 2, sizeof *slots));
	if (t == width) {
		fill_constants(slots, j);
		TRY(hel_encode_into(j->words + width * words, p, slots, 1, scale * scale,
				    HEL_FOR_ADD, NULL));
		goto done;
	}
	TRY_ALLOC(data, hel_alloc_raw(words, sizeof *data));
	fill_weights(slots, j, t);
	TRY(hel_encode_into(data, p, slots, 1, scale, HEL_FOR_MUL, NULL));
	to_tiles(j, t, data);
done:
	hel_free(slots);
	hel_free(data);
	return st;
}

hel_status hel_block_encode(uint32_t *words, const hel_item_form *f, const double *value,
			    size_t items, hel_pool *pool)
{
	block_job j = {words, f, value, items};
	return hel_pool_try(pool, ((size_t)1 << f->log_width) + 1, encode_one, &j);
}
