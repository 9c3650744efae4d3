#include "machine_speed.h"
#include "ckks/objects.h"
#include <math.h>
#include <string.h>
#include <time.h>

#define KEYS 4 /* used in turn: 19 MB of them */
#define SECONDS 0.06
#define ROUNDS_MIN 3

static const hel_params_spec spec = {14, 8, 1, 30, 3, 3};

static double cpu_seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Of no meaning: values make no difference to time. */
static hel_status make_keys(hel_keys **out, const hel_params *p)
{
	hel_key_request request[KEYS];
	for (int i = 0; i < KEYS; i++)
		request[i] = (hel_key_request){hel_galois_of_rotation(p, i + 1), p->spec.levels};
	const hel_status st = hel_keys_alloc(out, p, request, KEYS);
	for (size_t i = 0; st == HEL_OK && i < KEYS; i++) {
		const hel_switch_key *key = &(*out)->key[i];
		memset(key->data, 1, key->digits * (key->limbs + key->special) * 8 * p->ring.n);
	}
	return st;
}

static hel_status rotate(const hel_eval *ev, hel_ct *out, const hel_ct *in)
{
	hel_status st = HEL_OK;
	for (long i = 1; i <= KEYS; i++)
		TRY(hel_eval_rotate(ev, out, in, i));
done:
	return st;
}

/* What built-in prices say of it. */
static double predicted(const hel_params *p)
{
	const size_t limbs = p->limbs[p->spec.levels];
	hel_cost c = {0};
	hel_cost_add(&c, hel_cost_decompose(&spec, limbs), KEYS);
	hel_cost_add(&c, hel_cost_product(&spec, limbs), KEYS);
	hel_cost_add(&c, hel_cost_finish(&spec, limbs), KEYS);
	const hel_cost_model m = hel_cost_model_for(hel_cost_model_default(), hel_cost_bytes(c));
	return hel_cost_seconds(&m, c);
}

hel_status hel_machine_speed(double *factor)
{
	hel_status st = HEL_OK;
	hel_params *p = NULL;
	hel_keys *keys = NULL;
	hel_eval *ev = NULL;
	hel_ct *in = NULL, *out = NULL;
	double least = INFINITY, spent = 0;
	TRY(hel_params_new(&p, &spec));
	TRY(make_keys(&keys, p));
	TRY(hel_eval_new(&ev, p, keys, NULL));
	TRY(hel_ct_new(&in, p));
	TRY(hel_ct_new(&out, p));
	in->level = spec.levels;
	in->scale = p->scale[spec.levels];
	TRY(rotate(ev, out, in)); /* scratch is there next time */
	for (int i = 0; i < ROUNDS_MIN || spent < SECONDS; i++) {
		const double start = cpu_seconds();
		TRY(rotate(ev, out, in));
		const double took = cpu_seconds() - start;
		least = fmin(least, took);
		spent += took;
	}
	*factor = least / predicted(p);
done:
	hel_ct_free(out);
	hel_ct_free(in);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_params_free(p);
	return st;
}
