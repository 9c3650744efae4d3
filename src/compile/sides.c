#include "sides.h"
#include "quadratic_form.h"
#include <cblas.h>
#include <math.h>
#include <string.h>

/* Eigenvalues and singular values below this share of the largest are rounding: weights have 24
 * bits. */
#define ROUNDING 1e-8
/* Squares that are so small would have to be multiplied with large weights. */
#define FAINT 1e-5

enum { PRIVATE = 1, PUBLIC = 2, JOINT = 3 };

/* A split on its way. u and p are the first coordinates of the form, then the 1. */
typedef struct splitting {
	const hel_dlrm *m;
	const hel_graph *g;
	const bool *dense, *table; /* public ones */
	uint8_t *side;		   /* per node */
	hel_quadratic_form form;
	size_t u, p;
	/* rows: a = left u + shift, b = right p */
	size_t rows;
	double *left, *shift, *right, *sign;
	bool squares;
} splitting;

/* --- who is on which side ------------------------------------------------------------------- */

static void find_sides(splitting *s)
{
	const hel_schema *schema = s->m->schema;
	for (size_t i = 0; i < s->g->nodes; i++) {
		const hel_node *n = &s->g->node[i];
		if (n->kind == HEL_NODE_DENSE)
			for (size_t k = 0; k < schema->dense_count; k++)
				s->side[i] |= s->dense[k] ? PUBLIC : PRIVATE;
		if (n->kind == HEL_NODE_EMBED)
			s->side[i] = s->table[n->table] ? PUBLIC : PRIVATE;
		for (size_t k = 0; k < n->inputs; k++)
			s->side[i] |= s->side[n->input[k]];
	}
}

static hel_status check_sides(const splitting *s)
{
	const uint8_t all = s->side[s->g->nodes - 1];
	return !(all & PRIVATE) ? hel_fail(HEL_EINVAL, "--public leaves nothing to hide: every "
						       "column that the score depends on is public")
	       : !(all & PUBLIC)
		   ? hel_fail(HEL_EINVAL, "nothing is shared: the score depends on no public "
					  "column; name some with --public")
		   : HEL_OK;
}

/* Nodes of one side that meet the other one enter the form; a dense node of both column by column.
 * First those of one side, then those of the other. */
static hel_status place_side(splitting *s, uint8_t side, size_t *next)
{
	hel_status st = HEL_OK;
	hel_quadratic_form *f = &s->form;
	for (size_t i = 0; i < s->g->nodes; i++) {
		const hel_node *n = &s->g->node[i];
		const bool both = n->kind == HEL_NODE_DENSE && s->side[i] == JOINT;
		if (!f->before[i] && (s->side[i] == side || both)) {
			if (!f->place[i])
				TRY_ALLOC(f->place[i], hel_alloc(n->width + 1, sizeof **f->place));
			for (size_t r = 0; r < n->width; r++)
				if (!both || (s->dense[r] ? PUBLIC : PRIVATE) == side)
					f->place[i][r] = (uint32_t)(*next)++;
		}
	}
done:
	return st;
}

static hel_status fill_form(splitting *s)
{
	hel_status st = HEL_OK;
	hel_quadratic_form *f = &s->form;
	TRY_ALLOC(f->place, hel_alloc(s->g->nodes, sizeof *f->place));
	TRY_ALLOC(f->before, hel_alloc(s->g->nodes, sizeof *f->before));
	for (size_t i = 0; i < s->g->nodes; i++)
		f->before[i] = s->side[i] != JOINT;
	for (size_t i = 0; i < s->g->nodes; i++)
		for (size_t k = 0; s->side[i] == JOINT && k < s->g->node[i].inputs; k++)
			f->before[s->g->node[i].input[k]] = false;
	size_t next = 0;
	TRY(place_side(s, PRIVATE, &next));
	s->u = next;
	TRY(place_side(s, PUBLIC, &next));
	s->p = next - s->u;
	f->inputs = next + 1;
	st = hel_quadratic_form_of(f, s->m);
	if (st == HEL_EUNSUPPORTED)
		FAIL(st,
		     "private and public columns meet where items are no matrix: %s; make fewer "
		     "columns public, or compile without --public",
		     hel_error_detail());
done:
	return st;
}

/* --- rows ----------------------------------------------------------------------------------- */

static double form_at(const splitting *s, size_t i, size_t k)
{
	return s->form.matrix[HEL_MIN(i, k) * s->form.inputs + HEL_MAX(i, k)];
}

static hel_status room_for(splitting *s, size_t rows)
{
	hel_status st = HEL_OK;
	hel_free(s->left);
	hel_free(s->shift);
	hel_free(s->right);
	hel_free(s->sign);
	s->left = s->shift = s->right = s->sign = NULL;
	s->rows = 0;
	TRY_ALLOC(s->left, hel_alloc(rows * s->u + 1, sizeof *s->left));
	TRY_ALLOC(s->shift, hel_alloc(rows + 1, sizeof *s->shift));
	TRY_ALLOC(s->right, hel_alloc(rows * s->p + 1, sizeof *s->right));
	TRY_ALLOC(s->sign, hel_alloc(rows + 1, sizeof *s->sign));
done:
	return st;
}

/* Eigenvectors of the form's square [0, n). */
static hel_status eigen_of(double **vector, double **value, const splitting *s, size_t n)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(*vector, hel_alloc(n * n + 1, sizeof **vector));
	TRY_ALLOC(*value, hel_alloc(n + 1, sizeof **value));
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++)
			(*vector)[i * n + k] = form_at(s, i, k);
	TRY(hel_eigenvectors(*value, *vector, NULL, n));
done:
	return st;
}

static double largest_of(const double *x, size_t count)
{
	double most = 0;
	for (size_t i = 0; i < count; i++)
		most = fmax(most, fabs(x[i]));
	return most;
}

/* One more row: a = scale * left . u + shift, b = right . p (NULL: none). */
static void add_row(splitting *s, double scale, const double *left, double shift,
		    const double *right, double weight, double sign)
{
	const size_t r = s->rows++;
	for (size_t i = 0; i < s->u; i++)
		s->left[r * s->u + i] = scale * left[i];
	s->shift[r] = shift;
	for (size_t i = 0; right && i < s->p; i++)
		s->right[r * s->p + i] = weight * right[i];
	s->sign[r] = sign;
}

/* The mixed part of the form, u rows of p, less what eigenvectors of it say already, as few rows:
 * from the eigenvectors of C^T C or C C^T, whichever is smaller. twice: each with both signs, so
 * that squares cancel. */
static hel_status add_products(splitting *s, const double *mixed, bool twice)
{
	hel_status st = HEL_OK;
	const bool by_u = s->u <= s->p;
	const size_t n = by_u ? s->u : s->p;
	double *square = NULL, *value = NULL, *other = NULL;
	TRY_ALLOC(square, hel_alloc(n * n + 1, sizeof *square));
	TRY_ALLOC(value, hel_alloc(n + 1, sizeof *value));
	TRY_ALLOC(other, hel_alloc(HEL_MAX(s->u, s->p) + 1, sizeof *other));
	cblas_dsyrk(CblasRowMajor, CblasUpper, by_u ? CblasNoTrans : CblasTrans, (int)n,
		    (int)(by_u ? s->p : s->u), 1, mixed, (int)s->p, 0, square, (int)n);
	TRY(hel_eigenvectors(value, square, NULL, n));
	const double most = largest_of(value, n);
	for (size_t i = n; i-- > 0;) {
		if (!(value[i] > ROUNDING * ROUNDING * 1e4 * most) || !(most > 0))
			continue;
		const double *v = square + i * n, root = sqrt(sqrt(value[i]));
		/* the other side's singular vector, times the singular value */
		cblas_dgemv(CblasRowMajor, by_u ? CblasTrans : CblasNoTrans, (int)s->u, (int)s->p,
			    1, mixed, (int)s->p, v, 1, 0, other, 1);
		const double *left = by_u ? v : other, *right = by_u ? other : v;
		const double a = by_u ? root : 1 / root, b = by_u ? 1 / root : root;
		add_row(s, a, left, 0, right, b, 1);
		if (twice)
			add_row(s, a, left, 0, NULL, 0, -1);
	}
done:
	hel_free(square);
	hel_free(value);
	hel_free(other);
	return st;
}

/* What is linear in u, without squares of u: a row whose weight is always 1 (right is set by who
 * makes the public model); with squares as a difference of two. */
static void add_linear(splitting *s, const double *linear)
{
	if (!s->squares) {
		add_row(s, 1, linear, 0, NULL, 0, 0);
		return;
	}
	add_row(s, 0.5, linear, 0.5, NULL, 0, 1);
	add_row(s, 0.5, linear, -0.5, NULL, 0, -1);
}

static hel_status mixed_of(double **mixed, double **linear, const splitting *s)
{
	hel_status st = HEL_OK;
	const size_t last = s->form.inputs - 1;
	TRY_ALLOC(*mixed, hel_alloc(s->u * s->p + 1, sizeof **mixed));
	TRY_ALLOC(*linear, hel_alloc(s->u + 1, sizeof **linear));
	for (size_t i = 0; i < s->u; i++) {
		for (size_t k = 0; k < s->p; k++)
			(*mixed)[i * s->p + k] = 2 * form_at(s, i, s->u + k);
		(*linear)[i] = 2 * form_at(s, i, last);
	}
done:
	return st;
}

/* Nothing private is squared: as many rows as the mixed part has rank. */
static hel_status bilinear_rows(splitting *s)
{
	hel_status st = HEL_OK;
	double *mixed = NULL, *linear = NULL;
	TRY(mixed_of(&mixed, &linear, s));
	TRY(room_for(s, HEL_MIN(s->u, s->p) + 1));
	TRY(add_products(s, mixed, false));
	if (largest_of(linear, s->u) > 0)
		add_linear(s, linear);
done:
	hel_free(mixed);
	hel_free(linear);
	return st;
}

/* Rows that are squared: eigenvectors of the form's square [0, n), of u alone or of u and p, whose
 * private parts are the rows. What they leave of the mixed part gets rows of its own. */
static hel_status square_rows(splitting *s, size_t n)
{
	hel_status st = HEL_OK;
	double *vector = NULL, *value = NULL, *mixed = NULL, *linear = NULL, *b = NULL;
	TRY(eigen_of(&vector, &value, s, n));
	TRY(mixed_of(&mixed, &linear, s));
	TRY(room_for(s, n + 2 * HEL_MIN(s->u, s->p) + 2));
	TRY_ALLOC(b, hel_alloc(s->p + 1, sizeof *b));
	const double most = largest_of(value, n), most_mixed = largest_of(mixed, s->u * s->p),
		     most_linear = largest_of(linear, s->u);
	const size_t last = s->form.inputs - 1;
	for (size_t i = n; i-- > 0;) {
		const double *v = vector + i * n, size = fabs(value[i]);
		if (!(size > (n > s->u ? ROUNDING : FAINT) * most))
			continue;
		const double sign = value[i] > 0 ? 1 : -1, root = sqrt(size);
		double along = 0; /* of what is linear in all coordinates of the form */
		for (size_t k = 0; k < n; k++)
			along += 2 * v[k] * form_at(s, k, last);
		const double shift = sign * along / (2 * root);
		for (size_t k = 0; k < s->p; k++)
			b[k] = n > s->u ? 2 * sign * root * v[s->u + k] : 0;
		if (n == s->u)
			cblas_dgemv(CblasRowMajor, CblasTrans, (int)s->u, (int)s->p, 1 / root,
				    mixed, (int)s->p, v, 1, 0, b, 1);
		add_row(s, root, v, shift, b, 1, sign);
		for (size_t k = 0; k < s->u; k++) {
			const double a = root * v[k];
			linear[k] -= 2 * sign * shift * a;
			cblas_daxpy((int)s->p, -a, b, 1, mixed + k * s->p, 1);
		}
	}
	if (largest_of(mixed, s->u * s->p) > 1e-6 * most_mixed)
		TRY(add_products(s, mixed, true));
	if (largest_of(linear, s->u) > 1e-6 * most_linear)
		add_linear(s, linear);
done:
	hel_free(vector);
	hel_free(value);
	hel_free(mixed);
	hel_free(linear);
	hel_free(b);
	return st;
}

/* Whichever way has fewer rows. */
static hel_status find_rows(splitting *s)
{
	hel_status st = HEL_OK;
	double own = 0, all = 0;
	for (size_t i = 0; i + 1 < s->form.inputs; i++)
		for (size_t k = 0; k + 1 < s->form.inputs; k++) {
			all = fmax(all, fabs(form_at(s, i, k)));
			own = fmax(own, i < s->u && k < s->u ? fabs(form_at(s, i, k)) : 0);
		}
	s->squares = own > ROUNDING * all;
	if (!s->squares) {
		TRY(bilinear_rows(s));
		goto done;
	}
	TRY(square_rows(s, s->u));
	const size_t alone = s->rows;
	TRY(square_rows(s, s->u + s->p));
	if (hel_log2_ceil(alone) < hel_log2_ceil(s->rows))
		TRY(square_rows(s, s->u));
done:
	if (st == HEL_OK && !s->rows)
		st = hel_fail(HEL_EINVAL, "the score is the same for every private record");
	return st;
}

/* --- the two models --------------------------------------------------------------------------- */

/* The nodes of one side, and those that enter the form in a row. */
typedef struct copying {
	const splitting *s;
	uint8_t side;
	const hel_side *part;
	hel_graph *graph;
	uint32_t *number; /* per node of the whole graph: its copy */
	uint32_t entering[HEL_MAX_NODES];
	size_t count;
} copying;

static bool is_copied(const copying *c, size_t i)
{
	const hel_node *n = &c->s->g->node[i];
	return c->s->side[i] == c->side || (n->kind == HEL_NODE_DENSE && c->s->side[i] == JOINT);
}

static hel_status copy_nodes(copying *c)
{
	hel_status st = HEL_OK;
	uint32_t input[HEL_MAX_NODES];
	for (uint32_t i = 0; i < c->s->g->nodes; i++) {
		if (!is_copied(c, i))
			continue;
		hel_node n = c->s->g->node[i];
		for (size_t k = 0; k < n.inputs; k++)
			input[k] = c->number[n.input[k]];
		n.input = input;
		n.tensor = n.activated = 0;
		n.place = n.places = n.entry = 0;
		memset(n.rows, 0, sizeof n.rows);
		memset(n.columns, 0, sizeof n.columns);
		if (n.kind == HEL_NODE_DENSE)
			n.width = c->part->schema->dense_count;
		for (uint32_t t = 0; n.kind == HEL_NODE_EMBED && t < c->part->schema->table_count;
		     t++)
			if (c->part->table[t] == c->s->g->node[i].table)
				n.table = t;
		TRY(hel_graph_add(c->graph, &n));
		c->number[i] = (uint32_t)c->graph->nodes - 1;
		if (c->s->form.place[i])
			c->entering[c->count++] = c->number[i];
	}
done:
	return st;
}

static hel_status add_node(uint32_t *number, hel_graph *g, hel_node n, const uint32_t *input,
			   size_t inputs, const char *name)
{
	hel_status st = HEL_OK;
	uint32_t copy[HEL_MAX_NODES];
	memcpy(copy, input, inputs * sizeof *copy);
	n.input = copy;
	n.inputs = inputs;
	snprintf(n.name, sizeof n.name, "%s", name);
	TRY(hel_graph_add(g, &n));
	*number = (uint32_t)g->nodes - 1;
done:
	return st;
}

/* All that enters, one after the other, as one node. */
static hel_status gather(uint32_t *number, copying *c)
{
	hel_status st = HEL_OK;
	*number = c->entering[0];
	if (c->count > 1)
		TRY(add_node(number, c->graph, (hel_node){.kind = HEL_NODE_CONCAT}, c->entering,
			     c->count, "items.enter"));
done:
	return st;
}

static float *tensor_of(hel_dlrm *m, uint32_t node, bool bias)
{
	return m->parameter + m->tensor[m->graph->node[node].tensor + bias].offset;
}

static void copy_weights(hel_dlrm *to, const copying *c)
{
	for (size_t i = 0; i < c->s->g->nodes; i++) {
		const hel_node *n = &c->s->g->node[i];
		for (size_t k = 0; is_copied(c, i) && k < 2 && n->rows[k]; k++) {
			const hel_tensor *t = &c->s->m->tensor[n->tensor + k];
			memcpy(tensor_of(to, c->number[i], k), hel_tensor_data(c->s->m, t),
			       t->rows * t->columns * sizeof(float));
		}
	}
}

/* Polynomials of the activations that are copied, in their order. */
static hel_status copy_approximations(hel_dlrm *to, const copying *c)
{
	hel_status st = HEL_OK;
	if (!c->s->m->approximation)
		goto done;
	TRY_ALLOC(to->approximation,
		  hel_alloc(hel_dlrm_activated(to) + 1, sizeof *to->approximation));
	for (size_t i = 0; i < c->s->g->nodes; i++)
		if (is_copied(c, i) && c->s->g->node[i].kind == HEL_NODE_ACTIVATION)
			to->approximation[to->graph->node[c->number[i]].activated] =
			    c->s->m->approximation[c->s->g->node[i].activated];
done:
	return st;
}

static hel_status begin_copy(copying *c, const hel_side *part)
{
	hel_status st = HEL_OK;
	c->part = part;
	TRY_ALLOC(c->number, hel_alloc(c->s->g->nodes, sizeof *c->number));
	TRY(hel_graph_new(&c->graph, part->schema));
	c->graph->vector = true;
	TRY(copy_nodes(c));
done:
	return st;
}

/* The model of a graph, which it takes over, with a copy of the part's schema. */
static hel_status finish_copy(hel_dlrm **out, copying *c)
{
	hel_status st = HEL_OK;
	hel_schema *schema = NULL;
	hel_dlrm *m = NULL;
	char *text = NULL;
	hel_dlrm_config config = c->s->m->config;
	config.architecture = HEL_ARCHITECTURE_GRAPH;
	config.members = 1;
	TRY(hel_schema_to_json(&text, c->part->schema));
	TRY(hel_schema_from_json(&schema, text, strlen(text)));
	c->graph->schema = schema;
	TRY(hel_dlrm_of_graph(&m, &config, c->graph, schema, HEL_MAX_PARAMETERS));
	schema = NULL;
	c->graph = NULL;
	m->config = config; /* a chain would describe itself, whose last layer is no logit */
	copy_weights(m, c);
	TRY(copy_approximations(m, c));
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	hel_schema_free(schema);
	hel_free(text);
	return st;
}

static void copying_clear(copying *c)
{
	if (!c)
		return;
	hel_graph_free(c->graph);
	hel_free(c->number);
	hel_free(c);
}

static hel_status private_model(hel_dlrm **out, const splitting *s, const hel_side *part)
{
	hel_status st = HEL_OK;
	copying *c = NULL;
	uint32_t all, last;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c = (copying){.s = s, .side = PRIVATE};
	TRY(begin_copy(c, part));
	TRY(gather(&all, c));
	TRY(add_node(&last, c->graph,
		     (hel_node){.kind = HEL_NODE_LINEAR, .width = s->rows, .bias = true}, &all, 1,
		     "items.vector"));
	TRY(finish_copy(out, c));
	for (size_t i = 0; i < s->rows * s->u; i++)
		tensor_of(*out, last, false)[i] = (float)s->left[i];
	for (size_t i = 0; i < s->rows; i++)
		tensor_of(*out, last, true)[i] = (float)s->shift[i];
done:
	copying_clear(c);
	return st;
}

/* g(p): its own squares by eigenvectors; what is linear; and what completing squares of u left. */
typedef struct public_part {
	double *vector, *value, *linear, constant;
} public_part;

static hel_status public_terms(public_part *x, const splitting *s)
{
	hel_status st = HEL_OK;
	const size_t last = s->form.inputs - 1, n = s->p;
	TRY_ALLOC(x->vector, hel_alloc(n * n + 1, sizeof *x->vector));
	TRY_ALLOC(x->value, hel_alloc(n + 1, sizeof *x->value));
	TRY_ALLOC(x->linear, hel_alloc(n + 1, sizeof *x->linear));
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k++)
			x->vector[i * n + k] = form_at(s, s->u + i, s->u + k);
		x->linear[i] = 2 * form_at(s, s->u + i, last);
	}
	x->constant = form_at(s, last, last);
	for (size_t r = 0; r < s->rows; r++) {
		x->constant -= s->squares ? s->sign[r] * s->shift[r] * s->shift[r] : 0;
		cblas_daxpy((int)n, -s->shift[r], s->right + r * n, 1, x->linear, 1);
	}
	TRY(hel_eigenvectors(x->value, x->vector, NULL, n));
done:
	return st;
}

static void public_weights(float *w, float *bias, const splitting *s, const public_part *x,
			   size_t squares, const double *sign)
{
	const size_t width = s->p + squares;
	for (size_t k = 0; k < s->p; k++)
		w[k] = (float)x->linear[k];
	for (size_t k = 0; k < squares; k++)
		w[s->p + k] = (float)sign[k];
	bias[0] = (float)x->constant;
	for (size_t r = 0; r < s->rows; r++) {
		for (size_t k = 0; k < s->p; k++)
			w[(1 + r) * width + k] = (float)s->right[r * s->p + k];
		/* a linear row without squares has nothing to multiply: its weight is 1 */
		bias[1 + r] = !s->squares && s->sign[r] == 0 ? 1 : 0;
	}
}

static hel_status public_model(hel_dlrm **out, const splitting *s, const hel_side *part)
{
	hel_status st = HEL_OK;
	copying *c = NULL;
	public_part x = {0};
	double *sign = NULL;
	uint32_t all, form = 0, square = 0, last;
	size_t squares = 0;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c = (copying){.s = s, .side = PUBLIC};
	TRY(public_terms(&x, s));
	TRY_ALLOC(sign, hel_alloc(s->p + 1, sizeof *sign));
	const double most = largest_of(x.value, s->p);
	for (size_t i = 0; i < s->p; i++)
		squares += fabs(x.value[i]) > ROUNDING * most;
	TRY(begin_copy(c, part));
	TRY(gather(&all, c));
	if (squares) {
		const uint32_t both[2] = {all, (uint32_t)c->graph->nodes + 1};
		TRY(add_node(&form, c->graph, (hel_node){.kind = HEL_NODE_LINEAR, .width = squares},
			     &all, 1, "items.form"));
		TRY(add_node(
		    &square, c->graph,
		    (hel_node){.kind = HEL_NODE_ACTIVATION, .activation = {HEL_ACT_SQUARE, 0, 0}},
		    &form, 1, "items.square"));
		TRY(add_node(&all, c->graph, (hel_node){.kind = HEL_NODE_CONCAT}, both, 2,
			     "items.both"));
	}
	TRY(add_node(&last, c->graph,
		     (hel_node){.kind = HEL_NODE_LINEAR, .width = 1 + s->rows, .bias = true}, &all,
		     1, "items.weights"));
	TRY(finish_copy(out, c));
	for (size_t i = 0, k = 0; i < s->p; i++) {
		if (!(fabs(x.value[i]) > ROUNDING * most))
			continue;
		sign[k] = x.value[i] > 0 ? 1 : -1;
		for (size_t j = 0; j < s->p; j++)
			tensor_of(*out, form, false)[k * s->p + j] =
			    (float)(sqrt(fabs(x.value[i])) * x.vector[i * s->p + j]);
		k++;
	}
	public_weights(tensor_of(*out, last, false), tensor_of(*out, last, true), s, &x, squares,
		       sign);
done:
	copying_clear(c);
	hel_free(x.vector);
	hel_free(x.value);
	hel_free(x.linear);
	hel_free(sign);
	return st;
}

static hel_status make_parts(hel_sides *out, const splitting *s)
{
	hel_status st = HEL_OK;
	const hel_schema *schema = s->m->schema;
	bool *hidden = NULL;
	TRY_ALLOC(hidden, hel_alloc(schema->dense_count + schema->table_count + 2, sizeof *hidden));
	bool *tables = hidden + schema->dense_count + 1;
	for (size_t i = 0; i < schema->dense_count; i++)
		hidden[i] = !s->dense[i];
	for (size_t i = 0; i < schema->table_count; i++)
		tables[i] = !s->table[i];
	TRY(hel_side_new(&out->hidden, schema, hidden, tables, true));
	TRY(hel_side_new(&out->open, schema, s->dense, s->table, false));
done:
	hel_free(hidden);
	return st;
}

hel_status hel_sides_new(hel_sides *out, const hel_dlrm *m, const bool *dense, const bool *table)
{
	hel_status st = HEL_OK;
	splitting s = {
	    .m = m, .g = m->graph, .dense = dense, .table = table, .form = {.m = m, .g = m->graph}};
	hel_sides made = {0};
	TRY_ALLOC(s.side, hel_alloc(s.g->nodes, sizeof *s.side));
	find_sides(&s);
	TRY(check_sides(&s));
	TRY(fill_form(&s));
	TRY(find_rows(&s));
	TRY(make_parts(&made, &s));
	TRY(private_model(&made.private, &s, &made.hidden));
	TRY(public_model(&made.public, &s, &made.open));
	made.rows = s.rows;
	made.squares = s.squares;
	made.sign = s.sign;
	s.sign = NULL;
	*out = made;
	made = (hel_sides){0};
done:
	hel_sides_clear(&made);
	hel_quadratic_form_clear(&s.form);
	hel_free(s.side);
	hel_free(s.left);
	hel_free(s.shift);
	hel_free(s.right);
	hel_free(s.sign);
	return st;
}

void hel_sides_clear(hel_sides *s)
{
	hel_dlrm_free(s->private);
	hel_dlrm_free(s->public);
	hel_side_clear(&s->hidden);
	hel_side_clear(&s->open);
	hel_free(s->sign);
	memset(s, 0, sizeof *s);
}
