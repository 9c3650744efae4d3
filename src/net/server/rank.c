/* A query becomes the scores of a catalogue's items. */
#include "rank.h"
#include "net/ranking_file.h"
#include "rank_batches.h"
#include "server_inside.h"
#include <stdlib.h>
#include <string.h>

/* --- candidates ------------------------------------------------------------------------------- */

static bool is_candidate(const hel_selection *x, size_t item)
{
	return !x || !x->bits || x->bits[item / 8] >> item % 8 & 1;
}

/* Items [first, end). */
typedef struct run {
	uint32_t first, end;
} run;

/* "100..200" */
static bool is_range(run *out, const char *word, size_t items)
{
	char *end;
	if (*word < '0' || *word > '9')
		return false;
	const unsigned long long first = strtoull(word, &end, 10);
	if (strncmp(end, "..", 2) != 0 || end[2] < '0' || end[2] > '9')
		return false;
	const unsigned long long last = strtoull(end + 2, &end, 10);
	if (*end || first < 1 || first > last || last > items)
		return false;
	*out = (run){(uint32_t)first - 1, (uint32_t)last};
	return true;
}

static hel_status find_run(run *out, const hel_catalogue *c, const char *word)
{
	char excerpt[HEL_EXCERPT_MAX];
	const size_t item = hel_catalogue_find(c, word);
	if (item != SIZE_MAX)
		*out = (run){(uint32_t)item, (uint32_t)item + 1};
	else if (!is_range(out, word, hel_catalogue_head_of(c)->items))
		return hel_fail(HEL_EINVAL, "the catalogue has no item '%s'",
				hel_is_text(word) ? hel_excerpt(excerpt, word) : "?");
	return HEL_OK;
}

static int by_first(const void *a, const void *b)
{
	const run *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* In order, so that runs over the same items cost nothing. */
static void select_runs(hel_selection *x, run *r, size_t count)
{
	uint32_t next = 0;
	qsort(r, count, sizeof *r, by_first);
	for (size_t k = 0; k < count; k++)
		for (next = HEL_MAX(next, r[k].first); next < r[k].end; next++, x->count++)
			x->bits[next / 8] |= (uint8_t)(1u << next % 8);
}

hel_status hel_selection_parse(hel_selection *out, const hel_catalogue *c, const char *text,
			       size_t size, char separator)
{
	hel_status st = HEL_OK;
	hel_selection x = {0};
	char *copy = NULL;
	run *r = NULL;
	size_t words = 1, count = 0;
	for (size_t i = 0; i < size; i++)
		words += text[i] == separator;
	TRY_ALLOC(x.bits, hel_alloc(hel_catalogue_head_of(c)->items / 8 + 1, 1));
	TRY_ALLOC(r, hel_alloc(words, sizeof *r));
	TRY_ALLOC(copy, hel_alloc(size + 1, 1));
	if (size)
		memcpy(copy, text, size);
	for (char *word = copy, *end; word <= copy + size; word = end + 1) {
		end = memchr(word, separator, (size_t)(copy + size - word));
		end = end ? end : copy + size;
		*end = 0;
		if (end > word && end[-1] == '\r')
			end[-1] = 0;
		if (*word)
			TRY(find_run(&r[count++], c, word));
	}
	select_runs(&x, r, count);
	if (!x.count)
		FAIL(HEL_EINVAL, "no candidates are named");
	*out = x;
	x = (hel_selection){0};
done:
	hel_selection_clear(&x);
	hel_free(copy);
	hel_free(r);
	return st;
}

void hel_selection_clear(hel_selection *x)
{
	hel_free(x->bits);
	memset(x, 0, sizeof *x);
}

/* Those of `also` only. */
static void narrow(hel_selection *x, const hel_selection *also, size_t items)
{
	x->count = 0;
	for (size_t i = 0; i < items / 8 + 1; i++) {
		x->bits[i] &= also->bits[i];
		x->count += (size_t)__builtin_popcount(x->bits[i]);
	}
}

/* What a query with candidates names, and the query inside. */
static hel_status open_candidates(hel_selection *named, const void **query, size_t *size,
				  const hel_catalogue *c)
{
	hel_status st = HEL_OK;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_CANDIDATES, *query, *size));
	const uint8_t *id = hel_read_bytes(&r, HEL_HASH_BYTES);
	const uint32_t bytes = hel_read_u32_max(&r, HEL_CANDIDATES_MAX, "size of candidates");
	const char *text = (const char *)hel_read_bytes(&r, bytes);
	TRY(r.status);
	if (memcmp(id, hel_catalogue_head_of(c)->model, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL, "these candidates are of another model than the catalogue");
	TRY(hel_selection_parse(named, c, text, bytes, '\n'));
	*query = r.at;
	*size = hel_reader_left(&r);
done:
	return st;
}

/* Blocks that hold any of them. */
static size_t blocks_of(size_t *block, const hel_catalogue *c, const hel_selection *only)
{
	const hel_catalogue_head *h = hel_catalogue_head_of(c);
	const size_t most = hel_catalogue_block_size(h), items = h->items;
	size_t count = 0;
	for (size_t b = 0; b < hel_catalogue_blocks(c); b++) {
		const size_t end = HEL_MIN((b + 1) * most, items);
		size_t i = b * most;
		while (i < end && !is_candidate(only, i))
			i++;
		if (i < end)
			block[count++] = b;
	}
	return count;
}

/* --- the ranking ------------------------------------------------------------------------------ */

typedef struct ranking {
	hel_writer *w;
	const hel_catalogue *c;
	const hel_selection *only;
	const hel_eval *ev;
	uint32_t samples;   /* that are sent of a block; 0: all */
	const char *before; /* the id that was written last */
} ranking;

/* How much of it the one before has, too; never part of a character's bytes matters, they are put
 * together again. */
static void write_id(ranking *r, const char *id)
{
	size_t shared = 0;
	while (id[shared] && id[shared] == r->before[shared])
		shared++;
	const size_t rest = strlen(id + shared);
	hel_write_u8(r->w, (uint8_t)shared);
	hel_write_u8(r->w, (uint8_t)rest);
	hel_write_bytes(r->w, id + shared, rest);
	r->before = id;
}

static hel_status put_block(void *arg, size_t block, const hel_ct *scores)
{
	hel_status st = HEL_OK;
	ranking *r = arg;
	const hel_catalogue_head *h = hel_catalogue_head_of(r->c);
	const size_t most = hel_catalogue_block_size(h), first = block * most,
		     count = HEL_MIN(most, h->items - first);
	uint8_t *bits = NULL;
	TRY_ALLOC(bits, hel_alloc((most + 7) / 8, 1));
	for (size_t i = 0; i < count; i++)
		if (is_candidate(r->only, first + i))
			bits[i / 8] |= (uint8_t)(1u << i % 8);
	hel_write_bytes(r->w, bits, (most + 7) / 8);
	for (size_t i = 0; i < count; i++)
		if (bits[i / 8] >> i % 8 & 1)
			write_id(r, hel_catalogue_id(r->c, first + i));
	if (r->samples)
		TRY(hel_ct_write_sampled(r->w, r->ev, scores, r->samples));
	else
		hel_ct_write(r->w, scores);
	st = r->w->status;
done:
	hel_free(bits);
	return st;
}

static hel_status check(const hel_server *s, const hel_catalogue *c)
{
	const hel_manifest *m = hel_server_program(s)->manifest;
	if (!m->items.any)
		return hel_fail(HEL_EMODEL, "'%s' scores records one by one, not catalogues",
				m->model);
	return memcmp(hel_catalogue_head_of(c)->model, m->id, HEL_HASH_BYTES) == 0
		   ? HEL_OK
		   : hel_fail(HEL_EMODEL, "the catalogue belongs to another model");
}

/* The user's vector, and the constant where there is one. */
static hel_status run_user(hel_ct *value[2], const hel_evaluation *e, const hel_eval *ev,
			   hel_ct *const *in, hel_infer_times *times)
{
	const hel_program *p = hel_server_program(e->server);
	const uint32_t op[2] = {p->items.vector, p->ops - 1};
	return hel_ckks_run_many(value, op, 1 + p->manifest->items.common, e->server->loaded, ev,
				 (const hel_ct *const *)in, times ? times->op : NULL);
}

/* ev: the evaluation's own twice, or two like it that somebody follows: the user's part, and the
 * items'. */
static hel_status rank(hel_writer *w, const hel_evaluation *e, const hel_eval *const ev[2],
		       const hel_catalogue *c, const hel_selection *only, const void *query,
		       size_t size, hel_infer_times *times, hel_progress *progress)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = hel_server_program(e->server)->manifest;
	hel_ct **in = NULL, *value[2] = {NULL, NULL};
	hel_selection named = {0};
	size_t *block = NULL;
	const double start = hel_clock();
	TRY(check(e->server, c));
	if (hel_container_kind(query, size) == HEL_KIND_CANDIDATES) {
		TRY(open_candidates(&named, &query, &size, c));
		if (only)
			narrow(&named, only, hel_catalogue_head_of(c)->items);
		only = &named;
	}
	TRY_ALLOC(in, hel_alloc(m->inputs, sizeof *in));
	TRY_ALLOC(block, hel_alloc(hel_catalogue_blocks(c), sizeof *block));
	TRY(hel_server_read_query(in, e, ev[0], query, size));
	const double read = hel_clock();
	if (!m->items.batched)
		TRY(run_user(value, e, ev[0], in, times));
	const size_t blocks = blocks_of(block, c, only);
	hel_container_begin(w, HEL_KIND_RANKING);
	hel_write_bytes(w, m->id, sizeof m->id);
	hel_write_bytes(w, e->keys->client, HEL_CLIENT_ID_BYTES);
	hel_write_bytes(w, hel_catalogue_head_of(c)->id, HEL_HASH_BYTES);
	hel_write_u32(w, (uint32_t)blocks);
	ranking r = {w, c, only, ev[1], m->items.batched ? m->samples : 0, ""};
	TRY(m->items.batched
		? hel_rank_batches(e, ev[1], c, in, block, blocks, put_block, &r, progress)
		: hel_catalogue_apply(c, block, blocks, ev[1], value[0], value[1], put_block, &r,
				      progress));
	if (hel_loaded_damaged(e->server->loaded))
		FAIL(HEL_EHASH, "the file of weights was damaged while it was mapped");
	const double evaluated = hel_clock();
	TRY(hel_container_end(w));
	if (times) {
		times->read = read - start;
		times->evaluate = evaluated - read;
		times->write = hel_clock() - evaluated;
		times->items = only ? only->count : hel_catalogue_head_of(c)->items;
	}
done:
	hel_selection_clear(&named);
	hel_server_free_query(in, m->inputs);
	hel_free(block);
	hel_ct_free(value[0]);
	hel_ct_free(value[1]);
	return st;
}

hel_status hel_server_rank(hel_writer *w, const hel_evaluation *e, const hel_catalogue *c,
			   const hel_selection *only, const void *query, size_t size,
			   hel_infer_times *times, hel_progress *progress)
{
	const hel_eval *const own[2] = {e->ev, e->ev};
	return rank(w, e, own, c, only, query, size, times, progress);
}

/* --- for programs outside --------------------------------------------------------------------- */

hel_status hel_server_catalogue(hel_catalogue **out, const hel_server *s, const char *path)
{
	hel_status st = HEL_OK;
	if (!s->program->manifest->items.any)
		FAIL(HEL_EMODEL, "'%s' scores records one by one, not catalogues",
		     s->program->manifest->model);
	TRY(hel_catalogue_open(out, path, s->program->manifest, s->params, s->pool));
done:
	return st;
}

size_t hel_catalogue_items(const hel_catalogue *c)
{
	return hel_catalogue_head_of(c)->items;
}

/* Half of a run: what it tells stands in its half. */
typedef struct half {
	hel_watch watch;
	const hel_watch *whole;
	double begin;
	hel_watching watching;
	hel_eval ev; /* keys and scratch are those of all runs */
} half;

static bool tell_half(void *arg, double done)
{
	const half *h = arg;
	return h->whole->tell(h->whole->arg, h->begin + done / 2);
}

static void follow_half(half *h, const hel_eval *ev, const hel_watch *whole, double begin)
{
	*h = (half){.watch = {tell_half, h}, .whole = whole, .begin = begin, .ev = *ev};
	hel_watching_begin(&h->watching, whole && whole->tell ? &h->watch : NULL);
	h->ev.watching = &h->watching;
}

hel_status hel_server_run_catalogue(uint8_t **result, size_t *result_size, const hel_evaluation *e,
				    const hel_catalogue *c, const char *candidates,
				    const void *query, size_t size, const hel_watch *watch)
{
	hel_status st = HEL_OK;
	hel_selection only = {0};
	hel_writer w = {0};
	half user, items;
	follow_half(&user, e->ev, watch, 0);
	follow_half(&items, e->ev, watch, .5);
	const hel_eval *const followed[2] = {&user.ev, &items.ev};
	TRY(check(e->server, c));
	if (candidates)
		TRY(hel_selection_parse(&only, c, candidates, strlen(candidates), ','));
	TRY(rank(&w, e, followed, c, candidates ? &only : NULL, query, size, NULL, NULL));
	*result = w.bytes;
	*result_size = w.size;
	w = (hel_writer){0};
done:
	hel_selection_clear(&only);
	hel_writer_clear(&w);
	return st;
}
