/* answer.h -- what a request is answered. The first answer counts. */
#ifndef HEL_SERVER_ANSWER_H
#define HEL_SERVER_ANSWER_H

#include "request.h"
#include <jansson.h>

void hel_answer_bytes(hel_request *r, unsigned status, const char *type, const void *bytes,
		      size_t size);
void hel_answer_json(hel_request *r, unsigned status, json_t *body); /* takes the reference */
/** application/problem+json (RFC 7807) with the thread's detail; `retry`: seconds or 0. */
void hel_answer_failure(hel_request *r, hel_status st, double retry);
void hel_answer_problem(hel_request *r, unsigned status, const char *code, const char *detail,
			double retry);
/** 401: the session was removed while the request was under way. */
void hel_answer_removed(hel_request *r);
void hel_answer_header(hel_request *r, const char *name, const char *value);

#endif
