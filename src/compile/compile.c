#include "compile.h"
#include "attempt.h"
#include "bounds.h"
#include "codings.h"
#include "explain.h"
#include "features/coding.h"
#include "limits.h"
#include "one_squaring.h"
#include <math.h>
#include <string.h>

/* Why nothing fits, layer by layer. */
static hel_status explain(const search_options *o)
{
	const hel_dlrm *m = o->model;
	const unsigned log_batch = o->log_batch, max_log_n = o->max_log_n;
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	char text[320] = "";
	const char *widest = "";
	size_t rows = 0;
	hel_way way = {.monomials = true,
		       .fuse = !hel_coding_is_wanted(o->coding, m->schema->table_count),
		       .sum = true,
		       .coding = o->coding,
		       .turn = o->turn};
	st = hel_stages_new(&s, m, way);
	if (st == HEL_ELIMIT) {
		way.fuse = false;
		st = hel_stages_new(&s, m, way);
	}
	TRY(st);
	for (size_t i = 0; i < s->count; i++) {
		size_t n = strlen(text);
		snprintf(text + n, sizeof text - n, "%s%s %u", i ? ", " : "", s->stage[i].name,
			 hel_stage_levels(&s->stage[i]));
		if (s->stage[i].rows > rows) {
			rows = s->stage[i].rows;
			widest = s->stage[i].name;
		}
	}
	const size_t n = strlen(text);
	if (s->code_levels)
		snprintf(text + n, sizeof text - n, ", codes of tables %u", s->code_levels);
	const double room = hel_security_limit(max_log_n);
	char share[48] = "";
	if (log_batch)
		snprintf(share, sizeof share, " for each of %u records", 1u << log_batch);
	st = hel_fail(
	    HEL_EUNSUPPORTED,
	    "the model needs %u levels (%s) and %zu slots (layer %s); a ring of N = 2^%u holds "
	    "%.0f levels and %u slots%s: remove a layer, make it narrower, or allow a larger "
	    "ring%s",
	    hel_stages_levels(s), text, rows, widest, max_log_n,
	    fmax(0, floor(room / SHORT_SCALE_BITS) - 3), 1u << (max_log_n - 1 - log_batch), share,
	    log_batch ? " or a smaller batch" : "");
done:
	hel_stages_free(s);
	return st;
}

/* Logits in this range are left as they are; others are counted in a power of two near their
 * spread, so that errors are small against them and the modulus holds them. */
#define LEAST_SPREAD 0x1p-3
#define MOST_SPREAD 0x1p6
#define MOST_LOGIT 0x1p8

/* After refreshes level 0 is one prime as large as its scale: the largest logit is the 2^-7th part
 * of what it holds, errors of a coefficient, 2^-24, are still small. */
#define REFRESHED_LOGIT 0x1p-7

static double refreshed_unit(double largest)
{
	return exp2(ceil(log2(fmax(largest, 0x1p-20) / REFRESHED_LOGIT)));
}

static bool is_refreshed(const hel_dlrm *m)
{
	bool any = false;
	for (size_t i = 0; m->approximation && i < hel_dlrm_activated(m); i++)
		any |= m->approximation[i].turn > 0;
	return any;
}

static double unit_of(double spread, double largest)
{
	const bool fine = spread >= LEAST_SPREAD && spread <= MOST_SPREAD;
	const double unit = fine || !(largest > 0) ? 1 : exp2(round(log2(spread)));
	return largest / unit > MOST_LOGIT ? exp2(ceil(log2(largest / MOST_LOGIT))) : unit;
}

/* What is searched for a batch. */
static search_options search_for(const hel_dlrm *m, const hel_compile_options *o)
{
	return (search_options){.model = m,
				.objective = hel_objective_of(o->goal),
				.machine = o->machine ? o->machine : hel_cost_model_default(),
				.max_log_n = o->max_log_n ? o->max_log_n : HEL_LOG_N_MAX,
				.log_batch = o->log_batch,
				.scale_bits = SHORT_SCALE_BITS,
				.no_monomials = o->no_monomials,
				.no_fusion = o->no_fusion,
				.coding = o->coding,
				.pool = o->pool,
				.progress = o->progress};
}

static hel_status set_unit(search_options *so, const hel_dlrm *m, const hel_samples *records)
{
	hel_status st = HEL_OK;
	double largest;
	TRY(hel_logit_spread(&so->spread, &largest, m, records));
	so->unit = is_refreshed(m) ? refreshed_unit(largest) : unit_of(so->spread, largest);
done:
	return st;
}

hel_status hel_compile_value(double *value, const hel_dlrm *m, const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	search_options so = search_for(m, options);
	search found = {0};
	if (so.log_batch == HEL_ANY_BATCH)
		so.log_batch = 0;
	TRY(set_unit(&so, m, options->records));
	TRY(hel_verdicts_new(&so.verdicts));
	TRY(hel_search(&found, &so));
	*value = found.best.plan ? found.best.plan->value : INFINITY;
done:
	hel_choice_clear(&found.best);
	hel_verdicts_free(so.verdicts);
	return st;
}

static hel_status check_bits(const hel_manifest *m, double asked, const hel_samples *given)
{
	if (m->bits >= hel_wanted_bits(asked) - HEL_BITS_SHORT)
		return HEL_OK;
	return hel_fail(
	    HEL_ELIMIT,
	    "%.1f bits of the score are right, %.1f are wanted, and no ring, digits or keys "
	    "of this compiler give this model more: %sfewer layers or polynomials of a lower "
	    "degree lose less; --bits %.1f asks for what there is, --accept-loss goes on",
	    m->bits, hel_wanted_bits(asked),
	    given && given->count
		? ""
		: "for typical records (--data) it may be more than for random ones; ",
	    floor(10 * m->bits) / 10);
}

/* Compiles in one way, and takes that over where it is better: faster and precise enough, or, where
 * nothing is, more precise. */
static hel_status try_one(hel_program **p, hel_compile_report *report,
			  const hel_compile_options *options, search_options *so)
{
	hel_status st = HEL_OK;
	hel_program *q = NULL;
	hel_compile_report other = {0};
	const double wanted = hel_wanted_bits(options->bits) - HEL_BITS_SHORT,
		     bits = *p ? (*p)->manifest->bits : -INFINITY;
	TRY(hel_attempt(&q, &other, options, so));
	if (q && (bits < wanted ? q->manifest->bits > bits
				: q->manifest->bits >= wanted && other.seconds < report->seconds)) {
		hel_program *swap = *p;
		*p = q;
		q = swap;
		hel_compile_report_clear(report);
		*report = other;
		other = (hel_compile_report){0};
	}
done:
	hel_program_free(q);
	hel_compile_report_clear(&other);
	return st;
}

/* What is planned with, and looked at in turn until a score is precise enough. Short levels leave
 * room for long digits, and fit small rings; their scale, up to that of full ones, is chosen for
 * what is planned (scales.h). Precise keys need the most room. */
static const struct {
	unsigned scale_bits;
	bool precise;
} levels[] = {{SHORT_SCALE_BITS, false}, {SCALE_BITS, false}, {SCALE_BITS, true}};

/* The best program for one batch size, precise enough where that is possible. */
static hel_status compile_batch(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *options)
{
	hel_status st = HEL_OK;
	search_options so = search_for(m, options);
	hel_program *p = NULL;
	/* those of a refresh are chosen by other rules */
	const unsigned ways = is_refreshed(m) ? 1 : HEL_ARRAY_LEN(levels);
	bool enough = false;
	memset(report, 0, sizeof *report);
	TRY(set_unit(&so, m, options->records));
	TRY(hel_verdicts_new(&so.verdicts));
	for (unsigned i = 0; i < ways && !enough; i++) {
		const hel_progress_span all = hel_one_more(options->progress, i);
		so.objective = hel_objective_of(options->goal);
		so.scale_bits = levels[i].scale_bits;
		so.precise = levels[i].precise;
		st = try_one(&p, report, options, &so);
		hel_progress_leave(options->progress, all);
		/* what does not fit in one way fits in another */
		if (st != HEL_ELIMIT && st != HEL_ERANGE && st != HEL_EUNSUPPORTED)
			TRY(st);
		enough = p && p->manifest->bits >= hel_wanted_bits(options->bits) - HEL_BITS_SHORT;
	}
	if (!p && st == HEL_OK)
		st = explain(&so);
	if (!p)
		goto done;
	st = HEL_OK;
	if (!options->accept_loss)
		TRY(check_bits(p->manifest, options->bits, options->records));
	*out = p;
	p = NULL;
done:
	hel_verdicts_free(so.verdicts);
	hel_program_free(p);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

/* The batch of which a record costs least: larger ones as long as they help. */
static hel_status compile_any_batch(hel_program **out, hel_compile_report *report,
				    const hel_dlrm *m, hel_compile_options options)
{
	hel_status st = HEL_OK;
	hel_program *best = NULL, *p = NULL;
	hel_compile_report r = {0};
	for (options.log_batch = 0; options.log_batch <= HEL_MAX_LOG_BATCH; options.log_batch++) {
		const hel_progress_span all = hel_one_more(options.progress, options.log_batch);
		st = compile_batch(&p, &r, m, &options);
		hel_progress_leave(options.progress, all);
		if (best && (st == HEL_EUNSUPPORTED || st == HEL_ELIMIT || st == HEL_ERANGE)) {
			st = HEL_OK;
			break;
		}
		TRY(st);
		if (best && r.seconds >= 2 * report->seconds) /* twice the records */
			break;
		hel_program_free(best);
		hel_compile_report_clear(report);
		best = p;
		*report = r;
		p = NULL;
		r = (hel_compile_report){0};
	}
	*out = best;
	best = NULL;
done:
	hel_program_free(best);
	hel_program_free(p);
	hel_compile_report_clear(&r);
	if (st != HEL_OK)
		hel_compile_report_clear(report);
	return st;
}

/* A chain. */
static hel_status compile_chain(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *options)
{
	const hel_status st = hel_limits_codings(m->schema, options);
	if (st != HEL_OK)
		return st;
	if (options->log_batch == HEL_ANY_BATCH)
		return compile_any_batch(out, report, m, *options);
	if (options->log_batch > HEL_MAX_LOG_BATCH)
		return hel_fail(HEL_EINVAL, "2^%u records in a query, at most 2^%d are possible",
				options->log_batch, HEL_MAX_LOG_BATCH);
	return compile_batch(out, report, m, options);
}

/* Of the errors that are wanted, what may come of squares that are left out. */
#define CUT_SHARE 0.9

/* The errors of squares that are left out are the program's, too. */
static void add_errors(hel_manifest *m, double error)
{
	const double left_out = error / m->spread;
	m->bits = -log2(hypot(exp2(-m->bits), left_out));
	m->bits_contributed = -log2(hypot(exp2(-m->bits_contributed), left_out));
	m->bits_model = m->bits;
}

/* Fewer squares than the form takes, where the bits that are wanted allow it; *out stays NULL where
 * they do not. */
static hel_status compile_fewer(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
				const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options options = *given;
	hel_dlrm *fewer = NULL;
	hel_squares squares;
	double spread, largest;
	TRY(hel_logit_spread(&spread, &largest, m, given->records));
	const double error = spread * exp2(-hel_wanted_bits(given->bits));
	TRY(hel_fewer_squares(&fewer, &squares, m, given->records, CUT_SHARE * error));
	if (!fewer)
		goto done;
	/* what is left for those of ciphertexts: independent errors add up by squares */
	const double cut = squares.error / error;
	options.bits = hel_wanted_bits(given->bits) - log2(1 - cut * cut) / 2;
	st = compile_chain(out, report, fewer, &options);
	report->squares = squares;
	if (st == HEL_OK)
		add_errors((*out)->manifest, squares.error);
	else if (st == HEL_ELIMIT || st == HEL_ERANGE || st == HEL_EUNSUPPORTED)
		st = HEL_OK; /* all squares may do */
done:
	hel_dlrm_free(fewer);
	return st;
}

hel_status hel_compile(hel_program **out, hel_compile_report *report, const hel_dlrm *m,
		       const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options options = *given;
	hel_dlrm *squared = NULL;
	hel_squares squares = {0};
	*out = NULL;
	memset(report, 0, sizeof *report);
	if (!options.machine)
		options.machine = hel_cost_model_default();
	if (!m->chain.whole)
		st = hel_one_squaring(&squared, &squares, m);
	if (st != HEL_EUNSUPPORTED) /* it multiplies more than once: stage by stage */
		TRY(st);
	st = HEL_OK;
	if (squared)
		TRY(compile_fewer(out, report, m, &options));
	if (!*out) {
		TRY(compile_chain(out, report, squared ? squared : m, &options));
		report->squares = squares;
	}
	report->squares.rank = squares.rank;
	if (squared)
		TRY(hel_plan_explain_form(&(*out)->plan, m->graph, &report->squares));
	report->wanted_bits = hel_wanted_bits(options.bits);
done:
	hel_dlrm_free(squared);
	if (st != HEL_OK && *out) {
		hel_program_free(*out);
		*out = NULL;
		hel_compile_report_clear(report);
	}
	return st;
}
