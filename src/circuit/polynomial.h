/* polynomial.h -- polynomials of a ciphertext, in as few levels as there can be.
 *
 * A schedule is a list of products and sums that both a compiler (into ops of a program) and
 * hel_polynomial_apply (on ciphertexts) follow.
 */
#ifndef HEL_POLYNOMIAL_H
#define HEL_POLYNOMIAL_H

#include "ckks/ckks.h"

#define HEL_MAX_DEGREE 511
/* Terms of a sum: small powers, below 16, and products, one for each larger power of two */
#define HEL_MAX_SUM 24

typedef enum hel_basis {
	HEL_BASIS_POWERS,    /* x^i */
	HEL_BASIS_CHEBYSHEV, /* T_i(x), the better choice beyond degree 4; x in [-1, 1] */
} hel_basis;

typedef struct hel_polynomial {
	hel_basis basis;
	unsigned degree;
	const double *c; /* degree + 1 coefficients */
} hel_polynomial;

/** ceil(log2(degree + 1)): the fewest possible. */
unsigned hel_polynomial_levels(unsigned degree);

typedef struct hel_poly_term {
	int value;
	double factor; /* an integer where the value is a product */
} hel_poly_term;

/** Value number i + 1; value 0 is x. A product (of two values at one level, not rescaled, a term of
 *  one sum), or a sum of terms and a constant (at a product's scale, then rescaled): all products
 *  of a sum take one key switch. */
typedef struct hel_poly_step {
	bool product;
	unsigned depth; /* levels below x where it is computed; a sum ends one lower */
	int a, b;	/* factors of a product */
	size_t terms;
	hel_poly_term term[HEL_MAX_SUM];
	double constant;
} hel_poly_step;

typedef struct hel_schedule {
	size_t count, products, switches; /* switches: of keys, sums that have a product */
	hel_poly_step *step;
} hel_schedule;

static inline bool hel_term_is_product(const hel_schedule *s, const hel_poly_term *t)
{
	return t->value && s->step[t->value - 1].product;
}

/** Paterson-Stockmeyer: p = sum of q_j g_j + r with g_j = x^(2^j) or T_(2^j), and each q_j in the
 *  same way (Paterson, Stockmeyer 1973; in Chebyshev's basis Han, Ki 2020). All of one sum are
 *  added before the key switch, so that only leading quotients have no level to spare: parts below
 *  a baby size are plain sums of small powers, those split further (Bossuat et al. 2021, alg. 5).
 *  Everything is as late as it can be, where ciphertexts are short. The baby size is the one with
 *  the fewest key switches.
 *  @retval HEL_EINVAL the degree is not 1 to 511, or a coefficient is not finite. */
HEL_CHECKED hel_status hel_schedule_new(hel_schedule **out, const hel_polynomial *p);
void hel_schedule_free(hel_schedule *s);

/** out = p(x), slot by slot. Level: level(x) - hel_polynomial_levels. Scale: that level's, exactly.
 *  Cost: about sqrt(2 degree) key switches. out may be x.
 *  @retval HEL_ELEVEL too few levels. @retval HEL_EKEY no relinearisation key. */
HEL_CHECKED hel_status hel_polynomial_apply(const hel_eval *ev, hel_ct *out, const hel_ct *x,
					    const hel_polynomial *p);

#endif
