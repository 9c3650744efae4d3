/* The dry run: what a program needs and what it may do to its values.
 *
 * Errors are added up as independent between slots and terms, which they are in compiled programs:
 * folds run over different elements, never over copies of one. Magnitudes are taken at their
 * bounds, so that what is estimated lies above what is measured. */
#include "vm.h"
#include <math.h>
#include <string.h>

/* Microseconds on one core of an AVX2 EPYC, from test_kernels --bench: per butterfly layer and
 * coefficient, and per product. Planning needs their ratio only. */
#define SECONDS_NTT (10.4e-6 / (8192 * 13))
#define SECONDS_PRODUCT (1.8e-6 / 8192)
/* One term of a base conversion, in products: most of a product is its reduction. */
#define CONVERT_TERM 0.47
#define SECONDS_KEY_BYTE 0.05e-9

void hel_cost_add(hel_cost *sum, hel_cost c, double times)
{
	sum->ntts += times * c.ntts;
	sum->products += times * c.products;
	sum->key_bytes += times * c.key_bytes;
}

double hel_cost_seconds(const hel_params *p, hel_cost c)
{
	const double n = (double)p->ring.n;
	return c.ntts * n * p->spec.log_n * SECONDS_NTT + c.products * n * SECONDS_PRODUCT +
	       c.key_bytes * SECONDS_KEY_BYTE;
}

hel_cost hel_cost_decompose(const hel_params *p, size_t limbs)
{
	const double l = (double)limbs, d = (double)hel_params_digits_at(p, limbs);
	const double new_limbs = d * (l + p->spec.special) - l;
	return (hel_cost){.ntts = l + new_limbs,
			  .products = l + new_limbs * (CONVERT_TERM * p->spec.alpha + 1)};
}

hel_cost hel_cost_product(const hel_params *p, size_t limbs)
{
	const double d = (double)hel_params_digits_at(p, limbs);
	const double rows = (double)limbs + p->spec.special;
	return (hel_cost){.products = 2 * rows * (0.6 * d + 1),
			  .key_bytes = 8 * d * rows * (double)p->ring.n};
}

hel_cost hel_cost_finish(const hel_params *p, size_t limbs)
{
	const double l = (double)limbs, k = p->spec.special;
	return (hel_cost){.ntts = 2 * (l + k), .products = 2 * l * (CONVERT_TERM * k + 2)};
}

hel_cost hel_cost_rescale(const hel_params *p, unsigned level)
{
	const double l = (double)p->limbs[level - 1], k = p->spec.primes_per_level;
	return (hel_cost){.ntts = 2 * (l + k), .products = 2 * l * (k + 1)};
}

/* A value: per slot a bound of |v| and the variance of its error (complex, in units of v). */
typedef struct shape_value {
	unsigned level;
	bool product; /* scale squared, to be rescaled */
	double *bound, *variance;
} shape_value;

typedef struct shape_machine {
	hel_machine base;
	const hel_program *p;
	const hel_params *params;
	const double *feature_bound;
	hel_shape *out;
	size_t slots;
} shape_machine;

static shape_machine *self(hel_machine *m)
{
	return (shape_machine *)(void *)m;
}

static void free_value(hel_machine *m, void *value)
{
	(void)m;
	shape_value *v = value;
	if (v)
		hel_free(v->bound);
	hel_free(v);
}

static hel_status new_value(shape_machine *s, shape_value **out, unsigned level, bool product)
{
	hel_status st = HEL_OK;
	shape_value *v = NULL;
	TRY_ALLOC(v, hel_alloc(1, sizeof *v));
	v->level = level;
	v->product = product;
	TRY_ALLOC(v->bound, hel_alloc(2 * s->slots, sizeof *v->bound));
	v->variance = v->bound + s->slots;
	*out = v;
	v = NULL;
done:
	free_value(&s->base, v);
	return st;
}

static double scale_of(const shape_machine *s, const shape_value *v)
{
	double scale = s->params->scale[v->level];
	return v->product ? scale * scale : scale;
}

/* Bounds hold, and the value fits its modulus with the error on top. */
static hel_status check_value(const shape_machine *s, const hel_op *op, const shape_value *v)
{
	double bound = 0, variance = 0, log_q = 0;
	for (size_t p = 0; p < s->slots; p++) {
		bound = HEL_MAX(bound, v->bound[p]);
		variance = HEL_MAX(variance, v->variance[p]);
	}
	for (size_t i = 0; i < s->params->limbs[v->level]; i++)
		log_q += log2(s->params->ring.prime[i].q);
	hel_shape_layer *layer = &s->out->layer[op->layer];
	layer->level_out = v->level;
	layer->bound = bound;
	layer->error = sqrt(variance / 2);
	double need = log2(bound + 1) + log2(scale_of(s, v)) + 1;
	if (!(need < log_q))
		return hel_fail(HEL_ERANGE,
				"values up to %.3g need %.0f bits, the modulus has %.0f; lower the "
				"clip range or the weights (more weight decay)",
				bound, need, log_q);
	return HEL_OK;
}

static hel_status require(shape_machine *s, uint32_t galois, unsigned level)
{
	hel_shape *o = s->out;
	if (galois == 1)
		return HEL_OK;
	for (uint32_t i = 0; i < o->keys; i++)
		if (o->key[i].galois == galois) {
			o->key[i].level = HEL_MAX(o->key[i].level, level);
			return HEL_OK;
		}
	if (o->keys == HEL_MAX_KEYS)
		return hel_fail(HEL_ELIMIT, "more than %d evaluation keys", HEL_MAX_KEYS);
	o->key[o->keys++] = (hel_key_request){galois, level};
	return HEL_OK;
}

static void charge(shape_machine *s, const hel_op *op, hel_cost c, double times)
{
	hel_cost_add(&s->out->cost, c, times);
	hel_cost_add(&s->out->layer[op->layer].cost, c, times);
}

/* Error variance per slot of one key switch of a value at `scale`: each digit's share of the key's
 * error, divided by P, and the rounding of ModDown. */
static double switch_variance(const hel_params *p, size_t limbs, double scale)
{
	const double n = (double)p->ring.n, log_p = hel_params_log_special(p);
	double coefficient = (1 + 2 * n / 3) / 12;
	for (size_t d = 0; d < hel_params_digits_at(p, limbs); d++) {
		double log_digit = 0;
		for (size_t i = d * p->spec.alpha; i < HEL_MIN((d + 1) * p->spec.alpha, limbs); i++)
			log_digit += log2(p->ring.prime[i].q);
		coefficient += n * exp2(2 * (log_digit - log_p)) / 12 * HEL_SIGMA * HEL_SIGMA;
	}
	return n * coefficient / (scale * scale);
}

static double encoding_variance(const hel_params *p, double scale)
{
	return (double)p->ring.n / 12 / (scale * scale);
}

static hel_status run_input(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const hel_input *in = &s->p->manifest->input[op->index];
	shape_value *v;
	TRY(new_value(s, &v, in->level, false));
	*out = v;
	/* whoever encrypts: under the public key errors are larger */
	const double fresh = hel_fresh_public_variance(s->params, scale_of(s, v));
	for (size_t p = 0; p < s->slots; p++) {
		int32_t e = hel_layout_at(&in->layout, p);
		v->bound[p] = e < 0 ? 0 : s->feature_bound[in->first + (uint32_t)e];
		v->variance[p] = fresh;
	}
	s->out->layer[op->layer].level_in = in->level;
	TRY(check_value(s, op, v));
done:
	return st;
}

/* A level to multiply in, and an operand that was rescaled. */
static hel_status can_multiply(const shape_value *x)
{
	if (x->product)
		return hel_fail(HEL_ESCALE, "a product must be rescaled before it is multiplied");
	if (x->level == 0)
		return hel_fail(HEL_ELEVEL, "no level is left: one more is needed here");
	return HEL_OK;
}

/* Each (value, baby) pair and each giant counts once. */
static hel_status charge_linear(shape_machine *s, const hel_op *op, unsigned level)
{
	hel_status st = HEL_OK;
	const size_t limbs = s->params->limbs[level];
	unsigned switches = 0;
	bool giants = false;
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		bool new_value = t->baby != 0, new_baby = t->baby != 0, new_giant = t->giant != 0;
		for (uint32_t i = 0; i < k; i++) {
			new_value &= !(op->term[i].value == t->value && op->term[i].baby != 0);
			new_baby &= !(op->term[i].value == t->value && op->term[i].baby == t->baby);
			new_giant &= op->term[i].giant != t->giant;
		}
		charge(s, op, (hel_cost){.products = 1.2 * (double)limbs}, 1);
		if (new_value)
			charge(s, op, hel_cost_decompose(s->params, limbs), 1);
		if (new_baby) {
			charge(s, op, hel_cost_product(s->params, limbs), 1);
			charge(s, op, hel_cost_finish(s->params, limbs), 1);
		}
		if (new_giant) {
			charge(s, op, hel_cost_decompose(s->params, limbs), 1);
			charge(s, op, hel_cost_product(s->params, limbs), 1);
			giants = true;
		}
		switches += new_baby + new_giant;
		TRY(require(s, hel_galois_of_rotation(s->params, t->baby), level));
		TRY(require(s, hel_galois_of_rotation(s->params, t->giant), level));
	}
	if (giants)
		charge(s, op, hel_cost_finish(s->params, limbs), 1);
	s->out->layer[op->layer].key_switches += switches;
	s->out->layer[op->layer].weights += op->terms;
done:
	return st;
}

static hel_status run_linear(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *first = m->value[op->term[0].value];
	shape_value *v;
	TRY(can_multiply(first));
	TRY(new_value(s, &v, first->level, true));
	*out = v;
	const size_t mask = s->slots - 1, limbs = s->params->limbs[v->level];
	const double scale = s->params->scale[v->level];
	const double baby = switch_variance(s->params, limbs, scale);
	const double giant = switch_variance(s->params, limbs, scale * scale);
	const double rounding = encoding_variance(s->params, scale);
	for (uint32_t k = 0; k < op->terms; k++) {
		const hel_term *t = &op->term[k];
		const shape_value *x = m->value[t->value];
		if (x->level != v->level || x->product)
			FAIL(HEL_ELEVEL, "values of levels %u and %u meet", x->level, v->level);
		for (size_t p = 0; p < s->slots; p++) {
			size_t q = (size_t)((int64_t)p + t->giant) & mask;
			size_t r = (size_t)((int64_t)q + t->baby) & mask;
			hel_complex w = hel_vector_at(&s->p->vector[t->vector], q);
			double square = w.re * w.re + w.im * w.im;
			v->bound[p] += sqrt(square) * x->bound[r];
			v->variance[p] += square * (x->variance[r] + (t->baby ? baby : 0)) +
					  rounding * (x->bound[r] * x->bound[r] + x->variance[r]) +
					  (t->giant ? giant : 0);
		}
	}
	TRY(charge_linear(s, op, v->level));
	s->out->layer[op->layer].level_in = v->level;
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_rotate_sum(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	TRY(new_value(s, &v, x->level, x->product));
	*out = v;
	const size_t limbs = s->params->limbs[x->level];
	const double noise = switch_variance(s->params, limbs, scale_of(s, x));
	for (uint32_t k = 0; k < op->steps; k++) {
		for (size_t p = 0; p < s->slots; p++) {
			size_t q = (size_t)((int64_t)p + op->step[k]) & (s->slots - 1);
			v->bound[p] += x->bound[q];
			v->variance[p] += x->variance[q] + (op->step[k] ? noise : 0);
		}
		if (!op->step[k])
			continue;
		TRY(require(s, hel_galois_of_rotation(s->params, op->step[k]), x->level));
		charge(s, op, hel_cost_product(s->params, limbs), 1);
		s->out->layer[op->layer].key_switches++;
	}
	charge(s, op, hel_cost_decompose(s->params, limbs), 1);
	charge(s, op, hel_cost_finish(s->params, limbs), 1);
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_square(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	TRY(can_multiply(x));
	TRY(new_value(s, &v, x->level, true));
	*out = v;
	const size_t limbs = s->params->limbs[x->level];
	const double noise = switch_variance(s->params, limbs, scale_of(s, v));
	for (size_t p = 0; p < s->slots; p++) {
		double b = x->bound[p], e = x->variance[p];
		v->bound[p] = b * b;
		v->variance[p] = 4 * b * b * e + 2 * e * e + noise;
	}
	TRY(require(s, HEL_RELINEARISE, x->level));
	charge(s, op, hel_cost_decompose(s->params, limbs), 1);
	charge(s, op, hel_cost_product(s->params, limbs), 1);
	charge(s, op, hel_cost_finish(s->params, limbs), 1);
	charge(s, op, (hel_cost){.products = 6 * (double)limbs}, 1);
	s->out->layer[op->layer].key_switches++;
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_rescale(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	if (!x->product)
		FAIL(HEL_ESCALE, "only a product can be rescaled");
	TRY(new_value(s, &v, x->level - 1, false));
	*out = v;
	const double n = (double)s->params->ring.n, scale = scale_of(s, v);
	for (size_t p = 0; p < s->slots; p++) {
		v->bound[p] = x->bound[p];
		v->variance[p] = x->variance[p] + n * (1 + 2 * n / 3) / 12 / (scale * scale);
	}
	charge(s, op, hel_cost_rescale(s->params, x->level), 1);
	TRY(check_value(s, op, v));
done:
	return st;
}

static hel_status run_add_plain(hel_machine *m, const hel_op *op, void **out)
{
	hel_status st = HEL_OK;
	shape_machine *s = self(m);
	const shape_value *x = m->value[op->value];
	shape_value *v;
	if (x->product)
		FAIL(HEL_ESCALE, "a product must be rescaled before a vector is added");
	TRY(new_value(s, &v, x->level, false));
	*out = v;
	for (size_t p = 0; p < s->slots; p++) {
		hel_complex w = hel_vector_at(&s->p->vector[op->index], p);
		v->bound[p] = x->bound[p] + sqrt(w.re * w.re + w.im * w.im);
		v->variance[p] = x->variance[p] + encoding_variance(s->params, scale_of(s, x));
	}
	TRY(check_value(s, op, v));
done:
	return st;
}

hel_status hel_shape_run(hel_shape *out, const hel_program *p, const hel_params *params,
			 const double *feature_bound)
{
	hel_status st = HEL_OK;
	void *value = NULL;
	shape_machine s = {
	    .base = {.run = {[HEL_OP_INPUT] = run_input,
			     [HEL_OP_LINEAR] = run_linear,
			     [HEL_OP_ROTATE_SUM] = run_rotate_sum,
			     [HEL_OP_SQUARE] = run_square,
			     [HEL_OP_RESCALE] = run_rescale,
			     [HEL_OP_ADD_PLAIN] = run_add_plain},
		     .free_value = free_value},
	    .p = p,
	    .params = params,
	    .feature_bound = feature_bound,
	    .out = out,
	    .slots = params->ring.n / 2,
	};
	memset(out, 0, sizeof *out);
	TRY_ALLOC(out->key, hel_alloc(HEL_MAX_KEYS, sizeof *out->key));
	TRY_ALLOC(out->layer, hel_alloc(p->layers, sizeof *out->layer));
	TRY(hel_vm_run(&s.base, p, &value));
	const shape_value *v = value;
	if (v->level != 0 || v->product)
		FAIL(HEL_ELEVEL, "the result ends at level %u%s, expected 0", v->level,
		     v->product ? ", not rescaled" : "");
	double low = INFINITY;
	for (size_t i = 0; i < s.slots; i++) {
		out->bound = HEL_MAX(out->bound, v->bound[i]);
		low = HEL_MIN(low, v->bound[i]);
		out->error = HEL_MAX(out->error, sqrt(v->variance[i] / 2));
	}
	out->uniform = low >= out->bound * (1 - 1e-9);
done:
	free_value(&s.base, value);
	if (st != HEL_OK)
		hel_shape_clear(out);
	return st;
}

void hel_shape_clear(hel_shape *s)
{
	hel_free(s->key);
	hel_free(s->layer);
	memset(s, 0, sizeof *s);
}
