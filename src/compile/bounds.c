/* What records do to a program: bounds of its values, proved from the schema or, where the proof
 * outgrows the modulus, measured; and errors, predicted on records. */
#include "bounds.h"
#include "features/coding.h"
#include "vm/clear.h"
#include <math.h>
#include <string.h>

#define SAMPLE_RECORDS 24   /* errors are predicted for */
#define MEASURED_RECORDS 64 /* bounds are measured on: 256 show values a fifth of a bit larger */
#define SPREAD_RECORDS 256  /* the spread of logits is measured on */
#define CONSTANT 0x1p-20    /* spread of logits over the largest: they do not vary */
#define CHECK_TOLERANCE 0x1p-14
/* of a dry run's time: records run in the clear; the rest predicts errors, by two runs of each */
#define SAMPLES_SHARE 0.2
#define MEASURED_SHARE 0.5

static void ranges_clear(hel_ranges *r)
{
	hel_free(r->feature);
	hel_free(r->group);
	hel_free(r->measured);
	memset(r, 0, sizeof *r);
}

/* What the schema guarantees of every record's feature vector. */
static hel_status ranges_new(hel_ranges *out, const hel_schema *s, unsigned degree)
{
	hel_status st = HEL_OK;
	hel_ranges r = {0};
	const size_t width = hel_features_width(s, degree);
	TRY_ALLOC(r.feature, hel_alloc(width, sizeof *r.feature));
	TRY_ALLOC(r.group, hel_alloc(width, sizeof *r.group));
	r.groups = hel_features_ranges(r.feature, r.group, s, degree);
	*out = r;
	r = (hel_ranges){0};
done:
	ranges_clear(&r);
	return st;
}

/* Records one after the other: evenly spread over those given, or random ones. */
typedef struct record_source {
	const hel_schema *schema;
	const hel_samples *given; /* NULL: random */
	bool standard;		  /* random dense values are Gaussian, as standardised ones are */
	unsigned degree;
	size_t next, count;
	hel_prng random;
	double *dense;
	uint32_t *hot;
} record_source;

static void source_clear(record_source *r)
{
	hel_free(r->dense);
	hel_free(r->hot);
}

static hel_status source_new(record_source *r, const hel_schema *schema, const hel_samples *given,
			     unsigned degree, size_t count)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "compile";
	hel_status st = HEL_OK;
	*r = (record_source){.schema = schema, .degree = degree, .count = count};
	if (given && given->count) {
		r->given = given;
		r->count = HEL_MIN(count, given->count);
	}
	hel_prng_init(&r->random, seed, 0);
	TRY_ALLOC(r->dense, hel_alloc(schema->dense_count, sizeof *r->dense));
	TRY_ALLOC(r->hot, hel_alloc(hel_schema_hots(schema), sizeof *r->hot));
done:
	return st;
}

static void draw_record(record_source *r)
{
	if (r->given) {
		const size_t row = r->next * r->given->count / r->count;
		memcpy(r->dense, r->given->value + row * r->given->dense,
		       r->given->dense * sizeof *r->dense);
		memcpy(r->hot, r->given->hot + row * r->given->hots,
		       r->given->hots * sizeof *r->hot);
	} else
		hel_schema_random(r->schema, &r->random, r->dense, r->hot);
	for (size_t i = 0; r->standard && i < r->schema->dense_count; i++)
		r->dense[i] =
		    fmax(-r->schema->clip, fmin(hel_prng_normal(&r->random), r->schema->clip));
	r->next++;
}

/* The next record, and its feature vector. */
static void next_record(double *features, record_source *r)
{
	draw_record(r);
	hel_features_fill(features, r->schema, r->dense, r->hot, r->degree);
}

/* The program in the clear against the model: *apart, in the program's unit. */
static hel_status check_record(double *apart, const hel_program *p, const hel_dlrm *m,
			       const record_source *r, const double *features)
{
	hel_status st = HEL_OK;
	double want, got;
	TRY(hel_dlrm_logit(&want, m, r->dense, r->hot));
	TRY(hel_clear_run_features(&got, p, features));
	got *= p->manifest->unit;
	if (!(fabs(got - want) <= CHECK_TOLERANCE * fmax(p->manifest->unit, fabs(want))))
		FAIL(HEL_ERANGE,
		     "the compiled program gives %.9g where the model gives %.9g: its weights are "
		     "too large for single precision",
		     got, want);
	*apart = fabs(got - want) / p->manifest->unit;
done:
	return st;
}

/* The feature vectors of *count records that errors are predicted for, the program checked on each
 * where there is a model: *apart is the mean. The caller frees *samples. */
static hel_status sample_features(double **samples, size_t *count, double *apart,
				  const hel_program *p, const hel_schema *s, const hel_dlrm *m,
				  const hel_samples *given, bool standard)
{
	hel_status st = HEL_OK;
	const size_t width = p->manifest->features;
	double *all = NULL, distance = 0;
	record_source r = {0};
	*apart = 0;
	if (width != hel_features_width(s, p->manifest->degree))
		FAIL(HEL_EFORMAT, "the manifest has %zu features, its schema does not", width);
	TRY(source_new(&r, s, given, p->manifest->degree, SAMPLE_RECORDS));
	r.standard = standard;
	r.count = SAMPLE_RECORDS; /* few are taken again: one error alone predicts no mean */
	TRY_ALLOC(all, hel_alloc(r.count * width, sizeof *all));
	for (size_t n = 0; n < r.count; n++) {
		next_record(all + n * width, &r);
		if (m)
			TRY(check_record(&distance, p, m, &r, all + n * width));
		*apart += distance / (double)r.count;
	}
	*samples = all;
	*count = r.count;
	all = NULL;
done:
	source_clear(&r);
	hel_free(all);
	return st;
}

/* The largest slots after each op, don't-care ones included. The caller frees *largest. */
static hel_status measure(double **largest, const hel_program *p, const hel_schema *s,
			  const hel_samples *given, bool standard, size_t records,
			  hel_progress *progress)
{
	hel_status st = HEL_OK;
	double *features = NULL;
	record_source r = {0};
	TRY(source_new(&r, s, given, p->manifest->degree, records));
	r.standard = standard;
	TRY_ALLOC(features, hel_alloc(p->manifest->features, sizeof *features));
	TRY_ALLOC(*largest, hel_alloc(p->ops, sizeof **largest));
	for (size_t n = 0; n < r.count; n++) {
		TRY(hel_progress_check(progress));
		next_record(features, &r);
		TRY(hel_clear_measure(*largest, p, features, 1));
		hel_progress_step(progress, (double)(n + 1) / (double)r.count);
	}
done:
	source_clear(&r);
	hel_free(features);
	return st;
}

hel_score_limits hel_score_limits_of(const hel_params *params)
{
	return params->spec.runs ? (hel_score_limits){8, 2} : (hel_score_limits){256, 12};
}

/* Measured bounds need room for records that were not measured: docs/cryptography.md, section 7. */
static hel_status check_room(const hel_shape *shape, const hel_params *params,
			     const hel_samples *given)
{
	hel_status st = HEL_OK;
	double log_q = 0;
	for (size_t i = 0; i < params->limbs[0]; i++)
		log_q += log2(params->ring.prime[i].q);
	const hel_score_limits limits = hel_score_limits_of(params);
	const double scores = log_q - log2(shape->bound * limits.margin * params->scale[0]) - 1;
	if (shape->head_room < HEL_HEAD_ROOM || scores < limits.room)
		FAIL(HEL_ERANGE,
		     "no bound that fits the modulus can be proved, and the values of sample "
		     "records leave %.0f bits of head room (%d are needed) and scores %.0f (%d); "
		     "lower the clip range or the weights (more weight decay)%s",
		     shape->head_room, HEL_HEAD_ROOM, scores, limits.room,
		     given && given->count ? "" : ", or give typical records with --data");
done:
	return st;
}

void hel_precision_clear(hel_precision *x)
{
	hel_noise_gains_free(x->gains);
	x->gains = NULL;
}

static hel_status precision_new(hel_precision *out, const hel_program *p, const hel_dlrm *m,
				const hel_schema *s, const hel_samples *given, bool standard)
{
	hel_status st = HEL_OK;
	double *samples = NULL;
	size_t count;
	TRY(sample_features(&samples, &count, &out->apart, p, s, m, given, standard));
	TRY(hel_noise_gains_new(&out->gains, p, samples, count));
done:
	hel_free(samples);
	return st;
}

hel_status hel_precision_new(hel_precision *out, const hel_program *p, const hel_dlrm *m,
			     const hel_schema *s, const hel_samples *given)
{
	return precision_new(out, p, m, s, given, false);
}

/* apart is a mean, no deviation */
static void add_apart(hel_noise *n, const hel_precision *x)
{
	n->score = hypot(n->score, x->apart * sqrt(M_PI / 2));
	n->contributed = hypot(n->contributed, x->apart * sqrt(M_PI / 2));
}

hel_status hel_precision_noise(hel_noise *out, const hel_precision *x, const hel_program *p,
			       const hel_params *params)
{
	const hel_status st = hel_noise_predict(out, NULL, x->gains, p, params);
	add_apart(out, x);
	return st;
}

hel_status hel_dry_run(hel_shape *out, bool *measured, const hel_program *p,
		       const hel_params *params, const hel_precision *precision,
		       const hel_schema *s, const hel_samples *given, bool proved_only,
		       hel_progress *progress)
{
	hel_status st = HEL_OK;
	hel_ranges ranges = {0};
	TRY(ranges_new(&ranges, s, p->manifest->degree));
	hel_progress_step(progress, SAMPLES_SHARE);
	st = hel_shape_run(out, p, params, &ranges, precision->gains);
	*measured = st == HEL_ERANGE && !proved_only;
	if (!*measured)
		goto done;
	const hel_progress_span all =
	    hel_progress_within(progress, SAMPLES_SHARE, SAMPLES_SHARE + MEASURED_SHARE);
	TRY(measure(&ranges.measured, p, s, given, false, MEASURED_RECORDS, progress));
	hel_progress_leave(progress, all);
	TRY(hel_shape_run(out, p, params, &ranges, precision->gains));
	TRY(check_room(out, params, given));
done:
	if (st == HEL_OK)
		add_apart(&out->noise, precision);
	ranges_clear(&ranges);
	return st;
}

hel_status hel_key_bytes(size_t *bytes, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_ranges any = {0}; /* no value has a bound that could be too large */
	hel_shape shape = {0};
	TRY_ALLOC(any.feature, hel_alloc(p->manifest->features, sizeof *any.feature));
	TRY_ALLOC(any.group, hel_alloc(p->manifest->features, sizeof *any.group));
	TRY_ALLOC(any.measured, hel_alloc(p->ops, sizeof *any.measured));
	TRY(hel_shape_run(&shape, p, params, &any, NULL));
	*bytes = 0;
	for (uint32_t i = 0; i < shape.keys; i++)
		*bytes += hel_switch_key_bytes(params, &shape.key[i]);
done:
	hel_shape_clear(&shape);
	ranges_clear(&any);
	return st;
}

hel_status hel_logit_spread(double *spread, double *largest, const hel_dlrm *m,
			    const hel_samples *given)
{
	hel_status st = HEL_OK;
	record_source r = {0};
	double sum = 0, squares = 0, most = 0, logit;
	TRY(source_new(&r, m->schema, given, 1, SPREAD_RECORDS));
	for (size_t n = 0; n < r.count; n++) {
		draw_record(&r);
		TRY(hel_dlrm_logit(&logit, m, r.dense, r.hot));
		if (!(fabs(logit) < 1e100))
			FAIL(HEL_ERANGE, "record %zu has a logit of %g: the weights are too large",
			     n + 1, logit);
		sum += logit / (double)r.count;
		squares += logit * logit / (double)r.count;
		most = fmax(most, fabs(logit));
	}
	const double deviation = sqrt(fmax(squares - sum * sum, 0));
	*spread = deviation > CONSTANT * most ? deviation : most > 0 ? most : 1;
	*largest = most;
done:
	source_clear(&r);
	return st;
}

hel_status hel_program_shape(hel_shape *out, const hel_program *p, const hel_params *params)
{
	hel_status st = HEL_OK;
	hel_schema *s = NULL;
	hel_ranges ranges = {0};
	hel_precision precision = {NULL};
	const hel_manifest *m = p->manifest;
	TRY(hel_schema_from_json(&s, m->schema, strlen(m->schema)));
	if (m->features != hel_features_width(s, m->degree))
		FAIL(HEL_EFORMAT, "the manifest has %u features, its schema does not", m->features);
	if ((uint64_t)m->features * SAMPLE_RECORDS > 1u << 28 ||
	    (uint64_t)m->inputs << hel_manifest_log_slots(m) > 1u << 27)
		FAIL(HEL_ELIMIT, "too many features or inputs for a dry run");
	TRY(ranges_new(&ranges, s, m->degree));
	TRY(precision_new(&precision, p, NULL, s, NULL, m->measured));
	if (m->measured)
		TRY(measure(&ranges.measured, p, s, NULL, true, SAMPLE_RECORDS, NULL));
	TRY(hel_shape_run(out, p, params, &ranges, precision.gains));
done:
	ranges_clear(&ranges);
	hel_precision_clear(&precision);
	hel_schema_free(s);
	return st;
}
