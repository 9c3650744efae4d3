/* http.h -- the service's state and the daemon that listens. */
#ifndef HEL_SERVER_HTTP_H
#define HEL_SERVER_HTTP_H

#include "authorize.h"
#include "connection.h"
#include "page.h"
#include "service.h"
#include "tls.h"
#include "verifier.h"
#include "wait.h"

struct hel_service {
	hel_settings settings;
	hel_counters metrics;
	hel_budget budget;
	hel_catalog *catalog;
	hel_store *store;
	hel_queue *queue;
	struct MHD_Daemon *daemon;
	hel_tls *tls;
	hel_page *page; /* NULL: none */
	char *ca;
	uint16_t port;
	atomic_bool leaving;  /* /readyz says no, all else goes on */
	atomic_bool draining; /* nothing new */
	atomic_bool closing;  /* nobody waits any more */
	atomic_ullong requests;
	unsigned instance;    /* random: tells requests of several servers apart */
	hel_bucket strangers; /* and unlogged: under connections.lock */
	uint64_t unlogged;
	double swept;
	pthread_t keeper; /* of what a fleet shares */
	bool kept;
	atomic_bool keeper_stops;
	hel_connections connections;
	hel_waiting waiting;
	hel_authority authority;
	hel_verifier verifier;
};

HEL_CHECKED hel_status hel_http_open(hel_service *s);
/** Connections that are too slow, clients that have gone, waits that are over. */
void hel_http_tick(hel_service *s);
void hel_http_close(hel_service *s);

#endif
