/* server_inside.h -- what a server and its evaluations hold: for the files that run queries. */
#ifndef HEL_SERVER_INSIDE_H
#define HEL_SERVER_INSIDE_H

#include "server.h"

struct hel_server {
	hel_program *program;
	const hel_params *params;
	hel_params *own; /* the same, unless they are shared */
	hel_loaded *loaded;
	hel_pool *pool;
};

struct hel_evaluation {
	const hel_server *server;
	const hel_keys *keys;
	hel_keys *own; /* the same, unless they are borrowed */
	hel_eval *ev;
	hel_eval lent; /* what ev points at when keys and scratch are borrowed */
};

/** A query's ciphertexts, in ev's scratch (the evaluation's own, or one like it); on failure those
 *  made so far are there to be freed. */
HEL_CHECKED hel_status hel_server_read_query(hel_ct **in, const hel_evaluation *evaluation,
					     const hel_eval *ev, const void *query, size_t size);
/** Those made and the array of them. NULL is fine. */
void hel_server_free_query(hel_ct **in, size_t inputs);

#endif
