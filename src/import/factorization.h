/* factorization.h -- a weight per value, products of all pairs of vectors, and layers over the
 * vectors, added up: what factorization machines, DeepFM and wide-and-deep networks have in common.
 */
#ifndef HEL_FACTORIZATION_H
#define HEL_FACTORIZATION_H

#include "importer.h"

/** What of it a checkpoint holds: im->table (vectors, read in im->order), im->wide (weights) and
 * im->top (layers over the vectors, then, `deep_dense`, the dense values; may be none). */
typedef struct hel_factorization {
	const hel_layer *dense; /* a weight per dense value; NULL: none */
	hel_stored *bias;	/* of all of it; NULL: none */
	bool has_wide;
	size_t dense_count; /* dense values after the vectors, that the layers read */
} hel_factorization;

/** Checks shapes, asks whether pairs are multiplied where names do not tell (DeepFM, and
 *  wide-and-deep, have the same tensors), and builds the graph.
 *  @retval HEL_EUNSUPPORTED asks for "architecture". */
HEL_CHECKED hel_status hel_importer_factorization(hel_importer *im, const hel_factorization *f);

#endif
