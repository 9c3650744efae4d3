#include "answer.h"
#include "authorize.h"
#include "http.h"
#include "routes.h"
#include "versions.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "wait=SECONDS" of a Prefer header; 0 without. */
static double preferred_wait(hel_request *r)
{
	const char *prefer = hel_request_header(r, "Prefer");
	const char *wait = prefer ? strstr(prefer, "wait=") : NULL;
	const double seconds = wait ? strtod(wait + 5, NULL) : 0;
	return seconds > 0 ? fmin(seconds, (double)r->s->settings.query_seconds + 5) : 0;
}

static void answer_keys_lost(hel_request *r)
{
	hel_answer_problem(r, 410, "keys_lost",
			   "the server lost this session's keys: upload them again", 0);
}

static void answer_not_covered(hel_request *r)
{
	hel_answer_problem(
	    r, 409, "keys",
	    "this session's keys do not cover the model, which may have changed: fetch its "
	    "manifest again (helrm query --accept-manifest) and open another session",
	    0);
}

/* Whether this may be a query for a version, as far as its head tells. */
static bool may_be_for(const hel_model *m, void *arg)
{
	const hel_request *r = arg;
	return hel_model_takes(m, r->length) && hel_keyset_covers(r->keys, m);
}

/* The version that a new client would be told of, or another one that the query fits. */
static bool find_version(hel_request *r)
{
	if (!hel_request_find_model(r))
		return false;
	hel_model *other = may_be_for(r->model, r)
			       ? NULL
			       : hel_version_that(r->s->catalog, r->segment, may_be_for, r);
	if (other) {
		hel_model_release(r->model);
		r->model = other;
	}
	return true;
}

void hel_query_begin(hel_request *r)
{
	hel_service *s = r->s;
	uint64_t have;
	bool lost;
	char detail[256];
	if (!find_version(r))
		return;
	const char *idempotency = hel_request_header(r, "Idempotency-Key");
	const double wait = fmax(hel_keyset_rate(s->store, r->keys, s->settings.queries_per_minute),
				 hel_store_fleet(s->store) ? 0 : hel_request_key_rate(r));
	r->most = r->model->contributed_bytes + r->model->candidates_bytes;
	if (wait > 0) {
		hel_count(&s->metrics.refused_rate, 1);
		hel_answer_problem(r, 429, "rate", "this session or its API key asks too often",
				   wait);
	} else if (idempotency && (!*idempotency || strlen(idempotency) > HEL_IDEMPOTENCY_MAX)) {
		hel_answer_problem(r, 400, "invalid", "an Idempotency-Key has 1 to 64 characters",
				   0);
	} else if (atomic_load(&s->draining)) {
		(void)hel_fail(HEL_EBUSY, "the server is shutting down");
		hel_answer_failure(r, HEL_EBUSY, 0);
	} else if (hel_keyset_progress(s->store, r->keys, &have, &lost) != HEL_KEYSET_READY) {
		if (lost)
			answer_keys_lost(r);
		hel_answer_problem(r, 409, "upload", "this session's keys are not complete", 0);
	} else if (!hel_keyset_covers(r->keys, r->model)) {
		answer_not_covered(r);
	} else if (!hel_model_takes(r->model, r->length)) {
		snprintf(detail, sizeof detail,
			 "a query of %llu bytes; for this model it has %zu, or %zu under a public "
			 "key%s; it may have changed (helrm query --accept-manifest)",
			 (unsigned long long)r->length, r->model->query_bytes,
			 r->model->contributed_bytes,
			 r->model->candidates_bytes ? ", and up to 1 MB more with candidates" : "");
		hel_answer_problem(r, r->length > r->most ? 413 : 422, "size", detail, 0);
	}
}

static void answer_pending(hel_request *r)
{
	char location[64];
	snprintf(location, sizeof location, "/v1/queries/%s", r->job->id);
	hel_answer_json(r, 202,
			json_pack("{s:s, s:s}", "query", r->job->id, "state",
				  hel_job_where(r->s->queue, r->job) == HEL_JOB_RUNNING
				      ? "running"
				      : "queued"));
	hel_answer_header(r, MHD_HTTP_HEADER_LOCATION, location);
	hel_answer_successor(r);
}

void hel_job_resume(hel_request *r)
{
	const hel_job *job = r->job;
	if (!hel_job_poll(r->s->queue, r->job, false)) {
		if (r->verdict != HEL_OK) { /* nothing is promised that may be lost */
			(void)hel_fail(r->verdict, "%s", r->verdict_detail);
			hel_answer_failure(r, HEL_EBUSY, 1);
			return;
		}
		answer_pending(r);
	} else if (job->status == HEL_OK) {
		hel_answer_bytes(r, 200, "application/octet-stream", job->result.bytes,
				 job->result.size);
		hel_answer_header(r, "X-Query", job->id);
		hel_answer_successor(r);
	} else if (job->keys_lost) {
		answer_keys_lost(r);
	} else if (job->status == HEL_EDENIED) {
		hel_answer_removed(r);
	} else {
		(void)hel_fail(job->status, "%s", job->detail);
		hel_answer_failure(r, job->status, 0);
	}
}

void hel_query_end(hel_request *r)
{
	const char *key = hel_request_header(r, "Idempotency-Key");
	double retry;
	r->wait = preferred_wait(r);
	hel_catalog *catalog = r->s->catalog;
	hel_model *model = hel_version_of_query(catalog, r->segment, r->body, r->body_size);
	if (!model) /* of none that is in service, which it is told when it runs */
		model = hel_catalog_find(catalog, r->model->name);
	if (model && !hel_keyset_covers(r->keys, model)) {
		hel_model_release(model);
		answer_not_covered(r);
		return;
	}
	if (model) { /* the log and metrics name the version that answers */
		hel_model_release(r->model);
		r->model = hel_model_hold(model);
	}
	/* the job takes over the query's memory, and a reference to model and keys */
	hel_keyset_hold(r->s->store, r->keys);
	const hel_submission submission = {.keys = r->keys,
					   .model = model,
					   .query = r->body,
					   .size = r->body_size,
					   .idempotency = key ? key : "",
					   .attended = r->wait > 0,
					   .customer = hel_request_customer(r),
					   .customer_queue = r->api_key.queue,
					   .per_minute = r->api_key.queries_per_minute};
	hel_status st = model ? hel_queue_submit(&r->job, r->s->queue, &submission, &retry)
			      : hel_fail(HEL_EBUSY, "the model is just being replaced");
	if (st != HEL_OK) {
		hel_keyset_release(r->s->store, r->keys);
		hel_model_release(model);
		hel_answer_failure(r, st, model ? retry : 1);
		return;
	}
	r->body = NULL;
	hel_budget_give(&r->s->budget, r->reserved);
	r->reserved = 0;
}

void hel_job_begin(hel_request *r)
{
	const hel_status st = hel_queue_find(&r->job, r->s->queue, r->keys, r->segment);
	if (st != HEL_OK && st != HEL_EDENIED)
		hel_answer_failure(r, st, 1);
	else if (st != HEL_OK)
		hel_answer_problem(r, 404, "no_query",
				   "this session has no such query; submit it again", 0);
}

void hel_job_end(hel_request *r)
{
	r->wait = preferred_wait(r);
}

void hel_cancel_end(hel_request *r)
{
	const hel_status st = hel_job_cancel(r->s->queue, r->job);
	if (st != HEL_OK) {
		hel_answer_failure(r, st, 1);
		return;
	}
	hel_answer_bytes(r, 204, "application/json", "", 0);
}
