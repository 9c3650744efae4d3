/* client_inside.h -- the client: record -> query, result -> score. Programs outside see
 * helrm/client.h of it. The other party is server/server.h. */
#ifndef HEL_CLIENT_INSIDE_H
#define HEL_CLIENT_INSIDE_H

#include "ckks/ckks.h"
#include "ckks/secret.h"
#include "features/schema.h"
#include "prog/prog.h"
#include <helrm/client.h> /* hel_client, hel_score: what programs outside see of it */

struct hel_client {
	hel_manifest *manifest;
	hel_params *params;
	hel_schema *schema;
	const hel_dataset *set; /* the schema's */
	hel_secret_key *secret;
	uint8_t
	    id[HEL_CLIENT_ID_BYTES]; /* its name in queries and results: the key's, or an alias */
	hel_public_key *public;	     /* of another client, to contribute a query to */
};

const hel_manifest *hel_client_manifest(const hel_client *c);
const hel_dataset *hel_client_dataset(const hel_client *c);

/** The secret key of this client's parameters that belongs to 32 bytes: for all parameters another.
 */
HEL_CHECKED hel_status hel_client_use_secret(hel_client *c, const uint8_t secret[HEL_SECRET_BYTES]);
const hel_params *hel_client_params(const hel_client *c);
const hel_secret_key *hel_client_key(const hel_client *c);
/** The secret key of a file that belongs to these parameters, see hel_client_write_secret. */
HEL_CHECKED hel_status hel_client_load_key(hel_client *c, const void *file, size_t size);
/** Draws a new secret key. */
HEL_CHECKED hel_status hel_client_generate(hel_client *c);
HEL_CHECKED hel_status hel_client_write_secret(hel_writer *w, const hel_client *c);
/** The evaluation keys that the manifest lists, each truncated to its level. */
HEL_CHECKED hel_status hel_client_write_keys(hel_writer *w, const hel_client *c, hel_pool *pool);
/** The key under which others may encrypt queries for this client. */
HEL_CHECKED hel_status hel_client_write_public(hel_writer *w, const hel_client *c);
/** Records [first, first + count) as one encrypted query, at most hel_client_batch of them: with
 *  the secret key, or under the public one. Whatever the records hold, it succeeds, and has the
 * same form: a category that the model does not know is sent as missing, a number beyond its range
 * cut. */
HEL_CHECKED hel_status hel_client_encrypt(hel_writer *w, const hel_client *c,
					  const hel_records *records, size_t first, size_t count);
/** Moves m->features values apart where items' values stand: 0 in what a client sends, the server's
 *  to add. */
void hel_client_leave_items(double *features, const hel_manifest *m);
/** hel_input_check() of a file that has a name; exact: the data set is a built-in one, and the
 * count knows a header from a record. */
HEL_CHECKED hel_status hel_client_check_input(size_t *records, bool *exact, const char *name,
					      const char *text, size_t size);
/** The records of a text as the client's data set reads them, at least `least`. Where the manifest
 *  brought the columns along, it could say of which records nothing comes; so all are taken, and
 * what is not as described counts as missing (hel_records_take). */
HEL_CHECKED hel_status hel_client_records(hel_records *out, const hel_client *c, const char *name,
					  const char *text, size_t size, size_t least);
/** What of record number `row` its query does not carry as it is. */
void hel_client_compare(hel_doubts *out, const hel_client *c, const hel_records *records,
			size_t row);

/** Decrypts a result into the scores of the first `count` records of its query, and checks that all
 *  look like scores: in range, real, the same in all slots of a record.
 *  @retval HEL_EMODEL, HEL_ECLIENT the result belongs to another model or key.
 *  @retval HEL_ERANGE it does not decrypt to a score. */
HEL_CHECKED hel_status hel_client_decrypt(hel_score *out, size_t count, const hel_client *c,
					  const void *result, size_t size);

/** What a result's ciphertext holds, checked as hel_client_decrypt does: slots, of N / 2, become in
 *  their real parts the scores of its records, in the manifest's unit. */
HEL_CHECKED hel_status hel_client_read_scores(hel_complex *slots, const hel_client *c,
					      const hel_ct *ct);

/** What a ranking holds (helrm/ranking.h). */
struct hel_ranking {
	size_t count;
	hel_ranked_item *item;
	uint8_t catalogue[HEL_HASH_BYTES]; /* the catalogue's name */
	double stray; /* how far places of known values are from them, in logits */
	double error; /* as predicted, nearly always */
	char *ids;
	size_t ids_size;
};

/** What a secret key file holds, under a passphrase (NULL: in the clear), and back: for other
 *  secrets than the 32 bytes of hel_secret_seal, up to 64 kB. *plain is freed by hel_free_secret.
 *  @retval HEL_EDENIED the passphrase is wrong, or one is needed. */
HEL_CHECKED hel_status hel_seal(uint8_t **file, size_t *size, const void *plain, size_t plain_size,
				const char *passphrase);
HEL_CHECKED hel_status hel_unseal(uint8_t **plain, size_t *plain_size, const void *file,
				  size_t size, const char *passphrase);
/** The name under which an access's keys travel. */
void hel_access_client(uint8_t out[HEL_CLIENT_ID_BYTES], const hel_access *a, const hel_client *c);

/* --- between the files of this folder ---------------------------------------------------- */

/** What the manifest asks for is bounded before any of it is made (demands.c). */
HEL_CHECKED hel_status hel_client_check_demands(const hel_client *c);
/** 1 to hel_client_batch records. */
HEL_CHECKED hel_status hel_client_check_count(const hel_client *c, size_t count);

#endif
