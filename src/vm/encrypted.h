/* encrypted.h -- the machine of ciphertexts. */
#ifndef HEL_VM_ENCRYPTED_H
#define HEL_VM_ENCRYPTED_H

#include "loaded.h"

/** When an op ran. */
typedef struct hel_op_time {
	double start, seconds; /* start: hel_clock */
	uint32_t thread;       /* the system's number of it */
} hel_op_time;

/** Bytes that one run with `threads` threads may take beside weights and keys: values, rotated
 *  inputs, key-switching scratch. Meant for admission: an upper bound, not a forecast. */
HEL_CHECKED hel_status hel_ckks_run_bytes(size_t *out, const hel_program *p,
					  const hel_params *params, unsigned threads);

/** in[i]: the client's ciphertexts. *result is the caller's, to be freed before the evaluator.
 * times: NULL, or one per op.
 *  @retval HEL_EKEY the evaluator lacks a key the manifest asks for.
 *  @retval HEL_ECANCEL the evaluator's `stop` was set between two ops. */
HEL_CHECKED hel_status hel_ckks_run(hel_ct **result, const hel_loaded *l, const hel_eval *ev,
				    const hel_ct *const *in, hel_op_time *times);
/** The same for the values of several ops, as in hel_vm_run_many. */
HEL_CHECKED hel_status hel_ckks_run_many(hel_ct **result, const uint32_t *op, size_t count,
					 const hel_loaded *l, const hel_eval *ev,
					 const hel_ct *const *in, hel_op_time *times);

#endif
