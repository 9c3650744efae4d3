/* Every secret poisoned: under valgrind, a branch or a memory index that depends on one is an
 * error. Secret are the key's seed, all randomness of errors, messages before encryption, and all
 * that is decrypted; the one bit "the message fits" is made public by hel_reveal. Without valgrind
 * this only runs. Linked with --wrap=hel_reveal,--wrap=hel_prng_fresh. */
#include "../testing.h"
#include "ckks/ckks.h"
#include "ckks/secret.h"
#include <math.h>
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n) ((void)(p), (void)(n))
#define RUNNING_ON_VALGRIND 0
#endif

bool __wrap_hel_reveal(bool bit);
void __wrap_hel_prng_fresh(hel_prng *g);
void __real_hel_prng_fresh(hel_prng *g);

static int revealed; /* bits */

bool __wrap_hel_reveal(bool bit)
{
	VALGRIND_MAKE_MEM_DEFINED(&bit, sizeof bit);
	revealed++;
	return bit;
}

void __wrap_hel_prng_fresh(hel_prng *g)
{
	__real_hel_prng_fresh(g);
	VALGRIND_MAKE_MEM_UNDEFINED(g->seed, sizeof g->seed);
}

static hel_complex message(size_t i)
{
	return (hel_complex){(double)(i % 7) / 8 - 0.25, (double)(i % 5) / -16};
}

static void poison_slots(hel_complex *slots, size_t count)
{
	for (size_t i = 0; i < count; i++)
		slots[i] = message(i);
	VALGRIND_MAKE_MEM_UNDEFINED(slots, count * sizeof *slots);
}

/* That what ran under poison was the real thing. */
static void expect_message(hel_complex *slots, size_t count)
{
	VALGRIND_MAKE_MEM_DEFINED(slots, count * sizeof *slots);
	for (size_t i = 0; i < count; i++) {
		assert_within(slots[i].re, message(i).re, 1e-4);
		assert_within(slots[i].im, message(i).im, 1e-4);
	}
}

static void decrypt_both_ways(hel_complex *slots, const hel_secret_key *key, const hel_ct *ct)
{
	const hel_params *p = ct->params;
	double *coefficients = hel_alloc(p->ring.n, sizeof *coefficients);
	assert_ok(hel_decrypt_coefficients(coefficients, p->ring.n, key, ct));
	hel_free(coefficients);
	assert_ok(hel_decrypt(slots, key, ct));
	expect_message(slots, hel_params_slots(p));
}

static void run_all(hel_params_spec spec)
{
	hel_params *p;
	hel_secret_key *key;
	hel_public_key *public;
	hel_keys *keys;
	hel_ct *ct;
	uint8_t seed[HEL_SEED_BYTES];
	assert_ok(hel_params_new_insecure_test(&p, &spec));
	const size_t count = hel_params_slots(p);
	hel_complex *slots = hel_alloc(count, sizeof *slots);
	hel_random_bytes(seed, sizeof seed);
	VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof seed);
	assert_ok(hel_secret_key_from_seed(&key, p, seed));
	const hel_key_request requests[] = {{HEL_RELINEARISE, spec.levels},
					    {5, spec.levels},
					    {511, 0},
					    {HEL_DECAPSULATE, spec.levels},
					    {HEL_ENCAPSULATE, 0}};
	/* one prime at level 0 is what the sparse secret asks for */
	assert_ok(hel_keys_generate(&keys, key, requests, p->limbs[0] == 1 ? 5 : 4, NULL));
	assert_ok(hel_public_key_new(&public, key, spec.levels));
	assert_ok(hel_ct_new(&ct, p));
	for (unsigned level = 0; level <= spec.levels; level++) {
		hel_pt *pt;
		poison_slots(slots, count);
		assert_ok(hel_encode(&pt, p, slots, level, HEL_FOR_ADD));
		assert_ok(hel_encrypt(ct, key, pt));
		/* what was sent is public */
		for (int i = 0; i < 2; i++)
			VALGRIND_MAKE_MEM_DEFINED(ct->part[i], p->limbs[level] * p->ring.n * 4);
		decrypt_both_ways(slots, key, ct);
		assert_ok(hel_encrypt_public(ct, public, pt));
		decrypt_both_ways(slots, key, ct);
		hel_pt_free(pt);
	}
	hel_ct_free(ct);
	hel_public_key_free(public);
	hel_keys_free(keys);
	hel_secret_key_free(key);
	hel_free(slots);
	hel_params_free(p);
}

static void test_secrets_decide_nothing(void **state)
{
	(void)state;
	if (!RUNNING_ON_VALGRIND)
		print_message("not under valgrind: NOTHING IS CHECKED here\n");
	print_message("kernels: %s\n", hel_kernels_get()->name);
	run_all((hel_params_spec){8, 3, 1, 30, 2, 2}); /* 2 to 5 limbs */
	run_all((hel_params_spec){8, 1, 2, 58, 3, 3});
	run_all((hel_params_spec){8, 2, 1, 26, 1, 1}); /* small primes beside large ones */
	run_all((hel_params_spec){8, 2, 2, 30, 2, 3, 1, 2, 1, {{2, 2, 0}}}); /* one at level 0 */
}

/* Only whether a message fits is revealed, whatever does not fit. */
static void test_encoding_reveals_one_bit(void **state)
{
	(void)state;
	static const double bad[] = {NAN, INFINITY, -INFINITY, 1e300, -1e14};
	const hel_params_spec spec = {8, 1, 1, 30, 1, 1};
	hel_params *p;
	hel_pt *pt = NULL;
	assert_ok(hel_params_new_insecure_test(&p, &spec));
	hel_complex *slots = hel_alloc(hel_params_slots(p), sizeof *slots);
	for (size_t i = 0; i < HEL_ARRAY_LEN(bad); i++) {
		slots[i].im = bad[i];
		VALGRIND_MAKE_MEM_UNDEFINED(slots, hel_params_slots(p) * sizeof *slots);
		revealed = 0;
		assert_status(HEL_ERANGE, hel_encode(&pt, p, slots, 1, HEL_FOR_ADD));
		assert_int_equal(1, revealed);
		slots[i].im = 0;
	}
	hel_free(slots);
	hel_params_free(p);
}

/* The check of the check: this branch must be reported. */
static void test_branch_on_a_secret(void **state)
{
	(void)state;
	volatile uint8_t secret = 1;
	VALGRIND_MAKE_MEM_UNDEFINED((void *)&secret, 1);
	if (secret & 1)
		print_message("a branch on a secret\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_secrets_decide_nothing),
					   cmocka_unit_test(test_encoding_reveals_one_bit)};
	const struct CMUnitTest guilty[] = {cmocka_unit_test(test_branch_on_a_secret)};
	if (argc > 1 && strcmp(argv[1], "--guilty") == 0)
		return cmocka_run_group_tests(guilty, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
