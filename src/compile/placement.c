/* Where activations are refreshed. A refresh leaves the same levels wherever it stands, and a
 * polynomial of a high degree takes nearly all of them: so what is decided is whether activations
 * begin with fresh levels, and degrees: one that is exact enough for all, then less for each that
 * can do with less. */
#include "placement.h"
#include "intervals.h"
#include "model/network.h"
#include "refreshed.h"
#include <math.h>
#include <string.h>

#define MARGIN 1.3 /* the range over the largest value seen */
#define RESERVE                                                                                    \
	0.15	 /* bits of polynomials beyond those that are wanted, for what ciphertexts lose */
#define ROUNDS 3 /* with what is known to be lost after each */
#define ROUNDED 0.02 /* bits: predictions are no more exact */
#define BEYOND 3     /* bits of ciphertexts beyond those of all: errors no more to speak of */

/* Of as many terms as levels hold. */
static const unsigned degrees[] = {6, 14, 30, 62, 126, 254, 510};

#define DEGREES HEL_ARRAY_LEN(degrees)

/* One way to place all activations. */
typedef struct placement {
	bool refreshed, found;
	unsigned *degree; /* per activation: the number of one */
	double value;	  /* as hel_plan's */
} placement;

typedef struct placer {
	hel_dlrm *m;
	const hel_compile_options *o;
	hel_seen *seen;
	double *trained; /* logits */
	hel_fit *fit;	 /* per activation */
	bool *fresh;	 /* per activation: nothing was multiplied before it */
	double *turn;	 /* per activation: see set_turns */
	double margin;
	double wanted; /* bits that polynomials leave */
	bool may_fold;
} placer;

/* Whether products of ciphertexts precede an activation. */
static hel_status find_fresh(bool *fresh, const hel_graph *g)
{
	hel_status st = HEL_OK;
	bool *plain = NULL;
	TRY_ALLOC(plain, hel_alloc(g->nodes, sizeof *plain));
	for (size_t i = 0; i < g->nodes; i++) {
		const hel_node *n = &g->node[i];
		bool inputs = true;
		for (size_t k = 0; k < n->inputs; k++)
			inputs &= plain[n->input[k]];
		if (n->kind == HEL_NODE_ACTIVATION)
			fresh[n->activated] = inputs;
		plain[i] = inputs && n->kind != HEL_NODE_ACTIVATION &&
			   n->kind != HEL_NODE_MULTIPLY && n->kind != HEL_NODE_DOT;
	}
done:
	hel_free(plain);
	return st;
}

/* Values beyond the range leave the interval of the polynomial, of a high degree: what it yields
 * there outgrows every modulus, and the client refuses it. But beyond half a turn the sine comes
 * back. Turns are so small that no record that the schema allows gets there, if the intervals of
 * the layer's values, those before it within their ranges, say so. */
static hel_status set_turns(placer *p)
{
	hel_status st = HEL_OK;
	const size_t activated = hel_dlrm_activated(p->m);
	double *range = NULL, *largest = NULL;
	TRY_ALLOC(range, hel_alloc(activated, sizeof *range));
	TRY_ALLOC(largest, hel_alloc(activated, sizeof *largest));
	for (size_t i = 0; i < activated; i++)
		range[i] = p->margin * hel_seen_largest(p->seen, i);
	TRY(hel_intervals_entering(largest, p->m, range));
	for (size_t i = 0; i < activated; i++) {
		const double safe = 0.49 / (largest[i] / range[i] + 1);
		p->turn[i] = fmax(fmin(safe, HEL_MAX_REFRESH_TURN), HEL_LEAST_TURN);
		p->may_fold |= !p->fresh[i] && safe < HEL_LEAST_TURN;
	}
done:
	hel_free(range);
	hel_free(largest);
	return st;
}

static hel_status apply(const placer *p, const placement *x)
{
	for (size_t i = 0; i < hel_dlrm_activated(p->m); i++)
		p->fit[i] =
		    (hel_fit){degrees[x->degree[i]], x->refreshed && !p->fresh[i] ? p->turn[i] : 0};
	return hel_dlrm_approximate_wide(p->m, p->seen, p->fit, p->margin);
}

/* What leaves the range of a refresh must outgrow every modulus at once, not a little. */
#define LEAST_REFRESHED 126

/* As `verify` measures them. */
static double bits_of(const hel_fidelity *f)
{
	return f->distance > 0 ? log2(f->spread / f->distance) : 60;
}

/* Judged by the first `most` records. */
static hel_status is_exact(bool *exact, const placement *x, hel_fidelity *f, const placer *p,
			   size_t most)
{
	hel_status st = HEL_OK;
	hel_samples judges = *p->o->records;
	judges.count = HEL_MIN(judges.count, most);
	TRY(apply(p, x));
	TRY(hel_activations_fidelity(f, p->m, p->trained, &judges, p->o->pool));
	*exact = bits_of(f) >= p->wanted;
done:
	return st;
}

#define JUDGES 256 /* records, for each degree that is lowered */

/* Less for each activation, the first ones first: theirs are the most levels below. What a few
 * records allow must hold for all: until it does, the last ones are raised again. */
static hel_status lower_degrees(placement *x, hel_fidelity *f, const placer *p, unsigned least)
{
	hel_status st = HEL_OK;
	const unsigned uniform = x->degree[0];
	const size_t activated = hel_dlrm_activated(p->m);
	hel_fidelity lower;
	bool exact = true;
	for (size_t i = 0; i < activated; i++)
		for (exact = true; exact && x->degree[i] > least;) {
			x->degree[i]--;
			TRY(is_exact(&exact, x, &lower, p, JUDGES));
			x->degree[i] += !exact;
		}
	TRY(is_exact(&exact, x, &lower, p, SIZE_MAX));
	for (size_t i = activated; !exact && i-- > 0;)
		if (x->degree[i] < uniform) {
			x->degree[i] = uniform;
			TRY(is_exact(&exact, x, &lower, p, SIZE_MAX));
		}
	if (exact)
		*f = lower;
done:
	return st;
}

/* The least degree that is exact enough for all, or the highest one; then less for each. */
static hel_status choose_degrees(placement *x, hel_fidelity *f, const placer *p)
{
	hel_status st = HEL_OK;
	const size_t activated = hel_dlrm_activated(p->m);
	unsigned least = 0;
	while (x->refreshed && degrees[least] < LEAST_REFRESHED)
		least++;
	TRY_ALLOC(x->degree, hel_alloc(activated, sizeof *x->degree));
	for (unsigned d = least; d < DEGREES && !x->found; d++) {
		for (size_t i = 0; i < activated; i++)
			x->degree[i] = d;
		TRY(is_exact(&x->found, x, f, p, SIZE_MAX));
	}
	if (x->found)
		TRY(lower_degrees(x, f, p, least));
done:
	return st;
}

static hel_status check_exact(const placer *p, const hel_fidelity *f)
{
	const double bits = bits_of(f);
	if (bits >= p->wanted || p->o->accept_loss)
		return HEL_OK;
	const char *name = hel_activation_name(p->m->config.activation.kind);
	return hel_fail(HEL_ELIMIT,
			"%s by polynomials of degree %u leaves %.1f bits of the trained model's "
			"logits, %.1f are wanted: --bits %.1f asks for what there is, "
			"--accept-loss goes on",
			name, degrees[DEGREES - 1], bits, p->wanted, floor(10 * bits) / 10);
}

/* Both ways, each of the least degree there; the cheaper one stays in the model. */
static hel_status place(placement *best, hel_fidelity *fidelity, const placer *p,
			bool refreshes_only)
{
	hel_status st = HEL_OK;
	placement way[2] = {{.refreshed = true}, {.refreshed = false}};
	hel_fidelity f[2];
	best->value = INFINITY;
	for (size_t i = 0; i < (refreshes_only ? 1 : HEL_ARRAY_LEN(way)); i++) {
		TRY(choose_degrees(&way[i], &f[i], p));
		if (!way[i].found && !p->o->accept_loss)
			continue;
		TRY(apply(p, &way[i]));
		TRY(hel_compile_value(&way[i].value, p->m, p->o));
		if (way[i].value < best->value) {
			hel_free(best->degree);
			*best = way[i];
			way[i].degree = NULL;
			*fidelity = f[i];
		}
	}
	if (!(best->value < INFINITY)) {
		TRY(check_exact(p, &f[0]));
		FAIL(HEL_EUNSUPPORTED,
		     "neither with refreshes (N = 2^%d, one record a query, layers of at most %d "
		     "values) nor with polynomials alone does this model fit a ring",
		     HEL_REFRESH_LOG_N, 1 << HEL_MAX_LOG_REFRESHED);
	}
	TRY(apply(p, best));
done:
	for (size_t i = 0; i < HEL_ARRAY_LEN(way); i++)
		hel_free(way[i].degree);
	if (st != HEL_OK) {
		hel_free(best->degree);
		best->degree = NULL;
	}
	return st;
}

/* --- with what ciphertexts lose --------------------------------------------------------- */

/* Errors of polynomials and of ciphertexts are independent: bits of both, and what one of them
 * leaves the other of those that are wanted. */
static double together(double a, double b)
{
	return -log2(hypot(exp2(-a), exp2(-b)));
}

static double left_by(double wanted, double has)
{
	const double square = exp2(-2 * wanted) - exp2(-2 * has);
	return square > 0 ? -log2(square) / 2 : INFINITY;
}

/* A placement, compiled. */
typedef struct placed {
	placement at;
	hel_fidelity fidelity;
	hel_program *program;
	hel_compile_report report;
	double bits; /* against the trained model */
} placed;

static void placed_clear(placed *x)
{
	hel_free(x->at.degree);
	hel_program_free(x->program);
	hel_compile_report_clear(&x->report);
	*x = (placed){.bits = 0};
}

/* asked: bits of all together; checked by those who call. */
static hel_status compile_placed(placed *out, const placer *p, double asked, bool refreshes_only)
{
	hel_status st = HEL_OK;
	placed x = {.bits = 0};
	hel_compile_options o = *p->o;
	TRY(place(&x.at, &x.fidelity, p, refreshes_only));
	if (!o.accept_loss) /* before minutes of planning */
		TRY(hel_fidelity_check(&x.fidelity, p->m));
	const double left = left_by(asked, bits_of(&x.fidelity));
	o.bits = isfinite(left) ? fmin(left, asked + BEYOND) : asked;
	o.accept_loss = true;
	TRY(hel_compile_fitted(&x.program, &x.report, &x.fidelity, p->m, p->trained, &o));
	x.report.wanted_bits = asked;
	x.bits = together(x.program->manifest->bits, bits_of(&x.fidelity));
	*out = x;
	x = (placed){.bits = 0};
done:
	placed_clear(&x);
	return st;
}

/* Nothing, or what is nearer to the bits that are asked for. */
static hel_status try_again(bool *better, placed *best, placer *p, double asked,
			    bool refreshes_only)
{
	hel_status st = HEL_OK;
	placed next = {.bits = 0};
	*better = false;
	p->wanted = left_by(asked, best->program->manifest->bits) + ROUNDED;
	st = isfinite(p->wanted) ? compile_placed(&next, p, asked, refreshes_only) : HEL_ELIMIT;
	*better = st == HEL_OK && next.bits > best->bits;
	if (*better) {
		const placed swap = *best;
		*best = next;
		next = swap;
	} else if (st == HEL_OK || st == HEL_ELIMIT || st == HEL_EUNSUPPORTED)
		st = apply(p, &best->at);
	placed_clear(&next);
	return st;
}

static hel_status check_bits(const placed *x, double asked)
{
	if (x->bits >= asked - HEL_BITS_SHORT)
		return HEL_OK;
	return hel_fail(HEL_ELIMIT,
			"polynomials leave %.1f bits of the trained model's logits and ciphertexts "
			"%.1f: %.1f together, %.1f are wanted: --bits %.1f asks for what there is, "
			"--accept-loss goes on",
			bits_of(&x->fidelity), x->program->manifest->bits, x->bits, asked,
			floor(10 * x->bits) / 10);
}

/* Degrees for the bits that are asked for and a reserve, or for those alone; again, where
 * ciphertexts take more than the reserve. */
static hel_status place_all(placed *best, placer *p, double asked, bool refreshes_only)
{
	hel_status st = HEL_OK;
	bool better = true;
	p->wanted = asked + RESERVE;
	st = compile_placed(best, p, asked, refreshes_only);
	if (st == HEL_ELIMIT) {
		p->wanted = asked;
		st = compile_placed(best, p, asked, refreshes_only);
	}
	TRY(st);
	for (unsigned i = 1; i < ROUNDS && better && !p->o->accept_loss && best->bits < asked; i++)
		TRY(try_again(&better, best, p, asked, refreshes_only));
	if (!p->o->accept_loss)
		TRY(check_bits(best, asked));
done:
	return st;
}

static void placer_clear(placer *p)
{
	hel_seen_free(p->seen);
	hel_free(p->trained);
	hel_free(p->fit);
	hel_free(p->fresh);
	hel_free(p->turn);
}

static hel_status placer_init(placer *p)
{
	hel_status st = HEL_OK;
	const hel_samples *s = p->o->records;
	const size_t activated = hel_dlrm_activated(p->m);
	if (!s || !s->count)
		FAIL(HEL_EINVAL, "--activation needs --data FILE: labelled records to learn the "
				 "activations' ranges from");
	if (p->o->proved_only)
		FAIL(HEL_EINVAL,
		     "what refreshes take cannot be proved to stay in range: --proved "
		     "needs --activation %s=poly:N",
		     hel_activation_name(p->m->config.activation.kind));
	hel_dlrm_exact(p->m);
	TRY_ALLOC(p->trained, hel_alloc(s->count, sizeof *p->trained));
	TRY(hel_dlrm_logits(p->trained, p->m, s, p->o->pool));
	TRY(hel_seen_new(&p->seen, p->m, s));
	TRY_ALLOC(p->fit, hel_alloc(activated, sizeof *p->fit));
	TRY_ALLOC(p->fresh, hel_alloc(activated, sizeof *p->fresh));
	TRY(find_fresh(p->fresh, p->m->graph));
	TRY_ALLOC(p->turn, hel_alloc(activated, sizeof *p->turn));
	TRY(set_turns(p));
done:
	return st;
}

hel_status hel_compile_placed(hel_program **out, hel_compile_report *report, hel_fidelity *fidelity,
			      hel_fit_choice *choice, hel_dlrm *m, const hel_compile_options *o)
{
	hel_status st = HEL_OK;
	placed best = {.bits = 0};
	placer p = {.m = m, .o = o, .margin = choice->margin > 0 ? choice->margin : MARGIN};
	memset(report, 0, sizeof *report);
	TRY(placer_init(&p));
	TRY(place_all(&best, &p, o->bits > 0 ? o->bits : HEL_PLACED_BITS, choice->refreshed));
	choice->degree = 0;
	for (size_t i = 0; i < hel_dlrm_activated(m); i++)
		choice->degree = HEL_MAX(choice->degree, degrees[best.at.degree[i]]);
	choice->margin = p.margin;
	choice->may_fold = best.at.refreshed && p.may_fold;
	*fidelity = best.fidelity;
	*report = best.report;
	*out = best.program;
	best.report = (hel_compile_report){0};
	best.program = NULL;
done:
	placed_clear(&best);
	placer_clear(&p);
	return st;
}
