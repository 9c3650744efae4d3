#include "activation.h"
#include <math.h>

const char *hel_activation_name(hel_activation_kind kind)
{
	static const char *const names[HEL_ACT_KINDS] = {
	    [HEL_ACT_RELU] = "relu",	       [HEL_ACT_SQUARE] = "square",
	    [HEL_ACT_QUADRATIC] = "quadratic", [HEL_ACT_SILU] = "silu",
	    [HEL_ACT_SIGMOID] = "sigmoid",     [HEL_ACT_GELU] = "gelu",
	};
	return kind < HEL_ACT_KINDS ? names[kind] : "?";
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

double hel_activate(hel_activation act, double x)
{
	switch (act.kind) {
	case HEL_ACT_RELU:
		return x > 0 ? x : 0;
	case HEL_ACT_SQUARE:
		return x * x;
	case HEL_ACT_QUADRATIC:
		return act.a * x * x + act.b * x;
	case HEL_ACT_SILU:
		return x * sigmoid(x);
	case HEL_ACT_SIGMOID:
		return sigmoid(x);
	case HEL_ACT_GELU:
		return x * 0.5 * erfc(-x / sqrt(2));
	case HEL_ACT_KINDS:
		break;
	}
	return NAN;
}

double hel_activate_slope(hel_activation act, double x)
{
	const double s = sigmoid(x);
	switch (act.kind) {
	case HEL_ACT_RELU:
		return x > 0;
	case HEL_ACT_SQUARE:
		return 2 * x;
	case HEL_ACT_QUADRATIC:
		return 2 * act.a * x + act.b;
	case HEL_ACT_SILU:
		return s + x * s * (1 - s);
	case HEL_ACT_SIGMOID:
		return s * (1 - s);
	case HEL_ACT_GELU:
		return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
	case HEL_ACT_KINDS:
		break;
	}
	return NAN;
}

double hel_approximation_at(const hel_approximation *a, double x)
{
	/* Clenshaw */
	const double t = x / a->range;
	double b1 = 0, b2 = 0;
	for (unsigned i = a->degree; i > 0; i--) {
		const double b = a->c[i] + 2 * t * b1 - b2;
		b2 = b1;
		b1 = b;
	}
	return a->c[0] + t * b1 - b2;
}
