/* container.h -- what every helrm file is: magic, kind, version, length, body, BLAKE2b-256 of all
 * before (file.c). */
#ifndef HEL_CONTAINER_H
#define HEL_CONTAINER_H

#include "base/bytes.h"

#define HEL_HASH_BYTES 32

typedef enum hel_kind {
	HEL_KIND_MANIFEST = 1,
	HEL_KIND_PROGRAM = 2,
	HEL_KIND_SECRET_KEY = 3,
	HEL_KIND_EVALUATION_KEYS = 4,
	HEL_KIND_QUERY = 5,
	HEL_KIND_RESULT = 6,
	HEL_KIND_SEALED_SECRET = 7,
	HEL_KIND_PUBLIC_KEY = 8,
	HEL_KIND_CIPHERTEXT = 9,
	HEL_KIND_RANKING = 10,
	HEL_KIND_CANDIDATES = 11,
} hel_kind;

#define HEL_CONTAINER_OVERHEAD (4 + 2 + 2 + 8 + HEL_HASH_BYTES)

const char *hel_kind_name(hel_kind kind);
/** Starts a container in `w`. */
void hel_container_begin(hel_writer *w, hel_kind kind);
/** The same where the length of the whole file is known beforehand. */
void hel_container_begin_sized(hel_writer *w, hel_kind kind, uint64_t size);
/** Fills in length and checksum. */
HEL_CHECKED hel_status hel_container_end(hel_writer *w);
/** Checks magic, version, length and checksum; `*body` reads what is inside. */
HEL_CHECKED hel_status hel_container_open(hel_reader *body, hel_kind kind, const void *bytes,
					  size_t size);
/** The kind of a container, or 0 when the bytes are not one. */
int hel_container_kind(const void *bytes, size_t size);
/** BLAKE2b-256. */
void hel_hash(uint8_t out[HEL_HASH_BYTES], const void *bytes, size_t size);

#define HEL_CHECKSUM_BYTES 16

/** Against accidents only, and about five times as fast: Poly1305 under a key that need not be
 *  secret but must be random, like a hash. */
void hel_checksum(uint8_t out[HEL_CHECKSUM_BYTES], const void *bytes, size_t size,
		  const uint8_t key[HEL_HASH_BYTES]);

#endif
