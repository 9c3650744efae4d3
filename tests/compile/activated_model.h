/* activated_model.h -- small networks with any activation, and records for them. */
#ifndef HEL_ACTIVATED_MODEL_H
#define HEL_ACTIVATED_MODEL_H

#include "model/network.h"
#include "random_model.h"

#define ROWS 200

/* Records of a model, labelled by its own scores. */
static inline hel_samples samples_of(const hel_dlrm *m, hel_prng *g)
{
	hel_samples s;
	double logit;
	assert_ok(hel_samples_reserve(&s, m->schema, ROWS));
	for (size_t i = 0; i < ROWS; i++, s.count++) {
		hel_schema_random(m->schema, g, s.value + i * s.dense, s.hot + i * s.hots);
		for (size_t k = 0; k < s.dense; k++)
			s.value[i * s.dense + k] = fmax(-2, fmin(hel_prng_normal(g), 2));
		assert_ok(hel_dlrm_logit(&logit, m, s.value + i * s.dense, s.hot + i * s.hots));
		s.label[i] = logit > 0;
	}
	return s;
}

/* A network whose scores are about as often above as below 0. */
static inline hel_dlrm *model_of(hel_activation_kind kind, uint64_t seed)
{
	hel_prng g;
	hel_dlrm *m;
	hel_dlrm_config c = hel_dlrm_config_default();
	double sum = 0;
	test_prng(&g, seed);
	c.embedding_dim = 3;
	c.activation = (hel_activation){.kind = kind, .a = 0.1, .b = 0.5};
	c.bottom_layers = 2;
	c.bottom[0] = 6;
	c.bottom[1] = 4;
	c.top_layers = 3;
	c.top[0] = 8;
	c.top[1] = 6;
	c.top[2] = 1;
	assert_ok(hel_dlrm_new(&m, &c, random_schema(&g, 4, 3, 12), seed));
	for (size_t i = 0; i < m->parameters; i++)
		m->parameter[i] *= 2;
	hel_samples s = samples_of(m, &g);
	for (size_t i = 0; i < s.count; i++) {
		double logit;
		assert_ok(hel_dlrm_logit(&logit, m, s.value + i * s.dense, s.hot + i * s.hots));
		sum += logit / (double)s.count;
	}
	m->parameter[hel_dlrm_top(m, 2, true)->offset] -= (float)sum;
	hel_samples_clear(&s);
	return m;
}

#endif
