/* Items become what a program meets: a file of plaintexts, docs/ranking.md. */
#include "item_list.h"
#include "model/model_file.h"
#include "owner_inside.h"
#include "rank/catalogue.h"

/* Constant and weights of items. */
static hel_status weigh(void *arg, double *value, const double *dense, const uint32_t *hot,
			size_t count)
{
	hel_status st = HEL_OK;
	const hel_dlrm *m = arg;
	const size_t width = m->graph->node[m->graph->nodes - 1].width;
	const size_t denses = m->schema->dense_count, hots = hel_schema_hots(m->schema);
	for (size_t i = 0; i < count; i++)
		TRY(hel_dlrm_vector(value + i * width, m, dense + i * denses, hot + i * hots));
done:
	return st;
}

/* A program's public model. */
static hel_status public_of(hel_dlrm **out, const hel_program *p)
{
	hel_status st = HEL_OK;
	hel_dlrm *m = NULL;
	if (!p->manifest->items.any)
		FAIL(HEL_EMODEL, "'%s' scores records one by one: compile it with public columns",
		     p->manifest->model);
	TRY(hel_dlrm_read(&m, p->items.model, p->items.model_size));
	if (m->graph->node[m->graph->nodes - 1].width !=
	    p->items.rows + (size_t)!p->manifest->items.batched)
		FAIL(HEL_EFORMAT, "the program's public model has another width than its vector");
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	return st;
}

/* What is followed, and of what size it became. */
typedef struct making {
	hel_program *program;
	hel_params *params;
	hel_dlrm *public;
	hel_item_list list;
	hel_catalogue *before, *made;
	double encoding; /* seconds */
} making;

static hel_status encode(making *k, const char *path, hel_pool *pool, const hel_watch *watch)
{
	const hel_program *p = k->program;
	const hel_samples *s = &k->list.samples;
	const hel_item_form form = {.params = k->params,
				    .log_width = p->manifest->items.log_width,
				    .rows = p->items.rows,
				    .turn = p->items.turn,
				    .unit = p->manifest->unit,
				    .usual = p->items.usual,
				    .batched = p->manifest->items.batched,
				    .log_batch = p->manifest->log_batch,
				    .largest = p->items.largest};
	const hel_item_source source = {.count = s->count,
					.id = k->list.id,
					.dense = s->value,
					.hot = s->hot,
					.denses = s->dense,
					.hots = s->hots,
					.weigh = weigh,
					.arg = k->public};
	hel_progress progress;
	hel_watching watching;
	const double start = hel_clock();
	hel_watching_begin(&watching, watch);
	hel_progress_begin(&progress, "encoding items");
	hel_progress_follow(&progress, &watching);
	const hel_status st =
	    hel_catalogue_write(path, p->manifest, &form, &source, k->before, pool, &progress);
	hel_progress_end(&progress);
	k->encoding = hel_clock() - start;
	return st;
}

static json_t *report_of(const making *k)
{
	const hel_catalogue_head *h = hel_catalogue_head_of(k->made);
	const size_t most = hel_catalogue_block_size(h);
	const uint64_t kept = k->before ? hel_catalogue_head_of(k->before)->items : 0;
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "items", (json_int_t)h->items, "blocks",
			 (json_int_t)((h->items + most - 1) / most), "bytes", (json_int_t)h->bytes,
			 "kept", (json_int_t)kept, "unknown_categories",
			 (json_int_t)k->list.samples.unknown, "encoding_seconds", k->encoding);
}

hel_status hel_catalogue_make(uint8_t **report, size_t *size, const char *path,
			      const hel_catalogue_source *source, hel_pool *pool,
			      const hel_watch *watch)
{
	hel_status st = HEL_OK;
	making k = {0};
	const hel_item_text text = {.name = source->name ? source->name : "items",
				    .text = source->items,
				    .size = source->items_size,
				    .id = source->id};
	TRY(hel_random_init());
	if (!source->items || !source->program)
		FAIL(HEL_EINVAL, "a catalogue needs a program and items");
	TRY(hel_program_read(&k.program, source->program, source->program_size));
	TRY(public_of(&k.public, k.program));
	TRY(hel_params_new(&k.params, &k.program->manifest->params));
	if (source->before)
		TRY(hel_catalogue_open(&k.before, source->before, k.program->manifest, k.params,
				       pool));
	TRY(hel_item_list_read(&k.list, &text, k.public->schema));
	TRY(encode(&k, path, pool, watch));
	TRY(hel_catalogue_open(&k.made, path, k.program->manifest, k.params, pool));
	if (report)
		TRY(hel_owner_text(report, size, report_of(&k)));
done:
	hel_catalogue_free(k.before);
	hel_catalogue_free(k.made);
	hel_item_list_clear(&k.list);
	hel_dlrm_free(k.public);
	hel_params_free(k.params);
	hel_program_free(k.program);
	return st;
}
