/* Key generation and encryption with a poisoned secret and message: under valgrind, a branch or a
 * memory index that depends on the key is an error. Without valgrind it only runs. */
#include "../testing.h"
#include "ckks/ckks.h"
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_UNDEFINED(p, n) ((void)(p), (void)(n))
#define VALGRIND_MAKE_MEM_DEFINED(p, n) ((void)(p), (void)(n))
#define RUNNING_ON_VALGRIND 0
#endif

static void test_key_is_never_looked_at(void **state)
{
	(void)state;
	const hel_params_spec spec = {8, 2, 1, 30, 2, 2};
	hel_params *p;
	hel_secret_key *key;
	hel_keys *keys;
	hel_pt *pt;
	hel_ct *ct;
	uint8_t seed[HEL_SEED_BYTES];
	if (!RUNNING_ON_VALGRIND)
		print_message("not under valgrind: NOTHING IS CHECKED here\n");
	assert_ok(hel_params_new_insecure_test(&p, &spec));
	hel_random_bytes(seed, sizeof seed);
	VALGRIND_MAKE_MEM_UNDEFINED(seed, sizeof seed);
	assert_ok(hel_secret_key_from_seed(&key, p, seed));
	const hel_key_request requests[] = {{HEL_RELINEARISE, 2}, {5, 2}, {511, 1}};
	assert_ok(hel_keys_generate(&keys, key, requests, 3, NULL));
	hel_complex *slots = hel_alloc(hel_params_slots(p), sizeof *slots);
	assert_ok(hel_encode(&pt, p, slots, 2, HEL_FOR_ADD));
	VALGRIND_MAKE_MEM_UNDEFINED(pt->data, p->limbs[2] * p->ring.n * 4);
	assert_ok(hel_ct_new(&ct, p));
	assert_ok(hel_encrypt(ct, key, pt));
	hel_pt_free(pt);
	hel_ct_free(ct);
	hel_keys_free(keys);
	hel_secret_key_free(key);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_key_is_never_looked_at)};
	const struct CMUnitTest guilty[] = {cmocka_unit_test(test_branch_on_a_secret)};
	if (argc > 1 && strcmp(argv[1], "--guilty") == 0)
		return cmocka_run_group_tests(guilty, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
