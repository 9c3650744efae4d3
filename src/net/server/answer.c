#include "answer.h"
#include "http.h"
#include "log.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void hel_answer_bytes(hel_request *r, unsigned status, const char *type, const void *bytes,
		      size_t size)
{
	if (r->response)
		return;
	r->response =
	    MHD_create_response_from_buffer(size, (void *)(uintptr_t)bytes, MHD_RESPMEM_MUST_COPY);
	r->status = status;
	r->sent = size;
	hel_answer_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	hel_answer_header(r, "Cache-Control", "no-store");
	hel_answer_header(r, "X-Content-Type-Options", "nosniff");
}

void hel_answer_header(hel_request *r, const char *name, const char *value)
{
	if (r->response)
		MHD_add_response_header(r->response, name, value);
}

void hel_answer_json(hel_request *r, unsigned status, json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	if (text)
		hel_answer_bytes(r, status,
				 status < 400 ? "application/json" : "application/problem+json",
				 text, strlen(text));
	else
		hel_answer_bytes(r, 500, "text/plain", "out of memory\n", 14);
	free(text);
	json_decref(body);
}

void hel_answer_problem(hel_request *r, unsigned status, const char *code, const char *detail,
			double retry)
{
	if (r->response)
		return;
	snprintf(r->code, sizeof r->code, "%s", code);
	hel_answer_json(
	    r, status,
	    json_pack("{s:i, s:s, s:s}", "status", (int)status, "code", code, "detail", detail));
	if (retry > 0) {
		char seconds[24];
		snprintf(seconds, sizeof seconds, "%.0f", ceil(fmin(retry, 3600)));
		hel_answer_header(r, MHD_HTTP_HEADER_RETRY_AFTER, seconds);
	}
	if (status == 401)
		hel_answer_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
}

static const struct {
	unsigned http;
	const char *code;
} meaning[] = {
    [HEL_EINVAL] = {400, "invalid"},
    [HEL_ENOMEM] = {503, "memory"},
    [HEL_EIO] = {500, "io"},
    [HEL_EFORMAT] = {422, "format"},
    [HEL_EVERSION] = {422, "version"},
    [HEL_ETRUNC] = {422, "truncated"},
    [HEL_ELIMIT] = {413, "limit"},
    [HEL_EHASH] = {422, "checksum"},
    [HEL_ELEVEL] = {422, "level"},
    [HEL_ESCALE] = {422, "scale"},
    [HEL_EKEY] = {409, "keys"},
    [HEL_EPARAMS] = {409, "parameters"},
    [HEL_ESECURITY] = {422, "security"},
    [HEL_EMODEL] = {409, "model"},
    [HEL_ECLIENT] = {409, "client"},
    [HEL_EDATA] = {422, "data"},
    [HEL_EUNSUPPORTED] = {422, "unsupported"},
    [HEL_ERANGE] = {409, "offset"},
    [HEL_EBUSY] = {503, "busy"},
    [HEL_ESPACE] = {507, "space"},
    [HEL_ECANCEL] = {504, "cancelled"},
    [HEL_EDENIED] = {403, "denied"},
};

void hel_answer_failure(hel_request *r, hel_status st, double retry)
{
	const char *detail = hel_error_detail();
	unsigned status = (size_t)st < HEL_ARRAY_LEN(meaning) ? meaning[st].http : 500;
	const char *code = status == 500 || !meaning[st].code ? "io" : meaning[st].code;
	if (status == 500) { /* paths and the like are for the log only */
		hel_log("error", "failure", "{s:s, s:s}", "request", r->id, "reason", detail);
		detail = "the server failed; its log knows more";
	}
	if (status == 503 || status == 507) {
		hel_count(&r->s->metrics.refused_load, 1);
		retry = retry > 0 ? retry : 2;
	}
	hel_answer_problem(r, status, code, *detail ? detail : hel_status_text(st), retry);
}

void hel_answer_removed(hel_request *r)
{
	hel_answer_problem(r, 401, "session", "no session has this token", 0);
}
