/** @file prediction.h
 *  One model seen by its client: records become queries, results become scores.
 */
#ifndef HELRM_PREDICTION_H
#define HELRM_PREDICTION_H

#include <helrm/secret.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_client hel_client; /**< A secret with one model's manifest. */

#define HEL_PIN_BYTES 32 /**< Of a manifest's hash. */

/* --- one model --------------------------------------------------------------------------- */

/** Checks all of a manifest: parameters and 128-bit security, and that it gives no record away:
 *  whatever a record holds, its query has the same form (docs/threat-model.md). Makes the secret
 *  key of a secret, which is copied; NULL for a client that only contributes.
 *  pin: what hel_client_pin gave for this model before; NULL on first use.
 *  - Cost: one key expansion, some milliseconds.
 *  @retval HEL_EMODEL    the manifest is not the pinned one.
 *  @retval HEL_ESECURITY, HEL_EPARAMS, HEL_EFORMAT, ... the manifest is not acceptable. */
HEL_API HEL_CHECKED hel_status hel_client_open(hel_client **out, const void *manifest, size_t size,
					       const uint8_t pin[HEL_PIN_BYTES],
					       const uint8_t secret[HEL_SECRET_BYTES]);
/** Makes a client without a secret encrypt under another's public key file (helrm keygen): what it
 *  contributes runs with the other's evaluation keys, and only the other can read it and its score.
 *  - Cost: one pass over the key.
 *  @retval HEL_EINVAL the client has a secret.
 *  @retval HEL_EPARAMS, HEL_ELEVEL the key was made for another model.
 *  @retval HEL_EFORMAT, HEL_EHASH, ... it is no public key. */
HEL_API HEL_CHECKED hel_status hel_client_contribute(hel_client *client, const void *public_key,
						     size_t size);
/** Wipes the key.
 *  NULL is fine.
 *  - Cost: one pass. */
HEL_API void hel_client_free(hel_client *client);
/** The manifest's hash. */
HEL_API void hel_client_pin(uint8_t pin[HEL_PIN_BYTES], const hel_client *client);
/** Of the parameters; clients of equal ones can share an access. */
HEL_API void hel_client_parameters(uint8_t fingerprint[HEL_PIN_BYTES], const hel_client *client);
/** The model's name; lives as long as the client. */
HEL_API const char *hel_client_model(const hel_client *client);

/* --- queries ----------------------------------------------------------------------------- */

/** Can this text be read at all: as records of a built-in data set, where it has the form of one,
 * or as lines or JSON of any other? Ask before anything is sent: what is malformed must end before
 * a server sees that a query does not come. A header counts as a record where the data set is not
 *  known.
 *  - Cost: one pass for each data set.
 *  @retval HEL_EDATA it cannot; says why. */
HEL_API HEL_CHECKED hel_status hel_input_check(size_t *records, const char *text, size_t size);
/** How many records are in this text: CSV or JSON as the model's columns say.
 *  - Cost: one pass.
 *  @retval HEL_EDATA the text is no such data. */
HEL_API HEL_CHECKED hel_status hel_client_count(size_t *records, const hel_client *client,
						const char *text, size_t size);
/** How many records one query can hold: 1, or the power of two the model was compiled for. A full
 *  query takes the server as long as one of a single record. */
HEL_API size_t hel_client_batch(const hel_client *client);
/** Encrypts one record, from 0. Whatever it holds, the query comes and has the same form: a
 * category that the model does not know travels as missing, a number beyond the model's range cut
 * to it. hel_client_doubts() says so to you alone. Where the manifest brought the columns along,
 * what is not as they say, up to all of a record, travels as missing, too: a server could describe
 * columns of which it would see some records' queries missing.
 *  - Cost: one encoding and encryption per input, some milliseconds.
 *  @retval HEL_EDATA it cannot be read: see hel_input_check(). */
HEL_API HEL_CHECKED hel_status hel_client_query(uint8_t **query, size_t *query_size,
						const hel_client *client, const char *text,
						size_t size, size_t record);

/** Encrypts records [first, first + count) into one query; nobody sees how many they are.
 *  - Cost: that of one record.
 *  @retval HEL_EINVAL there are no such records, or more than hel_client_batch.
 *  @retval HEL_EDATA the text cannot be read. */
HEL_API HEL_CHECKED hel_status hel_client_query_batch(uint8_t **query, size_t *query_size,
						      const hel_client *client, const char *text,
						      size_t size, size_t first, size_t count);

/** What a record of this model looks like, and what is known of its scores: zero-ended JSON, for
 *  forms.
 *
 *      {"model": "heart", "dataset": "heart", "batch": 1, "ranks": false, "bits": 21.5,
 *       "error": 0.0001, "columns": [{"name": "age", "kind": "number", "whole": false,
 * "mean": 54.4, "low": 0.2, "high": 108},
 *                   {"name": "cp", "kind": "category", "values": ["1", "2", "3", "4"]},
 *                   {"name": "film", "kind": "category", "values": "any"}, ...]}
 *
 *  Columns are in the order of the file, without label and ignored ones. low and high: numbers
 *  beyond are cut to them (hel_doubts). values: texts that the model knows; "any" where it takes
 *  every text, "ids" for whole numbers. A bag says how many values it takes ("limit"), by what they
 *  are separated ("separator", "" for a JSON array), and whether they are VALUE:WEIGHT
 * ("weighted"). ranks: its results are rankings (ranking.h). bits, error: as predicted for a logit,
 * hel_score.
 *  - Cost: one pass over the vocabulary.
 *  @retval HEL_ENOMEM out of memory. */
HEL_API HEL_CHECKED hel_status hel_client_columns(uint8_t **json, size_t *size,
						  const hel_client *client);

/** What of a record its query does not carry as it is. */
typedef struct hel_doubts {
	/** Categories that the model does not know, and a record that cannot be read: sent as
	 * missing. */
	size_t unknown;
	/** Numbers beyond what the model learned from, bags over their limit: cut to that. The
	 * precision that a score
	 * states was measured on records without such. */
	size_t cut;
	/** Numbers sent as they are, outside what the model learned from: its score, and the
	 * precision stated with it, are of no record that anybody measured. */
	size_t unseen;
	char text[256]; /**< the first of them, for people; "" for none */
} hel_doubts;

/** Compares a record with what the model knows. Withhold or mark its score as you see fit, but send
 *  its query: a server that sees it missing learns what the record holds.
 *  - Cost: one pass.
 *  @retval HEL_EINVAL there is no such record.
 *  @retval HEL_EDATA the text cannot be read. */
HEL_API HEL_CHECKED hel_status hel_client_doubts(hel_doubts *out, const hel_client *client,
						 const char *text, size_t size, size_t record);

/** What a model makes of a record. */
typedef struct hel_score {
	double logit;	    /**< The model's output. */
	double probability; /**< 1 / (1 + exp(-logit)). */
	/** Right bits of the logit, against the model as it was trained and relative to the spread
	 * of its logits, in nearly every score: two less than are predicted in the mean. 0 for a
	 * logit far beyond those that the prediction was made from: nothing is known of it. */
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

#ifdef __cplusplus
}
#endif
#endif
