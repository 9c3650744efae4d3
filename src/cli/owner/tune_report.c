/* What tune found, as a table, as JSON and as a drawing. */
#include "tune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

void hel_tune_table(const hel_args *args, const hel_candidate *c, size_t count,
		    const hel_candidate *chosen)
{
	hel_say(args, "\n    %-42s %-16s %-17s %-8s %8s %9s %6s %10s\n", "candidate", "AUC",
		"behind the best", "log loss", "one-hot", "query kB", "levels", "server ms");
	for (const hel_candidate *x = c; x < c + count; x++) {
		char cost[64] = "  not compiled: see tune.json";
		if (x->compiled)
			snprintf(cost, sizeof cost, "%9.0f %6u %10.1f",
				 (double)x->query_bytes / 1e3, x->levels, 1e3 * x->seconds);
		hel_say(args, "%s %s %-42s %.4f+-%.4f   %.4f+-%.4f    %.4f   %8zu %s\n",
			x == chosen ? "->" : "  ", x->front ? "*" : " ", x->name, x->auc,
			x->auc_error, x->behind, x->behind_error, x->log_loss, x->onehots, cost);
	}
	hel_say(args, "* on the front: no other candidate has a better AUC in less time\n");
}

json_t *hel_tune_json(const hel_candidate *c, size_t count, const hel_candidate *chosen)
{
	json_t *list = json_array();
	for (const hel_candidate *x = c; x < c + count; x++) {
		json_t *o = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:I, s:b, s:b}", "name",
				      x->name, "auc", x->auc, "auc_error", x->auc_error, "behind",
				      x->behind, "behind_error", x->behind_error, "log_loss",
				      x->log_loss, "onehots", (json_int_t)x->onehots, "front",
				      (int)x->front, "chosen", x == chosen);
		if (x->compiled)
			json_object_update_new(
			    o, json_pack("{s:I, s:I, s:i, s:i, s:f}", "query_bytes",
					 (json_int_t)x->query_bytes, "evaluation_keys_bytes",
					 (json_int_t)x->key_bytes, "levels", (int)x->levels,
					 "log_n", (int)x->log_n, "server_ms", 1e3 * x->seconds));
		else
			json_object_set_new(o, "not_compiled", json_string(x->why));
		json_array_append_new(list, o);
	}
	return list;
}

/* --- the drawing ------------------------------------------------------------------------- */

#define WIDTH 900.0
#define HEIGHT 560.0
#define LEFT 80.0
#define RIGHT 40.0
#define TOP 40.0
#define BOTTOM 70.0

typedef struct axes {
	double low_x, high_x, low_y, high_y; /* decades of ms; AUC */
} axes;

static double at_x(const axes *a, double ms)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * (log10(ms) - a->low_x) / (a->high_x - a->low_x);
}

static double at_y(const axes *a, double auc)
{
	return TOP + (HEIGHT - TOP - BOTTOM) * (a->high_y - auc) / (a->high_y - a->low_y);
}

static axes axes_of(const hel_candidate *c, size_t count)
{
	axes a = {INFINITY, -INFINITY, INFINITY, -INFINITY};
	for (const hel_candidate *x = c; x < c + count; x++) {
		if (x->compiled) {
			a.low_x = fmin(a.low_x, log10(1e3 * x->seconds));
			a.high_x = fmax(a.high_x, log10(1e3 * x->seconds));
		}
		a.low_y = fmin(a.low_y, x->auc - x->auc_error);
		a.high_y = fmax(a.high_y, x->auc + x->auc_error);
	}
	if (!isfinite(a.low_x))
		a.low_x = 0, a.high_x = 1;
	a.low_x -= 0.15;
	a.high_x += 0.45; /* room for names */
	a.low_y = floor(a.low_y * 200) / 200;
	a.high_y = ceil(a.high_y * 200) / 200;
	return a;
}

static void draw_axes(FILE *f, const axes *a)
{
	fprintf(f,
		"<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"none\" "
		"stroke=\"#888\"/>\n",
		LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
	for (double y = a->low_y; y <= a->high_y + 1e-9; y += 0.005)
		fprintf(f,
			"<path d=\"M%g %.1fh%g\" stroke=\"#ddd\"/><text x=\"%g\" y=\"%.1f\" "
			"text-anchor=\"end\">%.3f</text>\n",
			LEFT, at_y(a, y), WIDTH - LEFT - RIGHT, LEFT - 8, at_y(a, y) + 4, y);
	static const double steps[] = {1, 2, 5};
	for (double decade = floor(a->low_x); decade <= a->high_x; decade++)
		for (size_t i = 0; i < HEL_ARRAY_LEN(steps); i++) {
			const double ms = steps[i] * pow(10, decade), x = at_x(a, ms);
			if (x < LEFT || x > WIDTH - RIGHT)
				continue;
			fprintf(f,
				"<path d=\"M%.1f %gv%g\" stroke=\"#ddd\"/><text x=\"%.1f\" "
				"y=\"%g\" text-anchor=\"middle\">%g</text>\n",
				x, TOP, HEIGHT - TOP - BOTTOM, x, HEIGHT - BOTTOM + 20, ms);
		}
	fprintf(f,
		"<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">predicted server time of one "
		"encrypted prediction, one thread (ms)</text>\n"
		"<text transform=\"translate(22 %g) rotate(-90)\" text-anchor=\"middle\">AUC on "
		"held-out rows, one standard error</text>\n",
		(LEFT + WIDTH - RIGHT) / 2, HEIGHT - 20, (TOP + HEIGHT - BOTTOM) / 2);
}

static void draw_point(FILE *f, const axes *a, const hel_candidate *x, bool chosen)
{
	const double px = at_x(a, 1e3 * x->seconds), py = at_y(a, x->auc);
	fprintf(f, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#999\"/>", px,
		at_y(a, x->auc - x->auc_error), at_y(a, x->auc + x->auc_error));
	fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>", px, py, chosen ? 7 : 4,
		chosen	   ? "#c03"
		: x->front ? "#06c"
			   : "#999");
	fprintf(f, "<text x=\"%.1f\" y=\"%.1f\"%s>", px + 9, py - 5,
		chosen ? " font-weight=\"bold\"" : "");
	for (const char *p = x->name; *p; p++)
		if (*p == '<' || *p == '&')
			fprintf(f, "&#%d;", *p);
		else
			fputc(*p, f);
	fputs("</text>\n", f);
}

static int by_time(const void *a, const void *b)
{
	const double x = (*(const hel_candidate *const *)a)->seconds,
		     y = (*(const hel_candidate *const *)b)->seconds;
	return (x > y) - (x < y);
}

static hel_status draw_front(FILE *f, const axes *a, const hel_candidate *c, size_t count)
{
	hel_status st = HEL_OK;
	const hel_candidate **front = NULL;
	size_t n = 0;
	TRY_ALLOC(front, hel_alloc(count, sizeof *front));
	for (size_t i = 0; i < count; i++)
		if (c[i].front)
			front[n++] = &c[i];
	qsort(front, n, sizeof *front, by_time);
	fputs("<path fill=\"none\" stroke=\"#06c\" d=\"", f);
	for (size_t i = 0; i < n; i++)
		fprintf(f, "%c%.1f %.1f", i ? 'L' : 'M', at_x(a, 1e3 * front[i]->seconds),
			at_y(a, front[i]->auc));
	fputs("\"/>\n", f);
done:
	hel_free(front);
	return st;
}

hel_status hel_tune_svg(char **out, const hel_candidate *c, size_t count,
			const hel_candidate *chosen)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size;
	FILE *f;
	const axes a = axes_of(c, count);
	TRY_ALLOC(f, open_memstream(&text, &size));
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" "
		"height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	draw_axes(f, &a);
	st = draw_front(f, &a, c, count);
	for (const hel_candidate *x = c; x < c + count; x++)
		if (x->compiled)
			draw_point(f, &a, x, x == chosen);
	fputs("</svg>\n", f);
	if (fclose(f) && st == HEL_OK)
		st = hel_fail(HEL_ENOMEM, "out of memory for a drawing");
	TRY(st);
	TRY_ALLOC(*out, hel_strdup(text));
done:
	free(text);
	return st;
}
