/* graph_builder.h -- graphs put together node by node. The first failure sticks, so that builders
 * read as the architecture does.
 */
#ifndef HEL_GRAPH_BUILDER_H
#define HEL_GRAPH_BUILDER_H

#include "graph.h"

/** After a failure nothing is added and node numbers are 0. */
typedef struct hel_builder {
	hel_graph *g;
	char prefix[16]; /* of names: which member of an ensemble */
	hel_status status;
} hel_builder;

/** Node numbers, to be read together. */
typedef struct hel_group {
	size_t count;
	uint32_t node[HEL_MAX_TABLES + 4];
} hel_group;

hel_group hel_group_of(uint32_t a);
hel_group hel_group_of_two(uint32_t a, uint32_t b);
void hel_group_join(hel_group *to, uint32_t node);

/** The node `n` of these inputs (NULL: none); its number. */
uint32_t hel_build(hel_builder *b, hel_node n, const hel_group *inputs, const char *name, ...)
    __attribute__((format(printf, 4, 5)));
uint32_t hel_build_dense(hel_builder *b);
/** PREFIX.TABLE: the rows of a table. */
uint32_t hel_build_embed(hel_builder *b, uint32_t table, size_t width, const char *prefix);
uint32_t hel_build_linear(hel_builder *b, uint32_t x, size_t width, bool bias, const char *name);
uint32_t hel_build_activation(hel_builder *b, uint32_t x, hel_activation act, const char *name);
/** Concatenation, sum or product. */
uint32_t hel_build_gather(hel_builder *b, hel_node_kind kind, const hel_group *in,
			  const char *name);
uint32_t hel_build_scale(hel_builder *b, uint32_t x, double factor, const char *name);
/** The products of all pairs of these vectors, summed: half of the sum's square less the sum of
 *  squares [Rendle 2010]. */
uint32_t hel_build_fm(hel_builder *b, const hel_group *vectors);
/** x' = x0 * (W x + b) + x, with W of low rank (0: in full) [DCN-v2, Wang et al. 2021]: nodes
 *  cross.LAYER.V, .U or .W, .product and cross.LAYER. `affine`, if not NULL, gets the numbers of
 *  the linear nodes: V (where there is one), then U or W. */
uint32_t hel_build_cross(hel_builder *b, uint32_t x0, uint32_t x, size_t layer, size_t rank,
			 uint32_t affine[2]);

#endif
