/* Models whose bounds are measured: whatever a record does to the values, the client gets the
 * model's score or an error. */
#include "../features/vocabulary.h"
#include "../testing.h"
#include "compile/bounds.h"
#include "compile/compile.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"
#include <math.h>

#define DENSE 5
#define TABLES 8
#define CLIP 1000
#define TYPICAL 1.5 /* the largest sum in the records that bounds are measured on */
#define LARGEST (DENSE * CLIP)

typedef struct deployed {
	hel_dlrm *model;
	hel_client *client;
	hel_server *server;
	hel_evaluation *evaluation;
	double wrap; /* a score this much larger decrypts to the same number */
} deployed;

/* Dense values pass through as they are, up to CLIP; tables hold nothing. */
static hel_schema *plain_schema(void)
{
	hel_schema *s;
	assert_ok(hel_schema_new(&s, DENSE, TABLES));
	strcpy(s->dataset, "heart");
	s->clip = CLIP;
	size_t dense = 0, tables = 0;
	for (size_t i = 0; i < hel_dataset_by_name("heart")->columns; i++) {
		const hel_column *column = &hel_dataset_by_name("heart")->column[i];
		if (column->kind == HEL_DENSE) {
			strcpy(s->dense[dense].name, column->name);
			s->dense[dense++].deviation = 1;
		} else if (column->kind == HEL_CATEGORICAL) {
			hel_table_field *t = &s->table[tables++];
			strcpy(t->name, column->name);
			t->digits = 1;
			list_values(t, 1, "%u");
		}
	}
	return s;
}

/* logit = (gain * sum of dense)^(2^squarings), by layers of `width` equal units. */
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
	assert_ok(hel_dlrm_new(&m, &c, plain_schema(), 1));
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

static void deploy(deployed *d, unsigned squarings, uint32_t width, float gain)
{
	hel_program *p;
	hel_compile_report r;
	hel_samples records;
	hel_params *params;
	hel_writer program = {0}, manifest = {0}, keys = {0};
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
	assert_ok(hel_program_write(&program, p));
	assert_ok(hel_manifest_write(&manifest, p->manifest));
	assert_ok(hel_client_open(&d->client, manifest.bytes, manifest.size, NULL, NULL));
	assert_true(hel_client_manifest(d->client)->measured);
	assert_ok(hel_client_generate(d->client));
	assert_ok(hel_client_write_keys(&keys, d->client, NULL));
	assert_ok(hel_server_new(&d->server, program.bytes, program.size, NULL));
	assert_ok(hel_evaluation_new(&d->evaluation, d->server, keys.bytes, keys.size));
	print_message("%u squarings of %u units: %s, %.1f bits, scores up to %.4g of 2^%.1f\n",
		      squarings, width, p->layer[p->layers - 1], p->manifest->bits,
		      p->manifest->bound, log2(d->wrap));
	hel_compile_report_clear(&r);
	hel_samples_clear(&records);
	hel_params_free(params);
	hel_program_free(p);
	hel_writer_clear(&program);
	hel_writer_clear(&manifest);
	hel_writer_clear(&keys);
}

static void retire(deployed *d)
{
	hel_evaluation_free(d->evaluation);
	hel_server_free(d->server);
	hel_client_free(d->client);
	hel_dlrm_free(d->model);
}

/* The score of a record whose dense values have this sum. */
static hel_status score_of(double *logit, const deployed *d, double sum)
{
	double value[DENSE];
	hel_span cell[TABLES] = {{0}};
	uint8_t label = 0;
	const hel_records records = {.count = 1,
				     .dense = DENSE,
				     .tables = TABLES,
				     .value = value,
				     .cell = cell,
				     .label = &label};
	hel_writer query = {0}, result = {0};
	hel_score score = {0};
	for (size_t i = 0; i < DENSE; i++)
		value[i] = sum / DENSE;
	assert_ok(hel_client_encrypt(&query, d->client, &records, 0, 1));
	assert_ok(hel_server_infer(&result, d->evaluation, query.bytes, query.size, NULL));
	const hel_status st = hel_client_decrypt(&score, 1, d->client, result.bytes, result.size);
	*logit = score.logit;
	hel_writer_clear(&query);
	hel_writer_clear(&result);
	return st;
}

/* Right, or an error. */
static bool right_or_refused(const deployed *d, double sum, double want)
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
	deployed d;
	const double power = exp2(squarings);
	unsigned right = 0, refused = 0;
	deploy(&d, squarings, width, gain);
	/* from typical records through refused scores to values that outgrow every modulus */
	for (double sum = 0.5; sum < LARGEST; sum *= 2) {
		const double want = pow(gain * sum, power);
		const bool ok = right_or_refused(&d, sum, want);
		right += ok;
		refused += !ok;
		assert_true(ok ? want < hel_client_manifest(d.client)->bound : sum > TYPICAL);
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
