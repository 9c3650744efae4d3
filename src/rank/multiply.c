/* Multiply-accumulate: rotations of the vector once, as tiles; then blocks in groups, so that a
 * tile's rotations serve many blocks while they are in the cache. */
#include "multiply.h"
#include <string.h>

#define TILES 16u /* at once: their rotations fit the second-level cache */
#define GROUP 16u /* blocks at once: what cancelling waits for */

size_t hel_item_steps(int32_t *out, unsigned log_width)
{
	const int32_t width = 1 << log_width, babies = (int32_t)hel_item_babies(log_width);
	size_t count = 0;
	for (int32_t s = 1; s < babies; s++)
		out[count++] = s;
	for (int32_t s = babies; s < width; s += babies)
		out[count++] = s;
	return count;
}

/* Rotations of the vector: [limb][tile][half][2^log_width][HEL_TILE]. */
typedef struct rotations {
	const hel_params *p;
	size_t width;
	uint32_t *words;
} rotations;

static uint32_t *rotations_at(const rotations *r, size_t limb, size_t tile, size_t half)
{
	const size_t tiles = r->p->ring.n / HEL_TILE;
	return r->words + ((limb * tiles + tile) * 2 + half) * r->width * HEL_TILE;
}

static void keep_rotation(const rotations *r, size_t t, const hel_ct *ct)
{
	const size_t n = r->p->ring.n;
	for (size_t l = 0; l < r->p->limbs[1]; l++)
		for (size_t tile = 0; tile < n / HEL_TILE; tile++)
			for (size_t half = 0; half < 2; half++)
				memcpy(rotations_at(r, l, tile, half) + t * HEL_TILE,
				       ct->part[half] + l * n + tile * HEL_TILE,
				       HEL_TILE * sizeof(uint32_t));
}

/* a itself and rotated by each of `count` multiples of `step`, from one decomposition. */
static hel_status rotate_all(hel_ct **out, const hel_eval *ev, const hel_ct *a, size_t count,
			     size_t step)
{
	hel_status st = HEL_OK;
	long steps[1 << HEL_MAX_LOG_ITEM_WIDTH];
	for (size_t i = 0; i < count; i++) {
		steps[i] = (long)((i + 1) * step);
		TRY(hel_ct_take(&out[i], ev));
	}
	if (count)
		TRY(hel_eval_rotate_hoisted(ev, out, a, steps, count));
done:
	return st;
}

static void free_all(hel_ct **ct, size_t count)
{
	for (size_t i = 0; ct && i < count; i++) {
		hel_ct_free(ct[i]);
		ct[i] = NULL;
	}
}

static hel_status rotate(const rotations *r, const hel_eval *ev, const hel_ct *vector,
			 unsigned log_width)
{
	hel_status st = HEL_OK;
	const size_t babies = hel_item_babies(log_width), giants = r->width / babies;
	hel_ct **giant = NULL, **baby = NULL;
	TRY_ALLOC(giant, hel_alloc(giants, sizeof *giant));
	TRY_ALLOC(baby, hel_alloc(babies, sizeof *baby));
	TRY(rotate_all(giant, ev, vector, giants - 1, babies));
	for (size_t g = 0; g < giants; g++) {
		const hel_ct *from = g ? giant[g - 1] : vector;
		if (ev->stop && atomic_load(ev->stop))
			FAIL(HEL_ECANCEL, "stopped");
		TRY(rotate_all(baby, ev, from, babies - 1, 1));
		keep_rotation(r, g * babies, from);
		for (size_t b = 1; b < babies; b++)
			keep_rotation(r, g * babies + b, baby[b - 1]);
		free_all(baby, babies);
	}
done:
	free_all(giant, giants);
	free_all(baby, babies);
	hel_free(giant);
	hel_free(baby);
	return st;
}

typedef struct group_job {
	const rotations *r;
	const hel_eval *ev;
	const hel_ct *constant;
	const uint32_t *block[GROUP];
	hel_ct *sum[GROUP];
	size_t blocks;
} group_job;

/* A run of tiles of one limb, of all blocks. */
static void multiply(void *arg, size_t number)
{
	const group_job *j = arg;
	const hel_params *p = j->r->p;
	const size_t n = p->ring.n, tiles = n / HEL_TILE, runs = (tiles + TILES - 1) / TILES;
	const size_t limb = number / runs, first = number % runs * TILES;
	const size_t words = j->r->width * HEL_TILE;
	for (size_t b = 0; b < j->blocks; b++)
		for (size_t t = first; t < HEL_MIN(first + TILES, tiles); t++)
			p->ring.k->tile_product(j->sum[b]->part[0] + limb * n + t * HEL_TILE,
						j->sum[b]->part[1] + limb * n + t * HEL_TILE,
						j->block[b] + (limb * tiles + t) * words,
						rotations_at(j->r, limb, t, 0),
						rotations_at(j->r, limb, t, 1), j->r->width,
						p->ring.at[limb]);
}

/* One block's constants, division, and the user's constant. */
static hel_status finish(void *arg, size_t b)
{
	hel_status st = HEL_OK;
	const group_job *j = arg;
	const hel_params *p = j->r->p;
	const size_t limbs = p->limbs[1], words = limbs * p->ring.n;
	hel_ct *ct = j->sum[b];
	p->ring.k->add(ct->part[0], ct->part[0], j->block[b] + j->r->width * words, p->ring.at,
		       limbs);
	ct->level = 1;
	ct->scale = p->scale[1] * p->scale[1];
	TRY(hel_eval_rescale(j->ev, ct, ct));
	if (j->constant)
		TRY(hel_eval_add(j->ev, ct, ct, j->constant));
done:
	return st;
}

static hel_status check(const hel_catalogue *c, const hel_eval *ev, const hel_ct *vector,
			const hel_ct *constant)
{
	const hel_params *p = ev->params;
	const hel_catalogue_head *h = hel_catalogue_head_of(c);
	if (memcmp(h->params, p->fingerprint, HEL_HASH_BYTES) != 0 || vector->params != p)
		return hel_fail(HEL_EPARAMS, "the catalogue has other parameters");
	if (vector->level != 1 || (constant && constant->level != 0))
		return hel_fail(HEL_ELEVEL, "a vector of level %u, expected 1", vector->level);
	if (vector->scale != p->scale[1])
		return hel_fail(HEL_ESCALE, "the vector is a product: rescale first");
	return HEL_OK;
}

size_t hel_catalogue_apply_bytes(const hel_params *p, unsigned log_width)
{
	const size_t words = 2 * p->limbs[1] * p->ring.n, width = (size_t)1 << log_width;
	return 4 * (words * (width + GROUP + 2 * hel_item_babies(log_width)));
}

hel_status hel_catalogue_apply(const hel_catalogue *c, const size_t *block, size_t count,
			       const hel_eval *ev, const hel_ct *vector, const hel_ct *constant,
			       hel_scores_put *put, void *arg, hel_progress *progress)
{
	hel_status st = HEL_OK;
	const hel_params *p = ev->params;
	const unsigned log_width = (unsigned)hel_catalogue_head_of(c)->log_width;
	rotations r = {.p = p, .width = (size_t)1 << log_width};
	group_job j = {.r = &r, .ev = ev, .constant = constant};
	const size_t runs = (p->ring.n / HEL_TILE + TILES - 1) / TILES;
	TRY(check(c, ev, vector, constant));
	TRY_ALLOC(r.words, hel_scratch_take(ev->scratch, 8 * r.width * p->limbs[1] * p->ring.n));
	TRY(rotate(&r, ev, vector, log_width));
	for (size_t i = 0; i < GROUP; i++)
		TRY(hel_ct_take(&j.sum[i], ev));
	for (size_t first = 0; first < count; first += GROUP) {
		if (ev->stop && atomic_load(ev->stop))
			FAIL(HEL_ECANCEL, "stopped");
		j.blocks = HEL_MIN(count - first, (size_t)GROUP);
		for (size_t b = 0; b < j.blocks; b++)
			j.block[b] = hel_catalogue_block(c, block[first + b]);
		hel_pool_for(ev->pool, p->limbs[1] * runs, multiply, &j);
		TRY(hel_pool_try(ev->pool, j.blocks, finish, &j));
		for (size_t b = 0; b < j.blocks; b++)
			TRY(put(arg, block[first + b], j.sum[b]));
		hel_progress_step(progress, (double)(first + j.blocks) / (double)count);
		TRY(hel_watching_step(ev->watching, (double)(first + j.blocks) / (double)count));
	}
	if (hel_catalogue_damaged(c))
		FAIL(HEL_EHASH, "the catalogue was damaged while it was mapped");
done:
	free_all(j.sum, GROUP);
	hel_scratch_give(ev->scratch, r.words);
	return st;
}
