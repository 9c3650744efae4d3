/* vm.h -- walks a program: what an op means, a machine says.
 *
 * There are four. clear.h: slot vectors of doubles, the oracle of every test. noisy.h: what
 * errors of ops do to the result. shape.h: levels, scales, bounds, keys and cost, without
 * data. encrypted.h: ciphertexts, in which a batch of records stands side by side; the others look
 * at one record.
 */
#ifndef HEL_VM_H
#define HEL_VM_H

#include "prog/prog.h"
#include <stdatomic.h>

typedef struct hel_machine hel_machine;
typedef hel_status (*hel_machine_op)(hel_machine *m, const hel_op *op, void **out);

/** Values are opaque; the walk frees each after its last use. */
struct hel_machine {
	hel_machine_op run;
	void (*free_value)(hel_machine *m, void *value);
	void **value; /* of the ops so far; set by the walk */
	/* Called after every op with its index, by the thread that ran it; may be NULL. start:
	 * hel_clock. */
	void (*timed)(hel_machine *m, size_t op, double start, double seconds);
	const atomic_bool *stop; /* looked at before every op; may be NULL */
	hel_watching *watching;	 /* told before every op; may be NULL */
	atomic_size_t done;	 /* ops */
	hel_pool *pool;		 /* for ops that do not depend on each other; NULL: one by one */
};

/** Runs all ops; *result is the last op's value, which the caller frees.
 *  An op's failure names the layer. */
HEL_CHECKED hel_status hel_vm_run(hel_machine *m, const hel_program *p, void **result);
/** The same for several values: result[i] is that of op number op[i], ascending; the last of them
 *  is the program's last op. */
HEL_CHECKED hel_status hel_vm_run_many(hel_machine *m, const hel_program *p, const uint32_t *op,
				       size_t count, void **result);
/** How an op shares the division by its level's primes with those that it stands before. */
typedef enum hel_fusion {
	HEL_ALONE,
	HEL_DIVIDES,  /* a product of ciphertexts or a sum of rotations whose only reader is a
			 rescale: divides for it */
	HEL_DEFERRED, /* a product whose only reader is a sum that divides: the sum makes it */
	HEL_MAKES,    /* that sum, whose only reader is a rescale; it is also made of the operands
			 of its products, all of them under one key switch */
	HEL_DIVIDED,  /* a rescale that has nothing left to do */
} hel_fusion;

/** Fusion of all ops. Cost: linear. */
HEL_CHECKED hel_status hel_vm_find_fused(hel_fusion *fusion, const hel_program *p);
/** Whether a term of a sum that makes products is one of them. */
bool hel_vm_is_made(const hel_fusion *fusion, const hel_op *sum, uint32_t term);
/** The largest number of values alive at once. */
HEL_CHECKED hel_status hel_vm_peak_values(size_t *out, const hel_program *p);

#endif
