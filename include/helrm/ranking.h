/** @file ranking.h
 *  One record against all items of a catalogue: results of models that rank (docs/ranking.md).
 *
 *  Queries are those of other models (hel_client_query()); results hold a score for each item.
 */
#ifndef HELRM_RANKING_H
#define HELRM_RANKING_H

#include <helrm/prediction.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hel_ranking hel_ranking; /**< Items by falling score. */

/** An item with what the model makes of it. */
typedef struct hel_ranked_item {
	const char *id;	    /**< as its owner named it: plain text; lives as long as the ranking */
	double logit;	    /**< The model's output. */
	double probability; /**< 1 / (1 + exp(-logit)). */
} hel_ranked_item;

/** Does this model rank items? Its results are then for hel_client_rank(), those of all others for
 *  hel_client_score(). */
HEL_API bool hel_client_ranks(const hel_client *client);
/** Decrypts a result into items by falling score, of equal ones that which came first in the
 *  catalogue, and checks that places of known values hold what they should.
 *  - Cost: one decryption for each of its ciphertexts (N items, nearly), and a sort.
 *  @retval HEL_EMODEL, HEL_ECLIENT it belongs to another model or key, or the model ranks no items.
 *  @retval HEL_ERANGE it does not decrypt to scores.
 *  @retval HEL_EFORMAT, HEL_EHASH, ... it is no ranking. */
HEL_API HEL_CHECKED hel_status hel_client_rank(hel_ranking **out, const hel_client *client,
					       const void *result, size_t size);
/** A query that ranks some items only: text names one a line, by its id or by numbers as FROM..TO,
 *  1 MB at most. The server reads it, and the result's size tells how many they are: what a record
 *  or a ranking holds must not decide what stands there. Free *narrowed with hel_bytes_free().
 *  - Cost: one pass.
 *  @retval HEL_EDATA nothing is named, or not in plain text.
 *  @retval HEL_ELIMIT too much is.
 *  @retval HEL_EMODEL the model scores records one by one.
 *  @retval HEL_EFORMAT it is no query. */
HEL_API HEL_CHECKED hel_status hel_client_candidates(uint8_t **narrowed, size_t *narrowed_size,
						     const hel_client *client, const void *query,
						     size_t query_size, const char *text,
						     size_t size);
/** Wipes and frees.
 *  NULL is fine. */
HEL_API void hel_ranking_free(hel_ranking *ranking);
/** How many items were ranked. */
HEL_API size_t hel_ranking_count(const hel_ranking *ranking);
/** The item at a place, from 0, the best; NULL behind the last. Lives as long as the ranking. */
HEL_API const hel_ranked_item *hel_ranking_item(const hel_ranking *ranking, size_t place);
/** Logits are right to about so much, in nearly every item, for records without doubts
 *  (hel_client_doubts()): items that are closer may stand in either order. */
HEL_API double hel_ranking_error(const hel_ranking *ranking);
/** The name of the catalogue that was ranked: another one after every change. */
HEL_API void hel_ranking_catalogue(uint8_t name[HEL_PIN_BYTES], const hel_ranking *ranking);

#ifdef __cplusplus
}
#endif
#endif
