#include "features/learn.h"
/* samples.h -- records as a model reads them. */
#ifndef HEL_SAMPLES_H
#define HEL_SAMPLES_H

/** Records ready for a model: applied schema. */
typedef struct hel_samples {
	size_t count, dense, hots;
	double *value;	/* [count][dense] */
	uint32_t *hot;	/* [count][hots]: words, see hel_schema_hots */
	uint8_t *label; /* [count] */
	size_t unknown; /* categories outside the vocabulary, taken as missing */
	size_t far;	/* dense values far outside what was trained on (hel_dense_is_far) */
} hel_samples;

/** Room for `count` samples; the count is still 0. */
HEL_CHECKED hel_status hel_samples_reserve(hel_samples *out, const hel_schema *schema,
					   size_t count);
HEL_CHECKED hel_status hel_samples_new(hel_samples *out, const hel_schema *schema,
				       const hel_records *records, const size_t *rows, size_t count,
				       hel_unknown policy);
/** Which row of its table each value in a cache's dictionary has: once for all that is loaded. */
typedef struct hel_listed hel_listed;
HEL_CHECKED hel_status hel_listed_new(hel_listed **out, const hel_schema *schema,
				      const hel_cache *cache);
void hel_listed_free(hel_listed *l);
/** Those rows of a cache's blocks (NULL: the first `count`) that belong to any of `parts`; `listed`
 *  is of the same schema and cache, or NULL: made for this call. */
HEL_CHECKED hel_status hel_samples_load(hel_samples *out, const hel_schema *schema,
					const hel_cache *cache, const hel_listed *listed,
					const hel_split *split, unsigned parts,
					const size_t *blocks, size_t count, hel_pool *pool);
void hel_samples_clear(hel_samples *s);

#endif
