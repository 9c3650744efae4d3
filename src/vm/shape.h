/* shape.h -- the shape machine: what a program needs and does, without data. */
#ifndef HEL_VM_SHAPE_H
#define HEL_VM_SHAPE_H

#include "ckks/ckks.h"
#include "cost.h"
#include "noisy.h"
#include "prog/prog.h"

typedef struct hel_shape_layer {
	hel_cost cost;
	unsigned level_in, level_out, key_switches, weights;
	double bound;	 /* of |value| over all slots after the layer */
	hel_noise noise; /* what it adds to the result's errors */
} hel_shape_layer;

typedef struct hel_shape {
	hel_key_request *key; /* what the program needs, each at its highest level */
	uint32_t keys;
	hel_cost cost;	  /* with reading the query and writing the result, which no layer has */
	double bound;	  /* of the result: largest |slot| */
	double head_room; /* bits between the bounds and their moduli, where they come closest */
	hel_noise noise;  /* predicted errors of the result */
	hel_shape_layer *layer; /* one per layer of the program */
} hel_shape;

/** What records can be: |feature i| <= feature[i], and the shares |feature i| / feature[i] of one
 *  group (group[i], or HEL_NO_GROUP, HEL_COSINE) add up to at most 1. groups: how many; 0: groups
 *  are not looked at. */
typedef struct hel_ranges {
	double *feature;
	uint32_t *group, groups;
	double *measured; /* per op, see hel_clear_measure: the bounds, not proved; NULL: proved */
} hel_ranges;

/** Dry run. gains: for which errors are predicted; NULL: they are not.
 *  @retval HEL_ELEVEL  levels run out; the message names the layer.
 *  @retval HEL_ERANGE  a value could exceed the modulus (never with measured bounds). */
HEL_CHECKED hel_status hel_shape_run(hel_shape *out, const hel_program *p, const hel_params *params,
				     const hel_ranges *ranges, const hel_noise_gains *gains);
void hel_shape_clear(hel_shape *s);

#endif
