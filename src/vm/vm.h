/* vm.h -- runs a program on one of three machines.
 *
 * clear: slot vectors of doubles, the oracle of every test. shape: levels,
 * scales, bounds, noise, keys and cost, without data. ckks: ciphertexts, in
 * which a batch of records stands side by side; the others look at one record.
 * vm.c walks the program; a machine only knows what each op means for it.
 */
#ifndef HEL_VM_H
#define HEL_VM_H

#include "ckks/ckks.h"
#include "cost.h"
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
/** fused[op]: a product of ciphertexts or a sum of rotations whose only reader is a rescale divides
 * for it, too, or it is that rescale. */
void hel_vm_find_fused(bool *fused, const hel_program *p);
/** The largest number of values alive at once. */
HEL_CHECKED hel_status hel_vm_peak_values(size_t *out, const hel_program *p);

/* --- clear.c --------------------------------------------------------------------- */

/** slots[i]: the slot values of input i, of one record. result: all of its slots. */
HEL_CHECKED hel_status hel_clear_run(hel_complex *result, const hel_program *p,
				     const hel_complex *const *slots);
/** result[i]: all slots of the value of op number op[i], as in hel_vm_run_many. */
HEL_CHECKED hel_status hel_clear_run_many(hel_complex *const *result, const hel_program *p,
					  const uint32_t *op, size_t count,
					  const hel_complex *const *slots);
/** The same for a feature vector, filled into the inputs as the client fills them: the logit.
 *  @retval HEL_ERANGE not every slot of the result holds it: something else would be sent. */
HEL_CHECKED hel_status hel_clear_run_features(double *logit, const hel_program *p,
					      const double *features);

/** largest[op] becomes the largest |slot| after that op, over `count` feature vectors, one after
 * the other, unless it was larger. */
HEL_CHECKED hel_status hel_clear_measure(double *largest, const hel_program *p,
					 const double *features, size_t count);

/** One op: out from the values of the ops before it and the slots of all inputs. */
void hel_clear_op(hel_complex *out, const hel_program *p, const hel_op *op,
		  const hel_complex *const *value, const hel_complex *const *in);

/* --- noise.c --------------------------------------------------------------------- */

/** What one op leaves behind in simulated runs. */
typedef struct hel_noise {
	double slot;  /* root mean square of the error of a slot's real part */
	double score; /* of the error of the mean over a record's slots */
} hel_noise;

/** Predicts errors: runs `count` feature vectors, one after the other, without and with errors that
 *  are drawn, op by op and slot by slot, with the variances of ckks/noise.c. level[op]: the level
 *  before each op; product[op]: its result is at a product's scale. noise: one per op. Seeded. */
HEL_CHECKED hel_status hel_noise_run(hel_noise *noise, const hel_program *p,
				     const hel_params *params, const unsigned *level,
				     const bool *product, const double *features, size_t count);

/* --- shape.c --------------------------------------------------------------------- */

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
	hel_cost cost;	  /* with reading the query and writing the result, which no layer has */
	double bound;	  /* of the result: largest |slot| */
	double head_room; /* bits between the bounds and their moduli, where they come closest */
	/* Predicted, HEL_NOISE_MARGIN * HEL_RECORD_MARGIN above the standard deviation: of the
	 * score (the mean over the record's slots) and of a slot's real part. */
	double error, slot_error;
	hel_shape_layer *layer; /* one per layer of the program */
} hel_shape;

/** What records can be: |feature i| <= feature[i], and of the features of one group (group[i], or
 *  HEL_NO_GROUP, HEL_COSINE) at most one is not 0. groups: how many; 0: groups are not looked at.
 */
typedef struct hel_ranges {
	double *feature;
	uint32_t *group, groups;
	double *measured; /* per op, see hel_clear_measure: the bounds, not proved; NULL: proved */
} hel_ranges;

/** Dry run. samples: `count` typical feature vectors, one after
 *  the other, for which errors are predicted; without any they are not.
 *  @retval HEL_ELEVEL  levels run out; the message names the layer.
 *  @retval HEL_ERANGE  a value could exceed the modulus (never with measured bounds). */
HEL_CHECKED hel_status hel_shape_run(hel_shape *out, const hel_program *p, const hel_params *params,
				     const hel_ranges *ranges, const double *samples, size_t count);
void hel_shape_clear(hel_shape *s);

/* --- loaded.c, weights_file.c ------------------------------------------------------ */

/** A program with its weights encoded, each at its levels only: shared by any number of runs. */
typedef struct hel_loaded hel_loaded;

/** Where the weights are. */
typedef enum hel_weights_origin {
	HEL_WEIGHTS_IN_MEMORY, /* encoded now */
	HEL_WEIGHTS_WRITTEN,   /* encoded now into a file, and mapped */
	HEL_WEIGHTS_MAPPED,    /* mapped from a file: pages that processes share */
} hel_weights_origin;

typedef struct hel_load_options {
	const char *cache;	 /* a file of encoded weights to map, made when needed; or NULL */
	bool cache_only;	 /* fail rather than do without it */
	hel_progress *progress;	 /* begun by the caller; or NULL */
	const atomic_bool *stop; /* loading ends with HEL_ECANCEL once it is set; or NULL */
} hel_load_options;

/** Loads a program that was read or written. A cache that is missing, damaged, or made for another
 *  program, other parameters or by another encoder is made anew, all or nothing; one that cannot be
 *  written is done without, and hel_loaded_note says why. Any number of processes may open one at
 *  the same time; one makes it. A file that is no cache is left alone.
 *  Cost: encoding, or with a valid cache reading and hashing it; both on the pool. */
HEL_CHECKED hel_status hel_loaded_open(hel_loaded **out, const hel_program *p,
				       const hel_params *params, hel_pool *pool,
				       const hel_load_options *o);
/** The same in memory. */
HEL_CHECKED hel_status hel_loaded_new(hel_loaded **out, const hel_program *p,
				      const hel_params *params, hel_pool *pool);
/** Starts to read mapped weights from disk, and returns at once; lets them go again. For programs
 *  whose weights are larger than memory, one of which is read while another runs. Nothing to do for
 *  weights in memory. */
void hel_loaded_prefetch(const hel_loaded *l);
void hel_loaded_release(const hel_loaded *l);
void hel_loaded_free(hel_loaded *l);
/** Of all weights. */
size_t hel_loaded_bytes(const hel_loaded *l);
hel_weights_origin hel_loaded_origin(const hel_loaded *l);
const char *hel_weights_origin_text(hel_weights_origin origin);
/** Why the cache is not used or was made anew, "" when there is nothing to say. */
const char *hel_loaded_note(const hel_loaded *l);
/** hel_loaded_bytes before it is loaded. */
HEL_CHECKED hel_status hel_ckks_weight_bytes(size_t *out, const hel_program *p,
					     const hel_params *params);

/** What a cache says about itself. */
typedef struct hel_weights_head {
	uint8_t program[HEL_HASH_BYTES]; /* hash of the program's file */
	uint8_t params[HEL_HASH_BYTES];	 /* fingerprint of the parameters */
	uint8_t encoder[HEL_HASH_BYTES]; /* hash of what the encoder makes of known vectors */
	uint64_t weights, data, bytes;	 /* how many, where they begin, bytes of the file */
} hel_weights_head;

#define HEL_WEIGHTS_HEAD_BYTES 256

/** The head of a file of `size` bytes in all. bytes: its first HEL_WEIGHTS_HEAD_BYTES, or all.
 *  @retval HEL_EFORMAT no cache. @retval HEL_EVERSION, HEL_ETRUNC, HEL_EHASH one to be made anew.
 */
HEL_CHECKED hel_status hel_weights_head_read(hel_weights_head *out, const void *bytes,
					     uint64_t size);

/* --- ckks.c ---------------------------------------------------------------------- */

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
