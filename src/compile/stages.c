#include "stages.h"
#include "codings.h"
#include "features/coding.h"
#include <complex.h>
#include <math.h>
#include <string.h>

/* An affine expression: what the next stage would compute. */
typedef struct expression {
	size_t rows, sources;
	hel_stage_source source[2];
	hel_complex *bias;
} expression;

static void expression_clear(expression *e)
{
	for (size_t k = 0; k < e->sources; k++)
		hel_free(e->source[k].matrix);
	hel_free(e->bias);
	memset(e, 0, sizeof *e);
}

/* scale * identity of a source */
static hel_status identity(expression *e, int stage, uint32_t first, size_t width, double scale,
			   double bias)
{
	hel_status st = HEL_OK;
	*e = (expression){.rows = width, .sources = 1};
	e->source[0] = (hel_stage_source){.stage = stage, .first = first, .width = width};
	TRY_ALLOC(e->source[0].matrix, hel_alloc(width * width, sizeof(hel_complex)));
	TRY_ALLOC(e->bias, hel_alloc(width, sizeof *e->bias));
	for (size_t i = 0; i < width; i++) {
		e->source[0].matrix[i * width + i].re = scale;
		e->bias[i].re = bias;
	}
done:
	return st;
}

/* e = W e + b */
static hel_status apply_layer(expression *e, const hel_dlrm *m, const hel_tensor *weight,
			      const hel_tensor *bias)
{
	hel_status st = HEL_OK;
	const float *w = hel_tensor_data(m, weight), *b = hel_tensor_data(m, bias);
	const size_t rows = weight->rows, in = weight->columns;
	expression out = {.rows = rows, .sources = e->sources};
	uint32_t *used = NULL;
	TRY_ALLOC(out.bias, hel_alloc(rows, sizeof *out.bias));
	for (size_t i = 0; i < rows; i++) {
		out.bias[i].re = (double)b[i];
		for (size_t j = 0; j < in; j++)
			out.bias[i].re += (double)w[i * in + j] * e->bias[j].re;
	}
	for (size_t k = 0; k < e->sources; k++) {
		const size_t width = e->source[k].width;
		out.source[k] = e->source[k];
		out.source[k].matrix = NULL;
		TRY_ALLOC(out.source[k].matrix, hel_alloc(rows * width, sizeof(hel_complex)));
		hel_free(used);
		TRY_ALLOC(used, hel_alloc(width, sizeof *used));
		for (size_t j = 0; j < in; j++) {
			/* rows of selections and tables are mostly zeros */
			const hel_complex *from = e->source[k].matrix + j * width;
			size_t count = 0;
			for (uint32_t c = 0; c < width; c++)
				if (from[c].re != 0)
					used[count++] = c;
			for (size_t i = 0; i < rows; i++) {
				const double f = (double)w[i * in + j];
				hel_complex *to = out.source[k].matrix + i * width;
				for (size_t c = 0; c < count; c++)
					to[used[c]].re += f * from[used[c]].re;
			}
		}
	}
	expression_clear(e);
	*e = out;
	out = (expression){0};
done:
	hel_free(used);
	expression_clear(&out);
	return st;
}

/* The expression becomes a stage of its own; e is emptied. */
static hel_stage *push_stage(hel_stages *s, expression *e, const char *name, hel_stage_then then)
{
	hel_stage *stage = &s->stage[s->count++];
	snprintf(stage->name, sizeof stage->name, "%s", name);
	stage->rows = e->rows;
	stage->sources = e->sources;
	memcpy(stage->source, e->source, sizeof e->source);
	stage->bias = e->bias;
	stage->then = then;
	*e = (expression){0};
	return stage;
}

static void quadratic_of(hel_activation act, double *a, double *b)
{
	*a = act.kind == HEL_ACT_SQUARE ? 1 : act.a;
	*b = act.kind == HEL_ACT_SQUARE ? 0 : act.b;
}

/* e = act(e) by a squaring: a (x + b/2a)^2 - b^2/4a. */
static hel_status square_stage(hel_stages *s, expression *e, hel_activation act, const char *name)
{
	double a, b;
	quadratic_of(act, &a, &b);
	for (size_t i = 0; i < e->rows; i++)
		e->bias[i].re += b / (2 * a);
	const size_t rows = e->rows;
	push_stage(s, e, name, HEL_THEN_SQUARE);
	return identity(e, (int)s->count - 1, 0, rows, a, -b * b / (4 * a));
}

/* e = p(e) by a polynomial over the range: the stage computes e / range. */
static hel_status polynomial_stage(hel_stages *s, expression *e, const hel_approximation *a,
				   const char *name)
{
	const size_t rows = e->rows;
	const double f = 1 / a->range;
	for (size_t k = 0; k < e->sources; k++)
		for (size_t i = 0; i < rows * e->source[k].width; i++) {
			hel_complex *w = &e->source[k].matrix[i];
			*w = (hel_complex){f * w->re, f * w->im};
		}
	for (size_t i = 0; i < rows; i++)
		e->bias[i].re *= f;
	push_stage(s, e, name, HEL_THEN_POLYNOMIAL)->polynomial = a;
	return identity(e, (int)s->count - 1, 0, rows, 1, 0);
}

/* e = act(e) where e is affine in the dense features: affine in them and their products. */
static hel_status expand_monomials(expression *e, hel_activation act)
{
	hel_status st = HEL_OK;
	double a, b;
	quadratic_of(act, &a, &b);
	const size_t d = e->source[0].width, width = d + hel_monomials(d);
	hel_complex *matrix = NULL;
	TRY_ALLOC(matrix, hel_alloc(e->rows * width, sizeof *matrix));
	for (size_t r = 0; r < e->rows; r++) {
		const hel_complex *w = e->source[0].matrix + r * d;
		hel_complex *to = matrix + r * width, *products = to + d;
		const double bias = e->bias[r].re;
		for (size_t i = 0; i < d; i++) {
			to[i].re = (2 * a * bias + b) * w[i].re;
			for (size_t j = i; j < d; j++)
				(products++)->re = (i == j ? 1 : 2) * a * w[i].re * w[j].re;
		}
		e->bias[r].re = a * bias * bias + b * bias;
	}
	hel_free(e->source[0].matrix);
	e->source[0].matrix = matrix;
	e->source[0].width = width;
done:
	return st;
}

/* `more` rows of zeros below those of e. */
static hel_status grow(expression *e, size_t more)
{
	hel_status st = HEL_OK;
	const size_t old = e->rows, rows = old + more;
	hel_complex *taller = NULL;
	for (size_t k = 0; k <= e->sources; k++) {
		const size_t width = k < e->sources ? e->source[k].width : 1;
		hel_complex **whole = k < e->sources ? &e->source[k].matrix : &e->bias;
		TRY_ALLOC(taller, hel_alloc(rows * width, sizeof *taller));
		if (old)
			memcpy(taller, *whole, old * width * sizeof *taller);
		hel_free(*whole);
		*whole = taller;
	}
	e->rows = rows;
done:
	return st;
}

/* The rows of all embedding vectors below those of e, as products of the one-hot entries. */
static hel_status append_tables(expression *e, const hel_dlrm *m, uint32_t first)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = m->schema;
	const size_t dim = m->config.embedding_dim, onehots = hel_schema_onehots(schema);
	const size_t old = e->rows;
	/* a source of features right before the one-hot entries takes them in */
	const bool merge = e->sources && e->source[0].stage == HEL_FROM_FEATURES &&
			   e->source[0].first + e->source[0].width == first;
	const size_t at = merge ? e->source[0].width : 0, width = at + onehots;
	hel_complex *matrix = NULL;
	TRY(grow(e, dim * schema->table_count));
	TRY_ALLOC(matrix, hel_alloc(e->rows * width, sizeof *matrix));
	for (size_t r = 0; merge && r < old; r++)
		memcpy(matrix + r * width, e->source[0].matrix + r * at, at * sizeof *matrix);
	for (size_t t = 0, column = at; t < schema->table_count; t++)
		for (size_t i = 0; i < hel_table_width(&schema->table[t]); i++, column++)
			for (size_t k = 0; k < dim; k++)
				matrix[(old + t * dim + k) * width + column].re =
				    (double)hel_tensor_data(m, hel_dlrm_table(m, t))[i * dim + k];
	if (merge)
		hel_free(e->source[0].matrix);
	e->source[merge ? 0 : e->sources++] = (hel_stage_source){
	    HEL_FROM_FEATURES, merge ? e->source[0].first : first, width, matrix};
done:
	return st;
}

/* What codes leave to constants: powers of a root the mean over all numbers of each digit. */
static hel_status lookup_constants(hel_stage *lookup, const hel_stages *s)
{
	hel_status st = HEL_OK;
	const hel_dlrm *m = s->model;
	const size_t dim = m->config.embedding_dim;
	for (size_t t = 0; t < m->schema->table_count; t++) {
		const float *table = hel_tensor_data(m, hel_dlrm_table(m, t));
		const size_t rows = hel_table_width(&m->schema->table[t]);
		const double left = hel_code_of(s->coding[t])->constant(s->order[t]);
		if (left == 0)
			continue;
		if (!lookup->bias)
			TRY_ALLOC(lookup->bias, hel_alloc(lookup->rows, sizeof *lookup->bias));
		for (size_t i = 0; i < rows * dim; i++)
			lookup->bias[t * dim + i % dim].re += left * (double)table[i];
	}
done:
	return st;
}

/* The same as a stage of its own, which ends where the expression needs it. */
static hel_status append_lookup(hel_stages *s, expression *e, const hel_dlrm *m)
{
	hel_status st = HEL_OK;
	const size_t width = m->config.embedding_dim * m->schema->table_count, old = e->rows;
	expression lookup = {
	    .rows = width,
	    .sources = 1,
	    .source = {{.stage = HEL_FROM_FEATURES, .width = hel_schema_onehots(m->schema)}},
	};
	hel_stage *stage = push_stage(s, &lookup, "embeddings", HEL_THEN_NOTHING);
	stage->map = HEL_MAP_TABLES;
	for (size_t t = 0; t < m->schema->table_count; t++)
		if (hel_code_of(s->coding[t])->selects)
			stage->then = HEL_THEN_SELECT;
	TRY(lookup_constants(stage, s));
	TRY(grow(e, width));
	hel_stage_source *source = &e->source[e->sources];
	*source = (hel_stage_source){.stage = (int)s->count - 1, .width = width};
	TRY_ALLOC(source->matrix, hel_alloc(e->rows * width, sizeof *source->matrix));
	e->sources++;
	for (size_t i = 0; i < width; i++)
		source->matrix[(old + i) * width + i].re = 1;
done:
	return st;
}

/* The last layer after a squaring: its weights move under the square. */
static hel_status sum_of_squares(hel_stages *s, expression *e, const char *name)
{
	hel_status st = HEL_OK;
	hel_stage *last = &s->stage[s->count - 1];
	for (size_t r = 0; r < last->rows; r++) {
		double complex root = csqrt(e->source[0].matrix[r].re);
		hel_complex f = {creal(root), cimag(root)};
		for (size_t k = 0; k < last->sources; k++)
			for (size_t c = 0; c < last->source[k].width; c++) {
				hel_complex *w =
				    &last->source[k].matrix[r * last->source[k].width + c];
				*w = (hel_complex){w->re * f.re, w->re * f.im};
			}
		last->bias[r] = (hel_complex){last->bias[r].re * f.re, last->bias[r].re * f.im};
		e->source[0].matrix[r] = (hel_complex){1, 0};
	}
	push_stage(s, e, name, HEL_THEN_NOTHING)->map = HEL_MAP_ONES;
	return st;
}

static bool is_quadratic(const hel_dlrm *m)
{
	return !m->approximation && (m->config.activation.kind == HEL_ACT_SQUARE ||
				     m->config.activation.kind == HEL_ACT_QUADRATIC);
}

/* The first dense layer ends in a square. */
static bool can_expand(const hel_dlrm *m)
{
	const hel_dlrm_config *c = &m->config;
	return is_quadratic(m) && m->schema->dense_count && c->bottom_layers &&
	       (c->bottom_layers > 1 || c->bottom_last_activation);
}

bool hel_way_differs(const hel_dlrm *m, hel_way way)
{
	return (!way.monomials || can_expand(m)) && (!way.sum || is_quadratic(m)) &&
	       (!way.fuse || m->schema->table_count);
}

/* e = act(e), activation number `index` of the model. */
static hel_status activation_stage(hel_stages *s, expression *e, const hel_dlrm *m, size_t index,
				   const char *name)
{
	if (m->approximation)
		return polynomial_stage(s, e, &m->approximation[index], name);
	if (is_quadratic(m))
		return square_stage(s, e, m->config.activation, name);
	const char *kind = hel_activation_name(m->config.activation.kind);
	return hel_fail(HEL_EUNSUPPORTED,
			"layer %s: %s cannot be evaluated on ciphertexts; compile with "
			"--activation %s=poly:7 --data FILE, or train with \"activation\": "
			"{\"kind\": \"quadratic\", \"a\": 0.1, \"b\": 0.5} in the config",
			name, kind, kind);
}

static void scale(expression *e, double factor)
{
	for (size_t i = 0; i < e->rows; i++)
		e->bias[i].re *= factor;
	for (size_t k = 0; k < e->sources; k++)
		for (size_t i = 0; i < e->rows * e->source[k].width; i++)
			e->source[k].matrix[i].re *= factor;
}

static hel_status lower(hel_stages *s, const hel_dlrm *m, hel_way way)
{
	hel_status st = HEL_OK;
	const hel_dlrm_config *c = &m->config;
	const hel_schema *schema = m->schema;
	expression e = {0};
	char name[HEL_NAME_MAX];
	const size_t dense = schema->dense_count;
	size_t activation = 0;
	/* decided first, because it moves the one-hot entries */
	const bool expand = way.monomials && can_expand(m);
	s->degree = expand ? 2 : 1;
	if (dense)
		TRY(identity(&e, HEL_FROM_FEATURES, 0, dense, 1, 0));
	for (size_t i = 0; i < c->bottom_layers; i++) {
		snprintf(name, sizeof name, "bot_l.%zu", i);
		if (!dense)
			FAIL(HEL_EUNSUPPORTED, "layer %s: there are no dense features", name);
		TRY(apply_layer(&e, m, hel_dlrm_bottom(m, i, false), hel_dlrm_bottom(m, i, true)));
		if (i + 1 == c->bottom_layers && !c->bottom_last_activation)
			break;
		if (i == 0 && expand)
			TRY(expand_monomials(&e, c->activation));
		else
			TRY(activation_stage(s, &e, m, activation, name));
		activation++;
	}
	if (schema->table_count)
		TRY(way.fuse ? append_tables(&e, m, (uint32_t)hel_features_dense(schema, s->degree))
			     : append_lookup(s, &e, m));
	for (size_t i = 0; i < c->top_layers; i++) {
		snprintf(name, sizeof name, "top_l.%zu", i);
		TRY(apply_layer(&e, m, hel_dlrm_top(m, i, false), hel_dlrm_top(m, i, true)));
		if (i + 1 == c->top_layers)
			break;
		TRY(activation_stage(s, &e, m, activation++, name));
	}
	if (way.unit > 0)
		scale(&e, 1 / way.unit);
	if (way.sum && e.sources == 1 && e.source[0].stage >= 0 &&
	    s->stage[e.source[0].stage].then == HEL_THEN_SQUARE)
		TRY(sum_of_squares(s, &e, name));
	else
		push_stage(s, &e, name, false);
done:
	expression_clear(&e);
	return st;
}

/* How each table travels: as it must, or as the way says. */
static void choose_coding(hel_coding *coding, uint32_t *order, const hel_table_field *t,
			  const hel_way *way, hel_coding wanted)
{
	*order = hel_table_order(t);
	*coding = wanted;
	if (wanted == HEL_CODINGS && way->powers && *order <= way->powers &&
	    hel_table_can_be(t, HEL_CODING_POWERS, *order))
		*coding = HEL_CODING_POWERS;
	else if (wanted == HEL_CODINGS)
		*coding = way->grid && hel_table_can_be(t, HEL_CODING_GRID, 1) ? HEL_CODING_GRID
									       : HEL_CODING_ONE_HOT;
}

/* Equality is tested in a whole ciphertext at once: all tables share its order. */
static void choose_codings(hel_stages *s)
{
	const hel_schema *schema = s->model->schema;
	uint32_t most[HEL_CODINGS] = {0};
	for (size_t i = 0; i < schema->table_count; i++) {
		choose_coding(&s->coding[i], &s->order[i], &schema->table[i], &s->way,
			      s->way.coding ? s->way.coding[i] : HEL_CODINGS);
		most[s->coding[i]] = HEL_MAX(most[s->coding[i]], s->order[i]);
	}
	for (hel_coding c = 0; c < HEL_CODINGS; c++) {
		const hel_code *code = hel_code_of(c);
		if (!most[c])
			continue;
		most[c] = code->power_of_two ? 1u << hel_log2_ceil(most[c]) : most[c];
		s->code_levels = HEL_MAX(s->code_levels, code->levels(most[c]));
	}
	for (size_t i = 0; i < schema->table_count; i++)
		if (hel_code_of(s->coding[i])->equal_order)
			s->order[i] = most[s->coding[i]];
}

hel_status hel_stages_new(hel_stages **out, const hel_dlrm *m, hel_way way)
{
	hel_status st = HEL_OK;
	hel_stages *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->model = m;
	s->way = way;
	TRY_ALLOC(s->coding, hel_alloc(m->schema->table_count + 1, sizeof *s->coding));
	TRY_ALLOC(s->order, hel_alloc(m->schema->table_count + 1, sizeof *s->order));
	choose_codings(s);
	TRY_ALLOC(s->stage, hel_alloc(HEL_MAX_STAGES, sizeof *s->stage));
	TRY(lower(s, m, way));
	*out = s;
	s = NULL;
done:
	hel_stages_free(s);
	return st;
}

void hel_stages_free(hel_stages *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->stage && i < s->count; i++) {
		for (size_t k = 0; k < s->stage[i].sources; k++)
			hel_free(s->stage[i].source[k].matrix);
		hel_free(s->stage[i].bias);
	}
	hel_free(s->stage);
	hel_free(s->coding);
	hel_free(s->order);
	hel_free(s);
}

unsigned hel_stage_levels(const hel_stage *s)
{
	const unsigned product = s->map != HEL_MAP_ONES;
	switch (s->then) {
	case HEL_THEN_SQUARE:
	case HEL_THEN_SELECT:
		return product + 1;
	case HEL_THEN_POLYNOMIAL:
		return product + hel_polynomial_levels(s->polynomial->degree);
	case HEL_THEN_NOTHING:
		break;
	}
	return product;
}

hel_polynomial hel_stage_polynomial(const hel_stage *s)
{
	return (hel_polynomial){HEL_BASIS_CHEBYSHEV, s->polynomial->degree, s->polynomial->c};
}

bool hel_stage_is_real(const hel_stage *s)
{
	bool real = true;
	for (size_t k = 0; k < s->sources && s->map != HEL_MAP_TABLES; k++)
		for (size_t i = 0; i < s->rows * s->source[k].width; i++)
			real &= s->source[k].matrix[i].im == 0;
	return real;
}

unsigned hel_stage_level(const hel_stages *s, size_t stage)
{
	unsigned level = hel_stage_levels(&s->stage[stage]);
	for (size_t i = stage + 1; i < s->count; i++)
		for (size_t k = 0; k < s->stage[i].sources; k++)
			if (s->stage[i].source[k].stage == (int)stage)
				level += hel_stage_level(s, i); /* each value is read once */
	return level;
}

unsigned hel_stages_levels(const hel_stages *s)
{
	unsigned levels = 0;
	for (size_t i = 0; i < s->count; i++)
		levels =
		    HEL_MAX(levels, hel_stage_level(s, i) +
					(s->stage[i].map == HEL_MAP_TABLES ? s->code_levels : 0));
	return levels;
}

size_t hel_stage_computed(const hel_stage *s, const hel_stage_source *out[2])
{
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage >= 0)
			out[n++] = &s->source[k];
	return n;
}

bool hel_stage_is_computed(const hel_stage *s)
{
	const hel_stage_source *from[2];
	return hel_stage_computed(s, from) > 0;
}

/* How many ciphertexts a fresh source takes with `bits` index bits each. */
static size_t chunks_for(size_t width, unsigned bits)
{
	return (width + ((size_t)1 << bits) - 1) >> bits;
}

size_t hel_stage_fresh_count(const hel_stage *s, uint32_t mask)
{
	size_t n = 0;
	for (size_t k = 0; k < s->sources; k++)
		if (s->source[k].stage < 0)
			n += chunks_for(s->source[k].width, (unsigned)__builtin_popcount(mask));
	return n;
}
