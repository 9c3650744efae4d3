#include "queue_inside.h"
#include "rank.h"
#include "stock.h"
#include <string.h>

/* Results wait for their clients: without the room a growing writer has to spare. */
static hel_status keep(hel_writer *out, const hel_writer *w)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(out->bytes, hel_alloc(w->size, 1));
	memcpy(out->bytes, w->bytes, w->size);
	out->size = out->capacity = w->size;
done:
	return st;
}

/* Runs a query; *damaged: over keys or weights that were damaged, so that nothing came of it. */
static hel_status evaluate_once(bool *damaged, hel_queue *q, hel_job *job, hel_pool *pool,
				hel_infer_times *times)
{
	hel_status st = HEL_OK;
	const hel_server *server = NULL;
	const hel_keys *keys = NULL;
	hel_evaluation *evaluation = NULL;
	double seconds = 0;
	hel_scratch *scratch = NULL;
	hel_writer result = {0};
	hel_stock *stock = NULL;
	if (job->model->manifest->items.any) {
		stock = hel_stock_of(job->model);
		if (!stock)
			FAIL(HEL_EBUSY, "the model has no catalogue of items in service now");
	}
	TRY(hel_model_ready(&server, job->model));
	TRY(hel_store_keys(&keys, q->store, job->keys, job->model->params, &job->stop));
	TRY_ALLOC(scratch, hel_model_scratch(job->model));
	const hel_run_means means = {.pool = pool, .scratch = scratch, .stop = &job->stop};
	TRY(hel_evaluation_borrow(&evaluation, server, keys, &means));
	if (stock)
		TRY(hel_server_rank(&result, evaluation, hel_stock_catalogue(stock), NULL,
				    job->query, job->size, times, NULL));
	else
		TRY(hel_server_infer(&result, evaluation, job->query, job->size, times));
	hel_count(&q->metrics->items_ranked, times->items);
	seconds = times->read + times->evaluate + times->write;
done:
	hel_evaluation_free(evaluation);
	hel_stock_release(stock);
	*damaged = keys && hel_store_keys_done(q->store, job->keys);
	if (server)
		*damaged |= hel_model_done(job->model, scratch, seconds);
	if (st == HEL_OK && !*damaged)
		st = keep(&job->result, &result);
	hel_writer_clear(&result);
	return st;
}

hel_status hel_job_evaluate(hel_queue *q, hel_job *job, hel_pool *pool, hel_infer_times *times)
{
	bool damaged = false;
	hel_status st = evaluate_once(&damaged, q, job, pool, times);
	if (damaged) /* what is damaged was given up: once more, with what is made anew */
		st = evaluate_once(&damaged, q, job, pool, times);
	if (damaged)
		return hel_fail(HEL_EBUSY, "the server's files are being damaged; try again");
	job->keys_lost = st == HEL_EKEY;
	return st;
}
