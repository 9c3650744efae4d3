#include "compile.h"
#include <math.h>
#include <string.h>

#define SCALE_BITS 30
#define SAMPLES 256 /* result coefficients: the score and proof that nothing else is there */
#define CHECK_RECORDS 4
#define CHECK_TOLERANCE 0x1p-14

/* One complete choice. */
typedef struct choice {
	hel_stages *stages;
	hel_params *params;
	hel_plan *plan;
} choice;

static void choice_clear(choice *c)
{
	hel_plan_free(c->plan);
	hel_params_free(c->params);
	hel_stages_free(c->stages);
	memset(c, 0, sizeof *c);
}

hel_status hel_feature_bounds(double **out, const hel_schema *s, unsigned degree)
{
	hel_status st = HEL_OK;
	const size_t d = s->dense_count, onehots = hel_schema_onehots(s);
	const size_t width = hel_features_width(d, onehots, degree);
	TRY_ALLOC(*out, hel_alloc(width, sizeof **out));
	for (size_t i = 0; i < width; i++)
		(*out)[i] = i < d ? s->clip : i < width - onehots ? s->clip * s->clip : 1;
done:
	return st;
}

hel_status hel_choose_digits(hel_params **out, unsigned log_n, unsigned levels)
{
	hel_status st = HEL_OK;
	hel_params *p = NULL;
	double best = INFINITY;
	*out = NULL;
	for (unsigned alpha = 1; levels <= HEL_MAX_LEVELS && alpha <= levels + 2; alpha++)
		for (unsigned special = alpha; special <= alpha + 1; special++) {
			const hel_params_spec spec = {.log_n = (uint8_t)log_n,
						      .levels = (uint8_t)levels,
						      .primes_per_level = 1,
						      .scale_bits = SCALE_BITS,
						      .alpha = (uint8_t)alpha,
						      .special = (uint8_t)special};
			st = hel_params_new(&p, &spec);
			if (st == HEL_ESECURITY || st == HEL_EPARAMS)
				return HEL_OK; /* larger digits need even more */
			TRY(st);
			hel_cost cost = {0};
			for (unsigned l = 0; l <= levels; l++) {
				hel_cost_add(&cost, hel_cost_decompose(p, p->limbs[l]), 1);
				hel_cost_add(&cost, hel_cost_product(p, p->limbs[l]), 2);
				hel_cost_add(&cost, hel_cost_finish(p, p->limbs[l]), 1);
			}
			const double seconds = hel_cost_seconds(p, cost);
			if (seconds < best) {
				best = seconds;
				hel_params *swap = *out;
				*out = p;
				p = swap;
			}
			hel_params_free(p);
			p = NULL;
		}
done:
	return st;
}

/* Tries one ring and one way to write the model; replaces *best when faster. */
static hel_status try_way(choice *best, const hel_dlrm *m, unsigned log_n, bool monomials,
			  bool fuse, bool *fits)
{
	hel_status st = HEL_OK;
	choice c = {0};
	TRY(hel_stages_new(&c.stages, m, monomials, fuse));
	TRY(hel_choose_digits(&c.params, log_n, hel_stages_levels(c.stages)));
	if (!c.params)
		goto done;
	st = hel_plan_new(&c.plan, c.stages, c.params);
	if (st == HEL_EUNSUPPORTED) {
		st = HEL_OK;
		goto done;
	}
	TRY(st);
	*fits = true;
	if (!best->plan || c.plan->seconds < best->plan->seconds) {
		choice_clear(best);
		*best = c;
		c = (choice){0};
	}
done:
	choice_clear(&c);
	return st;
}

static hel_status try_ring(choice *best, const hel_dlrm *m, unsigned log_n,
			   const hel_compile_options *o, bool *fits)
{
	hel_status st = HEL_OK;
	for (int way = 0; way < 4; way++) {
		const bool monomials = way & 1, fuse = !(way & 2);
		if ((monomials && o->no_monomials) || (fuse && o->no_fusion))
			continue;
		TRY(try_way(best, m, log_n, monomials, fuse, fits));
	}
done:
	return st;
}

/* Why nothing fits, layer by layer. */
static hel_status explain(const hel_dlrm *m, unsigned max_log_n)
{
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	char text[320] = "";
	const char *widest = "";
	size_t rows = 0;
	TRY(hel_stages_new(&s, m, true, true));
	for (size_t i = 0; i < s->count; i++) {
		size_t n = strlen(text);
		snprintf(text + n, sizeof text - n, "%s%s %u", i ? ", " : "", s->stage[i].name,
			 hel_stage_levels(&s->stage[i]));
		if (s->stage[i].rows > rows) {
			rows = s->stage[i].rows;
			widest = s->stage[i].name;
		}
	}
	const double room = hel_security_limit(max_log_n);
	st = hel_fail(
	    HEL_EUNSUPPORTED,
	    "the model needs %u levels (%s) and %zu slots (layer %s); a ring of N = 2^%u holds "
	    "%.0f levels and %u slots: remove a layer, make it narrower, or allow a larger ring",
	    hel_stages_levels(s), text, rows, widest, max_log_n,
	    fmax(0, floor(room / SCALE_BITS) - 3), 1u << (max_log_n - 1));
done:
	hel_stages_free(s);
	return st;
}

/* The program in the clear against the model, on random records. */
static hel_status check_program(const hel_program *p, const hel_dlrm *m, unsigned degree)
{
	hel_status st = HEL_OK;
	const hel_schema *s = m->schema;
	const size_t hots = hel_schema_hots(s);
	double *dense = NULL, *features = NULL;
	uint32_t *hot = NULL;
	const uint8_t seed[HEL_SEED_BYTES] = "compile";
	hel_prng g;
	hel_prng_init(&g, seed, 0);
	TRY_ALLOC(dense, hel_alloc(s->dense_count, sizeof *dense));
	TRY_ALLOC(hot, hel_alloc(hots, sizeof *hot));
	TRY_ALLOC(features, hel_alloc(p->manifest->features, sizeof *features));
	for (int n = 0; n < CHECK_RECORDS; n++) {
		hel_schema_random(s, &g, dense, hot);
		double want, got;
		hel_features_fill(features, s, dense, hot, degree);
		TRY(hel_dlrm_logit(&want, m, dense, hot));
		TRY(hel_clear_run_features(&got, p, features));
		if (!(fabs(got - want) <= CHECK_TOLERANCE * fmax(1, fabs(want))))
			FAIL(HEL_ERANGE,
			     "the compiled program gives %.9g where the model gives %.9g: its "
			     "weights "
			     "are too large for single precision",
			     got, want);
	}
done:
	hel_free(dense);
	hel_free(hot);
	hel_free(features);
	return st;
}

static hel_status fill_manifest(hel_program *p, hel_compile_report *r, const choice *c,
				const hel_dlrm *m, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_manifest *manifest = p->manifest;
	double *bounds = NULL;
	TRY(hel_feature_bounds(&bounds, m->schema, c->stages->degree));
	TRY_ALLOC(manifest->model, hel_strdup(o->name ? o->name : "model"));
	TRY(hel_schema_to_json(&manifest->schema, m->schema));
	manifest->params = c->params->spec;
	manifest->degree = (uint8_t)c->stages->degree;
	manifest->features = (uint32_t)c->stages->features;
	manifest->samples = (uint32_t)HEL_MIN(SAMPLES, c->params->ring.n);
	TRY(check_program(p, m, c->stages->degree));
	TRY(hel_shape_run(&r->shape, p, c->params, bounds));
	if (!r->shape.uniform)
		FAIL(HEL_EUNSUPPORTED, "slots of the result would hold different values");
	manifest->bound = r->shape.bound;
	manifest->bits = -log2(r->shape.error * sqrt(2 / M_PI)); /* mean |error| of a Gaussian */
	manifest->keys = r->shape.keys;
	TRY_ALLOC(manifest->key, hel_alloc(manifest->keys, sizeof *manifest->key));
	memcpy(manifest->key, r->shape.key, manifest->keys * sizeof *manifest->key);
	for (uint32_t i = 0; i < manifest->keys; i++)
		r->key_bytes += hel_switch_key_bytes(c->params, manifest->key[i].level);
	for (uint32_t i = 0; i < manifest->inputs; i++)
		r->query_bytes += c->params->limbs[manifest->input[i].level] *
				  hel_packed_size(c->params->ring.n, HEL_PRIME_BITS);
	r->log_qp = c->params->log_qp;
	r->log_qp_limit = hel_security_limit(c->params->spec.log_n);
	r->seconds = hel_cost_seconds(c->params, r->shape.cost);
done:
	hel_free(bounds);
	return st;
}

hel_status hel_compile(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
		       const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	choice best = {0};
	hel_program *p = NULL;
	const unsigned max_log_n = options->max_log_n ? options->max_log_n : HEL_LOG_N_MAX;
	memset(report, 0, sizeof *report);
	for (unsigned log_n = 12, rings = 0; log_n <= max_log_n && rings < 2; log_n++) {
		bool fits = false;
		TRY(try_ring(&best, m, log_n, options, &fits));
		rings += fits; /* the smallest ring that fits, and the next in case it needs less */
	}
	if (!best.plan) {
		st = explain(m, max_log_n);
		goto done;
	}
	TRY(hel_emit(&p, best.stages, best.plan, best.params));
	TRY(fill_manifest(p, report, &best, m, options));
	*out = p;
	p = NULL;
done:
	choice_clear(&best);
	hel_program_free(p);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

void hel_compile_report_clear(hel_compile_report *r)
{
	hel_shape_clear(&r->shape);
	memset(r, 0, sizeof *r);
}
