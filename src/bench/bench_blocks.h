/* bench_blocks.h -- what runs are made of, ready to be timed: bench_calibrate.c does.
 */
#ifndef HEL_BENCH_BLOCKS_H
#define HEL_BENCH_BLOCKS_H

#include "circuit/circuit.h"
#include "vm/cost.h"

#define BENCH_KEYS 4 /* of each ring, used in turn: they come from memory, not from a cache */
#define BENCH_INPUTS ((size_t)8) /* ciphertexts, used in turn */
#define BENCH_WEIGHTS ((size_t)64)

/** One ring with keys, ciphertexts and weights of no meaning: values make no difference to time. */
typedef struct bench_lab {
	hel_params *params;
	hel_keys *keys;
	hel_eval *ev;
	hel_ct *in[BENCH_INPUTS], *product, *out;
	hel_pt *weight[BENCH_WEIGHTS], *plain;
	size_t weights, limbs, turn;
	unsigned level; /* of what the blocks work on; limbs: at it */
	uint32_t *acc, *work;
	const hel_switch_key *key[2 * BENCH_KEYS];
	hel_writer query, result;
	hel_linear_term term[BENCH_WEIGHTS];
} bench_lab;

typedef hel_status (*bench_block_fn)(bench_lab *l);

typedef struct bench_block {
	const char *name;
	bench_block_fn run;
	hel_cost (*count)(const bench_lab *l);
	size_t turns; /* runs until it reads the same bytes again */
	bool threads; /* timed on all threads, too */
	bool low;     /* and at the level before the last */
} bench_block;

extern const bench_block bench_blocks[];
extern const size_t bench_block_count;

/** pool: the largest it will run on. */
HEL_CHECKED hel_status bench_lab_open(bench_lab *l, const hel_params_spec *spec, hel_pool *pool);
void bench_lab_clear(bench_lab *l);
/** Values as if they had come down to the level before the last. */
void bench_lab_go_low(bench_lab *l);

#endif
