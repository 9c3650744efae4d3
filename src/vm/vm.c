/* Ops run in waves: all whose operands are there, at once. */
#include "vm.h"
#include <string.h>

typedef struct schedule {
	size_t waves;
	size_t *wave; /* of each op */
	size_t *last; /* the last wave that reads its value */
} schedule;

static void schedule_clear(schedule *s)
{
	hel_free(s->wave);
	hel_free(s->last);
}

static hel_status schedule_new(schedule *s, const hel_program *p, const uint32_t *result,
			       size_t results)
{
	hel_status st = HEL_OK;
	TRY_ALLOC(s->wave, hel_alloc(p->ops, sizeof *s->wave));
	TRY_ALLOC(s->last, hel_alloc(p->ops, sizeof *s->last));
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
	for (size_t i = 0; i < results; i++)
		s->last[result[i]] = s->waves; /* results stay */
done:
	return st;
}

void hel_vm_find_fused(bool *fused, const hel_program *p)
{
	for (size_t i = 0; i < p->ops; i++) {
		size_t readers = 0, rescale = 0;
		const hel_op_kind kind = p->op[i].kind;
		if (kind != HEL_OP_SQUARE && kind != HEL_OP_MUL && kind != HEL_OP_ROTATE_SUM)
			continue;
		for (size_t k = i + 1; k < p->ops; k++) {
			const hel_op *op = &p->op[k];
			bool reads = false;
			for (uint32_t t = 0; t < hel_op_operands(op); t++)
				reads |= hel_op_operand(op, t) == i;
			readers += reads;
			rescale = reads && op->kind == HEL_OP_RESCALE ? k : rescale;
		}
		if (readers == 1 && rescale)
			fused[i] = fused[rescale] = true;
	}
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
	st = m->run(m, op, &m->value[i]);
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
		/* one op alone may use all threads itself */
		TRY(hel_pool_try(ready > 1 ? m->pool : NULL, ready, run_one, &j));
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
