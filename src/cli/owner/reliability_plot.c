#include "reliability_plot.h"
#include "base/base.h"
#include <math.h>
#include <stdlib.h>

#define SIDE 440.0
#define LEFT 70.0
#define TOP 40.0
#define SIZE 540.0

/* Both axes run from 0 to the same end: a round number above all that is drawn. */
typedef struct axes {
	double end, step;
} axes;

static double spread(const hel_reliability_bin *b)
{
	return 2 * sqrt(b->observed * (1 - b->observed) / (double)b->rows);
}

static axes axes_of(const hel_reliability *r)
{
	double most = 0;
	for (const hel_reliability_bin *b = r->bin; b < r->bin + r->bins; b++)
		most = fmax(most, fmax(b->predicted, fmin(b->observed + spread(b), 1)));
	const double step = most > 0.5 ? 0.2 : most > 0.2 ? 0.1 : most > 0.1 ? 0.05 : 0.02;
	return (axes){fmin(ceil(most / step) * step + (most == 0) * step, 1), step};
}

static double at_x(const axes *a, double p)
{
	return LEFT + SIDE * p / a->end;
}

static double at_y(const axes *a, double p)
{
	return TOP + SIDE * (1 - p / a->end);
}

static void draw_axes(FILE *f, const axes *a)
{
	for (double p = 0; p <= a->end + a->step / 2; p += a->step)
		fprintf(f,
			"<path d=\"M%.1f %gv%gM%g %.1fh%g\" stroke=\"#ddd\"/><text x=\"%.1f\" "
			"y=\"%g\" text-anchor=\"middle\">%g</text><text x=\"%g\" y=\"%.1f\" "
			"text-anchor=\"end\">%g</text>\n",
			at_x(a, p), TOP, SIDE, LEFT, at_y(a, p), SIDE, at_x(a, p), TOP + SIDE + 18,
			p, LEFT - 8, at_y(a, p) + 4, p);
	fprintf(f,
		"<path d=\"M%g %gL%g %g\" stroke=\"#888\" stroke-dasharray=\"5 4\"/>\n"
		"<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">predicted</text>\n"
		"<text transform=\"translate(20 %g) rotate(-90)\" text-anchor=\"middle\">observed, "
		"two standard errors</text>\n",
		LEFT, TOP + SIDE, LEFT + SIDE, TOP, LEFT + SIDE / 2, TOP + SIDE + 42,
		TOP + SIDE / 2);
}

hel_status hel_reliability_svg(char **out, const hel_reliability *r)
{
	hel_status st = HEL_OK;
	char *text = NULL;
	size_t size;
	FILE *f;
	const axes a = axes_of(r);
	TRY_ALLOC(f, open_memstream(&text, &size));
	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%g\" height=\"%g\" "
		"font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" "
		"height=\"100%%\" fill=\"white\"/>\n<text x=\"%g\" y=\"24\">calibration error "
		"%.4f, Brier %.4f, base rate %.4f</text>\n",
		SIZE, SIZE, LEFT, r->calibration_error, r->brier, r->base_rate);
	draw_axes(f, &a);
	for (const hel_reliability_bin *b = r->bin; b < r->bin + r->bins; b++)
		fprintf(f,
			"<path d=\"M%.1f %.1fV%.1f\" stroke=\"#06c\"/><circle cx=\"%.1f\" "
			"cy=\"%.1f\" r=\"4\" fill=\"#06c\"/>\n",
			at_x(&a, b->predicted), at_y(&a, fmax(b->observed - spread(b), 0)),
			at_y(&a, fmin(b->observed + spread(b), a.end)), at_x(&a, b->predicted),
			at_y(&a, b->observed));
	fputs("</svg>\n", f);
	if (fclose(f))
		FAIL(HEL_ENOMEM, "out of memory for a drawing");
	TRY_ALLOC(*out, hel_strdup(text));
done:
	free(text);
	return st;
}
