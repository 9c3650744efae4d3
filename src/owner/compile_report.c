/* What came out of compiling, as JSON. */
#include "model/accuracy.h"
#include "owner_inside.h"
#include "vm/cost.h"
#include <math.h>

/* Where the predicted time goes. */
static json_t *layer_times(const hel_program *p, const hel_compile_report *r)
{
	json_t *layers = json_array();
	for (uint32_t i = 0; i < p->layers; i++)
		json_array_append_new(
		    layers, json_pack("{s:s, s:f}", "layer", p->layer[i], "ms",
				      1e3 * hel_cost_seconds(&r->machine, r->shape.layer[i].cost)));
	return layers;
}

static json_t *accuracy_of(const hel_metrics *m)
{
	return hel_owner_number(isfinite(m->auc) ? m->accuracy : NAN);
}

/* What the polynomials cost on the data. */
static json_t *fit_json(const hel_fidelity *f, const hel_fit_choice *c, const char *activation,
			const hel_manifest *m)
{
	json_t *out = json_pack(
	    "{s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:f, s:f, s:I, s:b}", "kind", activation, "degree",
	    (int)c->degree, "margin", c->margin, "auc", hel_owner_number(f->trained.auc),
	    "auc_polynomial", hel_owner_number(f->fitted.auc), "accuracy", accuracy_of(&f->trained),
	    "accuracy_polynomial", accuracy_of(&f->fitted), "largest_change", f->largest, "spread",
	    f->spread, "decisions_differ", (json_int_t)f->differ, "may_fold", c->may_fold);
	json_object_update_new(out,
			       json_pack("{s:I, s:f, s:f, s:f}", "rows", (json_int_t)f->rows,
					 "log_loss", f->trained.log_loss, "log_loss_polynomial",
					 f->fitted.log_loss, "bits", f->bits));
	/* as `verify` measures them: polynomials' and ciphertexts' mean errors, independent */
	json_object_set_new(out, "bits_together",
			    json_real(-log2(hypot(exp2(-m->bits), f->distance / f->spread))));
	return out;
}

/* Ring, sizes, times: what a plan came to. */
static json_t *plan_json(const hel_program *p, const hel_compile_report *r)
{
	const hel_manifest *m = p->manifest;
	return json_pack("{s:s, s:i, s:i, s:f, s:f, s:i, s:I, s:I, s:I, s:f, s:f, s:f, s:i, s:o}",
			 "model", m->model, "log_n", m->params.log_n, "levels", m->params.levels,
			 "log_qp", r->log_qp, "log_qp_limit", r->log_qp_limit, "keys", (int)m->keys,
			 "evaluation_keys_bytes", (json_int_t)r->key_bytes, "query_bytes",
			 (json_int_t)r->query_bytes, "memory_bytes", (json_int_t)r->memory_bytes,
			 "estimated_ms", 1e3 * r->seconds, "estimated_ms_2_threads",
			 1e3 * hel_cost_seconds_on(&r->machine, r->shape.cost, 2), "wanted_bits",
			 r->wanted_bits, "batch", 1 << m->log_batch, "layers", layer_times(p, r));
}

/* What a query makes the server read. */
static json_t *reads_json(const hel_cost *c)
{
	return json_pack("{s:I, s:I, s:I}", "keys_bytes", (json_int_t)c->key_bytes, "weights_bytes",
			 (json_int_t)c->weight_bytes, "values_bytes", (json_int_t)c->value_bytes);
}

/* What is known of scores: bits, and for which records; bounds, and whether they are proved. */
static json_t *scores_json(const hel_manifest *m, const hel_compile_report *r, size_t records)
{
	return json_pack("{s:f, s:f, s:f, s:f, s:s, s:f, s:f, s:s, s:I, s:I, s:f}",
			 "predicted_bits", m->bits, "bits_model", m->bits_model, "spread",
			 m->spread, "unit", m->unit, "bounds", m->measured ? "measured" : "proved",
			 "bound", m->bound, "head_room_bits", r->shape.head_room, "records",
			 records ? "data" : "random", "squares", (json_int_t)r->squares.kept,
			 "squares_left_out", (json_int_t)(r->squares.rank - r->squares.kept),
			 "error_left_out", r->squares.error);
}

hel_status hel_compile_report_json(char **out, const hel_program *p, const hel_compile_report *r,
				   const hel_compile_wishes *w, const hel_fidelity *f,
				   const hel_compiled *files, size_t records)
{
	hel_status st = HEL_OK;
	json_t *o = plan_json(p, r);
	json_object_update_new(o, scores_json(p->manifest, r, records));
	json_object_set_new(o, "reads", reads_json(&r->shape.cost));
	json_object_update_new(o, json_pack("{s:I, s:I}", "manifest_bytes",
					    (json_int_t)files->manifest.size, "program_bytes",
					    (json_int_t)files->program.size));
	if (*w->calibrated.path)
		json_object_set_new(o, "calibration", json_string(w->calibrated.path));
	if (w->slower > 0)
		json_object_set_new(o, "machine_factor", json_real(w->slower));
	if (*w->calibrated.refused)
		json_object_set_new(o, "calibration_refused", json_string(w->calibrated.refused));
	if (p->manifest->items.any)
		json_object_set_new(
		    o, "items",
		    json_pack("{s:s, s:i, s:I, s:b, s:f}", "form",
			      p->manifest->items.batched ? "batched" : "matrix", "at_once",
			      1 << p->manifest->log_batch, "width", (json_int_t)w->width, "squares",
			      p->manifest->items.common, "ms_per_1000", w->item_ms));
	if (f)
		json_object_set_new(
		    o, "activation",
		    fit_json(f, &w->fit, hel_activation_name(w->kind), p->manifest));
	TRY_ALLOC(*out, json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(17)));
done:
	json_decref(o);
	return st;
}
