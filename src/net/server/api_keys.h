/* api_keys.h -- the file of API keys: who the customers are, and what each may use. */
#ifndef HEL_SERVER_API_KEYS_H
#define HEL_SERVER_API_KEYS_H

#include "keyset.h"

/** A line of the file of API keys: [NAME] KEY [queries-per-minute=N] [sessions=N] [keys-mb=N]
 * [queue=N]. Keys
 * of one name are one customer: a new one beside the old lets clients change over. */
typedef struct hel_api_key {
	char name[HEL_API_KEY_NAME_MAX + 1];
	uint8_t hash[HEL_HASH_BYTES];
	uint64_t queries_per_minute, sessions, keys_mb, queue; /* 0: no limit of its own */
	hel_bucket rate;
} hel_api_key;

/** Reads such a file; `origin` names it in messages. The caller frees *out.
 *  @retval HEL_EINVAL a line that cannot be meant, no key at all. */
HEL_CHECKED hel_status hel_api_keys_parse(hel_api_key **out, size_t *count, const char *text,
					  size_t size, const char *origin);
/** The same of a file, of none when `path` is "". */
HEL_CHECKED hel_status hel_api_keys_read(hel_api_key **out, size_t *count, const char *path);

#endif
