#include "polynomial.h"
#include <math.h>
#include <string.h>

#define MAX_STEPS 1024

typedef struct builder {
	hel_schedule *s;
	hel_basis basis;
	unsigned baby_bits;
	int power[HEL_MAX_DEGREE + 1];	/* the value that holds basis element i, -1 for none yet */
	unsigned depth[MAX_STEPS + 1];	/* of each value */
	int lowered[MAX_STEPS + 1][10]; /* the same value further down, 0 for none */
} builder;

/* ceil(log2(i)): the depth of basis element i. */
static unsigned depth_of(unsigned i)
{
	return i > 1 ? 32 - (unsigned)__builtin_clz(i - 1) : 0;
}

unsigned hel_polynomial_levels(unsigned degree)
{
	return depth_of(degree + 1);
}

static hel_poly_step *new_step(builder *b, unsigned depth, bool product)
{
	hel_poly_step *step = &b->s->step[b->s->count++];
	*step = (hel_poly_step){.product = product, .depth = depth};
	b->s->products += product;
	b->depth[b->s->count] = depth + !product;
	return step;
}

static int last_value(const builder *b)
{
	return (int)b->s->count;
}

static void add_term(hel_poly_step *sum, int value, double factor)
{
	sum->term[sum->terms++] = (hel_poly_term){value, factor};
}

static int lower(builder *b, int value, unsigned depth)
{
	if (b->depth[value] == depth)
		return value;
	int *known = &b->lowered[value][depth];
	if (!*known) {
		add_term(new_step(b, depth - 1, false), value, 1);
		*known = last_value(b);
	}
	return *known;
}

/* Brings two values to one depth and multiplies them there. */
static int multiply(builder *b, int x, int y, unsigned *depth)
{
	*depth = HEL_MAX(b->depth[x], b->depth[y]);
	const int lower_x = lower(b, x, *depth), lower_y = lower(b, y, *depth);
	hel_poly_step *step = new_step(b, *depth, true);
	step->a = lower_x;
	step->b = lower_y;
	return last_value(b);
}

/* x^i, or T_(a+b) = 2 T_a T_b - T_(a-b) with a - b = 0 or 1. */
static int power(builder *b, unsigned i)
{
	if (b->power[i] >= 0)
		return b->power[i];
	const int low = power(b, i / 2), high = power(b, (i + 1) / 2);
	unsigned depth;
	const int product = multiply(b, high, low, &depth);
	hel_poly_step *sum = new_step(b, depth, false);
	add_term(sum, product, b->basis == HEL_BASIS_CHEBYSHEV ? 2 : 1);
	if (b->basis == HEL_BASIS_CHEBYSHEV && i % 2)
		add_term(sum, power(b, 1), -1);
	else if (b->basis == HEL_BASIS_CHEBYSHEV)
		sum->constant = -1;
	return b->power[i] = last_value(b);
}

static unsigned trimmed(const double *c, unsigned degree)
{
	while (degree && c[degree] == 0)
		degree--;
	return degree;
}

/* p = q g + r, g the basis element 2^j = `at` with at <= degree < 2 at. */
static void divide(double *q, double *r, hel_basis basis, const double *p, unsigned degree,
		   unsigned at)
{
	memcpy(r, p, at * sizeof *r);
	q[0] = p[at];
	for (unsigned i = 1; i <= degree - at; i++) {
		/* T_i T_g = (T_(g+i) + T_(g-i)) / 2 */
		q[i] = basis == HEL_BASIS_CHEBYSHEV ? 2 * p[at + i] : p[at + i];
		if (basis == HEL_BASIS_CHEBYSHEV)
			r[at - i] -= p[at + i];
	}
}

/* All basis elements that a sum needs exist before its step begins. */
static void prepare_powers(builder *b, const double *c, unsigned degree)
{
	for (unsigned i = 1; i <= degree; i++)
		if (c[i] != 0)
			power(b, i);
}

static void add_powers(builder *b, hel_poly_step *sum, const double *c, unsigned degree)
{
	for (unsigned i = 1; i <= degree; i++)
		if (c[i] != 0)
			add_term(sum, power(b, i), c[i]);
	sum->constant = c[0];
}

static bool fits_sum(const builder *b, unsigned degree, unsigned depth)
{
	return degree < 1u << b->baby_bits && depth_of(degree) <= depth;
}

static int evaluate(builder *b, const double *p, unsigned degree, unsigned depth);

/* The largest part q g of p, of a degree of g or more, as a term of a sum at `depth`; *p is left
 * with the rest. Returns its degree. */
static unsigned split(builder *b, hel_poly_step *terms, double *p, unsigned degree, unsigned depth)
{
	double q[HEL_MAX_DEGREE + 1], r[HEL_MAX_DEGREE + 1];
	const unsigned j = 31 - (unsigned)__builtin_clz(degree), at = 1u << j;
	divide(q, r, b->basis, p, degree, at);
	memcpy(p, r, at * sizeof *p);
	const unsigned q_degree = trimmed(q, degree - at);
	const int g = power(b, at);
	if (!q_degree) {
		add_term(terms, g, q[0]);
		return trimmed(p, at - 1);
	}
	const int leading = evaluate(b, q, q_degree, depth), lower_g = lower(b, g, depth);
	hel_poly_step *product = new_step(b, depth, true);
	product->a = leading;
	product->b = lower_g;
	add_term(terms, last_value(b), 1);
	return trimmed(p, at - 1);
}

/* p of degree >= 1 as a value exactly so deep. */
static int evaluate(builder *b, const double *p, unsigned degree, unsigned depth)
{
	double rest[HEL_MAX_DEGREE + 1];
	hel_poly_step sum = {.depth = depth - 1};
	memcpy(rest, p, (degree + 1) * sizeof *rest);
	while (degree && !fits_sum(b, degree, sum.depth))
		degree = split(b, &sum, rest, degree, sum.depth);
	prepare_powers(b, rest, degree);
	add_powers(b, &sum, rest, degree);
	*new_step(b, sum.depth, false) = sum;
	return last_value(b);
}

static void count_switches(hel_schedule *s)
{
	for (size_t i = 0; i < s->count; i++) {
		bool any = false;
		for (size_t k = 0; k < s->step[i].terms; k++)
			any |= hel_term_is_product(s, &s->step[i].term[k]);
		s->switches += any;
	}
}

static hel_status build(hel_schedule **out, const hel_polynomial *p, unsigned baby_bits)
{
	hel_status st = HEL_OK;
	builder *b = NULL;
	TRY_ALLOC(b, hel_alloc(1, sizeof *b));
	TRY_ALLOC(b->s, hel_alloc(1, sizeof *b->s));
	TRY_ALLOC(b->s->step, hel_alloc(MAX_STEPS, sizeof *b->s->step));
	b->basis = p->basis;
	b->baby_bits = baby_bits;
	memset(b->power, -1, sizeof b->power);
	b->power[1] = 0;
	/* the level does not depend on which coefficients happen to vanish */
	evaluate(b, p->c, trimmed(p->c, p->degree), hel_polynomial_levels(p->degree));
	count_switches(b->s);
	*out = b->s;
	b->s = NULL;
done:
	if (b)
		hel_schedule_free(b->s);
	hel_free(b);
	return st;
}

hel_status hel_schedule_new(hel_schedule **out, const hel_polynomial *p)
{
	hel_status st = HEL_OK;
	hel_schedule *best = NULL, *s = NULL;
	if (p->degree < 1 || p->degree > HEL_MAX_DEGREE)
		FAIL(HEL_EINVAL, "a polynomial of degree %u, expected 1 to %d", p->degree,
		     HEL_MAX_DEGREE);
	for (unsigned i = 0; i <= p->degree; i++)
		if (!isfinite(p->c[i]))
			FAIL(HEL_EINVAL, "coefficient %u of a polynomial is not finite", i);
	if (!trimmed(p->c, p->degree))
		FAIL(HEL_EINVAL, "a polynomial that does not depend on its argument");
	/* baby sizes of 16 do not pay below degree 64 */
	for (unsigned bits = 1; bits <= (p->degree < 64 ? 3 : 4); bits++) {
		TRY(build(&s, p, bits));
		if (!best || s->switches < best->switches) {
			hel_schedule *swap = best;
			best = s;
			s = swap;
		}
		hel_schedule_free(s);
		s = NULL;
	}
	*out = best;
	best = NULL;
done:
	hel_schedule_free(best);
	return st;
}

void hel_schedule_free(hel_schedule *s)
{
	if (!s)
		return;
	hel_free(s->step);
	hel_free(s);
}

/* One sum of a schedule. Every product is a term of exactly one sum, and made here: what is summed
 * with it, other products included, joins its key switch, and one division does for all. */
static hel_status apply_sum(const hel_eval *ev, hel_ct *out, const hel_schedule *s,
			    const hel_poly_step *step, const hel_ct *const *value, unsigned level)
{
	hel_status st = HEL_OK;
	hel_sum_term term[HEL_MAX_SUM];
	hel_product_term product[HEL_MAX_SUM];
	size_t count = 0, products = 0;
	hel_ct *plus = NULL;
	for (size_t i = 0; i < step->terms; i++) {
		const hel_poly_term *t = &step->term[i];
		const hel_poly_step *of = t->value ? &s->step[t->value - 1] : NULL;
		if (hel_term_is_product(s, t))
			product[products++] =
			    (hel_product_term){value[of->a], value[of->b], t->factor};
		else
			term[count++] = (hel_sum_term){value[t->value], t->factor};
	}
	if (!products) {
		TRY(hel_eval_weighted_sum(ev, out, level, term, count, step->constant));
		TRY(hel_eval_rescale(ev, out, out));
		goto done;
	}
	TRY(hel_ct_take(&plus, ev));
	TRY(hel_eval_weighted_sum(ev, plus, level, term, count, step->constant));
	TRY(hel_eval_mul_add_rescale(ev, out, product, products, plus));
done:
	hel_ct_free(plus);
	return st;
}

hel_status hel_polynomial_apply(const hel_eval *ev, hel_ct *out, const hel_ct *x,
				const hel_polynomial *p)
{
	hel_status st = HEL_OK;
	hel_schedule *s = NULL;
	hel_ct **value = NULL;
	const unsigned levels = hel_polynomial_levels(p->degree), level = x->level;
	if (x->params != ev->params || out->params != ev->params)
		FAIL(HEL_EPARAMS, "ciphertext and evaluator have different parameters");
	if (level < levels)
		FAIL(HEL_ELEVEL, "a polynomial of degree %u takes %u levels, %u are left",
		     p->degree, levels, level);
	if (x->scale != ev->params->scale[level])
		FAIL(HEL_ESCALE, "scale 2^%.6f is not that of level %u; rescale first",
		     log2(x->scale), level);
	if (!hel_keys_find(ev->keys, HEL_RELINEARISE, level))
		FAIL(HEL_EKEY, "%s", hel_error_detail());
	TRY(hel_schedule_new(&s, p));
	TRY_ALLOC(value, hel_alloc(s->count + 1, sizeof *value));
	value[0] = (hel_ct *)x; /* read only */
	for (size_t i = 0; i < s->count; i++) {
		if (s->step[i].product)
			continue;
		TRY(hel_ct_take(&value[i + 1], ev));
		TRY(apply_sum(ev, value[i + 1], s, &s->step[i], (const hel_ct *const *)value,
			      level - s->step[i].depth));
	}
	hel_ct_copy(out, value[s->count]);
done:
	for (size_t i = 1; value && i <= s->count; i++)
		hel_ct_free(value[i]);
	hel_free(value);
	hel_schedule_free(s);
	return st;
}
