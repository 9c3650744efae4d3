/** @file remote.h
 *  A server, by libcurl: libhelrm-transport.
 */
#ifndef HELRM_REMOTE_H
#define HELRM_REMOTE_H

#include <helrm/access.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_remote hel_remote; /**< A server, by libcurl. */

/** How to reach a server. */
typedef struct hel_remote_options {
	const char *url;	 /**< https://host[:port]; http:// to this machine only */
	const char *api_key;	 /**< of the operator, or NULL */
	const char *authority;	 /**< file of certificates to trust; NULL: the system's */
	const char *certificate; /**< file of this client's certificate, or NULL */
	const char *private_key; /**< file of its key */
	double patience;	 /**< seconds to try again without any progress; 0: 60 */
	bool plain_http; /**< http:// to any machine: the token can then be read on the way */
	void (*progress)(void *arg, uint64_t done, uint64_t total); /**< of uploads; or NULL */
	void *progress_arg;					    /**< Handed to progress. */
	double limit; /**< seconds that one prediction may take in all; 0: 3600 */
} hel_remote_options;

/** One connection at a time; not to be shared by threads. What is refused for load (429, 503)
 *  or broken off is tried again with growing pauses, a query always under one idempotency key.
 *  Copies the options.
 *  @retval HEL_EINVAL the options make no sense. */
HEL_API HEL_CHECKED hel_status hel_remote_new(hel_remote **out, const hel_remote_options *options);
/** Closes the connection.
 *  NULL is fine. */
HEL_API void hel_remote_free(hel_remote *remote);
/** A model's manifest, not yet checked.
 *  - Cost: one request.
 *  @retval HEL_EINVAL the server has no such model. */
HEL_API HEL_CHECKED hel_status hel_remote_manifest(uint8_t **manifest, size_t *size,
						   hel_remote *remote, const char *model);
/** Opens a session for an access and gives it its server and token: keep the access's text before
 * you upload.
 *  - Cost: one request.
 *  @retval HEL_EIO the server cannot be reached.
 *  @retval HEL_EDENIED it refuses this access. */
HEL_API HEL_CHECKED hel_status hel_remote_open(hel_remote *remote, hel_access *access);
/** Uploads what the server does not have yet; at once when it has all. The client's queries are of
 *  this access from then on, see hel_client_use().
 *  - Cost: generating and sending the keys, hel_access_keys_size bytes.
 *  @retval HEL_EDENIED the server knows no such session (any more): open another. */
HEL_API HEL_CHECKED hel_status hel_remote_upload(hel_remote *remote, const hel_access *access,
						 hel_client *client);
/** One query, one result.
 *  - Cost: one request; the evaluation on the server.
 *  @retval HEL_EDENIED as above.
 *  @retval HEL_EKEY the keys do not cover the model.
 *  @retval HEL_EMODEL the server's model is not the manifest's any more. */
HEL_API HEL_CHECKED hel_status hel_remote_predict(uint8_t **result, size_t *result_size,
						  hel_remote *remote, const hel_access *access,
						  const char *model, const void *query,
						  size_t size);
/** Whether the last hel_remote_manifest() or hel_remote_predict() was told that a newer version of
 *  the model is there, so that this one will go: fetch the manifest, and accept it. */
HEL_API bool hel_remote_superseded(const hel_remote *remote);
/** Removes keys, results and session from the server.
 *  - Cost: one request.
 *  @retval HEL_EIO the server cannot be reached.
 *  @retval HEL_EDENIED it refuses this access. */
HEL_API HEL_CHECKED hel_status hel_remote_forget(hel_remote *remote, const hel_access *access);

#ifdef __cplusplus
}
#endif
#endif
