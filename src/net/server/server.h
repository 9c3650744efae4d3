/* server.h -- the server as a party: query -> result. No secret-key code. Programs outside see
 * helrm/server.h of it. */
#ifndef HEL_SERVER_SERVER_H
#define HEL_SERVER_SERVER_H

#include "ckks/ckks.h"
#include "prog/prog.h"
#include "vm/encrypted.h"
#include <helrm/server.h> /* hel_server, hel_evaluation: what programs outside see of it */

/** Parameters that are shared with other models and with sessions, and borrowed; or NULL. */
typedef struct hel_server_options {
	const hel_params *params;
	hel_load_options load;
} hel_server_options;

/** hel_server_new() with a choice of where weights are kept, see hel_loaded_open.
 *  @retval HEL_EPARAMS the program has other parameters. */
HEL_CHECKED hel_status hel_server_open(hel_server **out, const void *program, size_t size,
				       hel_pool *pool, const hel_server_options *o);
/** Without its vectors: they are encoded. */
const hel_program *hel_server_program(const hel_server *s);
const hel_params *hel_server_params(const hel_server *s);
/** Its weights: how large, from where. */
const hel_loaded *hel_server_weights(const hel_server *s);

/** What one run works with; all borrowed. */
typedef struct hel_run_means {
	hel_pool *pool;
	hel_scratch *scratch;
	const atomic_bool *stop;
} hel_run_means;

/** An evaluation over keys that belong to someone else, for one run at a time. Cheap. */
HEL_CHECKED hel_status hel_evaluation_borrow(hel_evaluation **out, const hel_server *s,
					     const hel_keys *keys, const hel_run_means *means);

typedef struct hel_infer_times {
	double read, evaluate, write;
	hel_op_time *op; /* one per op, or NULL */
	size_t items;	 /* of a ranking */
} hel_infer_times;

/** hel_server_run() into a writer, with times, which may be NULL. */
HEL_CHECKED hel_status hel_server_infer(hel_writer *w, const hel_evaluation *evaluation,
					const void *query, size_t size, hel_infer_times *times);

#endif
