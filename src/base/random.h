/* random.h -- randomness of the system and of a seed (random.c). */
#ifndef HEL_RANDOM_H
#define HEL_RANDOM_H

#include <helrm/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEL_SEED_BYTES 32

/** Must have succeeded once before anything random is asked for; any thread, any number of times.
 */
HEL_CHECKED hel_status hel_random_init(void);
/** Bytes of the operating system's generator. */
void hel_random_bytes(void *out, size_t size);
/** The same bit, made public on purpose: what a secret may decide must pass through here, and is
 *  listed in SECURITY.md. The test of constant time replaces it by one that tells valgrind. */
bool hel_reveal(bool bit);

/** A stream of bytes expanded from a seed: ChaCha20 with a 64-bit nonce, the stream number. */
typedef struct hel_prng {
	uint8_t seed[HEL_SEED_BYTES];
	uint64_t stream, block;
	size_t used;
	uint8_t buffer[1024];
} hel_prng;

void hel_prng_init(hel_prng *g, const uint8_t seed[HEL_SEED_BYTES], uint64_t stream);
/** A stream of fresh randomness: its seed is drawn now and never shown. */
void hel_prng_fresh(hel_prng *g);
void hel_prng_bytes(hel_prng *g, void *out, size_t size);
uint64_t hel_prng_u64(hel_prng *g);
/** Uniform in [0, 1). */
double hel_prng_unit(hel_prng *g);
/** Standard normal by Box-Muller: for training and tests, not for cryptography. */
double hel_prng_normal(hel_prng *g);
void hel_prng_clear(hel_prng *g);
/** A random order. */
void hel_shuffle(uint32_t *order, size_t count, hel_prng *g);

/** splitmix64 (S. Vigna): spreads a counter or seed over 64 bits; for data, not for cryptography.
 */
static inline uint64_t hel_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

#endif
