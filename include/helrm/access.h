/** @file access.h
 *  One upload of evaluation keys: which, from which randomness, under which token.
 */
#ifndef HELRM_ACCESS_H
#define HELRM_ACCESS_H

#include <helrm/prediction.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_access hel_access; /**< One upload of evaluation keys. */

/** Describes an upload of the keys this model needs, and of those `also` has (NULL for none; it
 *  must be of the same parameters). Nothing is generated yet.
 *  @retval HEL_EPARAMS `also` has other parameters. */
HEL_API HEL_CHECKED hel_status hel_access_new(hel_access **out, const hel_client *client,
					      const hel_access *also);
/** Wipes and frees.
 *  NULL is fine. */
HEL_API void hel_access_free(hel_access *access);
/** Does it hold all that this model needs? */
HEL_API bool hel_access_covers(const hel_access *access, const hel_client *client);
/** To keep between runs (as a secret: whoever has it can use up your session); zero-ended.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_access_write(uint8_t **text, size_t *size,
						const hel_access *access);
/** Back from such a text.
 *  @retval HEL_EFORMAT the text is none of ours. */
HEL_API HEL_CHECKED hel_status hel_access_read(hel_access **out, const void *text, size_t size);
/** The body of POST /v1/sessions, zero-ended JSON.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_access_request(uint8_t **json, size_t *size,
						  const hel_access *access);
/** The token the server answered; "" before.
 *  @retval HEL_EFORMAT it is no token. */
HEL_API HEL_CHECKED hel_status hel_access_set_token(hel_access *access, const char *token);
/** Whose keys these are meant for, an address. From then on the client's name in them, in queries
 * and in results is one that no other server and no other access sees, so that servers cannot find
 * out that they have a client in common. hel_remote_open() does it; before, all see the same name.
 *  @retval HEL_EINVAL it is no text, or too long. */
HEL_API HEL_CHECKED hel_status hel_access_set_server(hel_access *access, const char *server);
/** Makes the queries of a client those of this access, and its results expected: under its name.
 *  hel_remote_upload() does it. Not while other threads use the client.
 *  @retval HEL_EPARAMS access and client have different parameters, or the client has no secret. */
HEL_API HEL_CHECKED hel_status hel_client_use(hel_client *client, const hel_access *access);
/** The token, to be sent as "Authorization: Bearer".
 *  Never NULL. */
HEL_API const char *hel_access_token(const hel_access *access);
/** Bytes of the whole upload. */
HEL_API uint64_t hel_access_keys_size(const hel_access *access, const hel_client *client);
/** Generates the upload piece by piece, in order: always the same bytes, so that it can be
 *  resumed. A failing `put` ends it. Memory: a few MB.
 *  - Cost: about 10 ms per MB.
 *  @retval HEL_EPARAMS access and client have different parameters; or what put returns. */
HEL_API HEL_CHECKED hel_status hel_access_keys(const hel_access *access, const hel_client *client,
					       hel_status (*put)(void *arg, const void *bytes,
								 size_t size),
					       void *arg);

typedef struct hel_keys_source hel_keys_source; /**< An upload that is being generated. */

/** The same upload for callers that cannot wait inside a call, as in a browser: they take the next
 *  piece when they want it. The client outlives it, under the name it has now.
 *  @retval HEL_EPARAMS access and client have different parameters. */
HEL_API HEL_CHECKED hel_status hel_access_keys_begin(hel_keys_source **out,
						     const hel_access *access,
						     const hel_client *client);
/** The next piece, borrowed until the next call; *size is 0 at the end.
 *  - Cost: one row of a key, about a millisecond.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_access_keys_next(const uint8_t **bytes, size_t *size,
						    hel_keys_source *keys);
/** Wipes and frees.
 *  NULL is fine. */
HEL_API void hel_access_keys_end(hel_keys_source *keys);

#ifdef __cplusplus
}
#endif
#endif
