/* From a spec to a program: the smallest ring that is secure, holds the packing and is precise. */
#include "method.h"
#include "vm/digit_size.h"
#include <math.h>
#include <string.h>

#define WANTED_BITS 15
#define LARGEST 0.9 /* of outputs: what a base of one prime has room for at 28 bits */
#define SAMPLES 2   /* random requests that errors are predicted from */

static hel_status check_spec(const hel_lookup_spec *s)
{
	hel_status st = HEL_OK;
	const bool rows = hel_lookup_keeps_rows(s->method);
	if (!s->tables || s->tables > HEL_LOOKUP_TABLES_MAX || !s->batch ||
	    s->batch > HEL_LOOKUP_BATCH_MAX)
		FAIL(HEL_EINVAL, "%zu tables and a batch of %zu, expected 1 to %d and 1 to %d",
		     s->tables, s->batch, HEL_LOOKUP_TABLES_MAX, HEL_LOOKUP_BATCH_MAX);
	if (!rows && (s->base < HEL_LOOKUP_BASE_MIN || s->base > HEL_LOOKUP_BASE_MAX ||
		      !s->digits || s->digits > HEL_LOOKUP_DIGITS_MAX))
		FAIL(HEL_EINVAL, "codes of %u digits in base %u, expected 1 to %d and %d to %d",
		     s->digits, s->base, HEL_LOOKUP_DIGITS_MAX, HEL_LOOKUP_BASE_MIN,
		     HEL_LOOKUP_BASE_MAX);
	for (size_t t = 0; t < s->tables; t++) {
		const hel_table *table = &s->table[t];
		if (!table->rows || !table->dim || table->dim != s->table[0].dim ||
		    table->rows > UINT32_MAX || table->dim > HEL_LOOKUP_DIM_MAX)
			FAIL(HEL_EINVAL, "table %zu has %zu rows of %zu numbers, the first one %zu",
			     t, table->rows, table->dim, s->table[0].dim);
		if (!rows && table->rows != (size_t)s->base * s->digits)
			FAIL(HEL_EINVAL,
			     "a codebook of %zu rows does not hold %u digits in base %u: expected "
			     "%u rows",
			     table->rows, s->digits, s->base, s->base * s->digits);
	}
done:
	return st;
}

hel_status hel_lookup_norm(double *out, const hel_lookup_spec *s)
{
	hel_status st = HEL_OK;
	double largest = 0;
	bool finite = true;
	double *most = NULL;
	const size_t dim = s->table[0].dim, columns = (dim + 1) / 2;
	const bool rows = hel_lookup_keeps_rows(s->method);
	TRY_ALLOC(most, hel_alloc(columns, sizeof *most));
	for (size_t t = 0; t < s->tables; t++) {
		const hel_table *table = &s->table[t];
		const size_t group = rows ? table->rows : s->base;
		double *sum = NULL;
		TRY_ALLOC(sum, hel_alloc(columns, sizeof *sum));
		for (size_t r = 0; r < table->rows; r++) {
			const float *v = table->value + r * dim;
			for (size_t k = 0; k < columns; k++) {
				const double second = 2 * k + 1 < dim ? (double)v[2 * k + 1] : 0;
				const double size = hypot((double)v[2 * k], second);
				finite &= isfinite(size) != 0;
				most[k] = fmax(most[k], size);
			}
			for (size_t k = 0; (r + 1) % group == 0 && k < columns; k++) {
				sum[k] += most[k];
				most[k] = 0;
			}
		}
		for (size_t k = 0; k < columns; k++)
			largest = fmax(largest, sum[k]);
		hel_free(sum);
	}
	if (!finite || !isfinite(largest))
		FAIL(HEL_EDATA, "a table holds numbers that are not finite");
	*out = largest > 0 ? largest / LARGEST : 1;
done:
	hel_free(most);
	return st;
}

/* --- one candidate ------------------------------------------------------------------- */

/* All lanes: queries, tables, ranges of rows. */
static hel_status make_lanes(hel_lookup *l)
{
	hel_status st = HEL_OK;
	const hel_lookup_spec *s = &l->spec;
	const bool rows = hel_lookup_keeps_rows(s->method);
	const size_t range = rows ? hel_lanes_lane_rows(&l->packing) : SIZE_MAX;
	const size_t count = rows ? hel_lanes_ranges(s, range) : s->batch * s->tables;
	TRY_ALLOC(l->lane, hel_alloc(count, sizeof *l->lane));
	for (size_t q = 0; q < s->batch; q++)
		for (size_t t = 0; t < s->tables; t++)
			for (size_t first = 0; first < (rows ? s->table[t].rows : 1);
			     first += range)
				l->lane[l->lanes++] = (hel_lane){(uint32_t)q, (uint32_t)t, first};
done:
	return st;
}

static hel_status random_codes(double *features, const hel_lookup *l, hel_prng *g)
{
	hel_status st = HEL_OK;
	const hel_lookup_spec *s = &l->spec;
	const size_t width = hel_lookup_code_width(s);
	uint32_t *code = NULL;
	TRY_ALLOC(code, hel_alloc(s->batch * s->tables * width, sizeof *code));
	for (size_t i = 0; i < s->batch * s->tables * width; i++) {
		const size_t rows = s->table[i / width % s->tables].rows;
		code[i] = (uint32_t)(hel_prng_u64(g) %
				     (hel_lookup_keeps_rows(s->method) ? rows : s->base));
	}
	TRY(hel_lookup_fill(features, l, code));
done:
	hel_free(code);
	return st;
}

/* The dry run: keys, cost, errors. Where inputs are one-hot, bounds are known without it: no value
 * of any op is larger than the largest output. */
static hel_status measure(hel_lookup *l)
{
	hel_status st = HEL_OK;
	hel_manifest *m = l->program->manifest;
	const hel_method *method = l->method;
	double *samples = NULL;
	hel_noise_gains *gains = NULL;
	hel_ranges ranges = {0};
	const uint8_t seed[HEL_SEED_BYTES] = "lookup";
	hel_prng g;
	hel_prng_init(&g, seed, 0);
	TRY_ALLOC(ranges.feature, hel_alloc(m->features, sizeof *ranges.feature));
	TRY_ALLOC(samples, hel_alloc(SAMPLES * (size_t)m->features, sizeof *samples));
	for (uint32_t i = 0; i < m->features; i++)
		ranges.feature[i] = method->bound ? method->bound(&l->spec) : 1;
	if (!method->bound) {
		TRY_ALLOC(ranges.measured, hel_alloc(l->program->ops, sizeof *ranges.measured));
		for (uint32_t i = 0; i < l->program->ops; i++)
			ranges.measured[i] = 1;
	}
	for (size_t i = 0; i < SAMPLES; i++)
		TRY(random_codes(samples + i * m->features, l, &g));
	TRY(hel_noise_gains_new(&gains, l->program, samples, SAMPLES));
	TRY(hel_shape_run(&l->shape, l->program, l->params, &ranges, gains));
	/* Of an output, relative to the largest one; mean |error| of a Gaussian, as in manifests.
	 * Slots without weights have hardly any error. */
	const hel_lane_packing *packing = &l->packing;
	const double used =
	    (double)l->lanes * (double)hel_lanes_columns(packing, &l->spec) /
	    ((double)packing->results *
	     exp2(packing->lane_bits + packing->column_bits - packing->select_bits));
	double error = l->shape.noise.slot;
	if (packing->select) /* the selection lets a sum's error through in one slot of many */
		error =
		    hypot(error, l->shape.layer[0].noise.slot * exp2(packing->select_bits / 2.0));
	l->bits = -log2(error / sqrt(used) * sqrt(2 / M_PI) / LARGEST);
	m->bits = m->bits_contributed = -log2(l->shape.noise.slot * sqrt(2 / M_PI));
	m->bits_model = m->bits;
	m->unit = m->spread = m->largest = 1;
	m->bound = fmax(l->shape.bound, LARGEST);
	m->keys = l->shape.keys;
	TRY_ALLOC(m->key, hel_alloc(m->keys, sizeof *m->key));
	memcpy(m->key, l->shape.key, m->keys * sizeof *m->key);
done:
	hel_free(ranges.feature);
	hel_free(ranges.measured);
	hel_free(samples);
	hel_noise_gains_free(gains);
	return st;
}

static hel_status build(hel_lookup *l, const hel_lookup *like)
{
	hel_status st = HEL_OK;
	const hel_method *method = l->method;
	hel_draft d = {.l = l, .params = l->params, .b.slots = hel_params_slots(l->params)};
	char name[64];
	TRY(make_lanes(l));
	TRY_ALLOC(d.b.p, hel_alloc(1, sizeof *d.b.p));
	l->program = d.b.p;
	hel_manifest *m;
	TRY_ALLOC(m, hel_alloc(1, sizeof *m));
	d.b.p->manifest = m;
	snprintf(name, sizeof name, "lookup: %s", method->name);
	TRY_ALLOC(m->model, hel_strdup(name));
	TRY_ALLOC(m->schema, hel_strdup("{}"));
	m->params = l->params->spec;
	m->degree = 1;
	m->samples = 1;
	TRY_ALLOC(l->result, hel_alloc(l->packing.results, sizeof *l->result));
	TRY_ALLOC(d.b.vector, hel_alloc(d.b.slots, sizeof *d.b.vector));
	TRY(method->emit(&d));
	if (like) { /* the dry run would tell the same again */
		l->bits = like->bits;
		m->bits = like->program->manifest->bits;
		m->bits_contributed = m->bits_model = m->bits;
		m->unit = m->spread = m->largest = 1;
		m->bound = like->program->manifest->bound;
	} else
		TRY(measure(l));
done:
	hel_free(d.b.vector);
	hel_free(d.transform);
	return st;
}

/* --- candidates ---------------------------------------------------------------------- */

/* How levels are made. */
static const struct {
	uint8_t primes, scale_bits, base;
} styles[] = {{1, 28, 1}, {1, 30, 0}, {2, 58, 0}};

/* What is tried in a ring, from fast to precise. */
static const struct {
	uint8_t style;
	bool sums_only;
} ways[] = {{0, false}, {1, false}, {0, true}, {1, true}, {2, false}};

/* Replaces *best when it is precise enough and cheaper. why: what is wrong with it otherwise. */
static hel_status try_ring(hel_lookup **best, const hel_lookup_spec *s, double norm, unsigned log_n,
			   size_t style, bool sums_only, char *why, size_t why_size)
{
	hel_status st = HEL_OK;
	hel_lookup *l = NULL;
	const hel_method *method = hel_method_of(s->method);
	const size_t n = strlen(why);
	const unsigned wanted = s->wanted_bits ? s->wanted_bits : WANTED_BITS;
	if (styles[style].base && method->bound)
		return HEL_OK;
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->spec = *s;
	l->method = method;
	l->norm = norm;
	l->packing.log_slots = log_n - 1;
	l->packing.sums_only = sums_only;
	if (method->levels(s) > HEL_MAX_LEVELS)
		goto done;
	const hel_params_spec chain = {.log_n = (uint8_t)log_n,
				       .levels = (uint8_t)method->levels(s),
				       .primes_per_level = styles[style].primes,
				       .scale_bits = styles[style].scale_bits,
				       .base = styles[style].base};
	TRY(hel_choose_digits(&l->params, &chain, false, hel_cost_model_default()));
	if (!l->params)
		goto done;
	if (!method->pack(&l->packing, s, l->params)) {
		snprintf(why + n, why_size - n, " 2^%u: too few slots;", log_n);
		goto done;
	}
	st = build(l, NULL);
	if (st == HEL_EUNSUPPORTED || st == HEL_ERANGE || st == HEL_ELIMIT) {
		snprintf(why + n, why_size - n, " 2^%u: %s;", log_n, hel_error_detail());
		st = HEL_OK;
		goto done;
	}
	TRY(st);
	if (l->bits < wanted) {
		snprintf(why + n, why_size - n, " 2^%u: %.1f bits at scale 2^%u;", log_n, l->bits,
			 styles[style].scale_bits);
		goto done;
	}
	const hel_cost_model *model = hel_cost_model_default();
	if (!*best ||
	    hel_cost_seconds(model, l->shape.cost) < hel_cost_seconds(model, (*best)->shape.cost)) {
		hel_lookup_free(*best);
		*best = l;
		l = NULL;
	}
done:
	hel_lookup_free(l);
	return st;
}

hel_status hel_lookup_new(hel_lookup **out, const hel_lookup_spec *spec)
{
	hel_status st = HEL_OK;
	hel_lookup *best = NULL;
	double norm = 1;
	char why[400] = "";
	TRY(check_spec(spec));
	norm = spec->norm;
	if (norm == 0)
		TRY(hel_lookup_norm(&norm, spec));
	const unsigned low = spec->log_n ? spec->log_n : 12;
	const unsigned high = spec->log_n ? spec->log_n : HEL_LOG_N_MAX;
	for (unsigned log_n = low; log_n <= high && !best; log_n++)
		for (size_t i = 0; i < HEL_ARRAY_LEN(ways); i++)
			if (!best || i == 1) /* the first two differ in time only */
				TRY(try_ring(&best, spec, norm, log_n, ways[i].style,
					     ways[i].sums_only, why, sizeof why));
	if (!best)
		FAIL(HEL_EUNSUPPORTED, "%s: no ring fits:%s", hel_lookup_name(spec->method),
		     *why ? why : " none is secure with so many levels");
	*out = best;
	best = NULL;
done:
	hel_lookup_free(best);
	return st;
}

hel_status hel_lookup_like(hel_lookup **out, const hel_lookup *like, const hel_table *table)
{
	hel_status st = HEL_OK;
	hel_lookup *l = NULL;
	double norm = 1;
	TRY_ALLOC(l, hel_alloc(1, sizeof *l));
	l->spec = like->spec;
	l->method = like->method;
	l->spec.table = table;
	l->packing = like->packing;
	l->norm = like->norm;
	l->params = like->params;
	l->part = true;
	TRY(check_spec(&l->spec));
	TRY(hel_lookup_norm(&norm, &l->spec));
	if (!hel_lookup_keeps_rows(l->spec.method) || norm > like->norm ||
	    hel_lanes_ranges(&l->spec, hel_lanes_lane_rows(&l->packing)) >
		1u << l->packing.lane_bits)
		FAIL(HEL_EINVAL, "these tables do not fit the packing of the first ones");
	TRY(build(l, like));
	*out = l;
	l = NULL;
done:
	hel_lookup_free(l);
	return st;
}

void hel_lookup_free(hel_lookup *l)
{
	if (!l)
		return;
	hel_program_free(l->program);
	if (!l->part)
		hel_params_free(l->params);
	hel_shape_clear(&l->shape);
	hel_free(l->lane);
	hel_free(l->result);
	hel_free(l);
}
