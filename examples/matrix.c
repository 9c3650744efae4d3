/* A matrix times an encrypted vector: one product for each diagonal of the matrix, all rotations
 * from one decomposition (hoisting), one rescaling at the end. */
#include "example.h"

enum { N = 16 };

/* y_i = sum over d of matrix[i][i + d] * x_(i + d), indices modulo N */
static void multiply(const hel_eval *ev, const hel_params *params, hel_ct *y, const hel_ct *x,
		     const double matrix[N][N])
{
	long steps[N];
	hel_ct *rotated[N];
	for (int d = 0; d < N; d++) {
		steps[d] = d;
		must(hel_ct_new(&rotated[d], params));
	}
	must(hel_eval_rotate_hoisted(ev, rotated, x, steps, N));
	for (int d = 0; d < N; d++) {
		double diagonal[N];
		for (int i = 0; i < N; i++)
			diagonal[i] = matrix[i][(i + d) % N];
		hel_pt *pt = encoded(params, diagonal, N, 1, hel_ct_level(x), HEL_FOR_MUL);
		must(hel_eval_mul_plain(ev, rotated[d], rotated[d], pt));
		if (d)
			must(hel_eval_add(ev, rotated[0], rotated[0], rotated[d]));
		hel_pt_free(pt);
	}
	must(hel_eval_rescale(ev, y, rotated[0]));
	for (int d = 0; d < N; d++)
		hel_ct_free(rotated[d]);
}

int main(void)
{
	const hel_params_spec spec = {.log_n = 13,
				      .levels = 1,
				      .primes_per_level = 1,
				      .scale_bits = 30,
				      .alpha = 1,
				      .special = 1};
	hel_params *params;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_key_request rotation[N - 1]; /* by 1 to N - 1, used at level 1 */
	must(hel_params_new(&params, &spec));
	must(hel_secret_key_new(&secret, params));
	for (int d = 1; d < N; d++)
		rotation[d - 1] = (hel_key_request){hel_galois_of_rotation(params, d), 1};
	must(hel_keys_generate(&keys, secret, rotation, N - 1, NULL));
	must(hel_eval_new(&ev, params, keys, NULL));

	double matrix[N][N], x[N], y[N], worst = 0;
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++)
			matrix[i][j] = cos(3 * i + j * j) / 4;
	for (int i = 0; i < N; i++)
		x[i] = sin(i);
	/* repeated over all slots, so that rotations wrap around */
	hel_pt *pt = encoded(params, x, N, 1, 1, HEL_FOR_ADD);
	hel_ct *ct;
	must(hel_ct_new(&ct, params));
	must(hel_encrypt(ct, secret, pt));
	multiply(ev, params, ct, ct, (const double(*)[N])matrix);
	decrypted(y, N, params, secret, ct);

	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++)
			y[i] -= matrix[i][j] * x[j];
		worst = fmax(worst, fabs(y[i]));
	}
	printf("%d x %d matrix times encrypted vector: largest error %.2g\n", N, N, worst);
	hel_ct_free(ct);
	hel_pt_free(pt);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_secret_key_free(secret);
	hel_params_free(params);
	return worst < 1e-4 ? 0 : 1;
}
