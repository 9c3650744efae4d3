/* Private logistic regression: a server scores 512 encrypted records at once and sees none of them.
 * The sigmoid is 1/2 + z (C1 - (K z)^2) within 0.04 on |z| < 4 (least squares). */
#include "example.h"

enum { FEATURES = 8, RECORDS = 512, LEVELS = 3 };
static const double weight[FEATURES] = {0.9, -0.4, 0.3, 0.7, -0.8, 0.2, -0.6, 0.5};
static const double bias = -0.25, one = 1, C1 = 0.2166, K = 0.0813;

/* factor (weight . record + bias) in the slot where each record begins; takes one level */
static hel_ct *linear(const hel_eval *ev, const hel_params *params, const hel_ct *x, double factor)
{
	static const long fold[FEATURES] = {0, 1, 2, 3, 4, 5, 6, 7};
	hel_pt *w = encoded(params, weight, FEATURES, factor, LEVELS, HEL_FOR_MUL);
	hel_pt *b = encoded(params, &bias, 1, factor, LEVELS - 1, HEL_FOR_ADD);
	hel_ct *z;
	must(hel_ct_new(&z, params));
	must(hel_eval_mul_plain(ev, z, x, w));
	must(hel_eval_rotate_sum_rescale(ev, z, z, fold, FEATURES));
	must(hel_eval_add_plain(ev, z, z, b));
	hel_pt_free(w);
	hel_pt_free(b);
	return z;
}

/* The server's part: records to probabilities, both encrypted. Knows evaluation keys only. */
static void score(const hel_eval *ev, const hel_params *params, hel_ct *p, const hel_ct *x)
{
	hel_ct *z = linear(ev, params, x, -1), *u = linear(ev, params, x, K);
	hel_pt *c1 = encoded(params, &one, 1, -C1, 1, HEL_FOR_ADD);
	hel_pt *half = encoded(params, &one, 1, 0.5, 0, HEL_FOR_ADD);
	must(hel_eval_mul_rescale(ev, u, u, u)); /* (K z)^2, at level 1 */
	must(hel_eval_add_plain(ev, u, u, c1));
	must(hel_eval_drop(ev, z, z, 1));
	must(hel_eval_mul_rescale(ev, p, z, u)); /* -z ((K z)^2 - C1), at level 0 */
	must(hel_eval_add_plain(ev, p, p, half));
	hel_pt_free(c1);
	hel_pt_free(half);
	hel_ct_free(z);
	hel_ct_free(u);
}

int main(void)
{
	const hel_params_spec spec = {.log_n = 13,
				      .levels = LEVELS,
				      .primes_per_level = 1,
				      .scale_bits = 30,
				      .alpha = 1,
				      .special = 1};
	static double x[RECORDS * FEATURES], p[RECORDS * FEATURES], worst;
	hel_key_request request[FEATURES] = {{HEL_RELINEARISE, LEVELS - 1}};
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_ct *ct;
	must(hel_params_new(&params, &spec));
	must(hel_secret_key_new(&secret, params));
	for (int d = 1; d < FEATURES; d++)
		request[d] = (hel_key_request){hel_galois_of_rotation(params, d), LEVELS};
	must(hel_keys_generate(&keys, secret, request, FEATURES, NULL));
	must(hel_eval_new(&ev, params, keys, NULL));
	for (int i = 0; i < RECORDS * FEATURES; i++)
		x[i] = sin(i * i);
	hel_pt *pt = encoded(params, x, RECORDS * FEATURES, 1, LEVELS, HEL_FOR_ADD);
	must(hel_ct_new(&ct, params));
	must(hel_encrypt(ct, secret, pt));
	score(ev, params, ct, ct);
	decrypted(p, RECORDS * FEATURES, params, secret, ct);
	for (int r = 0; r < RECORDS; r++) {
		double z = bias;
		for (int i = 0; i < FEATURES; i++)
			z += weight[i] * x[r * FEATURES + i];
		worst = fmax(worst, fabs(p[r * FEATURES] - 0.5 - z * (C1 - K * K * z * z)));
	}
	printf("%d private scores: largest error %.2g\n", RECORDS, worst);
	hel_ct_free(ct);
	hel_pt_free(pt);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_secret_key_free(secret);
	hel_params_free(params);
	return worst < 1e-4 ? 0 : 1;
}
