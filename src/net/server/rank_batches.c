#include "rank_batches.h"
#include "server_inside.h"
#include "vm/encrypted.h"
#include <string.h>

typedef struct batches {
	const hel_manifest *m;
	const hel_catalogue *c;
	const hel_eval *ev;
	double *features;	     /* of one item alone: all others are 0 */
	hel_complex *record, *slots; /* of one input */
	hel_ct **sum;		     /* the query's ciphertexts and a block's values */
} batches;

/* The values of a block's items where an input holds them, each item in its place; false: it holds
 * none. */
static bool fill_slots(batches *b, const hel_input *in, size_t block)
{
	const size_t places = (size_t)1 << b->m->log_batch;
	const size_t own = (size_t)1 << hel_manifest_log_slots(b->m);
	const hel_items *x = &b->m->items;
	bool any = false;
	for (size_t r = 0; r < places; r++) {
		const float *value = hel_catalogue_values(b->c, block * places + r);
		for (size_t k = 0; k < x->width; k++)
			b->features[x->first + k] = (double)value[k];
		hel_input_fill(b->record, in, b->features);
		for (size_t q = 0; q < own; q++) {
			b->slots[q * places + r] = b->record[q];
			any |= b->record[q].re != 0 || b->record[q].im != 0;
		}
	}
	return any;
}

static hel_status add_values(batches *b, const hel_input *in, hel_ct *sum, const hel_ct *query,
			     size_t block)
{
	hel_status st = HEL_OK;
	hel_pt *pt = NULL;
	if (!fill_slots(b, in, block)) {
		hel_ct_copy(sum, query);
		goto done;
	}
	TRY(hel_encode(&pt, b->ev->params, b->slots, in->level, HEL_FOR_ADD));
	TRY(hel_eval_add_plain(b->ev, sum, query, pt));
done:
	hel_pt_free(pt);
	return st;
}

static hel_status begin(batches *b)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(b->features, hel_alloc(b->m->features, sizeof *b->features));
	TRY_ALLOC(b->record,
		  hel_alloc((size_t)1 << hel_manifest_log_slots(b->m), sizeof *b->record));
	TRY_ALLOC(b->slots, hel_alloc(hel_params_slots(b->ev->params), sizeof *b->slots));
	TRY_ALLOC(b->sum, hel_alloc(b->m->inputs, sizeof(hel_ct *)));
	for (uint32_t i = 0; i < b->m->inputs; i++)
		TRY(hel_ct_take(&b->sum[i], b->ev));
done:
	return st;
}

hel_status hel_rank_batches(const hel_evaluation *e, const hel_eval *ev, const hel_catalogue *c,
			    hel_ct *const *in, const size_t *block, size_t count,
			    hel_scores_put *put, void *arg, hel_progress *progress)
{
	hel_status st = HEL_OK;
	batches b = {.m = hel_server_program(e->server)->manifest, .c = c, .ev = ev};
	hel_eval one = *ev; /* who follows is told of blocks, not of ops */
	hel_ct *scores = NULL;
	one.watching = NULL;
	TRY(begin(&b));
	for (size_t k = 0; k < count; k++) {
		if (ev->stop && atomic_load(ev->stop))
			FAIL(HEL_ECANCEL, "stopped");
		for (uint32_t i = 0; i < b.m->inputs; i++)
			TRY(add_values(&b, &b.m->input[i], b.sum[i], in[i], block[k]));
		TRY(hel_ckks_run(&scores, e->server->loaded, &one, (const hel_ct *const *)b.sum,
				 NULL));
		TRY(put(arg, block[k], scores));
		hel_ct_free(scores);
		scores = NULL;
		hel_progress_step(progress, (double)(k + 1) / (double)count);
		TRY(hel_watching_step(ev->watching, (double)(k + 1) / (double)count));
	}
	if (hel_catalogue_damaged(c))
		FAIL(HEL_EHASH, "the catalogue was damaged while it was mapped");
done:
	hel_ct_free(scores);
	hel_server_free_query(b.sum, b.m->inputs);
	hel_free(b.features);
	hel_free(b.record);
	hel_free(b.slots);
	return st;
}
