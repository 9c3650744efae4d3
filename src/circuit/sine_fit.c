/* Numbers in parentheses are equations of docs/cryptography.md. */
#include "sine_fit.h"
#include "ckks/eval.h"
#include <math.h>
#include <string.h>

/* min |a x - b| over x by Householder's reflections (Golub, Van Loan, Matrix Computations, section
 * 5.3): a is [rows][columns], and destroyed as b is. */
static void least_squares(double *x, double *a, double *b, size_t rows, size_t columns)
{
	for (size_t k = 0; k < columns; k++) {
		double norm = 0;
		for (size_t i = k; i < rows; i++)
			norm += a[i * columns + k] * a[i * columns + k];
		const double pivot = a[k * columns + k];
		const double diagonal = pivot > 0 ? -sqrt(norm) : sqrt(norm);
		const double first = pivot - diagonal, scale = -1 / (diagonal * first);
		a[k * columns + k] = first; /* the reflection's vector stands below the diagonal */
		for (size_t j = k + 1; j <= columns; j++) {
			double *column = j < columns ? a + j : b, dot = 0;
			const size_t stride = j < columns ? columns : 1;
			for (size_t i = k; i < rows; i++)
				dot += a[i * columns + k] * column[i * stride];
			for (size_t i = k; i < rows; i++)
				column[i * stride] -= scale * dot * a[i * columns + k];
		}
		a[k * columns + k] = diagonal;
	}
	for (size_t k = columns; k-- > 0;) {
		x[k] = b[k];
		for (size_t j = k + 1; j < columns; j++)
			x[k] -= a[k * columns + j] * x[j];
		x[k] /= a[k * columns + k];
	}
}

/* What a node of a fit is: y in [0, 1.05], dense near 0, where relu has its kink. */
typedef struct node {
	double y, u, v,
	    weight; /* y in units of the range; weight: a root of density times distance */
} node;

static node node_at(double x, double step, double deviation)
{
	const double width = 6, end = 1.05;
	const double y = end * sinh(width * x) / sinh(width);
	const double distance = end * width * cosh(width * x) / sinh(width) * step;
	const double density = exp(-y * y / (2 * deviation * deviation)) + 1e-3;
	const double u = sin(2 * M_PI * HEL_TURN_ACTIVATION * y);
	return (node){y, u, 2 * u * u - 1, sqrt(density * (y > 1 ? 1e-2 : 1) * distance)};
}

/* One half: sum of c_k T_k(v), times u when odd. */
static hel_status fit_half(double *c, unsigned degree, bool odd, double (*f)(double), double range,
			   double deviation)
{
	hel_status st = HEL_OK;
	const size_t columns = degree + 1, rows = 8 * columns + 64;
	double *a = NULL, *b = NULL;
	TRY_ALLOC(a, hel_alloc(rows * columns, sizeof *a));
	TRY_ALLOC(b, hel_alloc(rows, sizeof *b));
	for (size_t i = 0; i < rows; i++) {
		const node n =
		    node_at(((double)i + 0.5) / (double)rows, 1 / (double)rows, deviation);
		const double up = f(range * n.y), down = f(-range * n.y);
		b[i] = n.weight * (odd ? up - down : up + down) / 2;
		const double angle = acos(fmin(1, fmax(-1, n.v)));
		for (size_t k = 0; k < columns; k++)
			a[i * columns + k] = n.weight * (odd ? n.u : 1) * cos((double)k * angle);
	}
	least_squares(c, a, b, rows, columns);
	for (size_t k = 0; k < columns; k++)
		if (!isfinite(c[k]))
			FAIL(HEL_EINVAL, "a function that is not finite within %g", range);
done:
	hel_free(a);
	hel_free(b);
	return st;
}

hel_status hel_activation_fit_to(hel_activation_fit *out, double (*f)(double), double range,
				 double deviation, unsigned even_degree)
{
	hel_status st = HEL_OK;
	hel_activation_fit fit = {.even_degree = even_degree};
	if (even_degree < 1 || even_degree > HEL_ACTIVATION_EVEN || !(range > 0) ||
	    !(deviation > 0))
		FAIL(HEL_EINVAL, "a fit of degree %u within %g, deviation %g", even_degree, range,
		     deviation);
	TRY(fit_half(fit.even, even_degree, false, f, range, deviation / range));
	TRY(fit_half(fit.odd, HEL_ACTIVATION_ODD, true, f, range, deviation / range));
	*out = fit;
done:
	return st;
}

/* (39): E(v) + u O(v) */
static hel_status evaluate(const hel_eval *ev, hel_ct *out, const hel_ct *u,
			   const hel_activation_fit *fit)
{
	hel_status st = HEL_OK;
	hel_ct *v = NULL, *odd = NULL;
	TRY(hel_ct_take(&v, ev));
	TRY(hel_ct_take(&odd, ev));
	TRY(hel_refresh_double_angle(ev, v, u));
	TRY(hel_polynomial_apply(
	    ev, odd, v, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, HEL_ACTIVATION_ODD, fit->odd}));
	TRY(hel_polynomial_apply(
	    ev, v, v, &(hel_polynomial){HEL_BASIS_CHEBYSHEV, fit->even_degree, fit->even}));
	const unsigned level = HEL_MIN(v->level, odd->level - 1);
	hel_ct *low = out; /* u beside O */
	TRY(hel_eval_drop(ev, low, u, odd->level));
	TRY(hel_eval_mul_rescale(ev, odd, odd, low));
	TRY(hel_eval_drop(ev, odd, odd, level));
	TRY(hel_eval_drop(ev, v, v, level));
	TRY(hel_eval_add(ev, out, v, odd));
done:
	hel_ct_free(v);
	hel_ct_free(odd);
	return st;
}

hel_status hel_refresh_activation(const hel_eval *ev, hel_ct *out, const hel_ct *a,
				  const hel_refresher *r, const hel_activation_fit *fit)
{
	hel_status st = HEL_OK;
	hel_ct *u = NULL, *y = NULL;
	if (r->turn != HEL_TURN_ACTIVATION)
		FAIL(HEL_EINVAL, "a refresher for values, not for activations");
	TRY(hel_ct_take(&u, ev));
	TRY(hel_ct_take(&y, ev));
	TRY(hel_refresh_slots_to_sine(ev, u, a, r));
	const unsigned needed = 1 + HEL_MAX(hel_polynomial_levels(fit->even_degree), 4u);
	if (u->level < needed)
		FAIL(HEL_ELEVEL, "an activation of degree %u takes %u levels, %u are left",
		     2 * fit->even_degree, needed, u->level);
	TRY(evaluate(ev, y, u, fit));
	hel_ct_copy(out, y);
done:
	hel_ct_free(u);
	hel_ct_free(y);
	return st;
}
