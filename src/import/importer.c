#include "importer.h"
#include <stdarg.h>
#include <string.h>

void hel_importer_say(hel_importer *im, const char *format, ...)
{
	hel_import_report *r = im->report;
	va_list args;
	if (r->lines == HEL_IMPORT_LINES)
		return;
	va_start(args, format);
	vsnprintf(r->line[r->lines++], sizeof r->line[0], format, args);
	va_end(args);
}

uint32_t hel_importer_linear(hel_importer *im, uint32_t x, const hel_layer *l, const char *name)
{
	const uint32_t node = hel_build_linear(&im->b, x, l->rows, true, name);
	im->source[node] = (hel_source){.layer = l};
	return node;
}

uint32_t hel_importer_embed(hel_importer *im, uint32_t column, hel_foreign_table *t,
			    const char *prefix)
{
	const uint32_t node = hel_build_embed(&im->b, column, t->width, prefix);
	im->source[node] = (hel_source){.table = t, .column = column};
	return node;
}

/* A sigmoid after the layers that give the logit is the client's. */
static bool is_activated(const hel_importer *im, const hel_step *s, bool ends, bool last)
{
	switch (s->after) {
	case HEL_AFTER_NONE:
		return false;
	case HEL_AFTER_OWN:
		return !ends || last || s->activation.kind != HEL_ACT_SIGMOID;
	case HEL_AFTER_USUAL:
		break;
	}
	return !im->config.no_activation && (!ends || last);
}

uint32_t hel_importer_tower(hel_importer *im, uint32_t x, const hel_tower *t, bool last,
			    const char *name)
{
	char node[HEL_NODE_NAME_MAX];
	for (size_t i = 0; i < t->count; i++) {
		const hel_step *s = &t->step[i];
		snprintf(node, sizeof node, "%s.%zu", name, 2 * i);
		x = hel_importer_linear(im, x, &s->layer, node);
		snprintf(node, sizeof node, "%s.%zu", name, 2 * i + 1);
		if (is_activated(im, s, i + 1 == t->count, last))
			x = hel_build_activation(&im->b, x,
						 s->after == HEL_AFTER_OWN ? s->activation
									   : im->config.activation,
						 node);
	}
	return x;
}

/* Whether a whole module told what follows every layer. */
static bool file_tells(const hel_importer *im)
{
	const hel_tower *const all[] = {&im->bottom, &im->top};
	bool tells = json_object_size(im->file.sequential) > 0;
	for (size_t k = 0; k < HEL_ARRAY_LEN(all); k++)
		for (size_t i = 0; i < all[k]->count; i++)
			tells &= all[k]->step[i].after != HEL_AFTER_USUAL;
	return tells;
}

static void tell_activation(hel_importer *im)
{
	const hel_activation a = im->config.activation;
	const char *assumed =
	    im->config.activation_said ? "" : " (assumed; --config says otherwise)";
	if (json_object_get(im->config.root, "polynomials"))
		return; /* told once they are read */
	if (file_tells(im))
		hel_importer_say(im, "activations: those of the file's modules");
	else if (im->config.no_activation)
		hel_importer_say(im, "activation: none");
	else if (a.kind == HEL_ACT_QUADRATIC)
		hel_importer_say(im, "activation: %g x^2 + %g x%s", a.a, a.b, assumed);
	else if (a.kind == HEL_ACT_LEAKY_RELU || a.kind == HEL_ACT_ELU)
		hel_importer_say(im, "activation: %s of %g%s", hel_activation_name(a.kind), a.a,
				 assumed);
	else
		hel_importer_say(im, "activation: %s%s", hel_activation_name(a.kind), assumed);
}

void hel_importer_tell(hel_importer *im)
{
	const hel_tower *a = &im->bottom, *b = &im->top;
	const size_t multiplied_out = a->multiplied_out + b->multiplied_out,
		     folded = a->folded + b->folded, learned = a->learned + b->learned,
		     no_bias = a->no_bias + b->no_bias;
	tell_activation(im);
	if (multiplied_out)
		hel_importer_say(
		    im, "layers without an activation after the one before: %zu, multiplied out",
		    multiplied_out);
	if (folded)
		hel_importer_say(im, "batch normalisations folded into a layer: %zu (eps %g%s)",
				 folded, im->config.batchnorm_eps,
				 json_object_get(im->config.root, "batchnorm_eps") ? ""
										   : ", assumed");
	if (learned)
		hel_importer_say(im, "PReLU: %zu, each with its slope", learned);
	if (no_bias)
		hel_importer_say(im, "%zu layers have no bias: 0", no_bias);
}

hel_status hel_importer_one_logit(hel_importer *im, hel_tower *t)
{
	hel_step *s = &t->step[t->count - 1];
	hel_layer *l = &s->layer;
	const size_t row = im->config.output < 0 ? 0 : (size_t)im->config.output;
	if (row >= l->rows)
		return hel_fail(HEL_EFORMAT, "import config: 'output' is %zu, %s gives %zu", row,
				s->name, l->rows);
	if (l->rows > 1 && im->config.output < 0)
		return hel_fail(HEL_EUNSUPPORTED,
				"%s gives %zu outputs, a model has one logit: --config "
				"'{\"output\": N}' says which, from 0",
				s->name, l->rows);
	memmove(l->weight, l->weight + row * l->columns, l->columns * sizeof(float));
	l->bias[0] = l->bias[row];
	l->rows = 1;
	return HEL_OK;
}
