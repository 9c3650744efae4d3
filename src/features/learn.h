/* learn.h -- who trains on which row, and the schema that is learned from the training part. Memory
 * grows with the number of distinct values, one table at a time per thread.
 */
#ifndef HEL_FEATURES_LEARN_H
#define HEL_FEATURES_LEARN_H

#include "cache.h"
#include "embedding.h"
#include "schema.h"

typedef enum hel_part { HEL_TRAIN = 1, HEL_VALIDATION = 2, HEL_TEST = 4 } hel_part;

/** Who gets which row: by the row's number and a seed alone. */
typedef struct hel_split {
	uint64_t seed;
	uint32_t test;	   /* one row in `test`; 0: none */
	double validation; /* share of the others */
} hel_split;

hel_part hel_split_of(const hel_split *s, uint64_t row);

/** Learns means, deviations and vocabularies from the training part.
 *  @retval HEL_EDATA all rows of the training part have one label.
 *  @retval HEL_EUNSUPPORTED max_onehot cannot be met; says what the least is. */
HEL_CHECKED hel_status hel_schema_learn(hel_schema **out, const hel_cache *c,
					const hel_split *split, const hel_embedding_plan *plan,
					double clip, hel_pool *pool);

#endif
