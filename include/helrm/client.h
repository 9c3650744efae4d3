/* client.h -- everything a client of private predictions needs.
 *
 * Read in this order: secret, hel_client, hel_access, queries; then, if you do not bring your own
 * HTTP, hel_remote. examples/predict.c is a whole program.
 *
 *   - A *secret* is 32 bytes, the only thing that decrypts. Everything else can be made again.
 *   - A *client* is a secret with one model's manifest. The manifest comes from the server, so its
 *     parameters and security are checked here, and its hash is pinned by you.
 *   - An *access* is one upload of evaluation keys: which keys, from which randomness, and the
 * token that lets only you use them. Several models of the same parameters share it. Keep its text.
 *   - Outputs come first; on any status but HEL_OK they are as they were. hel_error_detail() says
 *     what was expected, what was found, and what to do.
 *   - Nothing here writes files, reads the clock to decide, or depends on what was decrypted before
 * a score is returned to you. Do not let a server notice how you react to a score: SECURITY.md.
 *
 * Libraries: helrm-client has no network; helrm-transport adds hel_remote_* by libcurl.
 */
#ifndef HELRM_CLIENT_H
#define HELRM_CLIENT_H

#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_client hel_client; /**< A secret with one model's manifest. */
typedef struct hel_access hel_access; /**< One upload of evaluation keys. */
typedef struct hel_remote hel_remote; /**< A server, by libcurl. */

#define HEL_SECRET_BYTES 32 /**< Of a secret. */
#define HEL_PIN_BYTES 32    /**< Of a manifest's hash. */

/* --- the secret -------------------------------------------------------------------------- */

/** Draws a new one from the operating system.
 *  - Cost: none.
 *  @retval HEL_EIO the system gives no randomness. */
HEL_API HEL_CHECKED hel_status hel_secret_new(uint8_t secret[HEL_SECRET_BYTES]);
/** As a file to keep: encrypted under a passphrase (Argon2id with 64 MB, XChaCha20-Poly1305),
 *  or in the clear when it is NULL.
 *  - Cost: about 0.2 s and 64 MB.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_secret_seal(uint8_t **file, size_t *size,
					       const uint8_t secret[HEL_SECRET_BYTES],
					       const char *passphrase);
/** The secret back from such a file.
 *  - Cost: that of sealing.
 *  @retval HEL_EDENIED the passphrase is wrong, or one is needed.
 *  @retval HEL_EFORMAT, HEL_EHASH the file is none, or damaged. */
HEL_API HEL_CHECKED hel_status hel_secret_unseal(uint8_t secret[HEL_SECRET_BYTES], const void *file,
						 size_t size, const char *passphrase);
/** Does that file need a passphrase?
 *  - Errors: none; false for what is no such file.
 *  - Cost: none. */
HEL_API bool hel_secret_is_sealed(const void *file, size_t size);

/* --- one model ---------------------------------------------------------------------------------
 */

/** Checks all of a manifest, parameters and 128-bit security included, and makes the secret
 *  key. pin: what hel_client_pin gave for this model before; NULL on first use. The secret is
 *  copied.
 *  - Cost: one key expansion, some milliseconds.
 *  @retval HEL_EMODEL    the manifest is not the pinned one.
 *  @retval HEL_ESECURITY, HEL_EPARAMS, HEL_EFORMAT, ... the manifest is not acceptable. */
HEL_API HEL_CHECKED hel_status hel_client_open(hel_client **out, const void *manifest, size_t size,
					       const uint8_t pin[HEL_PIN_BYTES],
					       const uint8_t secret[HEL_SECRET_BYTES]);
/** Wipes the key.
 *  - Errors: none; NULL is fine.
 *  - Cost: one pass. */
HEL_API void hel_client_free(hel_client *client);
/** The manifest's hash.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_client_pin(uint8_t pin[HEL_PIN_BYTES], const hel_client *client);
/** Of the parameters; clients of equal ones can share an access.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API void hel_client_parameters(uint8_t fingerprint[HEL_PIN_BYTES], const hel_client *client);
/** The model's name; lives as long as the client.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API const char *hel_client_model(const hel_client *client);

/* --- evaluation keys --------------------------------------------------------------------- */

/** Describes an upload of the keys this model needs, and of those `also` has (NULL for none; it
 *  must be of the same parameters). Nothing is generated yet.
 *  - Cost: none.
 *  @retval HEL_EPARAMS `also` has other parameters. */
HEL_API HEL_CHECKED hel_status hel_access_new(hel_access **out, const hel_client *client,
					      const hel_access *also);
/** Wipes and frees.
 *  - Errors: none; NULL is fine.
 *  - Cost: none. */
HEL_API void hel_access_free(hel_access *access);
/** Does it hold all that this model needs?
 *  - Errors: none.
 *  - Cost: none. */
HEL_API bool hel_access_covers(const hel_access *access, const hel_client *client);
/** To keep between runs (as a secret: whoever has it can use up your session); zero-ended.
 *  - Cost: none.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_access_write(uint8_t **text, size_t *size,
						const hel_access *access);
/** Back from such a text.
 *  - Cost: none.
 *  @retval HEL_EFORMAT the text is none of ours. */
HEL_API HEL_CHECKED hel_status hel_access_read(hel_access **out, const void *text, size_t size);
/** The body of POST /v1/sessions, zero-ended JSON.
 *  - Cost: none.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_access_request(uint8_t **json, size_t *size,
						  const hel_access *access);
/** The token the server answered; "" before.
 *  - Cost: none.
 *  @retval HEL_EFORMAT it is no token. */
HEL_API HEL_CHECKED hel_status hel_access_set_token(hel_access *access, const char *token);
/** The token, to be sent as "Authorization: Bearer".
 *  - Errors: none; never NULL.
 *  - Cost: none. */
HEL_API const char *hel_access_token(const hel_access *access);
/** Bytes of the whole upload.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API uint64_t hel_access_keys_size(const hel_access *access, const hel_client *client);
/** Generates the upload piece by piece, in order: always the same bytes, so that it can be
 *  resumed. A failing `put` ends it. Memory: a few MB.
 *  - Cost: about 10 ms per MB.
 *  @retval HEL_EPARAMS access and client have different parameters; or what put returns. */
HEL_API HEL_CHECKED hel_status hel_access_keys(const hel_access *access, const hel_client *client,
					       hel_status (*put)(void *arg, const void *bytes,
								 size_t size),
					       void *arg);

/* --- queries ----------------------------------------------------------------------------- */

/** How many records are in this text: CSV or JSON as the model's data set is published.
 *  - Cost: one pass.
 *  @retval HEL_EDATA the text is no such data. */
HEL_API HEL_CHECKED hel_status hel_client_count(size_t *records, const hel_client *client,
						const char *text, size_t size);
/** How many records one query can hold: 1, or the power of two the model was compiled for. A full
 *  query takes the server as long as one of a single record.
 *  - Errors: none.
 *  - Cost: none. */
HEL_API size_t hel_client_batch(const hel_client *client);
/** Encrypts one record, from 0.
 *  - Cost: one encoding and encryption per input, some milliseconds.
 *  @retval HEL_EDATA names what is wrong with it. */
HEL_API HEL_CHECKED hel_status hel_client_query(uint8_t **query, size_t *query_size,
						const hel_client *client, const char *text,
						size_t size, size_t record);

/** Encrypts records [first, first + count) into one query; nobody sees how many they are.
 *  - Cost: that of one record.
 *  @retval HEL_EINVAL there are no such records, or more than hel_client_batch.
 *  @retval HEL_EDATA names what is wrong with which of them. */
HEL_API HEL_CHECKED hel_status hel_client_query_batch(uint8_t **query, size_t *query_size,
						      const hel_client *client, const char *text,
						      size_t size, size_t first, size_t count);

/** What a model makes of a record. */
typedef struct hel_score {
	double logit;	    /**< The model's output. */
	double probability; /**< 1 / (1 + exp(-logit)). */
	/** Right bits of the logit: the manifest's prediction, once the result was found to obey
	 *  it. */
	double bits;
} hel_score;

/** Decrypts a result and checks that it looks like a score: in range, real, the same in all
 *  slots.
 *  - Cost: one decryption.
 *  @retval HEL_EMODEL, HEL_ECLIENT it belongs to another model or key.
 *  @retval HEL_ERANGE it does not decrypt to a score. */
HEL_API HEL_CHECKED hel_status hel_client_score(hel_score *out, const hel_client *client,
						const void *result, size_t size);
/** The scores of the first `count` records of a query, as many as were put into it. All of the
 *  result is checked.
 *  - Cost: one decryption.
 *  @retval HEL_EINVAL more than hel_client_batch are asked for.
 *  @retval HEL_EMODEL, HEL_ECLIENT, HEL_ERANGE as above. */
HEL_API HEL_CHECKED hel_status hel_client_score_batch(hel_score *out, size_t count,
						      const hel_client *client, const void *result,
						      size_t size);

/* --- a server (helrm-transport) ---------------------------------------------------------- */

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
} hel_remote_options;

/** One connection at a time; not to be shared by threads. What is refused for load (429, 503)
 *  or broken off is tried again with growing pauses, a query always under one idempotency key.
 *  Copies the options.
 *  - Cost: none.
 *  @retval HEL_EINVAL the options make no sense. */
HEL_API HEL_CHECKED hel_status hel_remote_new(hel_remote **out, const hel_remote_options *options);
/** Closes the connection.
 *  - Errors: none; NULL is fine.
 *  - Cost: none. */
HEL_API void hel_remote_free(hel_remote *remote);
/** A model's manifest, not yet checked.
 *  - Cost: one request.
 *  @retval HEL_EINVAL the server has no such model. */
HEL_API HEL_CHECKED hel_status hel_remote_manifest(uint8_t **manifest, size_t *size,
						   hel_remote *remote, const char *model);
/** Opens a session for an access and gives it its token: keep the access's text before you
 *  upload.
 *  - Cost: one request.
 *  @retval HEL_EIO the server cannot be reached.
 *  @retval HEL_EDENIED it refuses this access. */
HEL_API HEL_CHECKED hel_status hel_remote_open(hel_remote *remote, hel_access *access);
/** Uploads what the server does not have yet; at once when it has all.
 *  - Cost: generating and sending the keys, hel_access_keys_size bytes.
 *  @retval HEL_EDENIED the server knows no such session (any more): open another. */
HEL_API HEL_CHECKED hel_status hel_remote_upload(hel_remote *remote, const hel_access *access,
						 const hel_client *client);
/** One query, one result.
 *  - Cost: one request; the evaluation on the server.
 *  @retval HEL_EDENIED as above.
 *  @retval HEL_EKEY the keys do not cover the model.
 *  @retval HEL_EMODEL the server's model is not the manifest's any more. */
HEL_API HEL_CHECKED hel_status hel_remote_predict(uint8_t **result, size_t *result_size,
						  hel_remote *remote, const hel_access *access,
						  const char *model, const void *query,
						  size_t size);
/** Removes keys, results and session from the server.
 *  - Cost: one request.
 *  @retval HEL_EIO the server cannot be reached.
 *  @retval HEL_EDENIED it refuses this access. */
HEL_API HEL_CHECKED hel_status hel_remote_forget(hel_remote *remote, const hel_access *access);

#ifdef __cplusplus
}
#endif
#endif
