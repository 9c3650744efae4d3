/* vm.h -- runs a program on one of three machines.
 *
 * clear: slot vectors of doubles, the oracle of every test. shape: levels,
 * scales, bounds, noise, keys and cost, without data. ckks: ciphertexts.
 * vm.c walks the program; a machine only knows what each op means for it.
 */
#ifndef HEL_VM_H
#define HEL_VM_H

#include "ckks/ckks.h"
#include "prog/prog.h"

typedef struct hel_machine hel_machine;
typedef hel_status (*hel_machine_op)(hel_machine *m, const hel_op *op, void **out);

/** Values are opaque; the walk frees each after its last use. */
struct hel_machine {
	hel_machine_op run;
	void (*free_value)(hel_machine *m, void *value);
	void **value; /* of the ops so far; set by the walk */
	/* Called after every op with its index and seconds; may be NULL. */
	void (*timed)(hel_machine *m, size_t op, double seconds);
	const atomic_bool *stop; /* looked at before every op; may be NULL */
	hel_pool *pool;		 /* for ops that do not depend on each other; NULL: one by one */
};

/** Runs all ops; *result is the last op's value, which the caller frees.
 *  An op's failure names the layer. */
HEL_CHECKED hel_status hel_vm_run(hel_machine *m, const hel_program *p, void **result);
/** The same for several values: result[i] is that of op number op[i], ascending; the last of them
 *  is the program's last op. */
HEL_CHECKED hel_status hel_vm_run_many(hel_machine *m, const hel_program *p, const uint32_t *op,
				       size_t count, void **result);
/** The largest number of values alive at once. */
HEL_CHECKED hel_status hel_vm_peak_values(size_t *out, const hel_program *p);

/* --- clear.c --------------------------------------------------------------------- */

/** slots[i]: the slot values of input i. result: all slots. */
HEL_CHECKED hel_status hel_clear_run(hel_complex *result, const hel_program *p,
				     const hel_complex *const *slots);
/** result[i]: all slots of the value of op number op[i], as in hel_vm_run_many. */
HEL_CHECKED hel_status hel_clear_run_many(hel_complex *const *result, const hel_program *p,
					  const uint32_t *op, size_t count,
					  const hel_complex *const *slots);
/** The same for a feature vector, filled into the inputs as the client fills them: the logit. */
HEL_CHECKED hel_status hel_clear_run_features(double *logit, const hel_program *p,
					      const double *features);

/** One op: out from the values of the ops before it and the slots of all inputs. */
void hel_clear_op(hel_complex *out, const hel_program *p, const hel_op *op,
		  const hel_complex *const *value, const hel_complex *const *in);

/* --- noise.c --------------------------------------------------------------------- */

/** What one op leaves behind in simulated runs. */
typedef struct hel_noise {
	double slot;  /* root mean square of the error of a slot's real part */
	double score; /* of the error of the mean over all slots: coefficient 0 */
} hel_noise;

/** Predicts errors: runs `count` feature vectors, one after the other, without and with errors that
 *  are drawn, op by op and slot by slot, with the variances of ckks/noise.c. level[op]: the level
 *  before each op; product[op]: its result is at a product's scale. noise: one per op. Seeded. */
HEL_CHECKED hel_status hel_noise_run(hel_noise *noise, const hel_program *p,
				     const hel_params *params, const unsigned *level,
				     const bool *product, const double *features, size_t count);

/* --- shape.c --------------------------------------------------------------------- */

typedef struct hel_cost {
	double ntts;	  /* one-limb transforms */
	double products;  /* one-limb pointwise products */
	double key_bytes; /* read during one run */
} hel_cost;

/** Real records are not like the samples that errors are predicted for. */
#define HEL_RECORD_MARGIN 2

typedef struct hel_shape_layer {
	hel_cost cost;
	unsigned level_in, level_out, key_switches, weights;
	double bound; /* of |value| over all slots after the layer */
	double error; /* predicted for a slot after the layer, see hel_shape */
} hel_shape_layer;

typedef struct hel_shape {
	hel_key_request *key; /* what the program needs, each at its highest level */
	uint32_t keys;
	hel_cost cost;
	double bound; /* of the result: largest |slot| */
	/* Predicted, HEL_NOISE_MARGIN * HEL_RECORD_MARGIN above the standard deviation: of the
	 * score (coefficient 0) and of a slot's real part. */
	double error, slot_error;
	bool uniform;		/* every slot of the result is bounded alike */
	hel_shape_layer *layer; /* one per layer of the program */
} hel_shape;

/** Dry run. feature_bound[i] >= |feature i|. samples: `count` typical feature vectors, one after
 *  the other, for which errors are predicted; without any they are not.
 *  @retval HEL_ELEVEL  levels run out; the message names the layer.
 *  @retval HEL_ERANGE  a value could exceed the modulus. */
HEL_CHECKED hel_status hel_shape_run(hel_shape *out, const hel_program *p, const hel_params *params,
				     const double *feature_bound, const double *samples,
				     size_t count);
void hel_shape_clear(hel_shape *s);

/* --- cost.c ---------------------------------------------------------------------- */

/** Costs of the basic operations at a number of limbs, for planners. */
hel_cost hel_cost_decompose(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_product(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_finish(const hel_params_spec *p, size_t limbs);
hel_cost hel_cost_rescale(const hel_params_spec *p, unsigned level);
void hel_cost_add(hel_cost *sum, hel_cost c, double times);
/** Estimated seconds on one thread of the machine the constants were measured on. */
double hel_cost_seconds(const hel_params_spec *p, hel_cost c);

/* --- ckks.c ---------------------------------------------------------------------- */

/** A program with its weights encoded, each at its level only: shared by any number of runs. */
typedef struct hel_loaded hel_loaded;

HEL_CHECKED hel_status hel_loaded_new(hel_loaded **out, const hel_program *p,
				      const hel_params *params, hel_pool *pool);
/** The same with the encoded weights in a file instead of memory, in the order in which runs read
 *  them: for tables larger than memory. The file is made here, nobody else sees it, and it is gone
 *  with the process. The program's vectors are not needed any more afterwards.
 *  @retval HEL_EIO, HEL_ESPACE the file cannot be made. */
HEL_CHECKED hel_status hel_loaded_new_on_disk(hel_loaded **out, const hel_program *p,
					      const hel_params *params, hel_pool *pool,
					      const char *path);
/** Starts to read the weights from disk; returns at once. Nothing to do for those in memory. */
void hel_loaded_prefetch(const hel_loaded *l);
/** Takes weights that are on disk out of memory again. */
void hel_loaded_release(const hel_loaded *l);
void hel_loaded_free(hel_loaded *l);
size_t hel_loaded_bytes(const hel_loaded *l);
/** The same before it is loaded. */
HEL_CHECKED hel_status hel_ckks_weight_bytes(size_t *out, const hel_program *p,
					     const hel_params *params);
/** Bytes that one run with `threads` threads may take beside weights and keys: values, rotated
 *  inputs, key-switching scratch. Meant for admission: an upper bound, not a forecast. */
HEL_CHECKED hel_status hel_ckks_run_bytes(size_t *out, const hel_program *p,
					  const hel_params *params, unsigned threads);

/** in[i]: the client's ciphertexts. *result is the caller's, to be freed before the evaluator.
 * op_seconds: NULL, or one per op.
 *  @retval HEL_EKEY the evaluator lacks a key the manifest asks for.
 *  @retval HEL_ECANCEL the evaluator's `stop` was set between two ops. */
HEL_CHECKED hel_status hel_ckks_run(hel_ct **result, const hel_loaded *l, const hel_eval *ev,
				    const hel_ct *const *in, double *op_seconds);
/** The same for the values of several ops, as in hel_vm_run_many. */
HEL_CHECKED hel_status hel_ckks_run_many(hel_ct **result, const uint32_t *op, size_t count,
					 const hel_loaded *l, const hel_eval *ev,
					 const hel_ct *const *in, double *op_seconds);

#endif
