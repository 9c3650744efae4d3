/* Models whose bounds are measured: whatever a record does to the values, the client gets the
 * model's score or an error. */
#include "compile/bounds.h"
#include "compile/compile.h"
#include "deployed.h"
#include <math.h>

#define DENSE HEART_DENSE
#define CLIP 1000
#define TYPICAL 1.5 /* the largest sum in the records that bounds are measured on */
#define LARGEST (DENSE * CLIP)

typedef struct tried {
	hel_dlrm *model;
	deployed d;
	double wrap; /* a score this much larger decrypts to the same number */
} tried;

/* logit = (gain * sum of dense)^(2^squarings), by layers of `width` equal units. Dense values pass
 * through as they are, up to CLIP; tables hold nothing. */
static hel_dlrm *power_model(unsigned squarings, uint32_t width, float gain)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_dlrm *m;
	c.embedding_dim = 1;
	c.bottom_layers = 0;
	c.top_layers = squarings + 1;
	for (unsigned i = 0; i < squarings; i++)
		c.top[i] = width;
	c.top[squarings] = 1;
	c.activation = (hel_activation){HEL_ACT_SQUARE, 0, 0};
	assert_ok(hel_dlrm_new(&m, &c, heart_schema(CLIP, 0, 1, 1), 1));
	memset(m->parameter, 0, m->parameters * sizeof *m->parameter);
	for (size_t i = 0; i < c.top_layers; i++) {
		const hel_tensor *t = hel_dlrm_top(m, i, false);
		for (size_t k = 0; k < t->rows * t->columns; k++)
			m->parameter[t->offset + k] = i			       ? 1 / (float)width
						      : k % t->columns < DENSE ? gain
									       : 0;
	}
	return m;
}

static void typical_records(hel_samples *s, const hel_schema *schema, double largest)
{
	hel_prng g;
	test_prng(&g, 5);
	assert_ok(hel_samples_reserve(s, schema, 100));
	for (; s->count < 100; s->count++)
		for (size_t i = 0; i < DENSE; i++)
			s->value[s->count * DENSE + i] =
			    largest / DENSE * (s->count ? 2 * hel_prng_unit(&g) - 1 : 1);
	for (size_t k = 0; k < s->count * s->hots; k++)
		s->hot[k] = 2 * (uint32_t)(k % s->hots);
}

static void deploy(tried *d, unsigned squarings, uint32_t width, float gain)
{
	hel_program *p;
	hel_compile_report r;
	hel_samples records;
	hel_params *params;
	d->model = power_model(squarings, width, gain);
	typical_records(&records, d->model->schema, TYPICAL);
	/* no proof in units of such scores, and none is given: the error says what could be done */
	assert_status(HEL_ERANGE, hel_compile(&p, &r, d->model,
					      &(hel_compile_options){.records = &records,
								     .proved_only = true}));
	assert_non_null(strstr(hel_error_detail(), "clip range"));
	/* its scores are spread by few bits more than its errors */
	assert_ok(hel_compile(&p, &r, d->model,
			      &(hel_compile_options){.records = &records, .accept_loss = true}));
	assert_true(p->manifest->measured);
	assert_at_least(r.shape.head_room, HEL_HEAD_ROOM);
	const double largest = pow(TYPICAL * gain, exp2(squarings));
	assert_ok(hel_params_new(&params, &p->manifest->params));
	const double margin = hel_score_limits_of(params).margin;
	assert_within(p->manifest->bound / (margin * largest), 1, 1e-3);
	d->wrap = (double)params->ring.prime[0].q * params->ring.prime[1].q / params->scale[0];
	deployed_open(&d->d, p);
	assert_true(hel_client_manifest(d->d.client)->measured);
	print_message("%u squarings of %u units: %s, %.1f bits, scores up to %.4g of 2^%.1f\n",
		      squarings, width, p->layer[p->layers - 1], p->manifest->bits,
		      p->manifest->bound, log2(d->wrap));
	hel_compile_report_clear(&r);
	hel_samples_clear(&records);
	hel_params_free(params);
	hel_program_free(p);
}

static void retire(tried *d)
{
	deployed_close(&d->d);
	hel_dlrm_free(d->model);
}

/* The score of a record whose dense values have this sum. */
static hel_status score_of(double *logit, const tried *d, double sum)
{
	double value[DENSE];
	for (size_t i = 0; i < DENSE; i++)
		value[i] = sum / DENSE;
	return deployed_score(logit, &d->d, value);
}

/* Right, or an error. */
static bool right_or_refused(const tried *d, double sum, double want)
{
	double got;
	const hel_status st = score_of(&got, d, sum);
	if (st != HEL_OK) {
		assert_status(HEL_ERANGE, st);
		assert_true(strstr(hel_error_detail(), "does not decrypt to a score") ||
			    strstr(hel_error_detail(), "the score is too large"));
		assert_non_null(strstr(hel_error_detail(), "bounds were measured on"));
		return false;
	}
	if (!(fabs(got - want) < 0.01 * fmax(1, fabs(want))))
		fail_msg("a sum of %.17g scores %g, not %g", sum, got, want);
	return true;
}

static void check(unsigned squarings, uint32_t width, float gain)
{
	tried d;
	const double power = exp2(squarings);
	unsigned right = 0, refused = 0;
	deploy(&d, squarings, width, gain);
	/* from typical records through refused scores to values that outgrow every modulus */
	for (double sum = 0.5; sum < LARGEST; sum *= 2) {
		const double want = pow(gain * sum, power);
		const bool ok = right_or_refused(&d, sum, want);
		right += ok;
		refused += !ok;
		assert_true(ok ? want < hel_client_manifest(d.d.client)->bound : sum > TYPICAL);
	}
	assert_at_least(right, 2);
	assert_at_least(refused, 2);
	/* scores that wrap around to a typical one: only what errors do to the slots tells */
	unsigned wrapped = 0;
	for (double times = 1; times < 300; times = ceil(1.9 * times)) {
		const double sum = pow(times * d.wrap + 0.3, 1 / power) / gain;
		wrapped += sum < LARGEST;
		if (sum < LARGEST && right_or_refused(&d, sum, INFINITY))
			fail_msg("a score of %g passes", pow(gain * sum, power));
	}
	print_message("%u right, %u refused; %u wrapped around, all refused\n", right, refused,
		      wrapped);
	assert_true(wrapped);
	retire(&d);
}

static void test_deep(void **state)
{
	(void)state;
	check(4, 4, 0.9F);
}

static void test_shallow(void **state)
{
	(void)state;
	check(1, 4, 12);
}

/* A sum over so many slots that the result hardly holds another one to tell: the range has to. */
static void test_too_wide(void **state)
{
	(void)state;
	hel_program *p;
	hel_compile_report r;
	hel_samples records;
	hel_dlrm *m = power_model(1, 1024, 12);
	typical_records(&records, m->schema, TYPICAL);
	assert_ok(
	    hel_compile(&p, &r, m, &(hel_compile_options){.max_log_n = 13, .records = &records}));
	assert_true(p->manifest->measured);
	assert_less(p->manifest->bound * 0x1p12, 0x1p29);
	hel_program_free(p);
	hel_compile_report_clear(&r);
	hel_samples_clear(&records);
	hel_dlrm_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_shallow),
	    cmocka_unit_test(test_too_wide),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
