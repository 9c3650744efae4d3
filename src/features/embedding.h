/* embedding.h -- embedding kinds by name: which rows a table gets. */
#ifndef HEL_FEATURES_EMBEDDING_H
#define HEL_FEATURES_EMBEDDING_H

#include "dataset.h"

#define HEL_ALL_VALUES UINT32_MAX
#define HEL_MAX_OWN (1u << 24)
#define HEL_MAX_BASE (1u << 20)

/** Which rows a table gets: `own` most frequent values have one of their own (HEL_ALL_VALUES: all),
 *  the tail is one shared row (base 0) or the sum of `digits` of `base` rows each (0: as many as
 *  the number of values asks for; 1: plain hashing). */
typedef struct hel_embedding {
	uint32_t own, base, digits;
	uint32_t buckets; /* of the tail, by click rate (rates.h); then base is 0 */
} hel_embedding;

/** full, hash(m), digits(base), digits(base,count), frequent(K), frequent(K)+digits(base),
 * frequent(K)+hash(m), rates(B), frequent(K)+rates(B). */
HEL_CHECKED hel_status hel_embedding_parse(hel_embedding *out, const char *text);
void hel_embedding_describe(char *out, size_t size, hel_embedding e);

#define HEL_MAX_EXCEPTIONS 64

/** The choice for all tables: `kind` for those with more than `threshold` values, full for the
 *  others, except where a table is named. Values seen fewer than `min_count` times never have a row
 *  of their own. Where the width is above max_onehot, own rows go to the values seen most often,
 *  over all tables, until that many one-hot entries are used. */
typedef struct hel_embedding_plan {
	hel_embedding kind;
	uint32_t threshold, min_count, max_onehot;
	size_t exceptions;
	struct {
		char table[HEL_NAME_MAX];
		hel_embedding kind;
	} exception[HEL_MAX_EXCEPTIONS];
} hel_embedding_plan;

hel_embedding_plan hel_embedding_plan_default(void);
hel_embedding hel_embedding_of(const hel_embedding_plan *plan, const char *table, uint64_t values);

#endif
