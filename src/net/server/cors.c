/* Fetch standard, CORS protocol. A session's token travels in a header that pages set themselves;
 * there are no cookies, so that no credentials are ever allowed. */
#include "cors.h"
#include "answer.h"
#include "http.h"
#include <string.h>

/* The request's origin, where it is listed. */
static const char *allowed_origin(hel_request *r)
{
	const char *origin = hel_request_header(r, MHD_HTTP_HEADER_ORIGIN);
	size_t size;
	for (const char *at = r->s->settings.cors_origins;
	     origin && (at = hel_settings_origin(at, &size)); at += size)
		if (strlen(origin) == size && memcmp(origin, at, size) == 0)
			return origin;
	return NULL;
}

bool hel_cors_asks(hel_request *r)
{
	return strcmp(r->method, MHD_HTTP_METHOD_OPTIONS) == 0 &&
	       hel_request_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_REQUEST_METHOD) &&
	       allowed_origin(r);
}

void hel_cors_preflight(hel_request *r, const char *methods)
{
	hel_answer_bytes(r, 204, "text/plain", "", 0);
	hel_answer_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, methods);
	hel_answer_header(
	    r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
	    "Authorization, Content-Type, Idempotency-Key, Prefer, Upload-Offset, X-API-Key");
	hel_answer_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, "600");
}

void hel_cors_headers(hel_request *r)
{
	const char *origin = allowed_origin(r);
	if (!*r->s->settings.cors_origins)
		return;
	hel_answer_header(r, MHD_HTTP_HEADER_VARY, "Origin");
	if (!origin)
		return;
	hel_answer_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
	hel_answer_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS,
			  "Retry-After, Upload-Offset, X-Request-Id");
}
