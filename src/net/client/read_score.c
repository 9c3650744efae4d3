/* A result becomes scores. */
#include "client_inside.h"
#include <math.h>
#include <string.h>

/* A coefficient that must be zero may stray this many times the predicted mean |error|, of records
 * unlike those it was predicted for, too. Errors are close to Gaussian: none goes that far. */
#define STRAY_LIMIT 32

static hel_status read_result(hel_ct **out, const hel_client *c, const void *result, size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	hel_ct *ct = NULL;
	uint32_t samples;
	hel_reader r;
	TRY(hel_container_open(&r, HEL_KIND_RESULT, result, size));
	const uint8_t *id = hel_read_bytes(&r, HEL_HASH_BYTES);
	const uint8_t *client = hel_read_bytes(&r, HEL_CLIENT_ID_BYTES);
	TRY(r.status);
	if (memcmp(id, m->id, HEL_HASH_BYTES) != 0)
		FAIL(HEL_EMODEL, "this result comes from another model than the manifest '%s'",
		     m->model);
	if (memcmp(client, c->id, HEL_CLIENT_ID_BYTES) != 0)
		FAIL(HEL_ECLIENT, "this result belongs to another client's secret key");
	TRY(hel_ct_new(&ct, c->params));
	TRY(hel_ct_read_sampled(ct, &samples, &r));
	TRY(hel_reader_finish(&r));
	if (ct->level != 0 || samples != m->samples)
		FAIL(HEL_EFORMAT, "a result of level %u with %u samples, expected 0 and %u",
		     ct->level, samples, m->samples);
	*out = ct;
	ct = NULL;
done:
	hel_ct_free(ct);
	return st;
}

/* A score that all slots of its record share: slots of period `records`, that is a polynomial in
 * X^(N / 2 records). Slots of one record that differ with a power of two up to samples / 2 records
 * as period (a fold left out) show at the other coefficients that were sent; what is not real shows
 * in the slots. The coefficients that were not sent are noise. Returns the largest of what should
 * be zero; the first `records` slots become the records'. */
static hel_status separate(double *stray, hel_complex *slots, double *coefficient,
			   const hel_client *c)
{
	const size_t n = c->params->ring.n, records = (size_t)1 << c->manifest->log_batch;
	const size_t sent = n / c->manifest->samples, own = n / (2 * records);
	*stray = 0;
	for (size_t i = 0; i < n; i++) {
		if (i % own == 0)
			continue;
		if (i % sent == 0)
			*stray = fmax(*stray, fabs(coefficient[i]));
		coefficient[i] = 0;
	}
	hel_status st = hel_embed(c->params, slots, coefficient);
	for (size_t r = 0; st == HEL_OK && r < records; r++)
		*stray = fmax(*stray, fabs(slots[r].im));
	return st;
}

#define UNLIKE "a record unlike those that this model's bounds were measured on"

/* stray: in logits. */
static hel_status check_stray(const hel_manifest *m, double stray)
{
	const double most = STRAY_LIMIT * hel_manifest_error(m) * m->unit;
	return stray < most
		   ? HEL_OK
		   : hel_fail(HEL_ERANGE,
			      "the result does not decrypt to a score (%.3g beside it, less "
			      "than %.3g expected): wrong keys%s or a faulty server",
			      stray, most, m->measured ? ", " UNLIKE "," : "");
}

/* largest: |logit|; that of random bits is far above any bound. */
static hel_status check_bound(const hel_manifest *m, double largest)
{
	const double bound = m->bound * 1.01 + STRAY_LIMIT * hel_manifest_error(m) * m->unit;
	if (largest <= bound)
		return HEL_OK;
	return m->measured
		   ? hel_fail(HEL_ERANGE,
			      "the score is too large (%.4g, at most %.4g was seen): " UNLIKE
			      " (compile it with --data that holds such), wrong keys or a faulty "
			      "server",
			      largest, bound)
		   : hel_fail(HEL_ERANGE,
			      "the score is too large (%.4g, at most %.4g is possible): wrong keys "
			      "or a faulty server",
			      largest, bound);
}

hel_status hel_client_read_scores(hel_complex *slots, const hel_client *c, const hel_ct *ct)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	const size_t n = c->params->ring.n;
	double *coefficient = NULL, stray, largest = 0;
	TRY_ALLOC(coefficient, hel_secret_alloc(n, sizeof *coefficient));
	TRY(hel_decrypt_coefficients(coefficient, n, c->secret, ct));
	TRY(separate(&stray, slots, coefficient, c));
	for (size_t r = 0; r < (size_t)1 << m->log_batch; r++)
		largest = fmax(largest, fabs(slots[r].re));
	TRY(check_stray(m, stray * m->unit));
	TRY(check_bound(m, largest * m->unit));
done:
	hel_secret_free(coefficient);
	return st;
}

hel_status hel_client_decrypt(hel_score *out, size_t count, const hel_client *c, const void *result,
			      size_t size)
{
	hel_status st = HEL_OK;
	const hel_manifest *m = c->manifest;
	hel_ct *ct = NULL;
	hel_complex *slots = NULL;
	if (!c->secret)
		FAIL(HEL_EINVAL, "no secret key");
	TRY(hel_client_check_count(c, count));
	TRY(read_result(&ct, c, result, size));
	TRY_ALLOC(slots, hel_secret_alloc(c->params->ring.n / 2, sizeof *slots));
	TRY(hel_client_read_scores(slots, c, ct));
	for (size_t r = 0; r < count; r++) {
		const double logit = slots[r].re * m->unit;
		const bool within = fabs(logit) <= HEL_WITHIN * m->largest;
		out[r] = (hel_score){.logit = logit,
				     .probability = 1 / (1 + exp(-logit)),
				     .bits = within ? hel_manifest_least_bits(m) : 0};
	}
done:
	hel_secret_free(slots);
	hel_ct_free(ct);
	return st;
}

hel_status hel_client_score_batch(hel_score *out, size_t count, const hel_client *c,
				  const void *result, size_t size)
{
	return hel_client_decrypt(out, count, c, result, size);
}

hel_status hel_client_score(hel_score *out, const hel_client *c, const void *result, size_t size)
{
	return hel_client_decrypt(out, 1, c, result, size);
}
