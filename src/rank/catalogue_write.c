/* Makes a catalogue, or a longer one of one that is there: full blocks are copied. */
#include "catalogue.h"
#include "catalogue_file.h"
#include <math.h>
#include <string.h>

typedef struct making {
	const hel_item_form *form;
	const hel_item_source *source;
	const hel_catalogue *before;
	hel_pool *pool;
	hel_catalogue_head head;
	size_t first; /* items of `before` */
	const char **id;
	hel_stream *stream;
	hel_writer checksums, tail;
} making;

static hel_status check_id(const char *id, size_t number)
{
	char excerpt[HEL_EXCERPT_MAX];
	if (!*id)
		return hel_fail(HEL_EDATA, "item %zu has no id", number);
	if (strlen(id) > HEL_ITEM_ID_MAX || !hel_is_text(id))
		return hel_fail(
		    HEL_EDATA, "item %zu: the id '%s' is no plain text of at most %d bytes", number,
		    hel_is_utf8(id) ? hel_excerpt(excerpt, id) : "?", HEL_ITEM_ID_MAX);
	return HEL_OK;
}

static hel_status gather_ids(making *k)
{
	hel_status st = HEL_OK;
	uint32_t *order = NULL;
	TRY_ALLOC(k->id, hel_alloc(k->head.items, sizeof *k->id));
	TRY_ALLOC(order, hel_alloc(k->head.items, sizeof *order));
	for (size_t i = 0; i < k->head.items; i++) {
		k->id[i] =
		    i < k->first ? hel_catalogue_id(k->before, i) : k->source->id[i - k->first];
		TRY(check_id(k->id[i], i - k->first + 1));
		k->head.ids += strlen(k->id[i]) + 1;
	}
	TRY(hel_ids_sort(order, k->id, k->head.items));
done:
	hel_free(order);
	return st;
}

static void record_of(const making *k, size_t item, double *dense, uint32_t *hot)
{
	const hel_item_source *s = k->source;
	if (item < k->first) {
		hel_catalogue_record(k->before, item, dense, hot);
		return;
	}
	item -= k->first;
	if (s->denses)
		memcpy(dense, s->dense + item * s->denses, s->denses * sizeof *dense);
	if (s->hots)
		memcpy(hot, s->hot + item * s->hots, s->hots * sizeof *hot);
}

#define WEIGHED 256 /* items at once */

typedef struct weighing {
	const making *k;
	size_t first, count;
	double *value;
} weighing;

static hel_status weigh(void *arg, size_t number)
{
	hel_status st = HEL_OK;
	const weighing *w = arg;
	const hel_item_source *s = w->k->source;
	const size_t first = number * WEIGHED, count = HEL_MIN(w->count - first, (size_t)WEIGHED);
	double *dense = NULL;
	uint32_t *hot = NULL;
	TRY_ALLOC(dense, hel_alloc(count * s->denses, sizeof *dense));
	TRY_ALLOC(hot, hel_alloc(count * s->hots, sizeof *hot));
	for (size_t i = 0; i < count; i++)
		record_of(w->k, w->first + first + i, dense + i * s->denses, hot + i * s->hots);
	TRY(s->weigh(s->arg, w->value + first * hel_item_numbers(w->k->form), dense, hot, count));
done:
	hel_free(dense);
	hel_free(hot);
	return st;
}

/* Values as they are; places behind the last item hold the last one's, as records of a batch do. */
static hel_status keep_values(uint32_t *words, const hel_item_form *f, const double *value,
			      size_t count)
{
	float *to = (float *)(void *)words;
	for (size_t i = 0; i < (size_t)1 << f->log_batch; i++)
		for (size_t k = 0; k < f->rows; k++) {
			const double v = value[HEL_MIN(i, count - 1) * f->rows + k];
			if (!(fabs(v) <= f->largest))
				return hel_fail(HEL_ERANGE, "a value of %.3g, at most %.3g fits", v,
						f->largest);
			to[i * f->rows + k] = (float)v;
		}
	return HEL_OK;
}

static hel_status encode_block(making *k, uint32_t *words, size_t first, size_t count)
{
	hel_status st = HEL_OK;
	weighing w = {.k = k, .first = first, .count = count};
	TRY_ALLOC(w.value, hel_alloc(count * hel_item_numbers(k->form), sizeof *w.value));
	TRY(hel_pool_try(k->pool, (count + WEIGHED - 1) / WEIGHED, weigh, &w));
	st = k->form->batched ? keep_values(words, k->form, w.value, count)
			      : hel_block_encode(words, k->form, w.value, count, k->pool);
	if (st == HEL_ERANGE)
		FAIL(st,
		     "an item among numbers %zu to %zu is too far from those that the model was "
		     "compiled with: %s",
		     first + 1, first + count, hel_error_detail());
done:
	hel_free(w.value);
	return st;
}

static hel_status write_blocks(making *k, hel_progress *progress)
{
	hel_status st = HEL_OK;
	const size_t most = hel_catalogue_block_size(&k->head), items = k->head.items;
	const size_t bytes = hel_catalogue_map_of(&k->head).block_bytes;
	uint8_t sum[HEL_CHECKSUM_BYTES];
	uint32_t *words = NULL;
	TRY_ALLOC(words, hel_alloc_raw(bytes, 1));
	for (size_t first = 0; first < items; first += most) {
		const size_t count = HEL_MIN(items - first, most);
		const void *block = words;
		if (first + most <= k->first)
			block = hel_catalogue_block(k->before, first / most);
		else
			TRY(encode_block(k, words, first, count));
		hel_checksum(sum, block, bytes, k->head.params);
		hel_write_bytes(&k->checksums, sum, sizeof sum);
		TRY(hel_stream_write(k->stream, block, bytes));
		hel_progress_step(progress, (double)(first + count) / (double)items);
		TRY(hel_progress_check(progress));
	}
done:
	hel_free(words);
	return st;
}

static hel_status write_ids(making *k)
{
	hel_status st = HEL_OK;
	hel_write_bytes(&k->tail, k->checksums.bytes, k->checksums.size);
	for (size_t i = 0; i < k->head.items; i++)
		hel_write_bytes(&k->tail, k->id[i], strlen(k->id[i]) + 1);
	TRY(k->tail.status);
	hel_hash(k->head.tail, k->tail.bytes, k->tail.size);
	TRY(hel_stream_write(k->stream, k->tail.bytes, k->tail.size));
done:
	return st;
}

static hel_status write_records(making *k)
{
	hel_status st = HEL_OK;
	const hel_item_source *s = k->source;
	hel_writer w = {0};
	double *dense = NULL;
	uint32_t *hot = NULL;
	TRY_ALLOC(dense, hel_alloc(s->denses, sizeof *dense));
	TRY_ALLOC(hot, hel_alloc(s->hots, sizeof *hot));
	for (size_t i = 0; i < k->head.items; i++) {
		record_of(k, i, dense, hot);
		hel_write_bytes(&w, dense, s->denses * sizeof *dense);
		hel_write_bytes(&w, hot, s->hots * sizeof *hot);
	}
	TRY(w.status);
	hel_hash(k->head.records, w.bytes, w.size);
	if (w.size)
		TRY(hel_stream_write(k->stream, w.bytes, w.size));
done:
	hel_writer_clear(&w);
	hel_free(dense);
	hel_free(hot);
	return st;
}

static hel_status begin(making *k, const hel_manifest *m)
{
	hel_status st = HEL_OK;
	const hel_params *p = k->form->params;
	hel_catalogue_head *h = &k->head;
	if (k->before) {
		const hel_catalogue_head *b = hel_catalogue_head_of(k->before);
		k->first = b->items;
		if (b->dense != k->source->denses || b->hots != k->source->hots)
			FAIL(HEL_EMODEL, "the catalogue's records are of another model");
	}
	memcpy(h->model, m->id, HEL_HASH_BYTES);
	memcpy(h->params, p->fingerprint, HEL_HASH_BYTES);
	h->log_n = p->spec.log_n;
	h->limbs = p->limbs[1];
	h->log_width = k->form->batched ? k->form->log_batch : k->form->log_width;
	h->values = k->form->batched ? k->form->rows : 0;
	h->items = k->first + k->source->count;
	h->dense = k->source->denses;
	h->hots = k->source->hots;
	if (!h->items || h->items > HEL_MAX_ITEMS)
		FAIL(HEL_ELIMIT, "a catalogue of %llu items, 1 to %zu are possible",
		     (unsigned long long)h->items, HEL_MAX_ITEMS);
	TRY(gather_ids(k));
	h->bytes = hel_catalogue_map_of(h).bytes;
done:
	return st;
}

hel_status hel_catalogue_write(const char *path, const hel_manifest *m, const hel_item_form *f,
			       const hel_item_source *s, const hel_catalogue *before,
			       hel_pool *pool, hel_progress *progress)
{
	hel_status st = HEL_OK;
	making k = {.form = f, .source = s, .before = before, .pool = pool};
	uint8_t head[HEL_CATALOGUE_HEAD_BYTES] = {0};
	TRY(begin(&k, m));
	TRY(hel_stream_new(&k.stream, path, 0644));
	TRY(hel_stream_write(k.stream, head, sizeof head));
	TRY(write_blocks(&k, progress));
	TRY(write_ids(&k));
	TRY(write_records(&k));
	hel_catalogue_head_write(head, &k.head);
	TRY(hel_stream_finish(k.stream, head, sizeof head));
done:
	hel_stream_free(k.stream);
	hel_writer_clear(&k.checksums);
	hel_writer_clear(&k.tail);
	hel_free(k.id);
	return st;
}
