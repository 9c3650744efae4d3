/* Programs for catalogues: the private side's vector, in turn over all slots; where it is squared,
 * the sum of its squares; and keys for all rotations that items meet. */
#include "private_side.h"
#include "bounds.h"
#include "emit.h"
#include "features/coding.h"
#include "limits.h"
#include "model/model_file.h"
#include "prog/builder.h"
#include "rank/multiply.h"
#include "search.h"
#include "vm/encrypted.h"
#include <math.h>
#include <string.h>

#define RECORDS 256 /* that scores are looked at on */
#define FEATURES 24 /* of them, errors are predicted on */
#define MARGIN 2    /* times the largest score that was seen fit one prime at level 0 */
#define ROOM 1.9    /* of 2^(29 - 28) there */
#define VECTOR 4    /* the largest element that was seen, of vectors that are not squared */
#define WANTED_BITS 12.5
#define SAMPLES 256

/* What records show. */
typedef struct shown {
	double spread, largest, unit; /* of logits */
	double usual;		      /* mean of users' constants */
	double weights; /* root mean square of a score's weights, each over its turn */
	double *most;	/* |element| of the vector */
} shown;

/* One record: its sides, and what they come to. */
typedef struct record {
	double *dense, *own_dense, *items_dense, *a, *b;
	uint32_t *hot, *own_hot, *items_hot;
} record;

static void record_clear(record *r)
{
	hel_free(r->dense);
	hel_free(r->own_dense);
	hel_free(r->items_dense);
	hel_free(r->hot);
	hel_free(r->own_hot);
	hel_free(r->items_hot);
	hel_free(r->a);
	hel_free(r->b);
}

static hel_status record_new(record *r, const hel_dlrm *m, const hel_sides *s)
{
	hel_status st = HEL_OK;
	const size_t dense = m->schema->dense_count + 1, hots = hel_schema_hots(m->schema) + 1;
	TRY_ALLOC(r->dense, hel_alloc(dense, sizeof *r->dense));
	TRY_ALLOC(r->own_dense, hel_alloc(dense, sizeof *r->dense));
	TRY_ALLOC(r->items_dense, hel_alloc(dense, sizeof *r->dense));
	TRY_ALLOC(r->hot, hel_alloc(hots, sizeof *r->hot));
	TRY_ALLOC(r->own_hot, hel_alloc(hots, sizeof *r->hot));
	TRY_ALLOC(r->items_hot, hel_alloc(hots, sizeof *r->hot));
	TRY_ALLOC(r->a, hel_alloc(s->rows + 1, sizeof *r->a));
	TRY_ALLOC(r->b, hel_alloc(s->rows + 1, sizeof *r->b));
done:
	return st;
}

/* The next record, given or random. */
static void draw(record *r, const hel_dlrm *m, const hel_samples *given, size_t number, hel_prng *g)
{
	if (!given || !given->count) {
		hel_schema_random(m->schema, g, r->dense, r->hot);
		return;
	}
	const size_t row = number * given->count / HEL_MIN(given->count, (size_t)RECORDS);
	memcpy(r->dense, given->value + row * given->dense, given->dense * sizeof *r->dense);
	memcpy(r->hot, given->hot + row * given->hots, given->hots * sizeof *r->hot);
}

static size_t records_of(const hel_samples *given)
{
	return given && given->count ? HEL_MIN(given->count, (size_t)RECORDS) : RECORDS;
}

/* Both sides; the logit, and what of it is the user's and the item's alone. */
static hel_status evaluate(double *logit, double part[2], record *r, const hel_dlrm *m,
			   const hel_sides *s)
{
	hel_status st = HEL_OK;
	hel_side_take(&s->hidden, m->schema, r->own_dense, r->own_hot, r->dense, r->hot);
	hel_side_take(&s->open, m->schema, r->items_dense, r->items_hot, r->dense, r->hot);
	TRY(hel_dlrm_vector(r->a, s->private, r->own_dense, r->own_hot));
	TRY(hel_dlrm_vector(r->b, s->public, r->items_dense, r->items_hot));
	part[0] = 0;
	part[1] = *logit = r->b[0];
	for (size_t i = 0; i < s->rows; i++) {
		part[0] += s->squares ? s->sign[i] * r->a[i] * r->a[i] : 0;
		*logit += r->a[i] * r->b[1 + i];
	}
	*logit += part[0];
done:
	return st;
}

#define APART 0x1p-12 /* of a logit: weights are single precision */

/* The sides against the model. */
static hel_status check(const record *r, const hel_dlrm *m, double logit, const double part[2])
{
	double want;
	const hel_status st = hel_dlrm_logit(&want, m, r->dense, r->hot);
	if (st != HEL_OK)
		return st;
	const double size = fmax(fmax(fabs(want), 1), fmax(fabs(part[0]), fabs(part[1])));
	return fabs(want - logit) <= APART * size
		   ? HEL_OK
		   : hel_fail(HEL_ERANGE,
			      "private and public sides give %.9g where the model gives %.9g: its "
			      "weights are too large for single precision",
			      logit, want);
}

static hel_status look(shown *x, const hel_dlrm *m, const hel_sides *s, const hel_samples *given)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "items";
	hel_status st = HEL_OK;
	const size_t count = records_of(given);
	record r = {0};
	hel_prng g;
	double sum = 0, squares = 0, logit, part[2];
	hel_prng_init(&g, seed, 0);
	TRY_ALLOC(x->most, hel_alloc(s->rows + 1, sizeof *x->most));
	TRY(record_new(&r, m, s));
	for (size_t n = 0; n < count; n++) {
		draw(&r, m, given, n, &g);
		TRY(evaluate(&logit, part, &r, m, s));
		TRY(check(&r, m, logit, part));
		sum += logit / (double)count;
		squares += logit * logit / (double)count;
		x->usual += part[0] / (double)count;
		x->largest = fmax(x->largest, fabs(logit));
		for (size_t i = 0; i < s->rows; i++)
			x->most[i] = fmax(x->most[i], fabs(r.a[i]));
	}
	x->spread = sqrt(fmax(squares - sum * sum, 0));
	if (!(x->spread > 0x1p-20 * x->largest))
		x->spread = x->largest > 0 ? x->largest : 1;
done:
	record_clear(&r);
	return st;
}

/* What elements are multiplied with. Where they are squared, so that the sum of squares is the
 * user's constant in both parts of a slot: (1 + i) sign / unit. */
static void fill_turns(hel_complex *turn, const shown *x, const hel_sides *s)
{
	for (size_t i = 0; i < s->rows; i++) {
		if (!s->squares) {
			turn[i] = (hel_complex){x->most[i] > 0 ? VECTOR / x->most[i] : 1, 0};
			continue;
		}
		const double size = sqrt(M_SQRT2 / x->unit),
			     angle = M_PI / 8 + (s->sign[i] < 0 ? M_PI / 2 : 0);
		turn[i] = (hel_complex){size * cos(angle), size * sin(angle)};
	}
}

/* Root mean square, over records, of the weights that errors of the vector are multiplied with. */
static hel_status look_at_weights(shown *x, const hel_dlrm *m, const hel_sides *s,
				  const hel_samples *given, const hel_complex *turn)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "items";
	hel_status st = HEL_OK;
	const size_t count = records_of(given);
	record r = {0};
	hel_prng g;
	double logit, part[2];
	x->weights = 0;
	hel_prng_init(&g, seed, 0);
	TRY(record_new(&r, m, s));
	for (size_t n = 0; n < count; n++) {
		draw(&r, m, given, n, &g);
		TRY(evaluate(&logit, part, &r, m, s));
		for (size_t i = 0; i < s->rows; i++)
			x->weights += pow(r.b[1 + i] / x->unit / hypot(turn[i].re, turn[i].im), 2) /
				      (double)count;
	}
	x->weights = sqrt(x->weights);
done:
	record_clear(&r);
	return st;
}

/* --- the program ------------------------------------------------------------------------------ */

/* The sum of the vector's squares, in all slots, less what it usually is. */
static hel_status add_constant(hel_program *p, const hel_params *params, unsigned log_width,
			       double usual)
{
	hel_status st = HEL_OK;
	uint32_t index;
	hel_builder b = {.p = p, .slots = hel_params_slots(params), .value = p->ops - 1};
	TRY_ALLOC(b.vector, hel_alloc(b.slots, sizeof *b.vector));
	TRY(hel_emit_layer(&b, "items: the user's constant, a sum of squares; no weights"));
	TRY(hel_emit_unary(&b, HEL_OP_SQUARE));
	TRY(hel_emit_fold(&b, (1u << log_width) - 1, 2));
	TRY(hel_emit_unary(&b, HEL_OP_RESCALE));
	/* modulo the one prime that it is added at, where there is only one */
	const double turn = params->ring.prime[0].q / params->scale[0];
	if (params->limbs[0] == 1)
		usual -= turn * round(usual / turn);
	for (size_t i = 0; i < b.slots; i++)
		b.vector[i] = (hel_complex){-usual, -usual};
	TRY(hel_program_add_vector(p, b.vector, params->spec.log_n - 1u, &index));
	TRY(hel_emit_op(&b, (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = b.value, .index = index}));
done:
	hel_free(b.vector);
	return st;
}

/* A vector, and its errors, before anything follows. */
static hel_status vector_errors(hel_noise *out, const hel_program *p, const hel_params *params,
				const hel_sides *s, const hel_dlrm *m, const hel_samples *given,
				const hel_schema *told)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "items";
	hel_status st = HEL_OK;
	const size_t width = p->manifest->features;
	hel_noise_gains *gains = NULL;
	double *features = NULL;
	record r = {0};
	hel_prng g;
	hel_prng_init(&g, seed, 0);
	TRY(record_new(&r, m, s));
	TRY_ALLOC(features, hel_alloc(FEATURES * width, sizeof *features));
	for (size_t n = 0; n < FEATURES; n++) {
		draw(&r, m, given, n % records_of(given), &g);
		hel_side_take(&s->hidden, m->schema, r.own_dense, r.own_hot, r.dense, r.hot);
		hel_features_fill(features + n * width, told, r.own_dense, r.own_hot,
				  p->manifest->degree);
	}
	TRY(hel_noise_gains_new(&gains, p, features, FEATURES));
	TRY(hel_noise_predict(out, NULL, gains, p, params));
done:
	hel_noise_gains_free(gains);
	hel_free(features);
	record_clear(&r);
	return st;
}

/* Keys of the program and of the rotations of its vector, each once at its highest level. */
static hel_status fill_keys(hel_manifest *m, const hel_shape *shape, const hel_params *params)
{
	hel_status st = HEL_OK;
	int32_t *step = NULL;
	const unsigned log_width = m->items.log_width;
	TRY_ALLOC(step, hel_alloc((size_t)2 << log_width, sizeof *step));
	const size_t steps = hel_item_steps(step, log_width);
	TRY_ALLOC(m->key, hel_alloc(shape->keys + steps + 1, sizeof *m->key));
	memcpy(m->key, shape->key, shape->keys * sizeof *m->key);
	m->keys = shape->keys;
	for (size_t i = 0; i < steps; i++) {
		const uint32_t galois = hel_galois_of_rotation(params, step[i]);
		uint32_t k = 0;
		while (k < m->keys && m->key[k].galois != galois)
			k++;
		if (k == m->keys)
			m->key[m->keys++] = (hel_key_request){galois, 1};
		m->key[k].level = HEL_MAX(m->key[k].level, 1u);
	}
done:
	hel_free(step);
	return st;
}

/* Levels, keys and cost; no bounds: what matters of values is their sum, whose wrapping shows at
 * places that hold known values. */
static hel_status shape_of(hel_shape *out, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_ranges any = {0};
	TRY_ALLOC(any.feature, hel_alloc(p->manifest->features, sizeof *any.feature));
	TRY_ALLOC(any.group, hel_alloc(p->manifest->features, sizeof *any.group));
	TRY_ALLOC(any.measured, hel_alloc(p->ops, sizeof *any.measured));
	TRY(hel_shape_run(out, p, params, &any, NULL));
done:
	hel_free(any.feature);
	hel_free(any.group);
	hel_free(any.measured);
	return st;
}

static hel_status keep_public(hel_program *p, const hel_sides *s, const shown *seen,
			      const hel_complex *turn)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	hel_item_part *x = &p->items;
	x->rows = (uint32_t)s->rows;
	x->usual = seen->usual;
	TRY_ALLOC(x->turn, hel_alloc(s->rows, sizeof *x->turn));
	memcpy(x->turn, turn, s->rows * sizeof *turn);
	TRY(hel_dlrm_write(&w, s->public));
	if (w.size > HEL_ITEM_MODEL_MAX)
		FAIL(HEL_ELIMIT, "the public part has %zu MB, at most %zu are possible",
		     w.size >> 20, HEL_ITEM_MODEL_MAX >> 20);
	x->model = w.bytes;
	x->model_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	return st;
}

double hel_items_seconds(const hel_params_spec *spec, unsigned log_width,
			 const hel_cost_model *machine)
{
	const double n = exp2(spec->log_n), words = exp2(log_width) * n * 2;
	const hel_cost cost = {.sum_terms = words, .weight_bytes = 4 * words, .sums = 2 * n};
	const hel_cost_model m = hel_cost_model_for(machine, 1e12); /* beyond any cache */
	return hel_cost_seconds(&m, cost) * 1000 / (double)hel_block_items((size_t)n);
}

static double bits_of(double spread, double unit, double error)
{
	return log2(spread / (sqrt(2 / M_PI) * unit * error));
}

/* Errors of a score, in its unit: the vector's and of two key switches, times weights; the
 * constant's; a rescaling's; rounded weights. */
static double error_of(double vector, double constant, const hel_params *params, const shown *x,
		       const hel_sides *s)
{
	const double scale = params->scale[1];
	const double size = s->squares ? 1 : VECTOR; /* of elements, about */
	const double rotated =
	    vector * vector + 2 * hel_noise_switch(params, params->limbs[1], 1, scale);
	const double encoded = hel_noise_encoding(params, scale) * size * size * (double)s->rows;
	return sqrt(rotated * x->weights * x->weights + encoded + constant * constant +
		    hel_noise_rescale(params, params->scale[0]));
}

static hel_status fill_manifest(hel_program *p, hel_compile_report *report, const choice *c,
				const hel_noise *vector, const hel_noise *constant, const shown *x,
				const hel_sides *s, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_manifest *m = p->manifest;
	TRY_ALLOC(m->model, hel_strdup(o->name ? o->name : "model"));
	TRY(hel_schema_to_json(&m->schema, hel_plan_schema(c->plan, c->stages)));
	m->samples = SAMPLES;
	m->measured = true;
	m->unit = x->unit;
	m->spread = x->spread;
	const double more = vector->score > 0 ? vector->contributed / vector->score : 1;
	m->bits =
	    bits_of(x->spread, x->unit, error_of(vector->slot, constant->slot, c->params, x, s));
	m->bits_contributed =
	    bits_of(x->spread, x->unit,
		    error_of(vector->slot * more, constant->slot * more, c->params, x, s));
	m->bits_model = m->bits;
	m->largest = x->largest;
	m->bound = 1.25 * fmax(x->largest, 0x1p-100); /* of means of scores */
	report->log_qp = c->params->log_qp;
	report->log_qp_limit = hel_security_limit(c->params->spec.log_n);
	report->machine = hel_cost_model_for(o->machine, hel_cost_bytes(report->shape.cost));
	report->seconds = hel_cost_seconds(&report->machine, report->shape.cost);
	for (uint32_t i = 0; i < m->keys; i++)
		report->key_bytes += hel_switch_key_bytes(c->params, &m->key[i]);
	for (uint32_t i = 0; i < m->inputs; i++)
		report->query_bytes += c->params->limbs[m->input[i].level] *
				       hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	size_t weights, run;
	TRY(hel_ckks_weight_bytes(&weights, p, c->params));
	TRY(hel_ckks_run_bytes(&run, p, c->params, 1));
	report->memory_bytes =
	    weights + run + hel_catalogue_apply_bytes(c->params, m->items.log_width);
done:
	return st;
}

static hel_status emit(hel_program **out, hel_compile_report *report, const choice *c,
		       const shown *x, const hel_dlrm *m, const hel_sides *s,
		       const hel_compile_options *o, const hel_complex *turn)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	hel_noise vector = {0}, constant = {0};
	TRY(hel_emit(&p, c->stages, c->plan, c->params));
	p->manifest->params = c->params->spec;
	p->manifest->degree = (uint8_t)c->stages->degree;
	p->items.vector = p->ops - 1;
	p->manifest->items = (hel_items){
	    .any = true, .common = s->squares, .log_width = (uint8_t)hel_log2_ceil(s->rows)};
	TRY(vector_errors(&vector, p, c->params, s, m, o->records,
			  hel_plan_schema(c->plan, c->stages)));
	if (s->squares) {
		TRY(add_constant(p, c->params, p->manifest->items.log_width, x->usual / x->unit));
		TRY(vector_errors(&constant, p, c->params, s, m, o->records,
				  hel_plan_schema(c->plan, c->stages)));
	}
	TRY(keep_public(p, s, x, turn));
	TRY(shape_of(&report->shape, p, c->params));
	TRY(fill_keys(p->manifest, &report->shape, c->params));
	TRY(fill_manifest(p, report, c, &vector, &constant, x, s, o));
	*out = p;
	p = NULL;
done:
	hel_program_free(p);
	return st;
}

static hel_status check_bits(const hel_manifest *m, const hel_compile_options *o, double wanted)
{
	return o->accept_loss || m->bits >= wanted - HEL_BITS_SHORT
		   ? HEL_OK
		   : hel_fail(
			 HEL_ELIMIT,
			 "%.1f bits of the scores are right, %.1f are wanted: --bits %.1f asks "
			 "for what there is, --accept-loss goes on",
			 m->bits, wanted, floor(10 * m->bits) / 10);
}

/* What is tried until scores are precise enough: one prime of 30 bits at level 0, in which scores
 * travel; keys with one special prime more, a third larger; two primes, for catalogues half as
 * large again and results twice as large; both. */
static const struct {
	uint8_t scale_bits;
	bool precise;
} tries[] = {{28, false}, {28, true}, {30, false}, {30, true}};

/* The best program within the limits, or the closest to them where there is none. */
static hel_status compile_within(hel_program **out, hel_compile_report *report, search *found,
				 search_options *so, const shown *x, const hel_dlrm *m,
				 const hel_sides *sides, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	for (unsigned attempts = 0;; attempts++) {
		hel_choice_clear(&found->best);
		found->count = 0;
		TRY(hel_search(found, so));
		if (!found->best.plan)
			FAIL(HEL_EUNSUPPORTED,
			     "the private part finds no packing in any ring up to N = 2^%u",
			     so->max_log_n);
		hel_program_free(*out);
		*out = NULL;
		hel_compile_report_clear(report);
		TRY(emit(out, report, &found->best, x, m, sides, o, so->turn));
		if (!hel_limits_tighten(&so->objective, report, o))
			goto done;
		if (attempts == HEL_LIMITS_ATTEMPTS)
			TRY(hel_limits_unmet(report));
	}
done:
	return st;
}

hel_status hel_compile_items(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
			     const hel_sides *sides, const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options o = *given;
	shown x = {0};
	hel_complex *turn = NULL;
	hel_program *p = NULL;
	search found = {0};
	search_options so = {.model = sides->private,
			     .objective = {1e-10, 8e-9, 1e-11},
			     .max_log_n = o.max_log_n ? o.max_log_n : HEL_LOG_N_MAX,
			     .no_monomials = o.no_monomials,
			     .no_fusion = o.no_fusion,
			     .coding = o.coding,
			     .pool = o.pool,
			     .progress = o.progress};
	memset(report, 0, sizeof *report);
	if (!o.machine)
		o.machine = hel_cost_model_default();
	so.machine = o.machine;
	if (sides->rows > 1u << HEL_MAX_LOG_ITEM_WIDTH)
		FAIL(HEL_EUNSUPPORTED, "a user's vector of %zu elements, at most %u are possible",
		     sides->rows, 1u << HEL_MAX_LOG_ITEM_WIDTH);
	TRY(hel_limits_codings(sides->private->schema, &o));
	TRY(look(&x, m, sides, o.records));
	TRY_ALLOC(turn, hel_alloc(sides->rows, sizeof *turn));
	so.turn = turn;
	so.unit = 1;
	so.spread = x.spread;
	TRY(hel_verdicts_new(&so.verdicts));
	const double wanted = o.bits > 0 ? o.bits : WANTED_BITS;
	for (size_t i = 0; i < HEL_ARRAY_LEN(tries); i++) {
		so.precise = tries[i].precise;
		so.scale_bits = tries[i].scale_bits;
		x.unit =
		    tries[i].scale_bits > 28 ? x.spread : fmax(MARGIN * x.largest, x.spread) / ROOM;
		fill_turns(turn, &x, sides);
		TRY(look_at_weights(&x, m, sides, o.records, turn));
		TRY(compile_within(&p, report, &found, &so, &x, m, sides, &o));
		if (p->manifest->bits >= wanted - HEL_BITS_SHORT)
			break;
	}
	report->wanted_bits = wanted;
	TRY(hel_plan_explain(&p->plan, found.best.stages, found.best.plan, found.best.params,
			     "items", found.seen, found.count));
	TRY(check_bits(p->manifest, &o, report->wanted_bits));
	*out = p;
	p = NULL;
done:
	hel_choice_clear(&found.best);
	hel_verdicts_free(so.verdicts);
	hel_program_free(p);
	hel_free(turn);
	hel_free(x.most);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}
