/* http.h -- http.c: what is the same for every request: its head, body, limits, waiting, answer,
 * log line. access.c: who may ask. api.c: what each route does. */
#ifndef HEL_HTTP_H
#define HEL_HTTP_H

#include "service.h"
#include <microhttpd.h>

#define HEL_BODY_NONE 0

typedef struct hel_request hel_request;

typedef struct hel_route {
	const char *method, *path; /* {} stands for one segment */
	bool open;		   /* answered without API key or client certificate */
	bool session;		   /* needs a session's token */
	/* The head is there: answers already, or sets `most`, the bytes of body it takes. */
	void (*begin)(hel_request *r);
	/* Takes a piece of the body; NULL: collected in `body`. */
	void (*take)(hel_request *r, const uint8_t *bytes, size_t size);
	/* The body is there: answers, or sets `job` or `verify` to wait for. */
	void (*end)(hel_request *r);
	/* What was waited for has happened, or was given up: answers. */
	void (*resume)(hel_request *r);
} hel_route;

extern const hel_route hel_routes[];
extern const size_t hel_routes_count;

/* One TCP connection: when its present phase must be over. */
typedef struct hel_connection {
	int fd;
	double deadline;
	struct hel_connection *next, *previous;
} hel_connection;

struct hel_request {
	hel_service *s;
	struct MHD_Connection *connection;
	hel_connection *socket;
	const hel_route *route;
	const char *method;
	uint64_t number;
	double start;
	char segment[HEL_ROUTE_NAME_MAX + 1]; /* what {} stood for */
	uint64_t length, got;		      /* of the body: as announced, and so far */
	bool ended;
	/* for routes */
	hel_keyset *keys;
	hel_model *model;
	hel_job *job;
	uint8_t *body;
	size_t most, body_size, reserved;
	int file;
	uint64_t written;
	hel_status take_status;
	/* waiting */
	double wait; /* how long the client wants to */
	bool verify; /* wait for the upload to be checked */
	atomic_bool verified;
	hel_status verdict;
	char verdict_detail[256];
	bool gone, counted;
	double until;
	struct hel_request *next, *next_to_verify;
	/* the answer */
	struct MHD_Response *response;
	unsigned status;
	uint64_t sent;
};

struct hel_service {
	hel_settings settings;
	hel_counters metrics;
	hel_budget budget;
	hel_catalog *catalog;
	hel_store *store;
	hel_queue *queue;
	struct MHD_Daemon *daemon;
	char *cert, *key, *ca;
	uint16_t port;
	atomic_bool draining; /* nothing new */
	atomic_bool closing;  /* nobody waits any more */
	atomic_ullong requests;
	double swept;
	/* http.c */
	pthread_mutex_t lock; /* of connections, waiting requests, API keys, address buckets */
	hel_connection *connections;
	size_t connection_count;
	hel_request *waiting;
	uint8_t (*api_key)[HEL_HASH_BYTES];
	size_t api_keys;
	uint8_t address_key[16];
	hel_bucket address[1024];
	/* verification of uploads */
	pthread_mutex_t verify_lock;
	pthread_cond_t verify_work;
	hel_request *to_verify;
	pthread_t verifier[2];
	unsigned verifiers;
	bool verify_stop;
};

HEL_CHECKED hel_status hel_http_open(hel_service *s);
/** Connections that are too slow, clients that have gone, waits that are over. */
void hel_http_tick(hel_service *s);
/** Wakes requests whose job is done. */
void hel_http_wake(void *service);
void hel_http_close(hel_service *s);

/* --- for routes -------------------------------------------------------------------------- */

void hel_answer_bytes(hel_request *r, unsigned status, const char *type, const void *bytes,
		      size_t size);
void hel_answer_json(hel_request *r, unsigned status, json_t *body); /* takes the reference */
/** application/problem+json (RFC 7807) with the thread's detail; `retry`: seconds or 0. */
void hel_answer_failure(hel_request *r, hel_status st, double retry);
void hel_answer_problem(hel_request *r, unsigned status, const char *code, const char *detail,
			double retry);
void hel_answer_header(hel_request *r, const char *name, const char *value);
const char *hel_request_header(hel_request *r, const char *name);

/* --- access.c ---------------------------------------------------------------------------- */

/** Rereads the operators' keys; a bad file changes nothing. */
HEL_CHECKED hel_status hel_http_load_api_keys(hel_service *s);
/** Finds the session of the request's token; answers when the request may not go on. */
void hel_http_check_access(hel_request *r);
/** Seconds until this client's address may open a session or show a wrong token again; 0: now. */
double hel_request_address_rate(hel_request *r);

#endif
