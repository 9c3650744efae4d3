/* What tune found, as a drawing: AUC over time, names in a column of their own, a line from each to
 * its point. */
#include "tune.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEFT 80.0
#define PLOT 520.0  /* width of what is drawn in */
#define COLUMN 60.0 /* between that and the names: the lines */
#define LETTER 6.6  /* width of one, at most */
#define LINE 16.0   /* of names */
#define TOP 30.0
#define BOTTOM 70.0

typedef struct label {
	const hel_candidate *of;
	double x, y, at; /* the point; where the name stands */
} label;

typedef struct drawing {
	const hel_tuning *t;
	const hel_candidate *chosen;
	double low_x, high_x, low_y, high_y, step; /* decades of ms; AUC */
	double height, width;
	label *label;
	size_t labels;
} drawing;

static double at_x(const drawing *d, double ms)
{
	return LEFT + PLOT * (log10(ms) - d->low_x) / (d->high_x - d->low_x);
}

static double at_y(const drawing *d, double auc)
{
	return TOP + (d->height - TOP - BOTTOM) * (d->high_y - auc) / (d->high_y - d->low_y);
}

static bool is_drawn(const hel_candidate *c)
{
	return c->compiled || c->trial->reference;
}

static void scale(drawing *d)
{
	size_t longest = 0;
	d->low_x = d->low_y = INFINITY;
	d->high_x = d->high_y = -INFINITY;
	for (size_t i = 0; i < d->t->count; i++) {
		const hel_candidate *c = &d->t->candidate[i];
		if (!is_drawn(c))
			continue;
		if (c->compiled) {
			d->low_x = fmin(d->low_x, log10(1e3 * c->seconds));
			d->high_x = fmax(d->high_x, log10(1e3 * c->seconds));
		}
		d->low_y = fmin(d->low_y, c->auc - c->behind_error);
		d->high_y = fmax(d->high_y, c->auc + c->behind_error);
		longest = HEL_MAX(longest, strlen(c->name));
		d->labels++;
	}
	if (!isfinite(d->low_x))
		d->low_x = 0, d->high_x = 1;
	if (!isfinite(d->low_y))
		d->low_y = 0.5, d->high_y = 1;
	d->low_x -= 0.1;
	d->high_x += 0.1;
	const double range = fmax(d->high_y - d->low_y, 1e-4);
	d->step = range > 0.1	  ? 0.05
		  : range > 0.04  ? 0.01
		  : range > 0.015 ? 0.005
		  : range > 0.006 ? 0.002
				  : 0.001;
	d->low_y = floor(d->low_y / d->step) * d->step;
	d->high_y = ceil(d->high_y / d->step) * d->step;
	d->height = fmax(480, TOP + BOTTOM + LINE * (double)(d->labels + 1));
	d->width = LEFT + PLOT + COLUMN + LETTER * (double)longest + 20;
}

static void draw_axes(FILE *f, const drawing *d)
{
	static const double steps[] = {1, 2, 3, 5, 7};
	fprintf(f,
		"<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"none\" "
		"stroke=\"#888\"/>\n",
		LEFT, TOP, PLOT, d->height - TOP - BOTTOM);
	for (double y = d->low_y; y <= d->high_y + 1e-9; y += d->step)
		fprintf(f,
			"<path d=\"M%g %.1fh%g\" stroke=\"#e4e4e4\"/><text x=\"%g\" y=\"%.1f\" "
			"text-anchor=\"end\">%.3f</text>\n",
			LEFT, at_y(d, y), PLOT, LEFT - 8, at_y(d, y) + 4, y);
	const double decades = d->high_x - d->low_x;
	for (double decade = floor(d->low_x); decade <= d->high_x; decade++)
		for (size_t i = 0; i < HEL_ARRAY_LEN(steps); i++) {
			const double ms = steps[i] * pow(10, decade), x = at_x(d, ms);
			const bool rare = steps[i] == 3 || steps[i] == 7;
			if (x < LEFT || x > LEFT + PLOT || (rare && decades > 1))
				continue;
			fprintf(f,
				"<path d=\"M%.1f %gv%g\" stroke=\"#e4e4e4\"/><text x=\"%.1f\" "
				"y=\"%g\" text-anchor=\"middle\">%g</text>\n",
				x, TOP, d->height - TOP - BOTTOM, x, d->height - BOTTOM + 20, ms);
		}
	fprintf(f,
		"<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">predicted server time of one "
		"encrypted prediction, one thread (ms)</text>\n"
		"<text transform=\"translate(22 %g) rotate(-90)\" text-anchor=\"middle\">AUC on "
		"held-out rows</text>\n"
		"<text x=\"%g\" y=\"%g\" text-anchor=\"middle\" fill=\"#666\">bars: one standard "
		"error of the distance to the best, same rows and seeds</text>\n",
		LEFT + PLOT / 2, d->height - 30, (TOP + d->height - BOTTOM) / 2, LEFT + PLOT / 2,
		d->height - 10);
}

static const char *colour(const drawing *d, const hel_candidate *c)
{
	return c->trial->reference ? "#080" : c == d->chosen ? "#c03" : c->front ? "#06c" : "#888";
}

static void draw_point(FILE *f, const drawing *d, const hel_candidate *c)
{
	const double y = at_y(d, c->auc);
	if (c->trial->reference) {
		fprintf(f, "<path d=\"M%g %.1fh%g\" stroke=\"#080\" stroke-dasharray=\"6 4\"/>\n",
			LEFT, y, PLOT);
		return;
	}
	const double x = at_x(d, 1e3 * c->seconds);
	if (c->behind_error > 0)
		fprintf(f, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#aaa\"/>", x,
			at_y(d, c->auc - c->behind_error), at_y(d, c->auc + c->behind_error));
	fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%d\" fill=\"%s\"/>\n", x, y,
		c == d->chosen ? 6 : 4, colour(d, c));
}

/* Candidates stand by their time already. */
static void draw_front(FILE *f, const drawing *d)
{
	char next = 'M';
	fputs("<path fill=\"none\" stroke=\"#06c\" d=\"", f);
	for (size_t i = 0; i < d->t->count; i++) {
		const hel_candidate *c = &d->t->candidate[i];
		if (!c->front)
			continue;
		fprintf(f, "%c%.1f %.1f", next, at_x(d, 1e3 * c->seconds), at_y(d, c->auc));
		next = 'L';
	}
	fputs("\"/>\n", f);
}

/* --- names -------------------------------------------------------------------------------- */

static int by_height(const void *a, const void *b)
{
	const label *x = a, *y = b;
	if (x->y != y->y)
		return x->y < y->y ? -1 : 1;
	return (x->x < y->x) - (x->x > y->x);
}

/* As near to their points' heights as they can stand one below the other: down from the top, then
 * up from the end. */
static void place_labels(drawing *d)
{
	size_t n = 0;
	for (size_t i = 0; i < d->t->count; i++) {
		const hel_candidate *c = &d->t->candidate[i];
		if (is_drawn(c))
			d->label[n++] = (label){
			    c, c->trial->reference ? LEFT + PLOT : at_x(d, 1e3 * c->seconds),
			    at_y(d, c->auc), 0};
	}
	qsort(d->label, n, sizeof *d->label, by_height);
	for (size_t i = 0; i < n; i++)
		d->label[i].at = fmax(d->label[i].y, i ? d->label[i - 1].at + LINE : TOP);
	double most = d->height - BOTTOM;
	for (size_t i = n; i--; most -= LINE)
		d->label[i].at = fmin(d->label[i].at, most);
}

static void draw_label(FILE *f, const drawing *d, const label *l)
{
	const double x = LEFT + PLOT + COLUMN;
	fprintf(f,
		"<path fill=\"none\" stroke=\"#ccc\" d=\"M%.1f %.1fL%.1f %.1fH%.1f\"/>"
		"<text x=\"%.1f\" y=\"%.1f\" fill=\"%s\"%s>",
		l->x, l->y, x - 12, l->at, x - 4, x, l->at + 4, colour(d, l->of),
		l->of == d->chosen ? " font-weight=\"bold\"" : "");
	for (const char *p = l->of->name; *p; p++)
		if (*p == '<' || *p == '&')
			fprintf(f, "&#%d;", *p);
		else
			fputc(*p, f);
	fputs("</text>\n", f);
}

static void draw(FILE *f, const drawing *d)
{
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" "
		"height=\"100%%\" fill=\"white\"/>\n",
		d->width, d->height);
	draw_axes(f, d);
	for (size_t i = 0; i < d->labels; i++)
		draw_label(f, d, &d->label[i]);
	draw_front(f, d);
	for (size_t i = 0; i < d->labels; i++)
		draw_point(f, d, d->label[i].of);
	fputs("</svg>\n", f);
}

hel_status hel_tune_svg(char **out, const hel_tuning *t, const hel_candidate *chosen)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size;
	FILE *f;
	drawing d = {.t = t, .chosen = chosen};
	scale(&d);
	TRY_ALLOC(d.label, hel_alloc(HEL_MAX(d.labels, 1), sizeof *d.label));
	place_labels(&d);
	TRY_ALLOC(f, open_memstream(&text, &size));
	draw(f, &d);
	if (fclose(f))
		FAIL(HEL_ENOMEM, "out of memory for a drawing");
	TRY_ALLOC(*out, hel_strdup(text));
done:
	hel_free(d.label);
	free(text);
	return st;
}
