/* A ranking becomes items with scores, the highest first. */
#include "client_inside.h"
#include "net/ranking_file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As for single scores (read_score.c): no error goes so many times its predicted mean. */
#define STRAY_LIMIT 32

/* Blocks one after the other. */
typedef struct reading {
	const hel_client *c;
	hel_reader r;
	hel_ct *ct;
	hel_complex *slots;
	size_t n;
	hel_writer ids; /* all, zero-ended; items hold places in it until all are there */
	char last[HEL_ITEM_ID_MAX + 1];
	hel_ranked_item *item;
	size_t count, room;
	double stray, mean; /* of all slots of a block: the largest */
} reading;

static hel_status read_id(reading *x, size_t *at)
{
	hel_status st = HEL_OK;
	const size_t shared = hel_read_u8(&x->r), rest = hel_read_u8(&x->r);
	const uint8_t *text = hel_read_bytes(&x->r, rest);
	TRY(x->r.status);
	if (shared > strlen(x->last) || shared + rest > HEL_ITEM_ID_MAX || !(shared + rest))
		FAIL(HEL_EFORMAT, "an item of the ranking has an id of %zu bytes", shared + rest);
	memcpy(x->last + shared, text, rest);
	x->last[shared + rest] = 0;
	if (strlen(x->last) != shared + rest || !hel_is_text(x->last))
		FAIL(HEL_EFORMAT, "an id of the ranking is no plain text");
	*at = x->ids.size;
	hel_write_bytes(&x->ids, x->last, shared + rest + 1);
	st = x->ids.status;
done:
	return st;
}

static hel_status add_item(reading *x, size_t id)
{
	hel_status st = HEL_OK;
	if (x->count == x->room) {
		hel_ranked_item *more;
		const size_t room = x->room ? 2 * x->room : 1024;
		TRY_ALLOC(more, hel_alloc(room, sizeof *more));
		if (x->count)
			memcpy(more, x->item, x->count * sizeof *more);
		hel_free_secret(x->item, x->count * sizeof *more);
		x->item = more;
		x->room = room;
	}
	x->item[x->count++].id = (const char *)(uintptr_t)id;
done:
	return st;
}

/* What known places hold: all the same, in both parts; without a constant of the user's 0. */
static double stray_of(const reading *x)
{
	const bool common = x->c->manifest->items.common;
	double sum = 0, stray = 0;
	size_t count = 0;
	for (size_t s = 0; s < x->n / 2; s++)
		if (hel_slot_is_known(s)) {
			sum += x->slots[s].re + x->slots[s].im;
			count += 2;
		}
	const double expected = common && count ? sum / (double)count : 0;
	for (size_t s = 0; s < x->n / 2; s++)
		if (hel_slot_is_known(s))
			stray = fmax(stray, fmax(fabs(x->slots[s].re - expected),
						 fabs(x->slots[s].im - expected)));
	return stray;
}

/* What a wrapped sum would show in all slots alike, known places included. */
static double mean_of(const reading *x)
{
	double sum[2] = {0, 0};
	for (size_t s = 0; s < x->n / 2; s++) {
		sum[0] += x->slots[s].re;
		sum[1] += x->slots[s].im;
	}
	return fmax(fabs(sum[0]), fabs(sum[1])) * 2 / (double)x->n;
}

/* Both parts of all slots but known ones are scores. */
static hel_status read_slots(reading *x)
{
	hel_status st = HEL_OK;
	const double unit = x->c->manifest->unit;
	TRY(hel_ct_read(x->ct, &x->r));
	if (x->ct->level != 0)
		FAIL(HEL_EFORMAT, "a ranking of level %u, expected 0", x->ct->level);
	TRY(hel_decrypt(x->slots, x->c->secret, x->ct));
	x->stray = fmax(x->stray, stray_of(x) * unit);
	x->mean = fmax(x->mean, mean_of(x) * unit);
done:
	return st;
}

/* The result of a batch, a slot for each item. */
static hel_status read_batch(reading *x)
{
	hel_status st = HEL_OK;
	uint32_t samples;
	TRY(hel_ct_read_sampled(x->ct, &samples, &x->r));
	if (x->ct->level != 0 || samples != x->c->manifest->samples)
		FAIL(HEL_EFORMAT, "scores of level %u with %u samples, expected 0 and %u",
		     x->ct->level, samples, x->c->manifest->samples);
	TRY(hel_client_read_scores(x->slots, x->c, x->ct));
done:
	return st;
}

static hel_status read_block(reading *x)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = x->c->manifest;
	const bool batched = m->items.batched;
	const size_t most = hel_ranked_items(m), first = x->count;
	const uint8_t *bits = hel_read_bytes(&x->r, (most + 7) / 8);
	size_t id = 0, item = first;
	TRY(x->r.status);
	for (size_t i = 0; i < most; i++)
		if (bits[i / 8] >> i % 8 & 1) {
			TRY(read_id(x, &id));
			TRY(add_item(x, id));
		}
	TRY(batched ? read_batch(x) : read_slots(x));
	for (size_t i = 0; i < most; i++)
		if (bits[i / 8] >> i % 8 & 1) {
			const hel_complex *s = &x->slots[batched ? i : hel_item_slot(i)];
			x->item[item++].logit = m->unit * (!batched && i & 1 ? s->im : s->re);
		}
done:
	return st;
}

static hel_status read_head(hel_reader *r, uint32_t *blocks, uint8_t catalogue[HEL_HASH_BYTES],
			    const hel_client *c, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	TRY(hel_container_open(r, HEL_KIND_RANKING, result, size));
	const uint8_t *id = hel_read_bytes(r, HEL_HASH_BYTES);
	const uint8_t *client = hel_read_bytes(r, HEL_CLIENT_ID_BYTES);
	const uint8_t *name = hel_read_bytes(r, HEL_HASH_BYTES);
	*blocks = hel_read_u32_max(r, HEL_MAX_RANKED_BLOCKS, "number of blocks");
	TRY(r->status);
	memcpy(catalogue, name, HEL_HASH_BYTES);
	if (memcmp(id, m->id, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL, "this ranking comes from another model than the manifest '%s'",
		     m->model);
	if (memcmp(client, c->id, HEL_CLIENT_ID_BYTES) != 0)
		FAIL(HEL_ECLIENT, "this ranking belongs to another client's secret key");
done:
	return st;
}

/* By falling score; ids still are places, which ascend. */
static int falling(const void *a, const void *b)
{
	const hel_ranked_item *x = a, *y = b;
	if (x->logit != y->logit)
		return x->logit > y->logit ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static hel_status check_stray(const reading *x)
{
	const hel_manifest *m = x->c->manifest;
	const double most = STRAY_LIMIT * hel_manifest_error(m) * m->unit;
	if (!(x->mean <= m->bound))
		return hel_fail(
		    HEL_ERANGE,
		    "the mean score is too large (%.4g, at most %.4g was seen): a record "
		    "unlike those that this model was compiled with (--data), wrong keys "
		    "or a faulty server",
		    x->mean, m->bound);
	return x->stray < most
		   ? HEL_OK
		   : hel_fail(HEL_ERANGE,
			      "the ranking does not decrypt to scores (known places are off by "
			      "%.3g, less than %.3g expected): wrong keys, a record unlike those "
			      "that this model was compiled with, or a faulty server",
			      x->stray, most);
}

bool hel_client_ranks(const hel_client *c)
{
	return c->manifest->items.any;
}

/* Ids stand still now. */
static void finish_items(reading *x)
{
	if (x->count)
		qsort(x->item, x->count, sizeof *x->item, falling);
	for (size_t i = 0; i < x->count; i++) {
		hel_ranked_item *item = &x->item[i];
		item->id = (const char *)x->ids.bytes + (uintptr_t)item->id;
		item->probability = 1 / (1 + exp(-item->logit));
	}
}

hel_status hel_client_rank(hel_ranking **out, const hel_client *c, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	reading x = {.c = c};
	hel_ranking *made = NULL;
	uint32_t blocks;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
	if (!c->manifest->items.any)
		FAIL(HEL_EMODEL, "'%s' scores records one by one: it ranks no items",
		     c->manifest->model);
	TRY_ALLOC(made, hel_alloc(1, sizeof *made));
	TRY(read_head(&x.r, &blocks, made->catalogue, c, result, size));
	x.n = c->params->ring.n;
	TRY(hel_ct_new(&x.ct, c->params));
	TRY_ALLOC(x.slots, hel_secret_alloc(x.n / 2, sizeof *x.slots));
	for (uint32_t b = 0; b < blocks; b++)
		TRY(read_block(&x));
	TRY(hel_reader_finish(&x.r));
	if (!c->manifest->items.batched) /* where it is, each block was checked */
		TRY(check_stray(&x));
	finish_items(&x);
	made->count = x.count;
	made->item = x.item;
	made->ids = (char *)x.ids.bytes;
	made->ids_size = x.ids.size;
	made->stray = x.stray;
	made->error = 4 * hel_manifest_error(c->manifest) * c->manifest->unit;
	x.item = NULL;
	x.ids = (hel_writer){0};
	*out = made;
	made = NULL;
done:
	hel_free_secret(x.item, x.item ? x.count * sizeof *x.item : 0);
	hel_writer_clear(&x.ids);
	hel_secret_free(x.slots);
	hel_ct_free(x.ct);
	hel_ranking_free(made);
	return st;
}

void hel_ranking_free(hel_ranking *r)
{
	if (!r)
		return;
	hel_free_secret(r->item, r->item ? r->count * sizeof *r->item : 0);
	hel_free(r->ids);
	hel_free(r);
}

size_t hel_ranking_count(const hel_ranking *r)
{
	return r->count;
}

const hel_ranked_item *hel_ranking_item(const hel_ranking *r, size_t place)
{
	return place < r->count ? &r->item[place] : NULL;
}

double hel_ranking_error(const hel_ranking *r)
{
	return r->error;
}

void hel_ranking_catalogue(uint8_t name[HEL_PIN_BYTES], const hel_ranking *r)
{
	memcpy(name, r->catalogue, HEL_PIN_BYTES);
}
