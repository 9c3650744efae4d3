/* The table of kinds. */
#include "node.h"

static const hel_node_type *const types[HEL_NODE_KINDS] = {
    [HEL_NODE_DENSE] = &hel_node_dense,
    [HEL_NODE_EMBED] = &hel_node_embed,
    [HEL_NODE_LINEAR] = &hel_node_linear,
    [HEL_NODE_CONCAT] = &hel_node_concat,
    [HEL_NODE_ADD] = &hel_node_add,
    [HEL_NODE_MULTIPLY] = &hel_node_multiply,
    [HEL_NODE_ACTIVATION] = &hel_node_activation,
    [HEL_NODE_DOT] = &hel_node_dot,
    [HEL_NODE_SCALE] = &hel_node_scale,
};

const hel_node_type *hel_node_type_of(hel_node_kind kind)
{
	return types[kind];
}
