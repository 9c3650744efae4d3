/** @file server.h
 * The party that computes: a program and a client's evaluation keys turn queries into results.
 *
 *   - A *server* is a program (program.helm) ready to run. It sees no record and no score, and its
 *     library, libhelrm-server, has no code that could decrypt one.
 *   - An *evaluation* is a server with one client's evaluation keys.
 *   - A *catalogue* (docs/ranking.md) holds the public items that a program compiled with public
 *     columns ranks: a file, made by hel_catalogue_make() of owner.h.
 *   - None of them changes once made: any number of threads may run queries on them at once.
 *   - Programs, keys and queries are bytes from anywhere: what is damaged, foreign or too large is
 *     refused, and says why (hel_error_detail()).
 *   - Outputs come first; on any status but HEL_OK they are as they were.
 *
 * `helrm serve` is such a server behind HTTP. The client's side is client.h, the model's owner.h;
 * examples/rank.c has both sides.
 */
#ifndef HELRM_SERVER_H
#define HELRM_SERVER_H

#include <helrm/pool.h>
#include <helrm/version.h>
#include <helrm/watch.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_server hel_server;	      /**< A program ready to run. */
typedef struct hel_evaluation hel_evaluation; /**< It, with one client's evaluation keys. */
typedef struct hel_catalogue hel_catalogue;   /**< Items that a program ranks. */

#define HEL_PROGRAM_ID_BYTES 32 /**< Of a program's hash. */

/** Reads a program and encodes its weights. The pool is used by all runs, and outlives the server;
 *  NULL: each run has the thread that calls.
 *  - Cost: one encoding for each weight, on the pool; memory for them (the compiler says how much).
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_EHASH, HEL_ETRUNC, HEL_ELIMIT it is no program.
 *  @retval HEL_ESECURITY, HEL_EPARAMS its parameters are not acceptable. */
HEL_API HEL_CHECKED hel_status hel_server_new(hel_server **out, const void *program, size_t size,
					      hel_pool *pool);
/** Frees it; its evaluations must be freed before.
 *  NULL is fine. */
HEL_API void hel_server_free(hel_server *server);
/** The model's name; lives as long as the server. */
HEL_API const char *hel_server_model(const hel_server *server);
/** The hash of the manifest inside, as hel_client_pin gives it to clients: they agree when they
 *  speak of one model. */
HEL_API void hel_server_id(uint8_t id[HEL_PROGRAM_ID_BYTES], const hel_server *server);

/** Reads the evaluation keys of one client: what hel_access_keys generates, or evaluation.keys of
 *  `helrm keygen`.
 *  - Cost: one pass over the keys, which are kept in memory; they are copied.
 *  @retval HEL_EKEY the program needs a key that is not there.
 *  @retval HEL_EPARAMS they were made for other parameters.
 *  @retval HEL_EFORMAT, HEL_EHASH, HEL_ETRUNC, ... they are no evaluation keys. */
HEL_API HEL_CHECKED hel_status hel_evaluation_new(hel_evaluation **out, const hel_server *server,
						  const void *keys, size_t size);
/** Frees it; no run may be left.
 *  NULL is fine. */
HEL_API void hel_evaluation_free(hel_evaluation *evaluation);

/** Runs the program on a query: the result is for the client whose keys these are, and tells nobody
 * else anything; it is the same on any number of threads. Free it with hel_bytes_free(). watch is
 * told how far it is; or NULL.
 *  - Cost: that of the program, see `helrm compile`; scratch is kept for the next run.
 *  @retval HEL_EMODEL  the query is for another model.
 *  @retval HEL_ECLIENT the query was encrypted under another key than the evaluation's.
 *  @retval HEL_EFORMAT, HEL_EHASH, ... it is no query.
 *  @retval HEL_ECANCEL watch said so. */
HEL_API HEL_CHECKED hel_status hel_server_run(uint8_t **result, size_t *result_size,
					      const hel_evaluation *evaluation, const void *query,
					      size_t size, const hel_watch *watch);

/* --- catalogues ---------------------------------------------------------------------------- */

/** Maps a catalogue of the server's program and checks all of it, on the server's pool. The file
 *  may be replaced by renaming another one over it: this one stays as it is.
 *  - Cost: one pass over the file; its pages are shared by all who map it.
 *  @retval HEL_EMODEL, HEL_EPARAMS it belongs to another program, or this one ranks no items.
 *  @retval HEL_EFORMAT, HEL_EVERSION, HEL_ETRUNC, HEL_EHASH it is no whole catalogue.
 *  @retval HEL_EIO it cannot be read. */
HEL_API HEL_CHECKED hel_status hel_server_catalogue(hel_catalogue **out, const hel_server *server,
						    const char *path);
/** Unmaps it; no run may be left.
 *  NULL is fine. */
HEL_API void hel_catalogue_free(hel_catalogue *catalogue);
/** How many items it has. */
HEL_API size_t hel_catalogue_items(const hel_catalogue *catalogue);
/** hel_server_run() for a program that ranks: the scores of all items, or of candidates: "ID,ID" or
 *  numbers "FROM..TO", counted from 1, or NULL. The server sees which: use them for what everybody
 *  may know, never for what depends on the record.
 *  - Cost: the user's part of the program, then a pass over the catalogue.
 *  @retval HEL_EMODEL the query, or the catalogue, is for another model; or it ranks no items.
 *  @retval HEL_EINVAL names a candidate that the catalogue does not have.
 *  @retval HEL_ECLIENT, HEL_EFORMAT, HEL_EHASH, HEL_ECANCEL, ... as hel_server_run(). */
HEL_API HEL_CHECKED hel_status hel_server_run_catalogue(uint8_t **result, size_t *result_size,
							const hel_evaluation *evaluation,
							const hel_catalogue *catalogue,
							const char *candidates, const void *query,
							size_t size, const hel_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
