/* side_copy.h -- a model of private and public columns on its way to being two. Internal: sides.h,
 * joint.h.
 */
#ifndef HEL_SIDE_COPY_H
#define HEL_SIDE_COPY_H

#include "quadratic_form.h"
#include "side.h"

/* Eigenvalues and singular values below this share of the largest are rounding: weights have 24
 * bits. */
#define HEL_ROUNDING 1e-8

enum { HEL_PRIVATE = 1, HEL_PUBLIC = 2, HEL_JOINT = 3 };

/** u and p are the values of private and public nodes that meet, the first coordinates of the form;
 *  then comes a 1. */
typedef struct hel_splitting {
	const hel_dlrm *m;
	const hel_graph *g;
	const bool *dense, *table; /* public ones */
	uint8_t *side;		   /* per node */
	hel_quadratic_form form;   /* place: of nodes that enter; the rest is of sides.c */
	size_t u, p;
	/* rows: a = left u + shift, b = right p */
	size_t rows;
	double *left, *shift, *right, *sign;
	bool squares;
} hel_splitting;

/** Who is on which side, and what enters.
 *  @retval HEL_EINVAL nothing is left to hide, or nothing is shared. */
HEL_CHECKED hel_status hel_splitting_begin(hel_splitting *s, const hel_dlrm *m, const bool *dense,
					   const bool *table);
void hel_splitting_clear(hel_splitting *s);
/** The columns of both sides. */
HEL_CHECKED hel_status hel_splitting_parts(hel_side *own, hel_side *open, const hel_splitting *s);
/** An entry of the form's matrix. */
static inline double hel_form_at(const hel_splitting *s, size_t i, size_t k)
{
	return s->form.matrix[HEL_MIN(i, k) * s->form.inputs + HEL_MAX(i, k)];
}

/** The nodes of one side, copied, and those of them that enter, in a row. */
typedef struct hel_copying {
	const hel_splitting *s;
	uint8_t side;
	const hel_side *part;
	hel_graph *graph;
	uint32_t *number; /* per node of the whole graph: its copy */
	uint32_t entering[HEL_MAX_NODES];
	size_t count;
	/* of a joint model: what stands for a node that is not copied */
	hel_status (*select)(struct hel_copying *c, uint32_t node);
	void *arg;
} hel_copying;

HEL_CHECKED hel_status hel_copying_begin(hel_copying *c, const hel_side *part);
HEL_CHECKED hel_status hel_copying_add(uint32_t *number, hel_copying *c, hel_node n,
				       const uint32_t *input, size_t inputs, const char *name);
/** All that enters, one after the other, as one node. */
HEL_CHECKED hel_status hel_copying_gather(uint32_t *number, hel_copying *c);
/** The model of the graph, with a copy of the part's schema. */
HEL_CHECKED hel_status hel_copying_finish(hel_dlrm **out, hel_copying *c);
/** Frees it, too. */
void hel_copying_clear(hel_copying *c);
float *hel_tensor_of(hel_dlrm *m, uint32_t node, bool bias);

/* --- side_models.c --------------------------------------------------------------------------- */

HEL_CHECKED hel_status hel_private_model(hel_dlrm **out, const hel_splitting *s,
					 const hel_side *part);
HEL_CHECKED hel_status hel_public_model(hel_dlrm **out, const hel_splitting *s,
					const hel_side *part);

#endif
