/* chain.h -- graphs that are the DLRM with concatenation: layers over the dense values, one row of
 * each table, concatenation, layers. What programs are made of today.
 */
#ifndef HEL_CHAIN_H
#define HEL_CHAIN_H

#include "graph.h"
#include "model_config.h"

typedef struct hel_chain {
	bool whole;	   /* the graph is one */
	char refusal[384]; /* or why it is none; names the node */
	uint32_t embedding_dim;
	size_t bottom_layers, top_layers;
	uint32_t bottom[HEL_MAX_LAYERS], top[HEL_MAX_LAYERS]; /* linear nodes */
	uint32_t *table;				      /* embed nodes, per table */
	bool bottom_last_activation;
	hel_activation activation;
} hel_chain;

HEL_CHECKED hel_status hel_chain_init(hel_chain *c, const hel_graph *g);
void hel_chain_clear(hel_chain *c);

#endif
