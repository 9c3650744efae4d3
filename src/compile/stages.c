#include "stages.h"
#include "base/base.h"

hel_status hel_stages_add(hel_stage **out, hel_stages *s, const char *name, size_t rows,
			  size_t factors, size_t sources)
{
	hel_status st = HEL_OK;
	hel_stage *stage = *out = &s->stage[s->count];
	if (s->count == HEL_MAX_STAGES)
		FAIL(HEL_EUNSUPPORTED, "layer %s: a program of more than %d layers", name,
		     HEL_MAX_STAGES);
	TRY_ALLOC(stage->source, hel_alloc(sources, sizeof *stage->source));
	snprintf(stage->name, sizeof stage->name, "%s", name);
	stage->rows = rows;
	stage->factors = factors;
	stage->node = s->node;
	for (size_t i = 0; i < s->model->graph->nodes; i++)
		if (s->node_stage[i] == HEL_STAGE_PENDING)
			s->node_stage[i] = (int)s->count;
	s->count++;
done:
	return st;
}

void hel_stages_free(hel_stages *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->stage && i < s->count; i++)
		hel_stage_clear(&s->stage[i]);
	hel_free(s->stage);
	hel_free(s->coding);
	hel_free(s->order);
	hel_free(s->table);
	hel_free(s->rows);
	hel_free(s->falling);
	hel_free(s->node_stage);
	hel_free(s);
}

unsigned hel_stages_levels(const hel_stages *s)
{
	unsigned levels = 0;
	for (size_t i = 0; i < s->count; i++)
		levels =
		    HEL_MAX(levels, hel_stage_level(s, i) +
					(s->stage[i].map == HEL_MAP_TABLES ? s->code_levels : 0));
	return levels;
}
