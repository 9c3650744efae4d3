/* keys.h -- evaluation keys: in memory, on the wire, expanded. */
#ifndef HEL_CKKS_KEYS_H
#define HEL_CKKS_KEYS_H

#include "objects.h"

/** Takes bytes of a file in order. */
typedef hel_status (*hel_put)(void *arg, const void *bytes, size_t size);

HEL_CHECKED hel_status hel_keys_alloc(hel_keys **out, const hel_params *p,
				      const hel_key_request *requests, size_t count);
/** Fills the halves of a key that come from the seed, in plain form, and [b, a] strides. */
void hel_switch_key_expand(const hel_keys *keys, hel_switch_key *key);
/** The seeded half of one row, in plain form. */
void hel_key_row_expand(uint32_t *a, const hel_params *p, const uint8_t seed[HEL_SEED_BYTES],
			uint32_t galois, size_t digit, size_t prime);
/** Whether such a key may exist; its level does. */
HEL_CHECKED hel_status hel_key_request_check(const hel_params *p, const hel_key_request *request);
/** The run of special primes that a key reaches: all, or those of the capsule. */
const hel_bconv *hel_key_special(const hel_params *p, uint32_t galois);
/** Digits of a key: rows of (15). */
size_t hel_key_digits(const hel_params *p, const hel_key_request *request);
/** Bytes of one key on the wire. */
uint64_t hel_switch_key_bytes(const hel_params *p, const hel_key_request *request);
/** Bytes of a whole file of keys. */
uint64_t hel_keys_file_bytes(const hel_params *p, const hel_key_request *requests, size_t count);
/** What stands in front of the keys' residues in a file. */
void hel_keys_write_head(hel_writer *w, const hel_params *p, const uint8_t *client,
			 const uint8_t *seed, const hel_key_request *requests, size_t count);
void hel_keys_write(hel_writer *w, const hel_keys *keys);
HEL_CHECKED hel_status hel_keys_read(hel_keys **out, const hel_params *p, hel_reader *r);

/* Keys are used in a form twice the size of the file's, which takes about 13 ms per MB to make.
 * Expanded once and kept, it can be mapped by any later process. */

/** Reads like hel_keys_read, but holds one key at a time and hands its expanded form to `put`. */
HEL_CHECKED hel_status hel_keys_expand(const hel_params *p, hel_reader *r, hel_put put, void *arg);
size_t hel_keys_expanded_bytes(const hel_params *p, const hel_key_request *requests, size_t count);
/** Keys in memory of the caller that holds what hel_keys_expand made of the file of these requests;
 *  it must outlive them. */
HEL_CHECKED hel_status hel_keys_borrow(hel_keys **out, const hel_params *p,
				       const uint8_t client[HEL_CLIENT_ID_BYTES],
				       const hel_key_request *requests, size_t count,
				       const void *expanded);

#endif
