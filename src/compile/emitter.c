/* What the ops of stages and of lookups have in common. */
#include "emitter.h"

hel_status hel_emitter_terms(emitter *e, hel_op *op, const hel_transform *packed,
			     const hel_packing *k, size_t source, uint32_t value, bool last)
{
	hel_status st = HEL_OK;
	const hel_packing_source *from = &k->source[source];
	const uint32_t giant_bits = from->giants ? from->diagonals & k->giant_bits : 0;
	const uint32_t bits = from->diagonals & ~giant_bits;
	int32_t *baby = NULL, *giant = NULL;
	TRY_ALLOC(baby, hel_alloc((size_t)1 << __builtin_popcount(bits), sizeof *baby));
	TRY_ALLOC(giant, hel_alloc((size_t)1 << __builtin_popcount(giant_bits), sizeof *giant));
	const size_t babies = hel_subset_sums(baby, bits),
		     giants = hel_subset_sums(giant, giant_bits);
	for (size_t g = 0; g < giants; g++)
		for (size_t b = 0; b < babies; b++) {
			hel_term *term = &op->term[op->terms];
			*term = (hel_term){.value = value, .baby = baby[b], .giant = giant[g]};
			/* a product with zeros is left out, unless nothing else remains */
			if (!hel_linear_weights(e->b.vector, &packed->t, source, baby[b],
						giant[g]) &&
			    (op->terms || !last || b + 1 < babies || g + 1 < giants))
				continue;
			TRY(hel_program_add_vector(e->b.p, e->b.vector, hel_emitter_log_slots(e),
						   &term->vector));
			op->terms++;
		}
done:
	hel_free(baby);
	hel_free(giant);
	return st;
}

hel_status hel_emitter_transform(hel_transform **out, const emitter *e, size_t stage, size_t *most)
{
	const hel_stage *s = &e->s->stage[stage];
	const hel_packing *k = &e->plan->packing[stage];
	const hel_packing *parent[HEL_MAX_SOURCES] = {NULL};
	*most = 0;
	for (size_t i = 0; i < k->sources; i++)
		*most += (size_t)1 << __builtin_popcount(k->source[i].diagonals);
	for (size_t i = 0; i < s->sources; i++)
		if (s->source[i].stage >= 0)
			parent[i] = &e->plan->packing[s->source[i].stage];
	return hel_transform_new(out, s, k, parent, hel_emitter_log_slots(e));
}
