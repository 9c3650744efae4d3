/* lowering.h -- what the files that make stages of a graph share. Internal. */
#ifndef HEL_LOWERING_H
#define HEL_LOWERING_H

#include "expression.h"
#include "stages.h"

/** A graph on its way to stages: what each node is as an affine map of stages and of the record. */
typedef struct hel_lowering {
	hel_stages *s;
	const hel_dlrm *m;
	const hel_graph *g;
	hel_expression *value; /* per node; empty once all that read it have */
	uint32_t *reader;      /* per node: the last that reads it */
	uint32_t *column;      /* per node: an embed node's first place in its table's rows */
	uint32_t *readers;     /* per node: how many read it */
	uint32_t *absorbed;    /* per node: of an addition, the product that it is already in */
	int lookup;	       /* the stage, or -1 */
	double *mean, *spread; /* of all tables' rows, place by place */
	/* per stage: what it multiplies, or squares */
	hel_expression kept[HEL_MAX_STAGES][2];
} hel_lowering;

/* --- lower_tables.c -------------------------------------------------------------------- */

/** How each table travels: as it must, or as the way says. */
void hel_lower_codings(hel_stages *s);
/** Rows of tables that several nodes read stand side by side: columns, rows, how large they are. */
HEL_CHECKED hel_status hel_lower_place_tables(hel_lowering *l);
HEL_CHECKED hel_status hel_lower_fill_tables(hel_lowering *l);
HEL_CHECKED hel_status hel_lower_measure_tables(hel_lowering *l);
/** The stage of all tables' rows, once. */
HEL_CHECKED hel_status hel_lower_lookup(hel_lowering *l);

/* --- lower_stage.c ----------------------------------------------------------------------- */

/** Affine maps that become a stage; all have as many rows. */
typedef struct hel_maps {
	const hel_expression *real, *imaginary, *second; /* the latter two: NULL: none */
} hel_maps;

/** `then` of maps. */
HEL_CHECKED hel_status hel_lower_stage(hel_lowering *l, hel_maps m, const char *name,
				       hel_stage_then then, hel_stage **out);
/** u v, times `second` unless that is NULL. */
HEL_CHECKED hel_status hel_lower_product(hel_lowering *l, const hel_expression *u,
					 const hel_expression *v, const hel_expression *second,
					 const char *name);
/** Takes the latest stage back, which nobody reads any more. */
void hel_lower_pop(hel_lowering *l);
void hel_lower_forget(hel_lowering *l, size_t stage);
/** The latest stage's rows, each times a, plus b. */
HEL_CHECKED hel_status hel_lower_value(hel_expression *out, const hel_lowering *l, double a,
				       double b);
/** Powers of two for the rows of factors, whose product is 1 in each row: so that all are about as
 *  large, and errors of one are not multiplied by another much larger one. */
HEL_CHECKED hel_status hel_lower_balance(const hel_lowering *l, hel_expression *factor,
					 size_t factors);
/** act(x), quadratic; x is used up. */
HEL_CHECKED hel_status hel_lower_square(hel_expression *out, hel_lowering *l, hel_expression *x,
					hel_activation act, const char *name);
/** x y, element by element; both are used up. */
HEL_CHECKED hel_status hel_lower_multiply(hel_expression *out, hel_lowering *l,
					  hel_expression pair[2], const char *name);
/** Inner products of rows of `all`: of first[i] and second[i], `dim` rows each. */
HEL_CHECKED hel_status hel_lower_pairs(hel_expression *out, hel_lowering *l,
				       const hel_expression *all, const uint32_t *first,
				       const uint32_t *second, size_t pairs, size_t dim,
				       const char *name);

static inline void hel_quadratic_of(hel_activation act, double *a, double *b)
{
	*a = act.kind == HEL_ACT_SQUARE ? 1 : act.a;
	*b = act.kind == HEL_ACT_SQUARE ? 0 : act.b;
}

/* --- lower_dot.c, lower_logit.c -------------------------------------------------------------- */

/** A dot node of many tables. pair: the inputs of each of its pairs, first ones, then second ones.
 *  *packed: it was one. */
HEL_CHECKED hel_status hel_lower_packed_dot(bool *packed, hel_expression *out, hel_lowering *l,
					    uint32_t node, const hel_expression *const *in,
					    const uint32_t *pair);
/** The logit itself; e is used up. */
HEL_CHECKED hel_status hel_lower_logit(hel_lowering *l, hel_expression *e, const char *name);
/** A vector that items are multiplied with (way.turn); e is used up. */
HEL_CHECKED hel_status hel_lower_vector(hel_lowering *l, hel_expression *e, const char *name);

#endif
