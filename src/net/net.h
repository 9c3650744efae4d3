/* net.h -- the two parties. client.c: record -> query, result -> score.
 * server.c: query -> result. They share file formats, and only the client's
 * half links secret-key code.
 */
#ifndef HEL_NET_H
#define HEL_NET_H

#include "ckks/ckks.h"
#include "features/features.h"
#include "prog/prog.h"
#include "vm/vm.h"
#include <helrm/client.h> /* hel_client, hel_score: what programs outside see of it */

/* --- client ------------------------------------------------------------------------------ */

/** Opens a manifest and re-checks all of it: parameters, security, schema. With a secret key file,
 *  checks that it belongs to these parameters; NULL for none.
 *  @retval HEL_ESECURITY, HEL_EPARAMS, HEL_EFORMAT, ... */
HEL_CHECKED hel_status hel_client_new(hel_client **out, const void *manifest, size_t manifest_size,
				      const void *secret, size_t secret_size);
const hel_manifest *hel_client_manifest(const hel_client *c);
const hel_dataset *hel_client_dataset(const hel_client *c);

/** The secret key of this client's parameters that belongs to 32 bytes: for all parameters another.
 */
HEL_CHECKED hel_status hel_client_use_secret(hel_client *c, const uint8_t secret[HEL_SECRET_BYTES]);
const hel_params *hel_client_params(const hel_client *c);
const hel_secret_key *hel_client_key(const hel_client *c);
/** Draws a new secret key. */
HEL_CHECKED hel_status hel_client_generate(hel_client *c);
HEL_CHECKED hel_status hel_client_write_secret(hel_writer *w, const hel_client *c);
/** The evaluation keys that the manifest lists, each truncated to its level. */
HEL_CHECKED hel_status hel_client_write_keys(hel_writer *w, const hel_client *c, hel_pool *pool);
/** The key under which others may encrypt queries for this client. */
HEL_CHECKED hel_status hel_client_write_public(hel_writer *w, const hel_client *c);
/** Makes a client without a secret key encrypt under another's public key file: what it contributes
 *  runs with the other's evaluation keys, and only the other can read it and the result.
 *  @retval HEL_EINVAL  the client has a secret key.
 *  @retval HEL_EPARAMS, HEL_ELEVEL the key was made for another model. */
HEL_CHECKED hel_status hel_client_contribute(hel_client *c, const void *public_key, size_t size);

/** Records [first, first + count) as one encrypted query, at most hel_client_batch of them: with
 *  the secret key, or under the public one.
 *  @retval HEL_EDATA an unknown category under HEL_UNKNOWN_IS_ERROR. */
HEL_CHECKED hel_status hel_client_encrypt(hel_writer *w, const hel_client *c,
					  const hel_records *records, size_t first, size_t count,
					  hel_unknown policy);

/** Decrypts a result into the scores of the first `count` records of its query, and checks that all
 *  look like scores: in range, real, the same in all slots of a record.
 *  @retval HEL_EMODEL, HEL_ECLIENT the result belongs to another model or key.
 *  @retval HEL_ERANGE it does not decrypt to a score. */
HEL_CHECKED hel_status hel_client_decrypt(hel_score *out, size_t count, const hel_client *c,
					  const void *result, size_t size);

/* --- server ------------------------------------------------------------------------------ */

typedef struct hel_server hel_server;	/* a program ready to run */
typedef struct hel_session hel_session; /* one client's evaluation keys */

HEL_CHECKED hel_status hel_server_new(hel_server **out, const void *program, size_t size,
				      hel_pool *pool);
/** Parameters that are shared with other models and with sessions, and borrowed; or NULL. */
typedef struct hel_server_options {
	const hel_params *params;
	hel_load_options load;
} hel_server_options;

/** The same with a choice of where weights are kept, see hel_loaded_open.
 *  @retval HEL_EPARAMS the program has other parameters. */
HEL_CHECKED hel_status hel_server_open(hel_server **out, const void *program, size_t size,
				       hel_pool *pool, const hel_server_options *o);
void hel_server_free(hel_server *s);
/** Without its vectors: they are encoded. */
const hel_program *hel_server_program(const hel_server *s);
const hel_params *hel_server_params(const hel_server *s);
/** Its weights: how large, from where. */
const hel_loaded *hel_server_weights(const hel_server *s);

HEL_CHECKED hel_status hel_session_new(hel_session **out, const hel_server *s, const void *keys,
				       size_t size);
/** @retval HEL_EKEY the program needs a key that is not there. */
HEL_CHECKED hel_status hel_server_covered(const hel_server *s, const hel_keys *keys);

/** What one run works with; all borrowed. */
typedef struct hel_run_means {
	hel_pool *pool;
	hel_scratch *scratch;
	const atomic_bool *stop;
} hel_run_means;

/** A session over keys that belong to someone else, for one run at a time. Cheap. */
HEL_CHECKED hel_status hel_session_borrow(hel_session **out, const hel_server *s,
					  const hel_keys *keys, const hel_run_means *means);
void hel_session_free(hel_session *session);

typedef struct hel_infer_times {
	double read, evaluate, write;
	double *op; /* one per op, or NULL */
} hel_infer_times;

/** Runs the program on a query; writes the result. times may be NULL.
 *  @retval HEL_EMODEL  the query is for another model.
 *  @retval HEL_ECLIENT the query was encrypted under another key than the session's. */
HEL_CHECKED hel_status hel_server_infer(hel_writer *w, const hel_session *session,
					const void *query, size_t size, hel_infer_times *times);

#endif
