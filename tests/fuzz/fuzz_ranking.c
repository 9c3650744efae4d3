/* A ranking. Input: a byte that says of which client, then the body behind the names. What is
 * accepted is, item by item, what a second reading of the same bytes finds: nothing is ranked under
 * another item's id. */
#include "fuzz_ranking.h"
#include "net/ranking_file.h"
#include <math.h>

#define ITEMS_MAX (1u << 13)

typedef struct found {
	char id[HEL_ITEM_ID_MAX + 1];
	double logit;
} found;

static found item[ITEMS_MAX];
static size_t items;

/* The scores of one block's ciphertext, by place. */
static void read_scores(double *score, const hel_client *c, hel_reader *r)
{
	const hel_manifest *m = c->manifest;
	hel_complex slots[FUZZ_RANKING_N / 2];
	uint32_t samples;
	hel_ct *ct;
	fuzz_expect(hel_ct_new(&ct, c->params) == HEL_OK);
	if (m->items.batched) {
		fuzz_expect(hel_ct_read_sampled(ct, &samples, r) == HEL_OK);
		fuzz_expect(hel_client_read_scores(slots, c, ct) == HEL_OK);
	} else {
		fuzz_expect(hel_ct_read(ct, r) == HEL_OK);
		fuzz_expect(hel_decrypt(slots, c->secret, ct) == HEL_OK);
	}
	for (size_t i = 0; i < hel_ranked_items(m); i++) {
		const hel_complex *s = &slots[m->items.batched ? i : hel_item_slot(i)];
		score[i] = m->unit * (m->items.batched || i % 2 == 0 ? s->re : s->im);
	}
	hel_ct_free(ct);
}

static void second_reading(const hel_client *c, const uint8_t *body, size_t size)
{
	const size_t most = hel_ranked_items(c->manifest);
	double score[FUZZ_RANKING_N];
	char last[HEL_ITEM_ID_MAX + 1] = "";
	hel_reader r = hel_reader_of(body, size);
	items = 0;
	for (uint32_t blocks = hel_read_u32(&r); blocks; blocks--) {
		const size_t first = items;
		const uint8_t *bits = hel_read_bytes(&r, (most + 7) / 8);
		size_t place[FUZZ_RANKING_N];
		fuzz_expect(bits);
		for (size_t i = 0; i < most; i++) {
			if (!(bits[i / 8] & 1 << i % 8))
				continue;
			const size_t shared = hel_read_u8(&r), rest = hel_read_u8(&r);
			memcpy(last + shared, hel_read_bytes(&r, rest), rest);
			last[shared + rest] = 0;
			fuzz_expect(items < ITEMS_MAX);
			place[items - first] = i;
			strcpy(item[items++].id, last);
		}
		read_scores(score, c, &r);
		for (size_t i = first; i < items; i++)
			item[i].logit = score[place[i - first]];
	}
	fuzz_expect(hel_reader_finish(&r) == HEL_OK);
}

/* Falling scores, and each item of the second reading once. */
static void compare(const hel_ranking *x)
{
	fuzz_expect(x->count == items);
	for (size_t i = 0; i < items; i++) {
		const hel_ranked_item *a = hel_ranking_item(x, i);
		fuzz_expect(isfinite(a->logit) && *a->id && hel_is_text(a->id));
		fuzz_expect(!i || a->logit <= x->item[i - 1].logit);
		size_t k = 0;
		while (k < items && (a->logit != item[k].logit || strcmp(a->id, item[k].id) != 0))
			k++;
		fuzz_expect(k < items);
		item[k].logit = NAN; /* found */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hel_writer w = {0};
	hel_ranking *x = NULL;
	if (!size)
		return 0;
	const hel_client *c = fuzz_ranking_client(*data % 2);
	uint8_t names[2 * HEL_HASH_BYTES + HEL_CLIENT_ID_BYTES] = {0};
	hel_write_bytes(&w, names, sizeof names);
	hel_write_bytes(&w, data + 1, size - 1);
	fuzz_expect(w.status == HEL_OK);
	size_t sealed_size;
	uint8_t *sealed = fuzz_seal(&sealed_size, HEL_KIND_RANKING, w.bytes, w.size);
	if (hel_client_rank(&x, c, sealed, sealed_size) == HEL_OK) {
		second_reading(c, data + 1, size - 1);
		compare(x);
	}
	hel_ranking_free(x);
	free(sealed);
	hel_writer_clear(&w);
	uint8_t *copy = fuzz_copy(data, size); /* as it came */
	fuzz_expect(hel_client_rank(&x, c, copy, size) != HEL_OK);
	free(copy);
	return 0;
}
