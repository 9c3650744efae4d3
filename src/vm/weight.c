/* Which weights a program has, each vector once per level and use, and how one is encoded. */
#include "weight.h"
#include "circuit/refresh.h"
#include <string.h>

void hel_op_levels(unsigned *level, const hel_program *p)
{
	for (size_t i = 0; i < p->ops; i++) {
		const hel_op *op = &p->op[i];
		level[i] = op->kind == HEL_OP_INPUT	     ? p->manifest->input[op->index].level
			   : op->kind == HEL_OP_WEIGHTED_SUM ? op->index
			   : op->kind == HEL_OP_REFRESH ? hel_refresh_levels(&p->manifest->params)
							: level[hel_op_operand(op, 0)];
		/* below level 0 the run itself reports it */
		if (op->kind == HEL_OP_RESCALE && level[i])
			level[i]--;
	}
}

/* --- which weights ----------------------------------------------------------------- */

/* Plaintexts of an op. */
static size_t plaintexts_of(const hel_op *op)
{
	return op->kind == HEL_OP_LINEAR ? op->terms : op->kind == HEL_OP_ADD_PLAIN;
}

/* The weight of a vector at a level, new if there is none yet. Those of one vector are a chain:
 * head[vector] and next[weight], both counted from 1. */
static uint32_t weight_of(hel_loaded *l, uint32_t *head, uint32_t *next, uint32_t vector,
			  unsigned level, hel_pt_use use)
{
	for (uint32_t w = head[vector]; w; w = next[w - 1])
		if (l->weight[w - 1].pt.level == level && l->weight[w - 1].pt.use == use)
			return w - 1;
	hel_weight *new = &l->weight[l->weights];
	*new = (hel_weight){vector,
			    l->bytes,
			    {.params = l->params,
			     .level = level,
			     .scale = hel_params_scale(l->params, level),
			     .use = use}};
	/* every one aligned like memory of its own */
	l->bytes += (4 * hel_weight_words(&new->pt) + HEL_ALIGN - 1) / HEL_ALIGN * HEL_ALIGN;
	next[l->weights] = head[vector];
	head[vector] = (uint32_t)++l->weights;
	return head[vector] - 1;
}

hel_status hel_loaded_find_weights(hel_loaded *l)
{
	hel_status st = HEL_OK;
	const hel_program *p = l->p;
	unsigned *level = NULL;
	uint32_t *head = NULL, *next = NULL;
	size_t count = 0;
	TRY_ALLOC(level, hel_alloc(p->ops, sizeof *level));
	TRY_ALLOC(l->first, hel_alloc(p->ops, sizeof *l->first));
	for (size_t i = 0; i < p->ops; i++) {
		l->first[i] = count;
		count += plaintexts_of(&p->op[i]);
	}
	TRY_ALLOC(l->of, hel_alloc(count, sizeof *l->of));
	TRY_ALLOC(l->weight, hel_alloc(count, sizeof *l->weight));
	TRY_ALLOC(next, hel_alloc(count, sizeof *next));
	TRY_ALLOC(head, hel_alloc(p->vectors, sizeof *head));
	hel_op_levels(level, p);
	for (size_t i = 0; i < p->ops; i++) {
		const hel_op *op = &p->op[i];
		const size_t plaintexts = plaintexts_of(op);
		if (plaintexts && level[i] > l->params->spec.levels)
			FAIL(HEL_ELEVEL, "level %u, at most %u exists", level[i],
			     l->params->spec.levels);
		for (size_t k = 0; k < plaintexts; k++)
			l->of[l->first[i] + k] =
			    weight_of(l, head, next, op->terms ? op->term[k].vector : op->index,
				      level[i], op->terms ? HEL_FOR_MUL : HEL_FOR_ADD);
	}
done:
	hel_free(level);
	hel_free(head);
	hel_free(next);
	return st;
}

/* --- encoding ------------------------------------------------------------------------ */

hel_status hel_loaded_encode(const hel_loaded *l, size_t weight, uint32_t *data)
{
	hel_status st = HEL_OK;
	const hel_weight *w = &l->weight[weight];
	const size_t slots = hel_params_slots(l->params);
	hel_complex *full = NULL;
	TRY_ALLOC(full, hel_alloc(slots, sizeof *full));
	for (size_t i = 0; i < slots; i++)
		full[i] = hel_vector_at(&l->p->vector[w->vector], i >> l->p->manifest->log_batch);
	TRY(hel_encode_into(data, l->params, full, w->pt.level, w->pt.scale, w->pt.use, NULL));
done:
	hel_free(full);
	return st;
}

#define BATCH 64 /* weights between two looks at progress and `stop`: about 0.1 s */

typedef struct batch {
	hel_status (*fn)(void *arg, size_t i);
	void *arg;
	size_t first;
} batch;

static hel_status one_of_batch(void *arg, size_t i)
{
	const batch *b = arg;
	return b->fn(b->arg, b->first + i);
}

hel_status hel_loaded_each(const hel_loaded *l, hel_pool *pool, const hel_load_options *o,
			   hel_status (*fn)(void *arg, size_t i), void *arg)
{
	hel_status st = HEL_OK;
	for (batch b = {fn, arg, 0}; b.first < l->weights; b.first += BATCH) {
		if (o->stop && atomic_load(o->stop))
			FAIL(HEL_ECANCEL, "loading was cancelled");
		if (o->progress)
			hel_progress_step(o->progress, (double)b.first / (double)l->weights);
		TRY(hel_pool_try(pool, HEL_MIN(l->weights - b.first, (size_t)BATCH), one_of_batch,
				 &b));
	}
done:
	return st;
}

void hel_loaded_place(hel_loaded *l, void *data)
{
	for (size_t i = 0; i < l->weights; i++)
		l->weight[i].pt.data = (uint32_t *)(void *)((uint8_t *)data + l->weight[i].at);
}
