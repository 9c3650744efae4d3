#include "joint.h"
#include "model/model_file.h"
#include "side_copy.h"
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS 256   /* where none are given */
#define MARGIN 1.5    /* times the largest value of an item that was seen */
#define APART 0x1p-12 /* of a logit: weights are single precision */

/* Dense values: private ones, then `width` of an item, all over `scale`. */
typedef struct joint {
	hel_dlrm *model, *public;
	hel_side hidden, open;
	size_t own, width;
	double scale;
} joint;

static void joint_clear(joint *j)
{
	hel_dlrm_free(j->model);
	hel_dlrm_free(j->public);
	hel_side_clear(&j->hidden);
	hel_side_clear(&j->open);
	memset(j, 0, sizeof *j);
}

/* --- the schema ------------------------------------------------------------------------------- */

/* The private columns, and a dense one for each of an item's values. */
static hel_status schema_of(hel_schema **out, const hel_schema *hidden, size_t width)
{
	hel_status st = HEL_OK;
	char *text = NULL, *more = NULL, name[HEL_NAME_MAX];
	json_t *root = NULL;
	TRY(hel_schema_to_json(&text, hidden));
	TRY_ALLOC(root, json_loads(text, 0, NULL));
	json_t *columns = json_object_get(json_object_get(root, "columns"), "columns");
	for (size_t i = 0; i < width; i++) {
		snprintf(name, sizeof name, "items.%zu", i);
		json_array_append_new(columns,
				      json_pack("{s:s, s:s}", "name", name, "kind", "dense"));
		json_array_append_new(
		    json_object_get(root, "dense"),
		    json_pack("{s:s, s:f, s:f}", "name", name, "mean", 0., "deviation", 1.));
	}
	TRY_ALLOC(more, json_dumps(root, JSON_REAL_PRECISION(17)));
	TRY(hel_schema_from_json(out, more, strlen(more)));
done:
	hel_free(text);
	free(more);
	json_decref(root);
	return st;
}

/* The schema of a program for a client, who does not know of items' values. */
static hel_status hide_items(char **schema, size_t own, size_t width)
{
	hel_status st = HEL_OK;
	char *less = NULL;
	json_t *root = NULL;
	TRY_ALLOC(root, json_loads(*schema, 0, NULL));
	json_t *columns = json_object_get(json_object_get(root, "columns"), "columns"),
	       *dense = json_object_get(root, "dense");
	for (size_t i = 0; i < width; i++) {
		json_array_remove(columns, json_array_size(columns) - 1);
		json_array_remove(dense, own);
	}
	TRY_ALLOC(less, json_dumps(root, JSON_REAL_PRECISION(17)));
	hel_free(*schema);
	*schema = NULL;
	TRY_ALLOC(*schema, hel_strdup(less));
done:
	free(less);
	json_decref(root);
	return st;
}

/* --- the model -------------------------------------------------------------------------------- */

/* Linear maps that stand for nodes that are not copied. */
typedef struct selections {
	uint32_t dense; /* the node of all dense values, UINT32_MAX: none yet */
	size_t count;
	struct {
		uint32_t node, copy; /* of the whole model, of the joint one */
	} at[HEL_MAX_NODES];
} selections;

static hel_status select_node(hel_copying *c, uint32_t i)
{
	hel_status st = HEL_OK;
	selections *x = c->arg;
	const hel_node *n = &c->s->g->node[i];
	const uint8_t side = c->s->side[i];
	const bool is_dense = n->kind == HEL_NODE_DENSE;
	if (side == HEL_PUBLIC ? !c->s->form.place[i] : !is_dense)
		goto done;
	if (x->dense == UINT32_MAX)
		TRY(hel_copying_add(
		    &x->dense, c,
		    (hel_node){.kind = HEL_NODE_DENSE, .width = c->part->schema->dense_count}, NULL,
		    0, "items.dense"));
	TRY(hel_copying_add(&c->number[i], c,
			    (hel_node){.kind = HEL_NODE_LINEAR, .width = n->width}, &x->dense, 1,
			    n->name));
	x->at[x->count].node = i;
	x->at[x->count++].copy = c->number[i];
done:
	return st;
}

/* A node's element is a private column's, or one of the item's. */
static void fill_selections(joint *j, const hel_splitting *s, const selections *x)
{
	const size_t columns = j->own + j->width;
	for (size_t k = 0; k < x->count; k++) {
		const hel_node *n = &s->g->node[x->at[k].node];
		const uint32_t *place = s->form.place[x->at[k].node];
		float *w = hel_tensor_of(j->model, x->at[k].copy, false);
		for (size_t r = 0, own = 0; r < n->width; r++) {
			if (n->kind == HEL_NODE_DENSE && !s->dense[r])
				w[r * columns + own++] = 1;
			else
				w[r * columns + j->own + place[r] - s->u] = (float)j->scale;
		}
	}
}

static hel_status joint_model(joint *j, const hel_splitting *s)
{
	hel_status st = HEL_OK;
	hel_copying *c = NULL;
	selections *x = NULL;
	hel_side part = j->hidden; /* its tables */
	part.schema = NULL;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	TRY_ALLOC(x, hel_alloc(1, sizeof *x));
	TRY(schema_of(&part.schema, j->hidden.schema, j->width));
	x->dense = UINT32_MAX;
	*c = (hel_copying){.s = s, .select = select_node, .arg = x};
	TRY(hel_copying_begin(c, &part));
	TRY(hel_copying_finish(&j->model, c));
	fill_selections(j, s, x);
done:
	hel_copying_clear(c);
	hel_schema_free(part.schema);
	hel_free(x);
	return st;
}

static hel_status public_values(joint *j, const hel_splitting *s)
{
	hel_status st = HEL_OK;
	hel_copying *c = NULL;
	uint32_t all, last;
	TRY_ALLOC(c, hel_alloc(1, sizeof *c));
	*c = (hel_copying){.s = s, .side = HEL_PUBLIC};
	TRY(hel_copying_begin(c, &j->open));
	TRY(hel_copying_gather(&all, c));
	TRY(hel_copying_add(&last, c, (hel_node){.kind = HEL_NODE_SCALE, .factor = 1 / j->scale},
			    &all, 1, "items.values"));
	TRY(hel_copying_finish(&j->public, c));
done:
	hel_copying_clear(c);
	return st;
}

static hel_status joint_new(joint *out, const hel_dlrm *m, const bool *dense, const bool *table,
			    double scale)
{
	hel_status st = HEL_OK;
	hel_splitting s;
	joint j = {.scale = scale};
	TRY(hel_splitting_begin(&s, m, dense, table));
	TRY(hel_splitting_parts(&j.hidden, &j.open, &s));
	j.own = j.hidden.schema->dense_count;
	j.width = s.p;
	if (j.own + j.width > HEL_MAX_DENSE)
		FAIL(HEL_EUNSUPPORTED,
		     "items meet the private part in %zu values, at most %zu are possible: make "
		     "fewer columns public",
		     j.width, HEL_MAX_DENSE - j.own);
	TRY(joint_model(&j, &s));
	TRY(public_values(&j, &s));
	*out = j;
	j = (joint){0};
done:
	joint_clear(&j);
	hel_splitting_clear(&s);
	return st;
}

/* --- records ---------------------------------------------------------------------------------- */

/* The rows as the joint model reads them, of which the logit is the model's; *largest: of items'
 * values. */
static hel_status map_records(hel_samples *out, double *largest, const joint *j, const hel_dlrm *m,
			      const hel_samples *given)
{
	static const uint8_t seed[HEL_SEED_BYTES] = "joint";
	hel_status st = HEL_OK;
	const bool random = !given || !given->count;
	const size_t count = random ? RECORDS : given->count;
	double *dense = NULL, *items_dense = NULL, want, got;
	uint32_t *hot = NULL, *items_hot = NULL;
	hel_samples s = {0};
	hel_prng g;
	hel_prng_init(&g, seed, 0);
	*largest = 0;
	TRY_ALLOC(dense, hel_alloc(m->schema->dense_count + 1, sizeof *dense));
	TRY_ALLOC(items_dense, hel_alloc(m->schema->dense_count + 1, sizeof *dense));
	TRY_ALLOC(hot, hel_alloc(hel_schema_hots(m->schema) + 1, sizeof *hot));
	TRY_ALLOC(items_hot, hel_alloc(hel_schema_hots(m->schema) + 1, sizeof *hot));
	TRY(hel_samples_reserve(&s, j->model->schema, count));
	for (; s.count < count; s.count++) {
		const double *x = random ? dense : given->value + s.count * given->dense;
		const uint32_t *h = random ? hot : given->hot + s.count * given->hots;
		double *to = s.value + s.count * s.dense;
		if (random)
			hel_schema_random(m->schema, &g, dense, hot);
		hel_side_take(&j->hidden, m->schema, to, s.hot + s.count * s.hots, x, h);
		hel_side_take(&j->open, m->schema, items_dense, items_hot, x, h);
		TRY(hel_dlrm_vector(to + j->own, j->public, items_dense, items_hot));
		for (size_t k = 0; k < j->width; k++)
			*largest = fmax(*largest, fabs(to[j->own + k]));
		TRY(hel_dlrm_logit(&want, m, x, h));
		TRY(hel_dlrm_logit(&got, j->model, to, s.hot + s.count * s.hots));
		if (!(fabs(want - got) <= APART * fmax(1, fabs(want))))
			FAIL(HEL_ERANGE,
			     "private and public sides give %.9g where the model gives %.9g: its "
			     "weights are too large for single precision",
			     got, want);
	}
	*out = s;
	s = (hel_samples){0};
done:
	hel_samples_clear(&s);
	hel_free(dense);
	hel_free(items_dense);
	hel_free(hot);
	hel_free(items_hot);
	return st;
}

/* So that all values of items are within what the schema cuts dense values to. */
static hel_status scaled(joint *j, hel_samples *records, const hel_dlrm *m, const bool *dense,
			 const bool *table, const hel_samples *given)
{
	hel_status st = HEL_OK;
	double largest;
	TRY(joint_new(j, m, dense, table, 1));
	TRY(map_records(records, &largest, j, m, given));
	joint_clear(j);
	hel_samples_clear(records);
	TRY(joint_new(j, m, dense, table, largest > 0 ? MARGIN * largest / m->schema->clip : 1));
	TRY(map_records(records, &largest, j, m, given));
done:
	return st;
}

/* --- the program ------------------------------------------------------------------------------ */

static hel_status tell_items(hel_program *p, const joint *j)
{
	hel_status st = HEL_OK;
	hel_writer w = {0};
	hel_manifest *m = p->manifest;
	TRY(hide_items(&m->schema, j->own, j->width));
	m->items = (hel_items){
	    .any = true, .batched = true, .first = (uint32_t)j->own, .width = (uint32_t)j->width};
	p->items.rows = (uint32_t)j->width;
	p->items.largest = j->public->schema->clip;
	TRY(hel_dlrm_write(&w, j->public));
	if (w.size > HEL_ITEM_MODEL_MAX)
		FAIL(HEL_ELIMIT, "the public part has %zu MB, at most %zu are possible",
		     w.size >> 20, HEL_ITEM_MODEL_MAX >> 20);
	p->items.model = w.bytes;
	p->items.model_size = w.size;
	w = (hel_writer){0};
done:
	hel_writer_clear(&w);
	return st;
}

hel_status hel_compile_joint(hel_program **out, hel_compile_report *report, size_t *width,
			     const hel_dlrm *m, const bool *dense, const bool *table,
			     const hel_compile_options *given)
{
	hel_status st = HEL_OK;
	hel_compile_options options = *given;
	hel_samples records = {0};
	hel_program *p = NULL;
	joint j = {0};
	TRY(scaled(&j, &records, m, dense, table, given->records));
	options.records = &records;
	options.no_monomials = true; /* of private and of public values */
	TRY(hel_compile(&p, report, j.model, &options));
	TRY(tell_items(p, &j));
	*width = j.width;
	*out = p;
	p = NULL;
done:
	if (p)
		hel_compile_report_clear(report);
	hel_program_free(p);
	joint_clear(&j);
	hel_samples_clear(&records);
	return st;
}
