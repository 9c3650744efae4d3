/* example.h -- what the examples share: an end on errors, vectors of real numbers. */
#include <helrm/ckks.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static inline void must(hel_status st)
{
	if (st == HEL_OK)
		return;
	fprintf(stderr, "%s: %s\n", hel_status_text(st), hel_error_detail());
	exit(1);
}

/* `count` real numbers times a factor, repeated until all slots are full. */
static inline hel_pt *encoded(const hel_params *params, const double *v, size_t count,
			      double factor, unsigned level, hel_pt_use use)
{
	const size_t slots = hel_params_slots(params);
	hel_complex *all = calloc(slots, sizeof *all);
	hel_pt *pt;
	if (!all)
		must(HEL_ENOMEM);
	for (size_t i = 0; i < slots; i++)
		all[i].re = factor * v[i % count];
	must(hel_encode(&pt, params, all, level, use));
	free(all);
	return pt;
}

/* The first `count` slots; what is in the imaginary parts is noise. */
static inline void decrypted(double *v, size_t count, const hel_params *params,
			     const hel_secret_key *secret, const hel_ct *ct)
{
	hel_complex *all = calloc(hel_params_slots(params), sizeof *all);
	if (!all)
		must(HEL_ENOMEM);
	must(hel_decrypt(all, secret, ct));
	for (size_t i = 0; i < count; i++)
		v[i] = all[i].re;
	free(all);
}
