#include "takeover.h"
#include "log.h"
#include "versions.h"

#define AT_ONCE 16

/* Takes over what `query` has. */
static hel_status submit(hel_service *s, const hel_claim *c, hel_writer *query)
{
	hel_status st = HEL_OK;
	hel_keyset *keys = NULL;
	hel_job *job = NULL;
	double retry;
	char name[sizeof c->model]; /* a version may have another label here */
	snprintf(name, sizeof name, "%.*s", (int)hel_version_base(c->model), c->model);
	hel_model *model = hel_version_of_query(s->catalog, name, query->bytes, query->size);
	if (!model)
		FAIL(HEL_EMODEL, "the model is in service no more");
	TRY(hel_store_find_id(&keys, s->store, c->session));
	if (!hel_model_takes(model, query->size))
		FAIL(HEL_EMODEL, "the model was replaced; fetch its manifest again");
	const hel_submission submission = {.keys = keys,
					   .model = model,
					   .query = query->bytes,
					   .size = query->size,
					   .idempotency = "",
					   .customer = c->customer,
					   .id = c->id,
					   .fence = c->fence};
	TRY(hel_queue_submit(&job, s->queue, &submission, &retry));
	*query = (hel_writer){0}; /* the job has all of it now */
	model = NULL;
	keys = NULL;
	hel_job_release(s->queue, job);
done:
	hel_keyset_release(s->store, keys);
	hel_model_release(model);
	return st;
}

void hel_take_over(hel_service *s)
{
	for (int i = 0; i < AT_ONCE && !atomic_load(&s->draining); i++) {
		hel_claim c;
		hel_writer query = {0};
		char why[256];
		hel_status st = hel_queue_take(&c, &query, s->queue);
		const bool taken = st == HEL_OK;
		if (taken)
			st = submit(s, &c, &query);
		snprintf(why, sizeof why, "%s", st == HEL_OK ? "" : hel_error_detail());
		hel_writer_clear(&query);
		if (taken)
			hel_log("info", "query_taken_over", "{s:s, s:s}", "query", c.id, "refused",
				why);
		if (taken && st != HEL_OK)
			hel_queue_give_back(s->queue, &c, st, why);
		if (st != HEL_OK)
			return;
	}
}
