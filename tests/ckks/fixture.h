/* fixture.h -- parameters, keys and random messages for tests of ckks and above. */
#ifndef HEL_CKKS_FIXTURE_H
#define HEL_CKKS_FIXTURE_H

#include "../testing.h"
#include "ckks/ckks.h"
#include "ckks/secret.h"
#include <complex.h>
#include <math.h>

typedef struct ckks_fixture {
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	size_t slots;
	hel_prng g;
} ckks_fixture;

static inline void ckks_setup(ckks_fixture *f, hel_params_spec spec, const long *rotations,
			      size_t count)
{
	hel_key_request requests[66];
	memset(f, 0, sizeof *f);
	test_prng(&f->g, spec.log_n);
	assert_ok(hel_params_new_insecure_test(&f->params, &spec));
	f->slots = hel_params_slots(f->params);
	assert_ok(hel_secret_key_new(&f->secret, f->params));
	size_t n = 0;
	requests[n++] = (hel_key_request){HEL_RELINEARISE, spec.levels};
	requests[n++] = (hel_key_request){hel_galois_of_conjugation(f->params), spec.levels};
	for (size_t i = 0; i < count; i++)
		requests[n++] =
		    (hel_key_request){hel_galois_of_rotation(f->params, rotations[i]), spec.levels};
	assert_ok(hel_keys_generate(&f->keys, f->secret, requests, n, NULL));
	assert_ok(hel_eval_new(&f->ev, f->params, f->keys, NULL));
}

static inline void ckks_teardown(ckks_fixture *f)
{
	hel_eval_free(f->ev);
	hel_keys_free(f->keys);
	hel_secret_key_free(f->secret);
	hel_params_free(f->params);
}

static inline hel_complex *random_slots(ckks_fixture *f)
{
	hel_complex *v = hel_alloc(f->slots, sizeof *v);
	assert_non_null(v);
	/* inside the unit disc, so that repeated squaring stays there */
	for (size_t i = 0; i < f->slots; i++)
		v[i] = (hel_complex){1.4 * hel_prng_unit(&f->g) - 0.7,
				     1.4 * hel_prng_unit(&f->g) - 0.7};
	return v;
}

static inline hel_ct *encrypted(ckks_fixture *f, const hel_complex *slots, unsigned level)
{
	hel_pt *pt;
	hel_ct *ct;
	assert_ok(hel_encode(&pt, f->params, slots, level, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&ct, f->params));
	assert_ok(hel_encrypt(ct, f->secret, pt));
	hel_pt_free(pt);
	return ct;
}

/* Root mean square of |decrypted - expected|. */
static inline double decrypted_error(ckks_fixture *f, const hel_ct *ct, const hel_complex *expected)
{
	hel_complex *got = hel_alloc(f->slots, sizeof *got);
	assert_non_null(got);
	assert_ok(hel_decrypt(got, f->secret, ct));
	double sum = 0;
	for (size_t i = 0; i < f->slots; i++) {
		double re = got[i].re - expected[i].re, im = got[i].im - expected[i].im;
		sum += re * re + im * im;
	}
	hel_free(got);
	return sqrt(sum / (double)f->slots);
}

static inline void assert_near(const char *what, double error, double bound)
{
	print_message("  %-24s error 2^%.1f, bound 2^%.1f\n", what, log2(error), log2(bound));
	if (!(error <= bound))
		fail_msg("%s: error 2^%.2f above 2^%.2f", what, log2(error), log2(bound));
}

/* Against an error variance per slot: never above the prediction, never four bits below it. */
static inline void assert_predicted(const char *what, double error, double variance)
{
	const double predicted = 2 * sqrt(variance);
	print_message("  %-24s error 2^%.1f, predicted 2^%.1f\n", what, log2(error),
		      log2(predicted));
	if (!(error <= predicted && error * 16 >= predicted))
		fail_msg("%s: error 2^%.2f, predicted 2^%.2f", what, log2(error), log2(predicted));
}

#endif
