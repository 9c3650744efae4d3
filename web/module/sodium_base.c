/* What libsodium asks of an operating system, where there is none: memory that is wiped when it is freed, and
 * randomness from crypto.getRandomValues, nothing else. In the place of its randombytes.c and core.c. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define LINE 64 /* what hel_secret_alloc promises: aligned to a cache line */

__attribute__((import_module("env"), import_name("helrm_random"))) void helrm_random(void *out,
										     size_t size);

#ifdef __wasm_simd128__
/* What libsodium has for SSE4.1 is compiled to SIMD128 (tools/wasm), and there is no processor to ask. */
int sodium_runtime_has_ssse3(void)
{
	return 1;
}

int sodium_runtime_has_sse41(void)
{
	return 1;
}
#endif

int _crypto_generichash_blake2b_pick_best_implementation(void);
int _crypto_pwhash_argon2_pick_best_implementation(void);

int sodium_init(void)
{
	_crypto_generichash_blake2b_pick_best_implementation();
	_crypto_pwhash_argon2_pick_best_implementation();
	return 0;
}

void sodium_misuse(void)
{
	abort();
}

void randombytes_buf(void *const out, const size_t size)
{
	helrm_random(out, size);
}

uint32_t randombytes_random(void)
{
	uint32_t v;
	randombytes_buf(&v, sizeof v);
	return v;
}

/* The size stands in the line before what is given away. */
void *sodium_malloc(const size_t size)
{
	if (size > PTRDIFF_MAX - 2 * LINE)
		return NULL;
	uint8_t *p = aligned_alloc(LINE, LINE + (size + LINE - 1) / LINE * LINE);
	if (!p)
		return NULL;
	memcpy(p, &size, sizeof size);
	return p + LINE;
}

void sodium_free(void *p)
{
	size_t size;
	if (!p)
		return;
	memcpy(&size, (uint8_t *)p - LINE, sizeof size);
	sodium_memzero(p, size);
	free((uint8_t *)p - LINE);
}
