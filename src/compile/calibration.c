#include "calibration.h"
#include <jansson.h>
#include <math.h>
#include <string.h>

#define KIND "helrm calibration 1"
#define SECONDS_MAX 1e-2 /* of any single count: a slower machine runs nothing of ours */
#define CACHE_MAX 0x1p40

/* --- fitting ------------------------------------------------------------------------- */

#define ROUNDS 30
#define SWEEPS 2000
#define FLOOR 0.02 /* relative errors below this are noise */

double hel_cost_predicted(const hel_cost_model *m, const hel_cost_sample *s, unsigned threads)
{
	const hel_cost_model here = hel_cost_model_for(m, s->bytes);
	return hel_cost_seconds_on(&here, s->cost, threads);
}

/* Counts by relative seconds, with the share of bytes that a cache would miss. */
static void row_of(double out[HEL_COST_COUNTS], const hel_cost_sample *s, double cache)
{
	hel_cost_model unit = {.cache = cache};
#define ONE(name) unit.seconds.name = 1;
	HEL_COSTS(ONE)
#undef ONE
	unit.seconds.forks = 0;
	unit = hel_cost_model_for(&unit, s->bytes);
#define SET(name) unit.seconds.name *= s->cost.name / s->seconds;
	HEL_COSTS(SET)
#undef SET
	memcpy(out, &unit.seconds, HEL_COST_COUNTS * sizeof *out);
}

#define PRIOR 1.0 /* weight of a count's built-in price; a sample has from 1 to 1 / FLOOR */

/* How many times as long as built-in prices say, on geometric average. */
static double slower(const hel_cost_sample *sample, size_t count, double cache)
{
	hel_cost_model built_in = *hel_cost_model_default();
	double log_sum = 0;
	built_in.cache = cache;
	for (size_t s = 0; s < count; s++)
		log_sum += log(sample[s].seconds / hel_cost_predicted(&built_in, &sample[s], 1));
	return exp(log_sum / (double)count);
}

/* Coordinate descent on the normal equations, kept non-negative. */
static void solve(double x[HEL_COST_COUNTS], double normal[][HEL_COST_COUNTS],
		  const double right[HEL_COST_COUNTS])
{
	for (int sweep = 0; sweep < SWEEPS; sweep++)
		for (int i = 0; i < HEL_COST_COUNTS; i++) {
			double rest = right[i];
			for (int k = 0; k < HEL_COST_COUNTS; k++)
				rest -= k == i ? 0 : normal[i][k] * x[k];
			x[i] = normal[i][i] > 0 ? fmax(0, rest / normal[i][i]) : 0;
		}
}

/* For one size of the cache; *error: the mean of what is left. */
static hel_status fit_with(hel_cost_model *model, double *error, const hel_cost_sample *sample,
			   size_t count)
{
	hel_status st = HEL_OK;
	double(*row)[HEL_COST_COUNTS] = NULL, *weight = NULL;
	double scale[HEL_COST_COUNTS] = {0}, x[HEL_COST_COUNTS] = {0}, prior[HEL_COST_COUNTS];
	TRY_ALLOC(row, hel_alloc(count, sizeof *row));
	TRY_ALLOC(weight, hel_alloc(count, sizeof *weight));
	for (size_t s = 0; s < count; s++) {
		row_of(row[s], &sample[s], model->cache);
		weight[s] = 1;
		for (int i = 0; i < HEL_COST_COUNTS; i++)
			scale[i] = fmax(scale[i], row[s][i]);
	}
	for (size_t s = 0; s < count; s++)
		for (int i = 0; i < HEL_COST_COUNTS; i++)
			row[s][i] = scale[i] > 0 ? row[s][i] / scale[i] : 0;
	/* counts that samples do not tell apart keep the proportions of built-in prices */
	memcpy(prior, &hel_cost_model_default()->seconds, sizeof prior);
	const double factor = slower(sample, count, model->cache);
	for (int i = 0; i < HEL_COST_COUNTS; i++)
		prior[i] *= factor * scale[i];
	for (int round = 0; round < ROUNDS; round++) {
		double normal[HEL_COST_COUNTS][HEL_COST_COUNTS] = {{0}},
		       right[HEL_COST_COUNTS] = {0};
		for (size_t s = 0; s < count; s++)
			for (int i = 0; i < HEL_COST_COUNTS; i++) {
				right[i] += weight[s] * row[s][i];
				for (int k = 0; k < HEL_COST_COUNTS; k++)
					normal[i][k] += weight[s] * row[s][i] * row[s][k];
			}
		for (int i = 0; i < HEL_COST_COUNTS; i++)
			if (prior[i] > 0) {
				normal[i][i] += PRIOR / (prior[i] * prior[i]);
				right[i] += PRIOR / prior[i];
			}
		solve(x, normal, right);
		*error = 0;
		for (size_t s = 0; s < count; s++) {
			double left = -1;
			for (int i = 0; i < HEL_COST_COUNTS; i++)
				left += row[s][i] * x[i];
			weight[s] = 1 / fmax(fabs(left), FLOOR);
			*error += fabs(left) / (double)count;
		}
	}
	for (int i = 0; i < HEL_COST_COUNTS; i++)
		x[i] = scale[i] > 0 ? x[i] / scale[i] : 0;
	const double forks = model->seconds.forks; /* one thread says nothing about them */
	memcpy(&model->seconds, x, sizeof x);
	model->seconds.forks = forks;
done:
	hel_free(row);
	hel_free(weight);
	return st;
}

hel_status hel_cost_fit(hel_cost_model *model, const hel_cost_sample *sample, size_t count)
{
	hel_status st = HEL_OK;
	double least = INFINITY, error;
	for (double cache = 0x1p18; cache <= 0x1p28; cache *= 2) {
		hel_cost_model m = *model;
		m.cache = cache;
		TRY(fit_with(&m, &error, sample, count));
		if (error < least) {
			least = error;
			*model = m;
		}
	}
done:
	return st;
}

void hel_cost_fit_threads(hel_cost_model *model, const hel_cost_sample *sample, size_t count,
			  unsigned threads)
{
	/* seconds = serial + share * parallel + forks * each, least squares of relative errors */
	double pp = 0, pf = 0, ff = 0, pr = 0, fr = 0;
	for (size_t s = 0; s < count; s++) {
		hel_cost_model m = hel_cost_model_for(model, sample[s].bytes);
		m.seconds.forks = 0;
		m.efficiency = 0;
		const double one = hel_cost_seconds_on(&m, sample[s].cost, 2);
		m.efficiency = 1;
		const double parallel = 2 * (one - hel_cost_seconds_on(&m, sample[s].cost, 2));
		const double w = 1 / sample[s].seconds, p = w * parallel,
			     f = w * sample[s].cost.forks;
		const double rest = 1 - w * (one - parallel);
		pp += p * p;
		pf += p * f;
		ff += f * f;
		pr += p * rest;
		fr += f * rest;
	}
	const double det = pp * ff - pf * pf;
	double share = det > 0 ? (pr * ff - fr * pf) / det : 1;
	double each = det > 0 ? (fr * pp - pr * pf) / det : 0;
	if (each < 0) {
		each = 0;
		share = pr / pp;
	}
	share = fmin(1, fmax(share, 1.0 / threads));
	model->seconds.forks = each;
	model->efficiency = (1 / share - 1) / (threads - 1);
}

/* --- this machine ---------------------------------------------------------------------- */

static void cpu_name(char *out, size_t size)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");
	snprintf(out, size, "unknown");
	while (f && fgets(line, sizeof line, f))
		if (strncmp(line, "model name", 10) == 0 && strchr(line, ':')) {
			line[strcspn(line, "\n")] = 0;
			snprintf(out, size, "%.100s", strchr(line, ':') + 2);
			break;
		}
	if (f)
		fclose(f);
}

void hel_calibration_here(hel_calibration *c)
{
	*c = (hel_calibration){.model = *hel_cost_model_default()};
	cpu_name(c->cpu, sizeof c->cpu);
	snprintf(c->backend, sizeof c->backend, "%s", hel_kernels_get()->name);
	snprintf(c->version, sizeof c->version, "%s", HELRM_VERSION);
}

bool hel_calibration_fits_here(const hel_calibration *c)
{
	hel_calibration here;
	hel_calibration_here(&here);
	if (strcmp(c->cpu, here.cpu) != 0)
		hel_fail(HEL_EPARAMS, "it was measured on '%s', this is '%s'", c->cpu, here.cpu);
	else if (strcmp(c->backend, here.backend) != 0)
		hel_fail(HEL_EPARAMS, "it was measured with the %s kernels, in use are %s",
			 c->backend, here.backend);
	else if (strcmp(c->version, here.version) != 0)
		hel_fail(HEL_EPARAMS, "it was measured with helrm %s, this is %s", c->version,
			 here.version);
	else
		return true;
	return false;
}

/* --- its file ---------------------------------------------------------------------------- */

hel_status hel_calibration_to_json(char **text, const hel_calibration *c)
{
	hel_status st = HEL_OK;
	json_t *seconds = json_object();
	json_t *all =
	    json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:o}", "kind", KIND, "cpu", c->cpu, "backend",
		      c->backend, "version", c->version, "efficiency", c->model.efficiency,
		      "cache_bytes", c->model.cache, "seconds", seconds);
#define SET(name) json_object_set_new(seconds, #name, json_real(c->model.seconds.name));
	HEL_COSTS(SET)
#undef SET
	TRY_ALLOC(*text, json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(6)));
done:
	json_decref(all);
	return st;
}

/* A number from 0 to `most`. */
static hel_status read_number(double *out, const json_t *object, const char *name, double most)
{
	const json_t *value = json_object_get(object, name);
	*out = json_number_value(value);
	if (!json_is_number(value) || !(*out >= 0 && *out <= most))
		return hel_fail(HEL_EFORMAT, "calibration: '%s' must be a number from 0 to %g",
				name, most);
	return HEL_OK;
}

static hel_status read_text(char *out, size_t size, const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	if (!text || !hel_is_text(text) || strlen(text) >= size)
		return hel_fail(HEL_EFORMAT,
				"calibration: '%s' must be a text of at most %zu bytes", name,
				size - 1);
	snprintf(out, size, "%s", text);
	return HEL_OK;
}

hel_status hel_calibration_from_json(hel_calibration *c, const char *text, size_t size)
{
	hel_status st = HEL_OK;
	hel_calibration read = {0};
	json_error_t error;
	json_t *all = size <= HEL_CALIBRATION_BYTES
			  ? json_loadb(text, size, JSON_REJECT_DUPLICATES, &error)
			  : NULL;
	if (size > HEL_CALIBRATION_BYTES)
		FAIL(HEL_EFORMAT, "calibration: %zu bytes, at most %zu are expected", size,
		     HEL_CALIBRATION_BYTES);
	if (!all)
		FAIL(HEL_EFORMAT, "calibration, line %d: %s", error.line, error.text);
	const char *kind = json_string_value(json_object_get(all, "kind"));
	if (!kind || strcmp(kind, KIND) != 0)
		FAIL(HEL_EFORMAT,
		     "calibration: 'kind' must be \"" KIND "\"; run 'helrm bench --calibrate'");
	TRY(read_text(read.cpu, sizeof read.cpu, all, "cpu"));
	TRY(read_text(read.backend, sizeof read.backend, all, "backend"));
	TRY(read_text(read.version, sizeof read.version, all, "version"));
	TRY(read_number(&read.model.efficiency, all, "efficiency", 1));
	TRY(read_number(&read.model.cache, all, "cache_bytes", CACHE_MAX));
	const json_t *seconds = json_object_get(all, "seconds");
#define GET(name) TRY(read_number(&read.model.seconds.name, seconds, #name, SECONDS_MAX));
	HEL_COSTS(GET)
#undef GET
	if (!(read.model.seconds.butterflies > 0))
		FAIL(HEL_EFORMAT, "calibration: 'butterflies' must take some time");
	*c = read;
done:
	json_decref(all);
	return st;
}
