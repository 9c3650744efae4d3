/* More multiplications than the parameters have levels: x is replaced by x - x^3 / 3 again and
 * again, and refreshed each time, on a server that has no secret key. */
#include "example.h"
#include <helrm/refresh.h>

enum { LOG_VALUES = 6, N = 1 << LOG_VALUES, ROUNDS = 3 };

/* x - x^3 / 3 in two levels. */
static void step(const hel_eval *ev, const hel_params *params, hel_ct *x)
{
	hel_ct *third, *square;
	must(hel_ct_new(&third, params));
	must(hel_ct_new(&square, params));
	must(hel_eval_weighted_sum(ev, third, hel_ct_level(x), &(hel_sum_term){x, -1.0 / 3}, 1, 0));
	must(hel_eval_rescale(ev, third, third));
	must(hel_eval_mul_rescale(ev, square, x, x));
	must(hel_eval_mul_rescale(ev, square, square, third));
	must(hel_eval_drop(ev, x, x, hel_ct_level(square)));
	must(hel_eval_add(ev, x, x, square));
	hel_ct_free(third);
	hel_ct_free(square);
}

int main(void)
{
	hel_params_spec spec;
	hel_params *params;
	hel_secret_key *secret;
	hel_refresher *refresher;
	hel_keys *keys;
	hel_eval *ev;
	const hel_key_request *requests;
	must(hel_refresh_params(&spec, 15, 9));
	must(hel_params_new(&params, &spec));
	must(hel_secret_key_new(&secret, params));
	must(hel_refresher_new(&refresher, params, LOG_VALUES, 1, NULL));
	const size_t count = hel_refresher_keys(refresher, &requests);
	must(hel_keys_generate(&keys, secret, requests, count, NULL));
	must(hel_eval_new(&ev, params, keys, NULL));

	/* each refresh adds its error; hardly one value in a million passes five times the
	 * deviation */
	const double bound = 5 * ROUNDS * hel_refresher_error(refresher);
	double x[N], y[N], worst = 0;
	for (int i = 0; i < N; i++)
		x[i] = sin(i);
	hel_pt *pt = encoded(params, x, N, 1, 5, HEL_FOR_ADD);
	hel_ct *ct;
	must(hel_ct_new(&ct, params));
	must(hel_encrypt(ct, secret, pt));
	for (int round = 0; round < ROUNDS; round++) {
		if (round)
			must(hel_refresh(ev, ct, ct, refresher));
		step(ev, params, ct); /* from level 5 to level 3 */
		for (int i = 0; i < N; i++)
			x[i] -= x[i] * x[i] * x[i] / 3;
	}
	decrypted(y, N, params, secret, ct);

	for (int i = 0; i < N; i++)
		worst = fmax(worst, fabs(y[i] - x[i]));
	printf("%d rounds of x - x^3/3 with %d refreshes: largest error %.2g, at most %.2g\n",
	       ROUNDS, ROUNDS - 1, worst, bound);
	hel_ct_free(ct);
	hel_pt_free(pt);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_refresher_free(refresher);
	hel_secret_key_free(secret);
	hel_params_free(params);
	return worst < bound ? 0 : 1;
}
