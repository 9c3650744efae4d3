/* Reaches into train.c: the gradient is checked against differences of the reference's logits. */
#include "../features/cohort.h"
#include "dlrm/train.c"

static hel_dlrm *make_model(const hel_records *r, hel_activation act, uint32_t base, bool last)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	c.activation = act;
	c.bottom[0] = 6;
	c.bottom[1] = 3;
	c.bottom_layers = 2;
	c.bottom_last_activation = last;
	c.top[0] = 7;
	c.top[1] = 5;
	c.top[2] = 1;
	c.top_layers = 3;
	c.base = base;
	hel_schema *s;
	hel_dlrm *m;
	assert_ok(hel_schema_fit(&s, &hel_dataset_heart, r, NULL, r->count, 3, base));
	assert_ok(hel_dlrm_new(&m, &c, s, 5));
	return m;
}

static double reference_loss(const hel_dlrm *m, const hel_samples *s, const uint32_t *rows,
			     size_t count)
{
	double loss = 0, z;
	for (size_t i = 0; i < count; i++) {
		assert_ok(hel_dlrm_logit(&z, m, s->value + rows[i] * s->dense,
					 s->hot + rows[i] * s->hots));
		loss += (fmax(z, 0) - z * s->label[rows[i]] + log1p(exp(-fabs(z)))) / (double)count;
	}
	return loss;
}

static void test_gradient(void **state)
{
	(void)state;
	static const hel_activation acts[] = {
	    {HEL_ACT_RELU, 0, 0}, {HEL_ACT_SQUARE, 0, 0}, {HEL_ACT_QUADRATIC, 0.1, 0.5}};
	hel_records r;
	make_cohort(&r, 60, 1);
	for (size_t a = 0; a < 3; a++)
		for (uint32_t base = 0; base <= 3; base += 3) {
			hel_dlrm *m = make_model(&r, acts[a], base, a == 1);
			hel_samples s;
			trainer t;
			const uint32_t rows[] = {0, 7, 9, 31, 58};
			assert_ok(hel_samples_new(&s, m->schema, &r, NULL, r.count,
						  HEL_UNKNOWN_IS_ERROR));
			assert_ok(trainer_init(&t, m, &s));
			double loss = batch_gradient(&t, rows, 5);
			assert_true(fabs(loss - reference_loss(m, &s, rows, 5)) < 1e-5);
			double worst = 0;
			for (size_t k = 0; k < m->parameters; k++) {
				float kept = m->parameter[k];
				const float h = 1e-3f;
				m->parameter[k] = kept + h;
				double up = reference_loss(m, &s, rows, 5);
				double step_up = (double)m->parameter[k];
				m->parameter[k] = kept - h;
				double down = reference_loss(m, &s, rows, 5);
				double slope = (up - down) / (step_up - (double)m->parameter[k]);
				m->parameter[k] = kept;
				worst = fmax(worst, fabs(slope - (double)t.gradient[k]) /
							(1 + fabs(slope)));
			}
			print_message("activation %zu, base %u: largest gradient error %.2g\n", a,
				      base, worst);
			/* relu's kink may lie inside a difference */
			assert_true(worst < (a == 0 ? 5e-3 : 5e-4));
			trainer_clear(&t);
			hel_samples_clear(&s);
			hel_dlrm_free(m);
		}
	hel_records_clear(&r);
}

static void test_training_learns_and_repeats(void **state)
{
	(void)state;
	openblas_set_num_threads(1);
	hel_records r;
	make_cohort(&r, 400, 2);
	float *first = NULL;
	for (int run = 0; run < 2; run++) {
		hel_dlrm *m =
		    make_model(&r, (hel_activation){HEL_ACT_QUADRATIC, 0.1, 0.5}, 0, false);
		hel_samples s;
		uint32_t all[400];
		for (uint32_t i = 0; i < 400; i++)
			all[i] = i;
		assert_ok(hel_samples_new(&s, m->schema, &r, NULL, r.count, HEL_UNKNOWN_IS_ERROR));
		double before = reference_loss(m, &s, all, 400);
		assert_ok(hel_dlrm_train(m, &s, NULL));
		double after = reference_loss(m, &s, all, 400);
		print_message("loss %.3f -> %.3f\n", before, after);
		assert_true(after < before - 0.1 && after < 0.6);
		if (first)
			assert_memory_equal(first, m->parameter, m->parameters * sizeof(float));
		else {
			first = hel_alloc(m->parameters, sizeof *first);
			memcpy(first, m->parameter, m->parameters * sizeof *first);
		}
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	hel_free(first);
	hel_records_clear(&r);
}

static void test_divergence_is_an_error(void **state)
{
	(void)state;
	hel_records r;
	make_cohort(&r, 100, 3);
	hel_dlrm *m = make_model(&r, (hel_activation){HEL_ACT_QUADRATIC, 900, 1}, 0, true);
	hel_samples s;
	for (size_t k = 0; k < m->parameters; k++)
		m->parameter[k] *= 1e6f;
	assert_ok(hel_samples_new(&s, m->schema, &r, NULL, r.count, HEL_UNKNOWN_IS_ERROR));
	assert_status(HEL_ERANGE, hel_dlrm_train(m, &s, NULL));
	hel_samples_clear(&s);
	hel_dlrm_free(m);
	hel_records_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gradient),
	    cmocka_unit_test(test_training_learns_and_repeats),
	    cmocka_unit_test(test_divergence_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
