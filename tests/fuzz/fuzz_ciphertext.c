/* Ciphertexts as they stand in queries and results: three encodings, three parameter sets. */
#include "fuzz_params.h"

static void expect_reduced(const hel_ct *ct)
{
	const hel_ring *ring = &ct->params->ring;
	fuzz_expect(ct->level <= ct->params->spec.levels);
	fuzz_expect(ct->scale == ct->params->scale[ct->level]);
	for (size_t k = 0; k < ct->params->limbs[ct->level] * ring->n; k++)
		for (int half = 0; half < 2; half++)
			fuzz_expect(ct->part[half][k] < ring->prime[k / ring->n].q);
}

/* Equal ciphertexts have equal bytes. */
static void expect_same(hel_writer *w, const uint8_t *data, const hel_reader *r)
{
	fuzz_expect(w->status == HEL_OK);
	fuzz_expect(w->size == (size_t)(r->at - data) && memcmp(w->bytes, data, w->size) == 0);
	hel_writer_clear(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < FUZZ_PARAMS; i++) {
		hel_ct *ct = NULL;
		hel_eval *ev = NULL;
		hel_writer w = {0};
		uint32_t samples;
		fuzz_expect(hel_ct_new(&ct, fuzz_params(i)) == HEL_OK);
		fuzz_expect(hel_eval_new(&ev, fuzz_params(i), NULL, NULL) == HEL_OK);
		hel_reader r = hel_reader_of(data, size);
		if (hel_ct_read(ct, &r) == HEL_OK) {
			expect_reduced(ct);
			hel_ct_write(&w, ct);
			expect_same(&w, data, &r);
		}
		r = hel_reader_of(data, size);
		if (hel_ct_read_seeded(ct, &r) == HEL_OK) {
			expect_reduced(ct);
			hel_ct_write_seeded(&w, ct, data + 1); /* the seed follows the level */
			expect_same(&w, data, &r);
		}
		r = hel_reader_of(data, size);
		if (hel_ct_read_sampled(ct, &samples, &r) == HEL_OK) {
			expect_reduced(ct);
			fuzz_expect(hel_ct_write_sampled(&w, ev, ct, samples) == HEL_OK);
			expect_same(&w, data, &r);
		}
		hel_eval_free(ev);
		hel_ct_free(ct);
	}
	return 0;
}
