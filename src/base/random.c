#include "base.h"
#include <math.h>
#include <sodium.h>
#include <string.h>

hel_status hel_random_init(void)
{
	return sodium_init() < 0 ? hel_fail(HEL_EIO, "the system's random generator does not work")
				 : HEL_OK;
}

void hel_random_bytes(void *out, size_t size)
{
	randombytes_buf(out, size);
}

bool hel_reveal(bool bit)
{
	return bit;
}

void hel_prng_init(hel_prng *g, const uint8_t seed[HEL_SEED_BYTES], uint64_t stream)
{
	memcpy(g->seed, seed, HEL_SEED_BYTES);
	g->stream = stream;
	g->block = 0;
	g->used = sizeof g->buffer;
}

void hel_prng_fresh(hel_prng *g)
{
	uint8_t seed[HEL_SEED_BYTES];
	hel_random_bytes(seed, sizeof seed);
	hel_prng_init(g, seed, 0);
	hel_wipe(seed, sizeof seed);
}

static void refill(hel_prng *g)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	for (unsigned i = 0; i < sizeof nonce; i++)
		nonce[i] = (uint8_t)(g->stream >> (8 * i));
	memset(g->buffer, 0, sizeof g->buffer);
	crypto_stream_chacha20_xor_ic(g->buffer, g->buffer, sizeof g->buffer, nonce, g->block,
				      g->seed);
	g->block += sizeof g->buffer / 64;
	g->used = 0;
}

void hel_prng_bytes(hel_prng *g, void *out, size_t size)
{
	for (uint8_t *p = out; size;) {
		if (g->used == sizeof g->buffer)
			refill(g);
		size_t n = HEL_MIN(size, sizeof g->buffer - g->used);
		memcpy(p, g->buffer + g->used, n);
		g->used += n;
		p += n;
		size -= n;
	}
}

uint64_t hel_prng_u64(hel_prng *g)
{
	uint64_t v;
	hel_prng_bytes(g, &v, sizeof v);
	return v;
}

double hel_prng_unit(hel_prng *g)
{
	return (double)(hel_prng_u64(g) >> 11) * 0x1p-53;
}

double hel_prng_normal(hel_prng *g)
{
	double radius = sqrt(-2 * log(1 - hel_prng_unit(g)));
	return radius * cos(2 * M_PI * hel_prng_unit(g));
}

void hel_prng_clear(hel_prng *g)
{
	hel_wipe(g, sizeof *g);
}

void hel_shuffle(uint32_t *order, size_t count, hel_prng *g)
{
	for (size_t i = count; i > 1; i--) { /* Fisher-Yates */
		size_t j = (size_t)(((u128)hel_prng_u64(g) * i) >> 64);
		uint32_t swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
}
