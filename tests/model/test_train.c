/* Reaches into train.c: the gradient is checked against differences of the reference's logits. */
#include "../features/cohort.h"
#include "features/hash.h"
#include "model/approximation.h"
#include "model/train.c"

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
	hel_schema *s;
	hel_dlrm *m;
	assert_ok(hel_schema_fit(&s, hel_dataset_by_name("heart"), r, NULL, r->count, 3, base));
	assert_ok(hel_dlrm_new(&m, &c, s, 5));
	return m;
}

/* The gradient of one parameter: of a tensor, or in its row's slot, or none. */
static float gradient_of(const hel_trainer *t, size_t k)
{
	const hel_tensor *x = t->m->tensor;
	while (k >= x->offset + x->rows * x->columns)
		x++;
	if (!x->table)
		return t->shard[0].gradient[x->dense + k - x->offset];
	const touched *table = t->table;
	while (&t->m->tensor[table->node->tensor] != x)
		table++;
	const size_t row = (k - x->offset) / table->dim;
	const uint32_t slot = t->slot[table->entry + row];
	return slot == NO_SLOT ? 0
			       : table->gradient[slot * table->dim + (k - x->offset) % table->dim];
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
			hel_trainer *t = NULL;
			const uint32_t rows[] = {0, 7, 9, 31, 58};
			assert_ok(hel_samples_new(&s, m->schema, &r, NULL, r.count,
						  HEL_UNKNOWN_IS_ERROR));
			assert_ok(hel_trainer_new(&t, m, 1, NULL));
			double loss = batch_gradient(t, &s, rows, 5);
			assert_within(loss, reference_loss(m, &s, rows, 5), 1e-5);
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
				worst = fmax(worst, fabs(slope - (double)gradient_of(t, k)) /
							(1 + fabs(slope)));
			}
			print_message("activation %zu, base %u: largest gradient error %.2g\n", a,
				      base, worst);
			/* relu's kink may lie inside a difference */
			assert_less(worst, (a == 0 ? 5e-3 : 5e-4));
			hel_trainer_free(t);
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
		assert_less(after, before - 0.1);
		assert_less(after, 0.6);
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

/* The layer sizes and rows of `count` random samples whose tables are mostly not touched. */
static void sparse_samples(hel_samples *s, const hel_dlrm *m, size_t count)
{
	hel_prng g;
	test_prng(&g, 9);
	assert_ok(hel_samples_reserve(s, m->schema, count));
	for (s->count = 0; s->count < count; s->count++) {
		hel_schema_random(m->schema, &g, s->value + s->count * s->dense,
				  s->hot + s->count * s->hots);
		s->label[s->count] = hel_prng_u64(&g) & 1;
	}
}

/* A model with a few tables of 200 rows known by fingerprint and tails of every kind. */
static hel_dlrm *sparse_model(double weight_decay)
{
	hel_dlrm_config c = hel_dlrm_config_default();
	hel_schema *s;
	hel_dlrm *m;
	uint32_t hash[200];
	c.training.batch = 16;
	c.training.epochs = 3;
	c.training.rate = 1e-2;
	c.training.weight_decay = weight_decay;
	assert_ok(hel_schema_new(&s, 2, 3));
	strcpy(s->dataset, "criteo");
	s->clip = 3;
	for (uint32_t i = 0; i < 200; i++)
		hash[i] = 7 * i + 1;
	for (size_t t = 0; t < 3; t++) {
		snprintf(s->table[t].name, HEL_NAME_MAX, "t%zu", t);
		s->table[t].base = t ? 40 : 0;
		s->table[t].digits = t == 2 ? 2 : 1;
		assert_ok(hel_table_know(s, t, hash, 200, true));
	}
	s->dense[0].deviation = s->dense[1].deviation = 1;
	assert_ok(hel_dlrm_new(&m, &c, s, 4));
	return m;
}

/* Plain dense Adam on every parameter, as textbooks have it, from the same gradients. */
static void dense_adam(hel_dlrm *m, const hel_samples *s, size_t total)
{
	const size_t n = m->parameters, batch = m->config.training.batch;
	hel_trainer *t = NULL;
	double *moment = hel_alloc(2 * n, sizeof *moment), *square = moment + n;
	uint32_t rows[64];
	assert_ok(hel_trainer_new(&t, m, total, NULL));
	for (size_t step = 0; step < total; step++) {
		for (uint32_t i = 0; i < batch; i++)
			rows[i] = (uint32_t)((step * batch + i) % s->count);
		/* no row is behind: the parameters are ours */
		for (size_t i = 0; i < t->entries; i++) {
			t->seen[i] = (uint32_t)t->number;
			t->slot[i] = NO_SLOT;
		}
		batch_gradient(t, s, rows, batch);
		double norm = 0;
		for (size_t k = 0; k < n; k++)
			norm += (double)gradient_of(t, k) * (double)gradient_of(t, k);
		const double shrink = fmin(1, m->config.training.gradient_clip / sqrt(norm));
		const double rate = rate_of(t, step);
		for (size_t i = 0; i < m->tensors; i++)
			for (size_t k = m->tensor[i].offset;
			     k < m->tensor[i].offset + m->tensor[i].rows * m->tensor[i].columns;
			     k++) {
				const double g = shrink * (double)gradient_of(t, k);
				const double decay =
				    strstr(m->tensor[i].name, ".bias")
					? 1
					: 1 - rate * m->config.training.weight_decay;
				moment[k] = 0.9 * moment[k] + 0.1 * g;
				square[k] = 0.999 * square[k] + 0.001 * g * g;
				const double step1 = (double)step + 1;
				m->parameter[k] =
				    (float)((double)m->parameter[k] * decay -
					    rate * (moment[k] / (1 - pow(0.9, step1))) /
						(sqrt(square[k] / (1 - pow(0.999, step1))) + 1e-8));
			}
		t->number++;
	}
	hel_free(moment);
	hel_trainer_free(t);
}

/* Rows that catch up when they are read end where rows that take part in every step do. */
static void test_sparse_steps_equal_dense_ones(void **state)
{
	(void)state;
	for (int decay = 0; decay < 2; decay++) {
		hel_dlrm *a = sparse_model(decay), *b = sparse_model(decay);
		hel_samples s;
		hel_trainer *t = NULL;
		uint32_t rows[16];
		const size_t total = 120;
		sparse_samples(&s, a, 320);
		assert_ok(hel_trainer_new(&t, a, total, NULL));
		for (size_t step = 0; step < total; step++) {
			double loss;
			for (uint32_t i = 0; i < 16; i++)
				rows[i] = (uint32_t)((step * 16 + i) % s.count);
			assert_ok(hel_trainer_step(t, &s, rows, 16, &loss));
		}
		hel_trainer_settle(t);
		dense_adam(b, &s, total);
		double moved = 0, apart = 0;
		hel_dlrm *start = sparse_model(decay);
		for (size_t k = 0; k < a->parameters; k++) {
			const double p = (double)a->parameter[k], q = (double)b->parameter[k];
			apart += (p - q) * (p - q);
			moved +=
			    (q - (double)start->parameter[k]) * (q - (double)start->parameter[k]);
		}
		print_message("decay %d: apart %.2g of the way\n", decay, sqrt(apart / moved));
		assert_more(moved, 0.1);
		assert_less(sqrt(apart / moved), 2e-3);
		hel_trainer_free(t);
		hel_samples_clear(&s);
		hel_dlrm_free(a);
		hel_dlrm_free(b);
		hel_dlrm_free(start);
	}
}

/* The thread count changes nothing; logits in bulk are the reference's. */
static void test_threads_and_logits(void **state)
{
	(void)state;
	hel_pool *pool = hel_pool_new(3);
	hel_samples s;
	float *first = NULL;
	for (int run = 0; run < 4; run++) {
		hel_dlrm *m = sparse_model(0.5);
		hel_trainer *t = NULL;
		uint32_t rows[300];
		double loss, logit, logits[700];
		m->config.training.batch = 300; /* several shards */
		m->config.training.adagrad = run >= 2;
		sparse_samples(&s, m, 700);
		assert_ok(hel_trainer_new(&t, m, 10, run % 2 ? pool : NULL));
		for (uint32_t step = 0; step < 10; step++) {
			for (uint32_t i = 0; i < 300; i++)
				rows[i] = (31 * i + 7 * step) % 700;
			assert_ok(hel_trainer_step(t, &s, rows, 300, &loss));
		}
		hel_trainer_settle(t);
		if (run % 2)
			assert_memory_equal(first, m->parameter, m->parameters * sizeof(float));
		else {
			hel_free(first);
			first = hel_alloc(m->parameters, sizeof *first);
			memcpy(first, m->parameter, m->parameters * sizeof *first);
		}
		for (int fitted = 0; fitted < 2; fitted++) { /* polynomials in their place */
			if (fitted)
				assert_ok(hel_dlrm_approximate(m, &s, 3, HEL_LEAST_SQUARES, 1.5));
			assert_ok(hel_dlrm_logits(logits, m, &s, pool));
			for (size_t i = 0; i < s.count; i += 13) {
				assert_ok(hel_dlrm_logit(&logit, m, s.value + i * s.dense,
							 s.hot + i * s.hots));
				assert_within(logit, logits[i], 1e-4 * fmax(1, fabs(logit)));
			}
		}
		hel_trainer_free(t);
		hel_samples_clear(&s);
		hel_dlrm_free(m);
	}
	hel_free(first);
	hel_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gradient),
	    cmocka_unit_test(test_training_learns_and_repeats),
	    cmocka_unit_test(test_divergence_is_an_error),
	    cmocka_unit_test(test_sparse_steps_equal_dense_ones),
	    cmocka_unit_test(test_threads_and_logits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
