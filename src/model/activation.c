#include "activation.h"
#include <math.h>
#include <string.h>

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
