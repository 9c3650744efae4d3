/* request.h -- what is the same for every request: its head, body, limits, log line. */
#ifndef HEL_SERVER_REQUEST_H
#define HEL_SERVER_REQUEST_H

#include "api_keys.h"
#include "job.h"
#include <microhttpd.h>

typedef struct hel_service hel_service;
typedef struct hel_request hel_request;

typedef struct hel_route {
	const char *method, *path; /* {} stands for one segment; GET answers HEAD, too */
	bool open;		   /* answered without API key or client certificate */
	bool session;		   /* needs a session's token */
	bool claims;		   /* asks the fleet whether the session still is */
	/* The head is there: answers already, or sets `most`, the bytes of body it takes. */
	void (*begin)(hel_request *r);
	/* Takes a piece of the body; NULL: collected in `body`. */
	void (*take)(hel_request *r, const uint8_t *bytes, size_t size);
	/* The body is there: answers, or sets `job` or `verify` to wait for. */
	void (*end)(hel_request *r);
	/* What was waited for has happened, or was given up: answers. */
	void (*resume)(hel_request *r);
} hel_route;

#define HEL_TRACEPARENT_CHARS 55 /* W3C Trace Context, version 00 */
#define HEL_CODE_MAX 23

struct hel_request {
	hel_service *s;
	struct MHD_Connection *connection;
	struct hel_connection *socket;
	const hel_route *route;
	const char *method;
	char id[32]; /* of this process and this request: X-Request-Id */
	double start;
	char segment[HEL_ROUTE_NAME_MAX + 1];  /* what {} stood for */
	char address[HEL_ADDRESS_MAX + 1];     /* the client's, or its /64 */
	char trace[HEL_TRACEPARENT_CHARS + 1]; /* the client's traceparent, "" for none */
	hel_api_key api_key;		       /* name "" where none are asked for */
	uint64_t length, got, refused;	       /* of the body: as announced, so far, for nothing */
	bool ended;
	bool close; /* the body is not read, the connection ends with the answer */
	/* for routes */
	hel_keyset *keys;
	hel_model *model;
	hel_job *job;
	uint8_t *body;
	size_t most, body_size, reserved;
	int file;
	const struct page_file *file_of_page;
	uint64_t written;
	hel_status take_status;
	/* waiting */
	double wait; /* how long the client wants to */
	bool verify; /* wait for the upload to be checked */
	atomic_bool verified;
	hel_status verdict;
	char verdict_detail[256];
	bool gone, counted;
	bool half_closed; /* it said at once that nothing more will come, and waits */
	double suspended, until;
	struct hel_request *next, *next_to_verify;
	/* the answer */
	struct MHD_Response *response;
	unsigned status;
	char code[HEL_CODE_MAX + 1]; /* of a problem */
	uint64_t sent;
};

static inline const char *hel_request_header(hel_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}
/** MHD_AccessHandlerCallback and MHD_RequestCompletedCallback. */
enum MHD_Result hel_request_handle(void *service, struct MHD_Connection *connection,
				   const char *url, const char *method, const char *version,
				   const char *data, size_t *size, void **state);
void hel_request_completed(void *service, struct MHD_Connection *connection, void **state,
			   enum MHD_RequestTerminationCode code);

#endif
