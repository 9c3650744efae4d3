#include "serial.h"
#include <string.h>

void hel_residues_write(hel_writer *w, const uint32_t *a, size_t limbs, size_t count, size_t stride)
{
	for (size_t l = 0; l < limbs; l++)
		hel_write_packed(w, a + l * stride, count, HEL_PRIME_BITS);
}

void hel_residues_read(hel_reader *r, const hel_params *p, uint32_t *a, size_t first, size_t limbs,
		       size_t count, size_t stride)
{
	for (size_t l = 0; l < limbs; l++) {
		uint32_t q = p->ring.prime[first + l].q, worst = 0;
		hel_read_packed(r, a + l * stride, count, HEL_PRIME_BITS);
		if (r->status != HEL_OK)
			return;
		for (size_t i = 0; i < count; i++)
			worst = HEL_MAX(worst, a[l * stride + i]);
		if (worst >= q) {
			r->status =
			    hel_fail(HEL_EFORMAT, "residue %u is not below its prime %u", worst, q);
			return;
		}
	}
}

static void write_head(hel_writer *w, const hel_ct *ct)
{
	if (w->status == HEL_OK && ct->scale != ct->params->scale[ct->level])
		w->status = hel_fail(HEL_ESCALE, "only a rescaled ciphertext can be written");
	hel_write_u8(w, (uint8_t)ct->level);
}

static hel_status read_head(hel_reader *r, const hel_params *p, unsigned *level)
{
	*level = hel_read_u8(r);
	if (r->status == HEL_OK && *level > p->spec.levels)
		r->status = hel_fail(HEL_ELEVEL, "ciphertext of level %u, at most %u exists",
				     *level, p->spec.levels);
	return r->status;
}

void hel_ct_write_seeded(hel_writer *w, const hel_ct *ct, const uint8_t seed[HEL_SEED_BYTES])
{
	const hel_params *p = ct->params;
	write_head(w, ct);
	hel_write_bytes(w, seed, HEL_SEED_BYTES);
	hel_residues_write(w, ct->part[0], p->limbs[ct->level], p->ring.n, p->ring.n);
}

hel_status hel_ct_read_seeded(hel_ct *ct, hel_reader *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = ct->params;
	unsigned level;
	TRY(read_head(r, p, &level));
	const uint8_t *seed = hel_read_bytes(r, HEL_SEED_BYTES);
	hel_residues_read(r, p, ct->part[0], 0, p->limbs[level], p->ring.n, p->ring.n);
	TRY(r->status);
	hel_prng g;
	for (size_t l = 0; l < p->limbs[level]; l++) {
		hel_prng_init(&g, seed, l);
		hel_sample_uniform(ct->part[1] + l * p->ring.n, p->ring.n, p->ring.prime[l].q, &g);
	}
	ct->level = level;
	ct->scale = p->scale[level];
done:
	return st;
}

void hel_ct_write(hel_writer *w, const hel_ct *ct)
{
	const hel_params *p = ct->params;
	write_head(w, ct);
	for (int i = 0; i < 2; i++)
		hel_residues_write(w, ct->part[i], p->limbs[ct->level], p->ring.n, p->ring.n);
}

hel_status hel_ct_read(hel_ct *ct, hel_reader *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = ct->params;
	unsigned level;
	TRY(read_head(r, p, &level));
	for (int i = 0; i < 2; i++)
		hel_residues_read(r, p, ct->part[i], 0, p->limbs[level], p->ring.n, p->ring.n);
	TRY(r->status);
	ct->level = level;
	ct->scale = p->scale[level];
done:
	return st;
}

static hel_status check_samples(const hel_params *p, uint32_t samples)
{
	const size_t most = HEL_MIN((size_t)HEL_MAX_SAMPLES, p->ring.n);
	return samples && !(samples & (samples - 1)) && samples <= most
		   ? HEL_OK
		   : hel_fail(HEL_EFORMAT, "%u samples: expected a power of two up to %zu", samples,
			      most);
}

hel_status hel_ct_write_sampled(hel_writer *w, const hel_eval *ev, const hel_ct *ct,
				uint32_t samples)
{
	hel_status st = HEL_OK;
	const hel_params *p = ct->params;
	const size_t limbs = p->limbs[ct->level], words = limbs * p->ring.n;
	uint32_t *coefficients = NULL;
	TRY(check_samples(p, samples));
	TRY_ALLOC(coefficients, hel_scratch_take(ev->scratch, words * sizeof *coefficients));
	memcpy(coefficients, ct->part[0], words * sizeof *coefficients);
	hel_ring_intt(&p->ring, coefficients, 0, limbs, ev->pool);
	write_head(w, ct);
	hel_write_u32(w, samples);
	const size_t stride = p->ring.n / samples;
	for (size_t l = 0; l < limbs; l++) /* in place: each moves down or stays */
		for (size_t i = 0; i < samples; i++)
			coefficients[l * p->ring.n + i] = coefficients[l * p->ring.n + i * stride];
	hel_residues_write(w, coefficients, limbs, samples, p->ring.n);
	hel_residues_write(w, ct->part[1], limbs, p->ring.n, p->ring.n);
	st = w->status;
done:
	hel_scratch_give(ev->scratch, coefficients);
	return st;
}

hel_status hel_ct_read_sampled(hel_ct *ct, uint32_t *samples, hel_reader *r)
{
	hel_status st = HEL_OK;
	const hel_params *p = ct->params;
	unsigned level;
	TRY(read_head(r, p, &level));
	const size_t limbs = p->limbs[level];
	*samples = hel_read_u32(r);
	TRY(r->status);
	TRY(check_samples(p, *samples));
	memset(ct->part[0], 0, limbs * p->ring.n * sizeof *ct->part[0]);
	hel_residues_read(r, p, ct->part[0], 0, limbs, *samples, p->ring.n);
	const size_t stride = p->ring.n / *samples;
	for (size_t l = 0; l < limbs && stride > 1; l++)
		for (size_t i = *samples; i-- > 1;) {
			uint32_t *from = ct->part[0] + l * p->ring.n + i;
			ct->part[0][l * p->ring.n + i * stride] = *from;
			*from = 0;
		}
	hel_residues_read(r, p, ct->part[1], 0, limbs, p->ring.n, p->ring.n);
	TRY(r->status);
	hel_ring_ntt(&p->ring, ct->part[0], 0, limbs, NULL);
	ct->level = level;
	ct->scale = p->scale[level];
done:
	return st;
}
