/* graph.h -- what a model computes: named nodes over a record's inputs, each after those it reads.
 *
 * Nodes are plain data; what a kind of node means stands in one table (node.h), a file per kind.
 * architectures.h builds graphs by name, graph_json.c reads foreign ones.
 */
#ifndef HEL_GRAPH_H
#define HEL_GRAPH_H

#include "activation.h"
#include "features/schema.h"
#include <jansson.h>

#define HEL_MAX_NODES 4096
#define HEL_MAX_NODE_WIDTH ((size_t)1 << 20)
#define HEL_MAX_GRAPH_WIDTH ((size_t)1 << 24) /* of all nodes together */
#define HEL_MAX_WIDTH 65536		      /* of a layer or a row of a table */
#define HEL_NODE_NAME_MAX (HEL_NAME_MAX - 8)  /* of its tensors: NAME.weight, NAME.bias */

#define HEL_NODE_LIST(X)                                                                           \
	X(HEL_NODE_DENSE, "dense")	 /* the record's dense values */                           \
	X(HEL_NODE_EMBED, "embed")	 /* the sum of a table's rows that the record names */     \
	X(HEL_NODE_LINEAR, "linear")	 /* W x + b */                                             \
	X(HEL_NODE_CONCAT, "concat")	 /* its inputs one after the other */                      \
	X(HEL_NODE_ADD, "add")		 /* element by element */                                  \
	X(HEL_NODE_MULTIPLY, "multiply") /* element by element */                                  \
	X(HEL_NODE_ACTIVATION, "activation")                                                       \
	X(HEL_NODE_DOT, "dot")	   /* products of all pairs of its inputs, as vectors */           \
	X(HEL_NODE_SCALE, "scale") /* by a constant */

typedef enum hel_node_kind {
#define X(kind, name) kind,
	HEL_NODE_LIST(X)
#undef X
	    HEL_NODE_KINDS
} hel_node_kind;

/** What a kind does not use is 0. */
typedef struct hel_node {
	hel_node_kind kind;
	char name[HEL_NODE_NAME_MAX];
	size_t inputs;
	uint32_t *input; /* numbers of earlier nodes */
	size_t width;	 /* of its value */
	/* EMBED: which table; where its places stand among a record's words, how many there are,
	 * whether as many weights follow them, and its first entry among all tables' */
	uint32_t table, place, places, entry;
	bool weighted;
	bool bias;	  /* LINEAR */
	bool self, upper; /* DOT: with squares; row by row above the diagonal instead of below */
	double factor;	  /* SCALE */
	hel_activation activation;
	size_t activated; /* ACTIVATION: its number among them */
	size_t tensor;	  /* its first tensor in the model */
	size_t rows[2];	  /* of its tensors, 0: no such tensor */
	size_t columns[2];
} hel_node;

/** The last node is the logit; in a part of a model (vector) it may have any width. */
typedef struct hel_graph {
	const hel_schema *schema; /* borrowed */
	size_t nodes, room, width, activated;
	bool vector;
	hel_node *node;
} hel_graph;

HEL_CHECKED hel_status hel_graph_new(hel_graph **out, const hel_schema *schema);
void hel_graph_free(hel_graph *g);
/** Copies a node with its inputs behind the others; finds its shape.
 *  @retval HEL_EFORMAT its name is taken, an input's width or a parameter does not fit.
 *  @retval HEL_ELIMIT too many nodes, or too wide ones. */
HEL_CHECKED hel_status hel_graph_add(hel_graph *g, const hel_node *n);
/** Every node is read by another one, but for the last, which has one element unless it is a
 *  vector.
 *  @retval HEL_EFORMAT names the node. */
HEL_CHECKED hel_status hel_graph_check(const hel_graph *g);
const char *hel_node_kind_name(hel_node_kind kind);
/** All others are affine. */
static inline bool hel_node_multiplies(hel_node_kind kind)
{
	return kind == HEL_NODE_MULTIPLY || kind == HEL_NODE_DOT || kind == HEL_NODE_ACTIVATION;
}

/** An array of objects: "name", "kind", "inputs" (names of nodes before it), and what the kind has.
 */
HEL_CHECKED hel_status hel_graph_read(hel_graph **out, const json_t *array,
				      const hel_schema *schema);
/** The same whose last node may be a vector. */
HEL_CHECKED hel_status hel_graph_read_vector(hel_graph **out, const json_t *array,
					     const hel_schema *schema);
json_t *hel_graph_write(const hel_graph *g);

#endif
