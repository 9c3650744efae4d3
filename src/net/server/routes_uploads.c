#include "answer.h"
#include "http.h"
#include "routes.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void answer_offset(hel_request *r)
{
	uint64_t have;
	char text[24];
	hel_keyset_progress(r->s->store, r->keys, &have, NULL);
	snprintf(text, sizeof text, "%llu", (unsigned long long)have);
	hel_answer_header(r, "Upload-Offset", text);
}

void hel_upload_begin(hel_request *r)
{
	const char *text = hel_request_header(r, "Upload-Offset");
	char *end = NULL;
	unsigned long long offset = text ? strtoull(text, &end, 10) : 0;
	if (!text || *text < '0' || *text > '9' || *end) {
		hel_answer_problem(r, 400, "invalid",
				   "an Upload-Offset is needed: where this piece begins", 0);
		return;
	}
	r->most = offset <= r->keys->bytes ? (size_t)(r->keys->bytes - offset) : 0;
	if (r->length > r->most)
		return; /* refused by all requests' rule */
	hel_status st = hel_store_write_begin(&r->file, r->s->store, r->keys, offset);
	if (st != HEL_OK) {
		r->file = -1;
		if (st == HEL_EDENIED)
			hel_answer_removed(r);
		hel_answer_failure(r, st, 1);
		answer_offset(r);
	}
}

void hel_upload_take(hel_request *r, const uint8_t *bytes, size_t size)
{
	if (r->take_status == HEL_OK && r->file >= 0)
		r->take_status = hel_store_reserve(r->s->store, r->keys, size);
	while (size && r->take_status == HEL_OK && r->file >= 0) {
		ssize_t n = write(r->file, bytes, size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r->take_status = errno == ENOSPC || errno == EDQUOT ? HEL_ESPACE : HEL_EIO;
			return;
		}
		bytes += n;
		size -= (size_t)n;
		r->written += (uint64_t)n;
	}
}

void hel_upload_end(hel_request *r)
{
	r->verify = true; /* ends the writing, also after a failure */
}

void hel_upload_resume(hel_request *r)
{
	hel_status st = r->verdict != HEL_OK ? r->verdict : r->take_status;
	if (st == HEL_EDENIED) { /* as if the token had never been */
		hel_answer_removed(r);
		return;
	}
	if (st == HEL_OK) {
		hel_answer_json(r, 200, hel_session_describe(r));
	} else {
		(void)hel_fail(st, "%s",
			       r->verdict != HEL_OK ? r->verdict_detail
			       : st == HEL_ESPACE ? "the server has no room now; go on when it has"
						  : "the server cannot write");
		hel_answer_failure(r, st, st == HEL_ESPACE ? 30 : 0);
	}
	answer_offset(r);
}
