/* stages.h -- what a model computes, in as few levels as exact identities allow. */
#ifndef HEL_STAGES_H
#define HEL_STAGES_H

#include "stage.h"

/** A node that is part of the maps of all stages that read it. */
#define HEL_MULTIPLIED_OUT (-1)
/** One whose stage was taken back: the next one computes it. */
#define HEL_STAGE_PENDING (-2)

/** Which of the identities below are used where they can be, and how tables' entries travel. */
typedef struct hel_way {
	bool monomials, fuse, sum;
	bool grid;		  /* GRID for tables that take fewer blocks so */
	uint32_t powers;	  /* POWERS for tables of at most this order */
	const hel_coding *coding; /* per table; HEL_CODINGS: any; NULL: any for all */
	double unit;		  /* the result is the logit over this; 0: 1 */
	/* For items (private_side.h): the last node's elements are the result, each times one of
	 * these, in turn over all slots, at level 1; NULL: the result is a logit, at level 0 */
	const hel_complex *turn;
} hel_way;

/** Fewer weighted squares do not pair up: a layer of them has one diagonal in any case. */
#define HEL_FEWEST_PAIRED 64

/** What a model's graph computes, with as few levels as exact identities allow:
 *  - affine maps in sequence and in parallel are multiplied out (fuse: rows of tables into what
 *    reads them, too);
 *  - a x^2 + b x = a (x + b/2a)^2 - b^2/4a: shifts go into biases, a into the next matrix;
 *  - monomials: a square of what is affine in the dense values is a linear map of their products,
 *    which the client sends (degree 2);
 *  - sum: sum_i w_i z_i^2 = sum_i (sqrt(w_i) z_i)^2: the last product disappears; but garbage in
 *    slots would be added, too, where a product would leave it out;
 *  - a value that is read at several levels is dropped to the lower ones;
 *  - what is refreshed ends in coefficients: the transform to them is multiplied into the layer. */
typedef struct hel_stages {
	const hel_dlrm *model; /* borrowed */
	size_t count;
	unsigned degree, code_levels; /* consumed by codes, before the lookup */
	hel_stage *stage;
	hel_way way, used;  /* used: the identities that were found */
	hel_coding *coding; /* per table; GRID: may be, must be where the way's coding says so */
	uint32_t *order;    /* per table: of its code's roots or differences */
	unsigned log_refreshed; /* coefficients of refreshes; 0: there are none */
	size_t dim;		/* of a row of any table: of all nodes that read it */
	const float **table;	/* per table: [entries][dim]; of `rows` or the model's */
	float *rows;
	uint32_t *falling; /* tables by falling size, whose blocks stand so; NULL: in order */
	uint32_t node;	   /* that is being lowered */
	int *node_stage;   /* per node: the stage that computes it, or HEL_MULTIPLIED_OUT */
} hel_stages;

/** Whether a way may differ from the same without what it uses. */
bool hel_way_differs(const hel_dlrm *m, hel_way way);
/** @retval HEL_EUNSUPPORTED an activation that ciphertexts cannot take, more stages or readers than
 *  there can be; names the node.
 *  @retval HEL_ELIMIT matrices out of proportion: with `fuse`, do without. */
HEL_CHECKED hel_status hel_stages_new(hel_stages **out, const hel_dlrm *m, hel_way way);
/** A stage behind the others, with room for sources.
 *  @retval HEL_EUNSUPPORTED there are too many. */
HEL_CHECKED hel_status hel_stages_add(hel_stage **out, hel_stages *s, const char *name, size_t rows,
				      size_t factors, size_t sources);
void hel_stages_free(hel_stages *s);
/** All levels from the first stage on that leads to the last. */
unsigned hel_stages_levels(const hel_stages *s);
/** The level at which a stage's product is taken, and at which its result stands once rescaled. */
static inline unsigned hel_stage_level(const hel_stages *s, size_t stage)
{
	return s->stage[stage].level;
}
static inline unsigned hel_stage_end(const hel_stages *s, size_t stage)
{
	return s->stage[stage].level - hel_stage_levels(&s->stage[stage]);
}

#endif
