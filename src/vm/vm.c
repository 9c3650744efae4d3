/* Ops run in waves: all whose operands are there, at once. */
#include "vm.h"
#include <string.h>

typedef struct schedule {
	size_t waves;
	size_t *wave; /* of each op */
	size_t *last; /* the last wave that reads its value */
	hel_fusion *fusion;
} schedule;

static void schedule_clear(schedule *s)
{
	hel_free(s->wave);
	hel_free(s->last);
	hel_free(s->fusion);
}

/* What reads an op's value: how often, and last. */
typedef struct readers {
	uint32_t count, last;
} readers;

static bool is_product(const hel_op *op)
{
	return op->kind == HEL_OP_SQUARE || op->kind == HEL_OP_MUL;
}

/* Terms that are products for this sum alone, as often as they can be had without a product by a
 * number. */
static bool defer_products(hel_fusion *fusion, const hel_program *p, const readers *r,
			   const hel_op *sum)
{
	bool any = false;
	for (uint32_t k = 0; k < sum->terms; k++)
		if (is_product(&p->op[sum->term[k].value]) && r[sum->term[k].value].count == 1 &&
		    (sum->factor[k] == 1 || sum->factor[k] == 2)) {
			fusion[sum->term[k].value] = HEL_DEFERRED;
			any = true;
		}
	return any;
}

bool hel_vm_is_made(const hel_fusion *fusion, const hel_op *sum, uint32_t term)
{
	return fusion[sum->term[term].value] == HEL_DEFERRED;
}

hel_status hel_vm_find_fused(hel_fusion *fusion, const hel_program *p)
{
	hel_status st = HEL_OK;
	readers *r = NULL;
	TRY_ALLOC(r, hel_alloc(p->ops, sizeof *r));
	for (uint32_t i = 0; i < p->ops; i++) {
		fusion[i] = HEL_ALONE;
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++) {
			readers *of = &r[hel_op_operand(&p->op[i], k)];
			of->count++;
			of->last = i;
		}
	}
	for (uint32_t i = 0; i < p->ops; i++) {
		const hel_op *op = &p->op[i];
		if (r[i].count != 1 || p->op[r[i].last].kind != HEL_OP_RESCALE)
			continue;
		if (is_product(op) || op->kind == HEL_OP_ROTATE_SUM) {
			fusion[i] = HEL_DIVIDES;
		} else if (op->kind == HEL_OP_WEIGHTED_SUM) {
			if (!defer_products(fusion, p, r, op))
				continue;
			fusion[i] = HEL_MAKES;
		} else
			continue;
		fusion[r[i].last] = HEL_DIVIDED;
	}
done:
	hel_free(r);
	return st;
}

static void keep_factors(schedule *s, const hel_program *p, size_t sum)
{
	const hel_op *op = &p->op[sum];
	for (uint32_t i = 0; i < op->terms; i++) {
		const hel_op *product = &p->op[op->term[i].value];
		if (!hel_vm_is_made(s->fusion, op, i))
			continue;
		for (uint32_t k = 0; k < hel_op_operands(product); k++) {
			size_t *last = &s->last[hel_op_operand(product, k)];
			*last = HEL_MAX(*last, s->wave[sum]);
		}
	}
}

static hel_status schedule_new(schedule *s, const hel_program *p, const uint32_t *result,
			       size_t results)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(s->wave, hel_alloc(p->ops, sizeof *s->wave));
	TRY_ALLOC(s->last, hel_alloc(p->ops, sizeof *s->last));
	TRY_ALLOC(s->fusion, hel_alloc(p->ops, sizeof *s->fusion));
	TRY(hel_vm_find_fused(s->fusion, p));
	for (size_t i = 0; i < p->ops; i++) {
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++)
			s->wave[i] = HEL_MAX(s->wave[i], s->wave[hel_op_operand(&p->op[i], k)] + 1);
		s->waves = HEL_MAX(s->waves, s->wave[i] + 1);
	}
	/* inputs wait until they are needed */
	for (size_t i = 0; i < p->ops; i++)
		if (p->op[i].kind == HEL_OP_INPUT)
			s->wave[i] = s->waves - 1;
	for (size_t i = 0; i < p->ops; i++)
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++) {
			const size_t from = hel_op_operand(&p->op[i], k);
			if (p->op[from].kind == HEL_OP_INPUT)
				s->wave[from] = HEL_MIN(s->wave[from], s->wave[i] - 1);
		}
	for (size_t i = 0; i < p->ops; i++) {
		s->last[i] = HEL_MAX(s->last[i], s->wave[i]);
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++) {
			size_t *last = &s->last[hel_op_operand(&p->op[i], k)];
			*last = HEL_MAX(*last, s->wave[i]);
		}
	}
	for (size_t i = 0; i < p->ops; i++)
		if (s->fusion[i] == HEL_MAKES) /* its products' operands wait for it */
			keep_factors(s, p, i);
	for (size_t i = 0; i < results; i++)
		s->last[result[i]] = s->waves; /* results stay */
done:
	return st;
}

hel_status hel_vm_peak_values(size_t *out, const hel_program *p)
{
	hel_status st = HEL_OK;
	schedule s = {0};
	size_t alive = 0, peak = 0;
	TRY(schedule_new(&s, p, &(uint32_t){p->ops - 1}, 1));
	for (size_t w = 0; w < s.waves; w++) {
		for (size_t i = 0; i < p->ops; i++)
			alive += s.wave[i] == w;
		peak = HEL_MAX(peak, alive);
		for (size_t i = 0; i < p->ops; i++)
			alive -= s.last[i] == w;
	}
	*out = peak;
done:
	schedule_clear(&s);
	return st;
}

typedef struct wave_job {
	hel_machine *m;
	const hel_program *p;
	size_t *op; /* of this wave */
} wave_job;

static hel_status run_one(void *arg, size_t index)
{
	hel_status st = HEL_OK;
	const wave_job *j = arg;
	hel_machine *m = j->m;
	const size_t i = j->op[index];
	const hel_op *op = &j->p->op[i];
	const double start = hel_clock();
	if (m->stop && atomic_load_explicit(m->stop, memory_order_relaxed))
		FAIL(HEL_ECANCEL, "cancelled before op %zu of %u", i, j->p->ops);
	TRY(hel_watching_step(m->watching, (double)m->done / (double)j->p->ops));
	st = m->run(m, op, &m->value[i]);
	m->done++;
	if (st != HEL_OK) {
		char detail[400];
		snprintf(detail, sizeof detail, "%s", hel_error_detail());
		FAIL(st, "layer %s: %s: %s", j->p->layer[op->layer], hel_op_name(op->kind), detail);
	}
	if (m->timed)
		m->timed(m, i, start, hel_clock() - start);
done:
	return st;
}

hel_status hel_vm_run(hel_machine *m, const hel_program *p, void **result)
{
	return hel_vm_run_many(m, p, &(uint32_t){p->ops - 1}, 1, result);
}

hel_status hel_vm_run_many(hel_machine *m, const hel_program *p, const uint32_t *op, size_t count,
			   void **result)
{
	hel_status st = HEL_OK;
	schedule s = {0};
	wave_job j = {m, p, NULL};
	TRY_ALLOC(m->value, hel_alloc(p->ops, sizeof *m->value));
	TRY_ALLOC(j.op, hel_alloc(p->ops, sizeof *j.op));
	TRY(schedule_new(&s, p, op, count));
	for (size_t w = 0; w < s.waves; w++) {
		size_t ready = 0;
		for (size_t i = 0; i < p->ops; i++)
			if (s.wave[i] == w)
				j.op[ready++] = i;
		/* threads without an op help with the limbs of others' */
		TRY(hel_pool_try(m->pool, ready, run_one, &j));
		for (size_t i = 0; i < p->ops; i++)
			if (s.last[i] == w && m->value[i]) {
				m->free_value(m, m->value[i]);
				m->value[i] = NULL;
			}
	}
	for (size_t i = 0; i < count; i++) {
		result[i] = m->value[op[i]];
		m->value[op[i]] = NULL;
	}
done:
	for (size_t i = 0; m->value && i < p->ops; i++)
		if (m->value[i])
			m->free_value(m, m->value[i]);
	hel_free(m->value);
	m->value = NULL;
	hel_free(j.op);
	schedule_clear(&s);
	return st;
}
