/* catalogue: items to plaintexts that a program meets; all of it is hel_catalogue_make(). */
#include "cli/cli.h"
#include "cli/report.h"
#include "owner/owner_inside.h"
#include <string.h>

#define ITEMS_MAX ((size_t)8 << 30) /* bytes of a file */

static void tell(const hel_args *args, const json_t *o, double seconds)
{
	hel_say(args, "%s: %.0f items in %.0f blocks, %.1f MB, %.2f s", hel_arg(args, "out"),
		hel_report_number(o, "items"), hel_report_number(o, "blocks"),
		hel_report_number(o, "bytes") / 1e6, seconds);
	if (hel_report_number(o, "kept") > 0)
		hel_say(args, " (%.0f were there)", hel_report_number(o, "kept"));
	hel_say(args, "\n");
	if (hel_report_number(o, "unknown_categories") > 0)
		hel_say(args, "%.0f categories unknown, taken as missing\n",
			hel_report_number(o, "unknown_categories"));
}

static hel_status run_catalogue(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	uint8_t *program = NULL, *items = NULL, *report = NULL;
	hel_catalogue_source source = {.name = hel_arg(args, "items"),
				       .id = hel_arg(args, "id"),
				       .before = hel_arg(args, "append")};
	size_t size = 0;
	const double start = hel_clock();
	TRY(hel_arg_file(&program, &source.program_size, args, "program"));
	TRY(hel_input_read(source.name, ITEMS_MAX, &items, &source.items_size));
	source.program = program;
	source.items = (const char *)items;
	TRY(hel_catalogue_make(&report, &size, hel_arg(args, "out"), &source, args->pool, NULL));
	json_object_update_new(out, json_loads((const char *)report, 0, NULL));
	json_object_set_new(out, "seconds", json_real(hel_clock() - start));
	tell(args, out, hel_clock() - start);
done:
	hel_bytes_free(report, size);
	hel_free(program);
	hel_free(items);
	return st;
}

const hel_command hel_command_catalogue = {
    .name = "catalogue",
    .summary = "Encode public items for a program compiled with --public",
    .option =
	{{"program", "FILE", "program.helm", true, false},
	 {"items", "FILE", "the items: csv with a header, or JSON; '-' is standard input", true,
	  false},
	 {"id", "COLUMN",
	  "the column that names items (default: id, item_id or item, or the first); any text",
	  false, false},
	 {"append", "FILE",
	  "a catalogue of the same program whose items come first; its full blocks are copied",
	  false, false},
	 {"out", "FILE", "the catalogue, replaced at once when it is whole", true, false}},
    .run = run_catalogue,
};
