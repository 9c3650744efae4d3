/* helrm inspect plan: what the compiler chose, and what came next, as text, JSON and a drawing. */
#include "cli/cli.h"
#include "features/coding.h"
#include "prog/prog.h"
#include <stdlib.h>
#include <string.h>

/* A plan is plain text, but its escapes need not be. */
static const char *text_of(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s && hel_is_text(s) ? s : "?";
}

static double number_of(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static bool truth_of(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* Slot bits as a mask; what a foreign file holds beyond them is left out. */
static uint32_t mask_of(const json_t *o, const char *key)
{
	const json_t *bits = json_object_get(o, key);
	uint32_t mask = 0;
	for (size_t i = 0; i < json_array_size(bits); i++) {
		const json_int_t bit = json_integer_value(json_array_get(bits, i));
		if (bit >= 0 && bit < 32)
			mask |= 1u << bit;
	}
	return mask;
}

/* "0-4,9", or "none" */
static const char *describe_bits(char *out, size_t size, uint32_t mask)
{
	size_t n = 0;
	snprintf(out, size, "none");
	for (int bit = 0; bit < 32; bit++) {
		if (!(mask >> bit & 1))
			continue;
		int last = bit;
		while (last < 31 && mask >> (last + 1) & 1)
			last++;
		n += (size_t)snprintf(out + n, n < size ? size - n : 0,
				      last > bit ? "%s%d-%d" : "%s%d", n ? "," : "", bit, last);
		bit = last;
	}
	return out;
}

static unsigned count_of(uint32_t mask)
{
	return 1u << __builtin_popcount(mask);
}

/* How tables travel: those that share a method together. */
static void say_lookup(const hel_args *args, const json_t *s)
{
	const json_t *lookup = json_object_get(s, "lookup");
	json_t *tables = json_object_get(lookup, "tables");
	const char *name, *sign = ":";
	json_t *coding;
	hel_say(args, "    tables in %.0f blocks", number_of(s, "blocks"));
	for (hel_coding c = 0; c < HEL_CODINGS; c++) {
		size_t count = 0;
		json_object_foreach(tables, name, coding) count +=
		    json_string_value(coding) &&
		    strcmp(json_string_value(coding), hel_coding_name(c)) == 0;
		if (!count)
			continue;
		hel_say(args, "%s %zu by %s", sign, count, hel_coding_name(c));
		sign = ",";
	}
	if (number_of(lookup, "selections") > 0)
		hel_say(args, "; %.0f places, %.0f selections", number_of(lookup, "places"),
			number_of(lookup, "selections"));
	hel_say(args, "\n");
}

static void say_stage(const hel_args *args, const json_t *s)
{
	char out[80], folds[80];
	const json_t *client = json_object_get(s, "client"),
		     *next = json_object_get(s, "runner_up");
	hel_say(args, "%s: %.0f -> %.0f at level %.0f, %s\n", text_of(s, "name"),
		number_of(s, "columns"), number_of(s, "rows"), number_of(s, "level"),
		truth_of(s, "product") ? "one product" : "no product");
	if (json_object_get(s, "rotations"))
		hel_say(args, "    %.0f rotations to where they are wanted\n",
			number_of(s, "rotations"));
	if (json_is_object(client))
		hel_say(args, "    from the client: %.0f ciphertext%s%s\n",
			number_of(client, "ciphertexts"),
			number_of(client, "ciphertexts") == 1 ? "" : "s",
			truth_of(client, "complex") ? ", both parts of each slot used" : "");
	if (number_of(s, "blocks") > 0)
		say_lookup(args, s);
	hel_say(
	    args,
	    "    %u x %u diagonals; folds over slot bits %s, %u at a time; results at bits %s\n",
	    count_of(mask_of(s, "babies")), count_of(mask_of(s, "giants")),
	    describe_bits(folds, sizeof folds, mask_of(s, "folds")),
	    count_of((1u << (json_integer_value(json_object_get(s, "fold_radix")) & 7)) - 1),
	    describe_bits(out, sizeof out, mask_of(s, "out")));
	hel_say(args, "    cost %.2f, up to here %.2f", number_of(s, "ms"),
		number_of(s, "up_to_here_ms"));
	if (json_is_object(next))
		hel_say(args, "; runner-up %.2f: %u x %u diagonals, folds %s, results at %s",
			number_of(next, "up_to_here_ms"), count_of(mask_of(next, "babies")),
			count_of(mask_of(next, "giants")),
			describe_bits(folds, sizeof folds, mask_of(next, "folds")),
			describe_bits(out, sizeof out, mask_of(next, "out")));
	hel_say(args, "\n");
}

/* "a, b, ..." of an array of strings; the first and last ones where there are many. */
static const char *list(char *out, size_t size, const json_t *names)
{
	const size_t count = json_array_size(names), ends = 4;
	size_t n = 0;
	out[0] = 0;
	for (size_t i = 0; i < count && n < size; i++) {
		const char *text = json_string_value(json_array_get(names, i));
		if (count > 2 * ends && i == ends) {
			i = count - ends - 1;
			text = "...";
		}
		n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", text ? text : "?");
	}
	return out;
}

/* The graph as the stages it became: levels, what each reads, which nodes are in it. */
static void say_graph(const hel_args *args, const json_t *stages)
{
	char from[200], nodes[600];
	hel_say(args, "%-7s  %-24s  %8s  %s\n", "levels", "stage", "cost", "reads: nodes in it");
	for (size_t i = 0; i < json_array_size(stages); i++) {
		const json_t *s = json_array_get(stages, i);
		hel_say(args, "%3.0f-%-3.0f  %-24s  %8.2f  %s: %s\n", number_of(s, "level"),
			number_of(s, "ends"), text_of(s, "name"), number_of(s, "ms"),
			list(from, sizeof from, json_object_get(s, "from")),
			list(nodes, sizeof nodes, json_object_get(s, "nodes")));
	}
	hel_say(args, "\n");
}

/* Where stages are not the graph's own: what of it they compute. */
static void say_form(const hel_args *args, const json_t *form)
{
	char nodes[600];
	if (!json_is_object(form))
		return;
	hel_say(args,
		"what enters, squared and summed: the quadratic form of %s; %.0f of its %.0f "
		"squares\n\n",
		list(nodes, sizeof nodes, json_object_get(form, "nodes")),
		number_of(form, "squares"), number_of(form, "rank"));
}

static void say_plan(const hel_args *args, const json_t *plan)
{
	const json_t *stages = json_object_get(plan, "stages");
	const json_t *others = json_object_get(plan, "alternatives");
	hel_say(args,
		"planned for %s; costs in ms on one thread, with what bytes of keys, queries and "
		"weights are worth\n\n",
		text_of(plan, "objective"));
	say_form(args, json_object_get(plan, "form"));
	say_graph(args, stages);
	for (size_t i = 0; i < json_array_size(stages); i++)
		say_stage(args, json_array_get(stages, i));
	hel_say(args, "\n%-9s  %6s  %5s  %9s  %5s  %7s  %4s  %6s  %6s  %s\n", "ring", "levels",
		"alpha", "monomials", "fused", "squares", "grid", "powers", "inputs", "cost");
	for (size_t i = 0; i < json_array_size(others); i++) {
		const json_t *a = json_array_get(others, i);
		const double cost = number_of(a, "ms");
		hel_say(
		    args, "N = 2^%-3.0f  %6.0f  %5.0f  %9s  %5s  %7s  %4s  %6.0f  %6.0f  %.2f%s\n",
		    number_of(a, "log_n"), number_of(a, "levels"), number_of(a, "alpha"),
		    truth_of(a, "monomials") ? "yes" : "no", truth_of(a, "fused") ? "yes" : "no",
		    truth_of(a, "sum_of_squares") ? "yes" : "no",
		    truth_of(a, "grid") ? "yes" : "no", number_of(a, "powers"),
		    number_of(a, "inputs"), cost,
		    cost == number_of(plan, "ms") ? "  <- chosen" : "");
	}
	const json_t *items = json_object_get(plan, "items");
	if (items)
		hel_say(args, "\n1,000 items: %.2f ms (%s, %.0f in a run)\n",
			number_of(items, "ms_per_1000"), text_of(items, "form"),
			number_of(items, "at_once"));
}

/* --- drawing ------------------------------------------------------------------------ */

#define CELL 26
#define LEFT 190
#define TOP 60
#define ROW 44

static void write_escaped(FILE *f, const char *s)
{
	for (; *s; s++)
		switch (*s) {
		case '<':
			fputs("&lt;", f);
			break;
		case '&':
			fputs("&amp;", f);
			break;
		default:
			fputc(*s, f);
		}
}

static void box(FILE *f, int x, int y, int height, const char *colour)
{
	fprintf(f,
		"<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\" "
		"stroke=\"#fff\"/>\n",
		x, y, CELL, height, colour);
}

/* One line per stage: above, what its product does with each slot bit; below, where results are. */
static void draw_stage(FILE *f, const json_t *s, int bits, int y)
{
	const uint32_t babies = mask_of(s, "babies"), giants = mask_of(s, "giants");
	const uint32_t folds = mask_of(s, "folds"), out = mask_of(s, "out");
	fprintf(f, "<text x=\"8\" y=\"%d\">", y + 12);
	write_escaped(f, text_of(s, "name"));
	fprintf(f, "</text><text x=\"8\" y=\"%d\" fill=\"#666\">%.0f to %.0f, level %.0f</text>\n",
		y + 28, number_of(s, "columns"), number_of(s, "rows"), number_of(s, "level"));
	for (int bit = 0; bit <= bits; bit++) {
		const int x = LEFT + bit * CELL;
		const char *colour = babies >> bit & 1	 ? "#4477aa"
				     : giants >> bit & 1 ? "#66ccee"
				     : folds >> bit & 1	 ? "#ee6677"
							 : "#eeeeee";
		if (bit == bits && !(folds >> bit & 1))
			continue;
		box(f, x, y, 16, colour);
		if (bit < bits)
			box(f, x, y + 17, 16, out >> bit & 1 ? "#228833" : "#eeeeee");
	}
}

static void draw(FILE *f, const json_t *plan)
{
	static const char *const legend[][2] = {{"#4477aa", "baby steps"},
						{"#66ccee", "giant steps"},
						{"#ee6677", "folds"},
						{"#228833", "results"},
						{"#eeeeee", "copies"}};
	const json_t *stages = json_object_get(plan, "stages");
	const int count = (int)HEL_MIN(json_array_size(stages), (size_t)256);
	const double slot_bits = number_of(plan, "slot_bits");
	const int bits = slot_bits >= 0 && slot_bits <= 16 ? (int)slot_bits : 16;
	const int width = HEL_MAX(LEFT + (bits + 2) * CELL, 620), height = TOP + count * ROW + 16;
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		width, height);
	for (size_t i = 0; i < HEL_ARRAY_LEN(legend); i++) {
		box(f, 8 + 115 * (int)i, 8, 14, legend[i][0]);
		fprintf(f, "<text x=\"%d\" y=\"20\">%s</text>\n", 40 + 115 * (int)i, legend[i][1]);
	}
	fprintf(f, "<text x=\"8\" y=\"%d\" fill=\"#666\">slot bit</text>\n", TOP - 10);
	for (int bit = 0; bit <= bits; bit++)
		fprintf(f,
			bit < bits ? "<text x=\"%d\" y=\"%d\" fill=\"#666\">%d</text>\n"
				   : "<text x=\"%d\" y=\"%d\" fill=\"#666\">i</text>\n",
			LEFT + bit * CELL + 8, TOP - 10, bit);
	for (int i = 0; i < count; i++)
		draw_stage(f, json_array_get(stages, (size_t)i), bits, TOP + i * ROW);
	fputs("</svg>\n", f);
}

static hel_status write_drawing(const char *path, const json_t *plan)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	TRY_ALLOC(f, f);
	draw(f, plan);
	if (fclose(f) != 0)
		FAIL(HEL_ENOMEM, "out of memory for the drawing");
	TRY(hel_file_write(path, text, size, 0644));
done:
	free(text);
	return st;
}

static hel_status run_inspect_plan(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	uint8_t *bytes = NULL;
	size_t size = 0;
	hel_program *p = NULL;
	json_t *plan = NULL;
	TRY(hel_file_read(args->operand, HEL_FILE_MAX, &bytes, &size));
	TRY(hel_program_read(&p, bytes, size));
	plan = json_loads(p->plan, 0, NULL);
	if (!json_is_object(plan))
		FAIL(HEL_EUNSUPPORTED, "%s holds no plan: it was not written by helrm compile",
		     args->operand);
	say_plan(args, plan);
	json_object_update(out, plan);
	if (hel_arg(args, "svg")) {
		TRY(write_drawing(hel_arg(args, "svg"), plan));
		hel_say(args, "\nwritten: %s\n", hel_arg(args, "svg"));
	}
done:
	json_decref(plan);
	hel_program_free(p);
	hel_free(bytes);
	return st;
}

const hel_command hel_command_inspect_plan = {
    .name = "inspect plan",
    .operand = "PROGRAM",
    .summary = "Show how a model was packed: each choice, its cost and the runner-up's",
    .option = {{"svg", "FILE", "draw the slot layouts, stage by stage", false, false}},
    .run = run_inspect_plan,
};
