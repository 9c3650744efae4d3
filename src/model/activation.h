/* activation.h -- what stands between layers, and polynomials in its place. */
#ifndef HEL_ACTIVATION_H
#define HEL_ACTIVATION_H

#include "base/base.h"
#include <jansson.h>

#define HEL_ACTIVATION_LIST(X)                                                                     \
	X(HEL_ACT_RELU, "relu")                                                                    \
	X(HEL_ACT_SQUARE, "square")	  /* x^2 */                                                \
	X(HEL_ACT_QUADRATIC, "quadratic") /* a x^2 + b x */                                        \
	X(HEL_ACT_SILU, "silu")		  /* x / (1 + exp(-x)) */                                  \
	X(HEL_ACT_SIGMOID, "sigmoid")                                                              \
	X(HEL_ACT_GELU, "gelu")		    /* x Phi(x) */                                         \
	X(HEL_ACT_GELU_TANH, "gelu_tanh")   /* the same with Phi by a tanh */                      \
	X(HEL_ACT_LEAKY_RELU, "leaky_relu") /* a x below 0 */                                      \
	X(HEL_ACT_ELU, "elu")		    /* a (exp(x) - 1) below 0 */                           \
	X(HEL_ACT_SELU, "selu")                                                                    \
	X(HEL_ACT_SOFTPLUS, "softplus") /* ln(1 + exp(x)) */                                       \
	X(HEL_ACT_MISH, "mish")		/* x tanh(softplus(x)) */                                  \
	X(HEL_ACT_TANH, "tanh")                                                                    \
	X(HEL_ACT_HARDTANH, "hardtanh")	      /* x between -1 and 1 */                             \
	X(HEL_ACT_RELU6, "relu6")	      /* x between 0 and 6 */                              \
	X(HEL_ACT_HARDSIGMOID, "hardsigmoid") /* relu6(x + 3) / 6 */                               \
	X(HEL_ACT_HARDSWISH, "hardswish")     /* x hardsigmoid(x) */

typedef enum hel_activation_kind {
#define X(kind, name) kind,
	HEL_ACTIVATION_LIST(X)
#undef X
	    HEL_ACT_KINDS
} hel_activation_kind;

typedef struct hel_activation {
	hel_activation_kind kind;
	double a, b;
} hel_activation;

double hel_activate(hel_activation act, double x);
double hel_activate_slope(hel_activation act, double x);
const char *hel_activation_name(hel_activation_kind kind);
/** Of all kinds, for messages. */
const char *hel_activation_names(void);
/** {"kind": "quadratic", "a": 0.1, "b": 0.5}; a and b keep what they are where they are missing,
 * but for the a of leaky_relu (0.01) and elu (1).
 *  @retval HEL_EFORMAT */
HEL_CHECKED hel_status hel_activation_read(hel_activation *out, const json_t *o);
json_t *hel_activation_write(hel_activation act);

#define HEL_MAX_APPROXIMATION 63 /* that is asked for */
#define HEL_MAX_FITTED 511	 /* that placement chooses */

/** In an activation's place: sum of c_i T_i(x / range). turn, unless 0: of what a refresh makes of
 * x, for which the range is that part of a circle, T_i(sin(a x / range) / sin(a)), a the angle. */
typedef struct hel_approximation {
	unsigned degree;
	double turn, range, c[HEL_MAX_FITTED + 1];
} hel_approximation;

double hel_approximation_at(const hel_approximation *a, double x);

#endif
