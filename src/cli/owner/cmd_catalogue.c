/* catalogue: items to plaintexts that a program meets. */
#include "cli/cli.h"
#include "item_file.h"
#include "model/model_file.h"
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
		FAIL(HEL_EMODEL, "'%s' scores records one by one: compile it with --public",
		     p->manifest->model);
	TRY(hel_dlrm_read(&m, p->items.model, p->items.model_size));
	if (m->graph->node[m->graph->nodes - 1].width != 1 + (size_t)p->items.rows)
		FAIL(HEL_EFORMAT, "the program's public model has another width than its vector");
	*out = m;
	m = NULL;
done:
	hel_dlrm_free(m);
	return st;
}

static void report(const hel_args *args, json_t *out, const hel_catalogue_head *h,
		   const hel_samples *s, size_t kept, double seconds)
{
	const char *path = hel_arg(args, "out");
	const size_t most = hel_block_items((size_t)1 << h->log_n);
	const size_t blocks = (h->items + most - 1) / most;
	hel_say(args, "%s: %llu items in %zu blocks, %.1f MB, %.2f s", path,
		(unsigned long long)h->items, blocks, (double)h->bytes / 1e6, seconds);
	if (kept)
		hel_say(args, " (%zu were there)", kept);
	hel_say(args, "\n");
	if (s->unknown)
		hel_say(args, "%zu categories unknown, taken as missing\n", s->unknown);
	json_object_update_new(out, json_pack("{s:I, s:I, s:I, s:f, s:I, s:I}", "items",
					      (json_int_t)h->items, "blocks", (json_int_t)blocks,
					      "bytes", (json_int_t)h->bytes, "seconds", seconds,
					      "kept", (json_int_t)kept, "unknown_categories",
					      (json_int_t)s->unknown));
}

static hel_status run_catalogue(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_program *p = NULL;
	hel_params *params = NULL;
	hel_dlrm *m = NULL;
	hel_item_file items = {0};
	hel_catalogue *before = NULL, *made = NULL;
	hel_progress progress;
	uint8_t *bytes = NULL;
	size_t size;
	const double start = hel_clock();
	TRY(hel_arg_file(&bytes, &size, args, "program"));
	TRY(hel_program_read(&p, bytes, size));
	hel_free(bytes);
	bytes = NULL;
	TRY(public_of(&m, p));
	TRY(hel_params_new(&params, &p->manifest->params));
	if (hel_arg(args, "append"))
		TRY(hel_catalogue_open(&before, hel_arg(args, "append"), p->manifest, params,
				       args->pool));
	TRY(hel_item_file_read(&items, args, m));
	const hel_item_form form = {.params = params,
				    .log_width = p->manifest->items.log_width,
				    .rows = p->items.rows,
				    .turn = p->items.turn,
				    .unit = p->manifest->unit,
				    .usual = p->items.usual};
	const hel_item_source source = {.count = items.samples.count,
					.id = items.id,
					.dense = items.samples.value,
					.hot = items.samples.hot,
					.denses = items.samples.dense,
					.hots = items.samples.hots,
					.weigh = weigh,
					.arg = m};
	const double read = hel_clock();
	hel_progress_begin(&progress, "encoding items");
	st = hel_catalogue_write(hel_arg(args, "out"), p->manifest, &form, &source, before,
				 args->pool, &progress);
	hel_progress_end(&progress);
	TRY(st);
	json_object_set_new(out, "encoding_seconds", json_real(hel_clock() - read));
	TRY(hel_catalogue_open(&made, hel_arg(args, "out"), p->manifest, params, args->pool));
	report(args, out, hel_catalogue_head_of(made), &items.samples,
	       before ? hel_catalogue_head_of(before)->items : 0, hel_clock() - start);
done:
	hel_free(bytes);
	hel_catalogue_free(before);
	hel_catalogue_free(made);
	hel_item_file_clear(&items);
	hel_dlrm_free(m);
	hel_program_free(p);
	hel_params_free(params);
	return st;
}

const hel_command hel_command_catalogue = {
    .name = "catalogue",
    .summary = "Encode public items for a program compiled with --public",
    .option =
	{{"program", "FILE", "program.helm", true, false},
	 {"items", "FILE", "the items: csv with a header; '-' is standard input", true, false},
	 {"id", "COLUMN",
	  "the column that names items (default: id, item_id or item, or the first); any text",
	  false, false},
	 {"append", "FILE",
	  "a catalogue of the same program whose items come first; its full blocks are copied",
	  false, false},
	 {"out", "FILE", "the catalogue, replaced at once when it is whole", true, false}},
    .run = run_catalogue,
};
