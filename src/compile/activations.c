/* Polynomials for activations: the margin, what they cost, compiling with them. */
#include "activations.h"
#include "model/network.h"
#include <math.h>
#include <string.h>

#define JUDGES 512 /* records by which margins are compared, at most */

/* --- what a fit costs ------------------------------------------------------------------ */

hel_status hel_fidelity_of(hel_fidelity *out, const double *trained, const double *fitted,
			   const uint8_t *label, size_t count)
{
	hel_status st = HEL_OK;
	hel_fidelity f = {.rows = count};
	double mean = 0, square = 0;
	TRY(hel_metrics_of(&f.trained, trained, label, count));
	TRY(hel_metrics_of(&f.fitted, fitted, label, count));
	for (size_t i = 0; i < count; i++) {
		const double difference = fabs(trained[i] - fitted[i]);
		f.distance += difference / (double)count;
		f.largest = fmax(f.largest, difference);
		f.differ += (trained[i] > 0) != (fitted[i] > 0);
		mean += trained[i] / (double)count;
	}
	for (size_t i = 0; i < count; i++)
		square += (trained[i] - mean) * (trained[i] - mean) / (double)count;
	f.spread = sqrt(square);
	f.bits = f.largest > 0 ? log2(f.spread / f.largest) : 60;
	*out = f;
done:
	return st;
}

hel_status hel_fidelity_check(const hel_fidelity *f, const hel_dlrm *m)
{
	const double auc = fabs(f->fitted.auc - f->trained.auc);
	const double accuracy = fabs(f->fitted.accuracy - f->trained.accuracy);
	if (!(auc > HEL_AUC_LOSS) && !(accuracy > HEL_ACCURACY_LOSS))
		return HEL_OK;
	const char *name = hel_activation_name(m->config.activation.kind);
	return hel_fail(
	    HEL_ELIMIT,
	    "with polynomials for %s the model is another one: AUC %s -> %s, accuracy "
	    "%.4f -> %.4f, %zu of %zu decisions differ; take a higher degree (see 'helrm "
	    "approximate'), train with \"activation\": {\"kind\": \"quadratic\"}, or go on with "
	    "--accept-loss",
	    name, hel_auc_says(f->trained.auc).at, hel_auc_says(f->fitted.auc).at,
	    f->trained.accuracy, f->fitted.accuracy, f->differ, f->rows);
}

/* --- the margin -------------------------------------------------------------------------- */

/* Every second of at most JUDGES samples, evenly spread. */
static hel_status half_of(hel_samples *out, const hel_dlrm *m, const hel_samples *s, size_t first)
{
	hel_status st = HEL_OK;
	const size_t count = HEL_MIN(s->count, JUDGES);
	TRY(hel_samples_reserve(out, m->schema, (count + 1) / 2));
	for (size_t k = first; k < count; k += 2, out->count++) {
		const size_t i = k * s->count / count;
		memcpy(out->value + out->count * s->dense, s->value + i * s->dense,
		       s->dense * sizeof *s->value);
		memcpy(out->hot + out->count * s->hots, s->hot + i * s->hots,
		       s->hots * sizeof *s->hot);
		out->label[out->count] = s->label[i];
	}
done:
	return st;
}

static double softplus(double x)
{
	return hel_activate((hel_activation){.kind = HEL_ACT_SOFTPLUS}, x);
}

/* Mean Kullback-Leibler divergence of the probabilities that logits stand for, in units of the
 * first ones' spread, so that tiny and huge logits count alike. */
static double divergence(const double *trained, const double *fitted, size_t count)
{
	double mean = 0, square = 0, sum = 0;
	for (size_t i = 0; i < count; i++)
		mean += trained[i] / (double)count;
	for (size_t i = 0; i < count; i++)
		square += (trained[i] - mean) * (trained[i] - mean) / (double)count;
	const double unit = square > 0 ? sqrt(square) : 1;
	for (size_t i = 0; i < count; i++) {
		const double a = trained[i] / unit, b = fitted[i] / unit;
		sum += (a - b) / (1 + exp(-a)) - softplus(a) + softplus(b);
	}
	return sum / (double)count;
}

static const double margins[] = {1, 1.1, 1.25, 1.5, 2, 3, 4};

/* What fits of any degree share: what reaches activations in all samples, and in either half of
 * some; logits of the other half as trained. */
typedef struct fitter {
	hel_dlrm *m;
	hel_pool *pool;
	hel_seen *all, *seen[2];
	hel_samples half[2];
	double *trained[2];
} fitter;

static void fitter_clear(fitter *f)
{
	hel_seen_free(f->all);
	for (size_t i = 0; i < 2; i++) {
		hel_seen_free(f->seen[i]);
		hel_samples_clear(&f->half[i]);
		hel_free(f->trained[i]);
	}
}

static hel_status fitter_init(fitter *f, hel_dlrm *m, const hel_samples *samples, hel_pool *pool)
{
	hel_status st = HEL_OK;
	*f = (fitter){.m = m, .pool = pool};
	hel_dlrm_exact(m);
	TRY(hel_seen_new(&f->all, m, samples));
	for (size_t i = 0; i < 2; i++) {
		TRY(half_of(&f->half[i], m, samples, i));
		if (!f->half[i].count)
			continue;
		TRY(hel_seen_new(&f->seen[i], m, &f->half[i]));
		TRY_ALLOC(f->trained[i], hel_alloc(f->half[i].count, sizeof(double)));
		TRY(hel_dlrm_logits(f->trained[i], m, &f->half[i], pool));
	}
done:
	return st;
}

/* What a margin loses: fitted to one half, compared on the other. */
static hel_status judge(double *loss, const fitter *f, const hel_fit_choice *c, double margin)
{
	hel_status st = HEL_OK;
	double *fitted = NULL;
	TRY_ALLOC(fitted, hel_alloc(f->half[0].count, sizeof *fitted)); /* the larger one */
	*loss = 0;
	for (size_t i = 0; i < 2; i++) {
		const hel_samples *judges = &f->half[!i];
		TRY(hel_dlrm_approximate_seen(f->m, f->seen[i], c->degree, c->kind, margin));
		st = hel_dlrm_logits(fitted, f->m, judges, f->pool);
		if (st == HEL_ERANGE) { /* far outside the range */
			*loss = INFINITY;
			st = HEL_OK;
			goto done;
		}
		TRY(st);
		*loss += divergence(f->trained[!i], fitted, judges->count);
	}
done:
	hel_free(fitted);
	return st;
}

/* Leaves the model with polynomials. */
static hel_status fit(const fitter *f, hel_fit_choice *c)
{
	hel_status st = HEL_OK;
	double least = INFINITY, loss = 0;
	if (!(c->margin > 0)) {
		c->margin = 1.25;
		for (size_t i = 0; f->half[1].count && i < HEL_ARRAY_LEN(margins); i++) {
			TRY(judge(&loss, f, c, margins[i]));
			if (loss < least) {
				least = loss;
				c->margin = margins[i];
			}
		}
	}
	TRY(hel_dlrm_approximate_seen(f->m, f->all, c->degree, c->kind, c->margin));
done:
	return st;
}

hel_status hel_activations_fit(hel_dlrm *m, hel_fit_choice *c, const hel_samples *samples,
			       hel_pool *pool)
{
	hel_status st = HEL_OK;
	fitter f;
	TRY(fitter_init(&f, m, samples, pool));
	TRY(fit(&f, c));
done:
	fitter_clear(&f);
	return st;
}

/* --- compiling ------------------------------------------------------------------------------ */

hel_status hel_activations_fidelity(hel_fidelity *f, const hel_dlrm *m, const double *trained,
				    const hel_samples *samples, hel_pool *pool)
{
	hel_status st = HEL_OK;
	double *fitted = NULL;
	TRY_ALLOC(fitted, hel_alloc(samples->count, sizeof *fitted));
	TRY(hel_dlrm_logits(fitted, m, samples, pool));
	TRY(hel_fidelity_of(f, trained, fitted, samples->label, samples->count));
done:
	hel_free(fitted);
	return st;
}

hel_status hel_compile_fitted(hel_program **out, hel_compile_report *report, hel_fidelity *fidelity,
			      hel_dlrm *m, const double *trained, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	memset(report, 0, sizeof *report);
	TRY(hel_activations_fidelity(fidelity, m, trained, o->records, o->pool));
	if (!o->accept_loss) /* before minutes of planning */
		TRY(hel_fidelity_check(fidelity, m));
	TRY(hel_compile(&p, report, m, o));
	TRY(hel_activations_fidelity(fidelity, m, trained, o->records, o->pool));
	if (!o->accept_loss)
		TRY(hel_fidelity_check(fidelity, m));
	hel_manifest *mf = p->manifest;
	mf->largest = 0;
	for (size_t i = 0; i < o->records->count; i++)
		mf->largest = fmax(mf->largest, fabs(trained[i]));
	mf->bits_model = -log2(exp2(-mf->bits) + fidelity->largest / mf->spread);
	*out = p;
	p = NULL;
done:
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	hel_program_free(p);
	return st;
}

#define FIT_SHARE 0.1 /* of a compilation's time */
#define WIDEN 1.5     /* margins, until bounds can be proved ... */
#define WIDEST 40     /* ... and this far */

/* A wider range, and the model fitted to it. */
typedef struct widening {
	hel_dlrm *m;
	hel_fit_choice *choice;
	const hel_samples *samples;
} widening;

static hel_status widen(void *arg, bool *more)
{
	widening *w = arg;
	*more = w->choice->margin * WIDEN <= WIDEST;
	if (!*more)
		return HEL_OK;
	w->choice->margin *= WIDEN;
	return hel_dlrm_approximate(w->m, w->samples, w->choice->degree, w->choice->kind,
				    w->choice->margin);
}

hel_status hel_compile_approximated(hel_program **out, hel_compile_report *report,
				    hel_fidelity *fidelity, hel_fit_choice *choice, hel_dlrm *m,
				    const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options o = *given;
	widening w = {m, choice, o.records};
	double *trained = NULL;
	memset(report, 0, sizeof *report);
	if (!o.records || !o.records->count)
		FAIL(HEL_EINVAL, "--activation needs --data FILE: labelled records to learn the "
				 "activations' ranges from");
	TRY_ALLOC(trained, hel_alloc(o.records->count, sizeof *trained));
	hel_dlrm_exact(m);
	TRY(hel_dlrm_logits(trained, m, o.records, o.pool));
	TRY(hel_activations_fit(m, choice, o.records, o.pool));
	o.widen = o.proved_only ? widen : NULL;
	o.widen_arg = &w;
	hel_progress_step(o.progress, FIT_SHARE);
	const hel_progress_span all = hel_progress_within(o.progress, FIT_SHARE, 1);
	TRY(hel_compile_fitted(out, report, fidelity, m, trained, &o));
	hel_progress_leave(o.progress, all);
done:
	hel_free(trained);
	return st;
}

hel_status hel_activations_compare(hel_fidelity row[HEL_MAX_APPROXIMATION - 1], hel_dlrm *m,
				   hel_approximation_kind kind, const hel_samples *samples,
				   hel_pool *pool)
{
	hel_status st = HEL_OK;
	double *trained = NULL;
	fitter f;
	TRY(fitter_init(&f, m, samples, pool));
	TRY_ALLOC(trained, hel_alloc(samples->count, sizeof *trained));
	TRY(hel_dlrm_logits(trained, m, samples, pool));
	for (unsigned degree = 2; degree <= HEL_MAX_APPROXIMATION; degree++) {
		hel_fit_choice c = {.degree = degree, .kind = kind};
		TRY(fit(&f, &c));
		TRY(hel_activations_fidelity(&row[degree - 2], m, trained, samples, pool));
	}
done:
	hel_dlrm_exact(m);
	fitter_clear(&f);
	hel_free(trained);
	return st;
}
