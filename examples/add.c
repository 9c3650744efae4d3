/* Adds two encrypted vectors: one by the owner of the key, one by somebody who has the public key.
 */
#include "example.h"

enum { SLOTS = 2048 };

int main(void)
{
	/* N = 2^12; no level to multiply in: sums need none */
	const hel_params_spec spec = {
	    .log_n = 12, .primes_per_level = 1, .scale_bits = 30, .alpha = 1, .special = 1};
	hel_params *params;
	hel_secret_key *secret;
	hel_public_key *public;
	must(hel_params_new(&params, &spec));
	must(hel_secret_key_new(&secret, params));
	must(hel_public_key_new(&public, secret, 0));

	double x[SLOTS], y[SLOTS], sum[SLOTS], worst = 0;
	for (int i = 0; i < SLOTS; i++) {
		x[i] = sin(i);
		y[i] = cos(i);
	}
	hel_pt *px = encoded(params, x, SLOTS, 1, 0, HEL_FOR_ADD);
	hel_pt *py = encoded(params, y, SLOTS, 1, 0, HEL_FOR_ADD);
	hel_ct *cx, *cy;
	must(hel_ct_new(&cx, params));
	must(hel_ct_new(&cy, params));
	must(hel_encrypt(cx, secret, px));
	must(hel_encrypt_public(cy, public, py));

	hel_eval *ev; /* adding takes no key at all */
	must(hel_eval_new(&ev, params, NULL, NULL));
	must(hel_eval_add(ev, cx, cx, cy));

	decrypted(sum, SLOTS, params, secret, cx);
	for (int i = 0; i < SLOTS; i++)
		worst = fmax(worst, fabs(sum[i] - (x[i] + y[i])));
	printf("sin(1) + cos(1) = %.6f; largest error of %d slots %.2g\n", sum[1], SLOTS, worst);

	hel_eval_free(ev);
	hel_ct_free(cx);
	hel_ct_free(cy);
	hel_pt_free(px);
	hel_pt_free(py);
	hel_public_key_free(public);
	hel_secret_key_free(secret);
	hel_params_free(params);
	return worst < 1e-4 ? 0 : 1;
}
