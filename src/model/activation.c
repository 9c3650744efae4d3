#include "activation.h"
#include <math.h>
#include <string.h>

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double between(double low, double x, double high)
{
	return fmin(fmax(x, low), high);
}

/* --- a value and a slope each ------------------------------------------------ */

static double relu(hel_activation act, double x)
{
	(void)act;
	return x > 0 ? x : 0;
}

static double relu_slope(hel_activation act, double x)
{
	(void)act;
	return x > 0;
}

static double square(hel_activation act, double x)
{
	(void)act;
	return x * x;
}

static double square_slope(hel_activation act, double x)
{
	(void)act;
	return 2 * x;
}

static double quadratic(hel_activation act, double x)
{
	return act.a * x * x + act.b * x;
}

static double quadratic_slope(hel_activation act, double x)
{
	return 2 * act.a * x + act.b;
}

static double silu(hel_activation act, double x)
{
	(void)act;
	return x * sigmoid(x);
}

static double silu_slope(hel_activation act, double x)
{
	(void)act;
	const double s = sigmoid(x);
	return s + x * s * (1 - s);
}

static double logistic(hel_activation act, double x)
{
	(void)act;
	return sigmoid(x);
}

static double logistic_slope(hel_activation act, double x)
{
	(void)act;
	const double s = sigmoid(x);
	return s * (1 - s);
}

static double gelu(hel_activation act, double x)
{
	(void)act;
	return x * 0.5 * erfc(-x / sqrt(2));
}

static double gelu_slope(hel_activation act, double x)
{
	(void)act;
	return 0.5 * erfc(-x / sqrt(2)) + x * exp(-x * x / 2) / sqrt(2 * M_PI);
}

/* Hendrycks and Gimpel 2016 */
static double gelu_tanh(hel_activation act, double x)
{
	(void)act;
	return x * sigmoid(2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
}

static double gelu_tanh_slope(hel_activation act, double x)
{
	(void)act;
	const double s = sigmoid(2 * sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
	return s + x * s * (1 - s) * 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

static double leaky_relu(hel_activation act, double x)
{
	return x > 0 ? x : act.a * x;
}

static double leaky_relu_slope(hel_activation act, double x)
{
	return x > 0 ? 1 : act.a;
}

static double elu(hel_activation act, double x)
{
	return x > 0 ? x : act.a * expm1(x);
}

static double elu_slope(hel_activation act, double x)
{
	return x > 0 ? 1 : act.a * exp(x);
}

#define SELU_SCALE 1.0507009873554804934193349852946
#define SELU_ALPHA 1.6732632423543772848170429916717

static double selu(hel_activation act, double x)
{
	act.a = SELU_ALPHA;
	return SELU_SCALE * elu(act, x);
}

static double selu_slope(hel_activation act, double x)
{
	act.a = SELU_ALPHA;
	return SELU_SCALE * elu_slope(act, x);
}

static double softplus(hel_activation act, double x)
{
	(void)act;
	return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double mish(hel_activation act, double x)
{
	return x * tanh(softplus(act, x));
}

static double mish_slope(hel_activation act, double x)
{
	const double t = tanh(softplus(act, x));
	return t + x * (1 - t * t) * sigmoid(x);
}

static double hyperbolic(hel_activation act, double x)
{
	(void)act;
	return tanh(x);
}

static double hyperbolic_slope(hel_activation act, double x)
{
	(void)act;
	return 1 - tanh(x) * tanh(x);
}

static double hardtanh(hel_activation act, double x)
{
	(void)act;
	return between(-1, x, 1);
}

static double hardtanh_slope(hel_activation act, double x)
{
	(void)act;
	return x > -1 && x < 1;
}

static double relu6(hel_activation act, double x)
{
	(void)act;
	return between(0, x, 6);
}

static double relu6_slope(hel_activation act, double x)
{
	(void)act;
	return x > 0 && x < 6;
}

static double hardsigmoid(hel_activation act, double x)
{
	return relu6(act, x + 3) / 6;
}

static double hardsigmoid_slope(hel_activation act, double x)
{
	return relu6_slope(act, x + 3) / 6;
}

static double hardswish(hel_activation act, double x)
{
	return x * hardsigmoid(act, x);
}

static double hardswish_slope(hel_activation act, double x)
{
	return hardsigmoid(act, x) + x * hardsigmoid_slope(act, x);
}

/* --- the table ----------------------------------------------------------------- */

static const struct {
	double (*value)(hel_activation act, double x);
	double (*slope)(hel_activation act, double x);
	double a; /* where it is not said; 0: what it was */
} kinds[HEL_ACT_KINDS] = {
    [HEL_ACT_RELU] = {relu, relu_slope, 0},
    [HEL_ACT_SQUARE] = {square, square_slope, 0},
    [HEL_ACT_QUADRATIC] = {quadratic, quadratic_slope, 0},
    [HEL_ACT_SILU] = {silu, silu_slope, 0},
    [HEL_ACT_SIGMOID] = {logistic, logistic_slope, 0},
    [HEL_ACT_GELU] = {gelu, gelu_slope, 0},
    [HEL_ACT_GELU_TANH] = {gelu_tanh, gelu_tanh_slope, 0},
    [HEL_ACT_LEAKY_RELU] = {leaky_relu, leaky_relu_slope, 0.01},
    [HEL_ACT_ELU] = {elu, elu_slope, 1},
    [HEL_ACT_SELU] = {selu, selu_slope, 0},
    [HEL_ACT_SOFTPLUS] = {softplus, logistic, 0},
    [HEL_ACT_MISH] = {mish, mish_slope, 0},
    [HEL_ACT_TANH] = {hyperbolic, hyperbolic_slope, 0},
    [HEL_ACT_HARDTANH] = {hardtanh, hardtanh_slope, 0},
    [HEL_ACT_RELU6] = {relu6, relu6_slope, 0},
    [HEL_ACT_HARDSIGMOID] = {hardsigmoid, hardsigmoid_slope, 0},
    [HEL_ACT_HARDSWISH] = {hardswish, hardswish_slope, 0},
};

double hel_activate(hel_activation act, double x)
{
	return act.kind < HEL_ACT_KINDS ? kinds[act.kind].value(act, x) : NAN;
}

double hel_activate_slope(hel_activation act, double x)
{
	return act.kind < HEL_ACT_KINDS ? kinds[act.kind].slope(act, x) : NAN;
}

const char *hel_activation_name(hel_activation_kind kind)
{
	static const char *const names[HEL_ACT_KINDS] = {
#define X(kind, name) name,
	    HEL_ACTIVATION_LIST(X)
#undef X
	};
	return kind < HEL_ACT_KINDS ? names[kind] : "?";
}

const char *hel_activation_names(void)
{
#define X(kind, name) ", " name
	return &(HEL_ACTIVATION_LIST(X))[2];
#undef X
}

double hel_approximation_at(const hel_approximation *a, double x)
{
	/* Clenshaw */
	const double angle = 2 * M_PI * a->turn;
	const double t = a->turn > 0 ? sin(angle * x / a->range) / sin(angle) : x / a->range;
	double b1 = 0, b2 = 0;
	for (unsigned i = a->degree; i > 0; i--) {
		const double b = a->c[i] + 2 * t * b1 - b2;
		b2 = b1;
		b1 = b;
	}
	return a->c[0] + t * b1 - b2;
}

static hel_status wrong(const char *key, const char *expected)
{
	return hel_fail(HEL_EFORMAT, "model config: '%s' must be %s", key, expected);
}

static hel_status coefficient(double *out, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	if (v && (!json_is_number(v) || !(fabs(json_number_value(v)) <= 1e3)))
		return wrong(key, "a number from -1000 to 1000");
	if (v)
		*out = json_number_value(v);
	return HEL_OK;
}

hel_status hel_activation_read(hel_activation *out, const json_t *o)
{
	hel_status st = HEL_OK;
	hel_activation act = *out;
	const char *kind = json_string_value(json_object_get(o, "kind")), *key;
	json_t *value;
	act.kind = 0;
	while (kind && act.kind < HEL_ACT_KINDS && strcmp(kind, hel_activation_name(act.kind)) != 0)
		act.kind++;
	if (!kind || act.kind == HEL_ACT_KINDS)
		TRY(wrong("activation.kind", hel_activation_names()));
	json_object_foreach((json_t *)o, key, value) if (strcmp(key, "kind") != 0 &&
							 strcmp(key, "a") != 0 &&
							 strcmp(key, "b") != 0)
	    FAIL(HEL_EFORMAT, "model config: unknown key '%.40s'", key);
	if (kinds[act.kind].a != 0 && !json_object_get(o, "a"))
		act.a = kinds[act.kind].a;
	TRY(coefficient(&act.a, o, "a"));
	TRY(coefficient(&act.b, o, "b"));
	if (act.kind == HEL_ACT_QUADRATIC && fabs(act.a) < 1e-6)
		TRY(wrong("activation.a", "different from 0"));
	*out = act;
done:
	return st;
}

json_t *hel_activation_write(hel_activation act)
{
	return json_pack("{s:s, s:f, s:f}", "kind", hel_activation_name(act.kind), "a", act.a, "b",
			 act.b);
}
