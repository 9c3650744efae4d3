#include "vm.h"
#include <string.h>

/* The last op that reads each value. */
static void find_last_uses(size_t *last, const hel_program *p)
{
	for (size_t i = 0; i < p->ops; i++) {
		last[i] = i;
		for (uint32_t k = 0; k < hel_op_operands(&p->op[i]); k++)
			last[hel_op_operand(&p->op[i], k)] = i;
	}
	last[p->ops - 1] = p->ops;
}

hel_status hel_vm_peak_values(size_t *out, const hel_program *p)
{
	hel_status st = HEL_OK;
	size_t *last = NULL, alive = 0, peak = 0;
	TRY_ALLOC(last, hel_alloc(p->ops, sizeof *last));
	find_last_uses(last, p);
	for (size_t i = 0; i < p->ops; i++) {
		peak = HEL_MAX(peak, ++alive);
		for (size_t k = 0; k <= i; k++)
			alive -= last[k] == i;
	}
	*out = peak;
done:
	hel_free(last);
	return st;
}

hel_status hel_vm_run(hel_machine *m, const hel_program *p, void **result)
{
	hel_status st = HEL_OK;
	size_t *last = NULL;
	TRY_ALLOC(m->value, hel_alloc(p->ops, sizeof *m->value));
	TRY_ALLOC(last, hel_alloc(p->ops, sizeof *last));
	find_last_uses(last, p);
	for (size_t i = 0; i < p->ops; i++) {
		double start = hel_clock();
		if (m->stop && atomic_load_explicit(m->stop, memory_order_relaxed))
			FAIL(HEL_ECANCEL, "cancelled before op %zu of %u", i, p->ops);
		st = m->run(m, &p->op[i], &m->value[i]);
		if (st != HEL_OK) {
			char detail[400];
			snprintf(detail, sizeof detail, "%s", hel_error_detail());
			FAIL(st, "layer %s: %s: %s", p->layer[p->op[i].layer],
			     hel_op_name(p->op[i].kind), detail);
		}
		if (m->timed)
			m->timed(m, i, hel_clock() - start);
		for (size_t k = 0; k <= i; k++)
			if (last[k] == i && m->value[k]) {
				m->free_value(m, m->value[k]);
				m->value[k] = NULL;
			}
	}
	*result = m->value[p->ops - 1];
	m->value[p->ops - 1] = NULL;
done:
	for (size_t i = 0; m->value && i < p->ops; i++)
		if (m->value[i])
			m->free_value(m, m->value[i]);
	hel_free(m->value);
	m->value = NULL;
	hel_free(last);
	return st;
}
