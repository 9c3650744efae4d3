/* prog.h -- a compiled model: what the client must know and what the server runs.
 *
 * The manifest is public and holds no weights. The program carries the
 * manifest inside, so that both name the same model by the same hash.
 * Depends on base only: a server that loads programs links no compiler.
 */
#ifndef HEL_PROG_H
#define HEL_PROG_H

#include "base/base.h"
#include "items.h"
#include <helrm/ckks.h> /* hel_complex, hel_params_spec, hel_key_request: types only */

#define HEL_MODEL_NAME_MAX 255 /* bytes */
#define HEL_MAX_INPUTS 4096
#define HEL_MAX_OPS 65536
#define HEL_MAX_TERMS_PER_OP (1u << 20)
#define HEL_MAX_VECTORS (1u << 20)
#define HEL_MAX_STEPS 65536
#define HEL_MAX_FEATURES (1u << 26)
#define HEL_MANIFEST_MAX ((size_t)128 << 20)
#define HEL_PROGRAM_MAX ((size_t)16 << 30)
#define HEL_MAX_INDEX_BITS 26
#define HEL_MIN_LOG_SLOTS 3	/* of one record */
#define HEL_MAX_LOG_BATCH 9	/* 512 records, for each of which 8 coefficients can be sent */
#define HEL_MIN_LOG_REFRESHED 3 /* values that one op refreshes */
#define HEL_MAX_LOG_REFRESHED 12
#define HEL_MAX_REFRESH_TURN 0.125 /* that its range may be */
#define HEL_MIN_REFRESH_TURN 0x1p-8

/* --- layouts (layout.c) ----------------------------------------------------- */

enum { HEL_SLOT_ZERO = -1, HEL_SLOT_ANY = -2 };

/** Where a vector's elements stand: bit j of an element's index is bit position[j] of the slot
 *  number; the other slot bits number copies. Elements from `width` on are zero. Position
 *  `log_slots`, one beyond the slot number's own, is the imaginary part: slot p + 2^log_slots is
 *  the imaginary part of slot p, which is zero in layouts without that position. */
typedef struct hel_layout {
	uint8_t log_slots, bits;
	uint8_t position[HEL_MAX_INDEX_BITS];
	uint32_t width;
} hel_layout;

/** The element in a slot (or an imaginary part), or HEL_SLOT_ZERO. */
int32_t hel_layout_at(const hel_layout *layout, size_t slot);
/** The same for all 2^log_slots slots (imaginary: imaginary parts) at once. */
void hel_layout_map(int32_t *map, const hel_layout *layout, bool imaginary);
/** The slot bits that number elements, as a mask. */
uint32_t hel_layout_mask(const hel_layout *layout);
/** Whether elements stand in imaginary parts, too. */
bool hel_layout_is_complex(const hel_layout *layout);
HEL_CHECKED hel_status hel_layout_check(const hel_layout *layout);
/** "64 elements at slot bits 6-11, 64 copies" */
void hel_layout_describe(char *out, size_t size, const hel_layout *layout);

/** All numbers whose bits lie in `mask`, ascending; returns how many. The rotations that bring
 * every element of a field of slot bits past each slot. */
size_t hel_subset_sums(int32_t *out, uint32_t mask);

/* --- manifest (manifest.c) ---------------------------------------------------- */

/** Features [first, first + width). */
typedef struct hel_piece {
	uint32_t first, width;
} hel_piece;

#define HEL_MAX_PIECES 65536

/** One ciphertext the client sends: features [first, first + layout.width); or, where there are
 *  pieces, element i is number i mod 2^log_piece of piece i >> log_piece. */
typedef struct hel_input {
	uint8_t level, log_piece;
	uint32_t first;
	hel_layout layout;
	uint32_t pieces;
	hel_piece *piece;
} hel_input;

typedef struct hel_manifest {
	char *model;		/* its name, for people */
	hel_params_spec params; /* re-checked by every client */
	uint8_t log_batch;	/* 2^log_batch records share the slots */
	char *schema;		/* JSON: see features/schema.h */
	uint8_t degree;		/* of the feature vector: 2 adds all products of dense features */
	uint32_t features;	/* width of the feature vector */
	uint32_t inputs;
	hel_input *input;
	uint32_t samples; /* coefficients of the result that are sent */
	bool measured;	  /* the bound is what records showed and a margin, not a proof */
	double bound;  /* |logit| stays below it, or is refused; unless measured, proved for every
			* record within the schema's ranges */
	double unit;   /* what the result counts in: the logit is result * unit */
	double spread; /* standard deviation of logits on records: what bits are relative to */
	double bits;   /* predicted: log2(spread / mean |error|), against the program's model */
	double bits_contributed; /* the same for queries made under the public key */
	double bits_model; /* the same against the model as it was trained; less where polynomials
			    * replace activations, and then of the largest difference on records */
	double largest;	   /* |logit| on records: precision is claimed for no larger ones */
	uint32_t keys;
	hel_key_request *key;
	hel_items items;
	uint8_t id[HEL_HASH_BYTES]; /* hash of the manifest's bytes */
} hel_manifest;

/** Slots of one record, as log2. Record r of a batch has those whose numbers are r modulo
 *  2^log_batch, so that it never meets another: layouts, vectors and rotations count within one
 *  record, and a rotation by `step` moves ciphertexts by hel_manifest_step. */
static inline unsigned hel_manifest_log_slots(const hel_manifest *m)
{
	return m->params.log_n - 1u - m->log_batch;
}

/** Logits this many times the largest one on records are still like theirs. */
#define HEL_WITHIN 2

/** The predicted mean |error| of a result, in its unit, whoever made the query. */
double hel_manifest_error(const hel_manifest *m);
/** The bits that are right in nearly every score (999 of 1000 where errors are alike), whoever made
 *  the query, against the model as it was trained: an error is taken for four times its mean. */
double hel_manifest_least_bits(const hel_manifest *m);

static inline int32_t hel_manifest_step(const hel_manifest *m, int32_t step)
{
	return step * (1 << m->log_batch);
}

void hel_manifest_free(hel_manifest *m);
/** The feature in a slot (or an imaginary part) of an input, or HEL_SLOT_ZERO. */
int32_t hel_input_at(const hel_input *in, size_t slot);
/** The slot values of an input for one record's feature vector. */
void hel_input_fill(hel_complex *slots, const hel_input *in, const double *features);
/** A whole file; sets m->id. */
HEL_CHECKED hel_status hel_manifest_write(hel_writer *w, hel_manifest *m);
HEL_CHECKED hel_status hel_manifest_read(hel_manifest **out, const void *bytes, size_t size);

/* --- program (program.c) -------------------------------------------------------- */

/** Slot values of period 2^log_period, alike for all records. */
typedef struct hel_vector {
	uint8_t log_period;
	bool is_complex;
	uint32_t mark; /* of the values, in programs that are being written: finds equal ones */
	float *value;  /* re, or re and im in turn */
} hel_vector;

static inline hel_complex hel_vector_at(const hel_vector *v, size_t slot)
{
	size_t i = slot & (((size_t)1 << v->log_period) - 1);
	return v->is_complex ? (hel_complex){v->value[2 * i], v->value[2 * i + 1]}
			     : (hel_complex){v->value[i], 0};
}

/* Every op makes one new value, numbered like the op, from earlier ones. */
#define HEL_OP_LIST(X)                                                                             \
	X(HEL_OP_INPUT, "input") /* ciphertext number `index` */                                   \
	X(HEL_OP_LINEAR,                                                                           \
	  "linear") /* sum of rot(vector * rot(value, baby), giant); level's scale squared */      \
	X(HEL_OP_ROTATE_SUM, "rotate_sum")     /* sum of rot(value, step); a step of 2^log_slots   \
						  and more conjugates, too */                      \
	X(HEL_OP_SQUARE, "square")	       /* relinearised; scale squared */                   \
	X(HEL_OP_RESCALE, "rescale")	       /* back to one scale, one level lower */            \
	X(HEL_OP_ADD_PLAIN, "add_plain")       /* value + vector number `index` */                 \
	X(HEL_OP_MUL, "mul")		       /* value * value number `index`; scale squared */   \
	X(HEL_OP_WEIGHTED_SUM, "weighted_sum") /* factor[terms] + sum of factor * value, at level  \
						  `index`, scale squared */                        \
	X(HEL_OP_REFRESH, "refresh")	       /* of the coefficients of a value at level 0 the    \
						  sines, as circuit/refresh.h says: of 2^index of  \
						  them, factor[0] turns to the 1, over that of     \
						  factor[1] turns */

typedef enum hel_op_kind {
#define X(kind, name) kind,
	HEL_OP_LIST(X)
#undef X
	    HEL_OP_KINDS
} hel_op_kind;

const char *hel_op_name(hel_op_kind kind);

typedef struct hel_term {
	uint32_t value, vector;
	int32_t baby, giant;
} hel_term;

typedef struct hel_op {
	hel_op_kind kind;
	uint16_t layer; /* which layer of the model it serves */
	uint32_t value; /* operand of all but INPUT and those with terms */
	uint32_t index;
	uint32_t terms;
	hel_term *term;
	double *factor; /* of a weighted sum: terms + 1; of a refresh: 2 */
	uint32_t steps;
	int32_t *step;
} hel_op;

static inline uint32_t hel_op_factors(const hel_op *op)
{
	return op->kind == HEL_OP_WEIGHTED_SUM ? op->terms + 1 : op->kind == HEL_OP_REFRESH ? 2 : 0;
}

/** How many values an op reads, and the k-th of them. */
static inline uint32_t hel_op_operands(const hel_op *op)
{
	return op->terms ? op->terms : op->kind == HEL_OP_INPUT ? 0 : 1u + (op->kind == HEL_OP_MUL);
}

static inline uint32_t hel_op_operand(const hel_op *op, uint32_t k)
{
	return op->terms ? op->term[k].value : k ? op->index : op->value;
}

/** Conjugation is the rotation by one more slot bit than there is: it brings the imaginary parts,
 *  negated, to where sums cancel them. */
static inline bool hel_step_conjugates(int32_t step, size_t slots)
{
	return step >= (int32_t)slots;
}

void hel_op_clear(hel_op *op);

typedef struct hel_program {
	hel_manifest *manifest; /* owned */
	uint32_t layers;
	char **layer; /* names and packing, for people */
	char *plan;   /* JSON: what was chosen, and what next to it; for people, may be NULL */
	uint32_t ops;
	hel_op *op; /* the last one is the result; of one that meets items, the user's constant */
	uint32_t vectors;
	hel_vector *vector;
	hel_item_part items;	      /* where its manifest says that it meets items */
	uint8_t hash[HEL_HASH_BYTES]; /* of the file that was read or written; 0 before */
} hel_program;

void hel_program_free(hel_program *p);
/** Frees the vectors' values: once they are encoded, runs on ciphertexts need them no more. */
void hel_program_drop_vectors(hel_program *p);
/** Appends; grows the arrays. The op's arrays are taken over on success. */
HEL_CHECKED hel_status hel_program_add_op(hel_program *p, const hel_op *op);
/** Stores slot values with their smallest period; *index is its number, shared with an equal one.
 */
HEL_CHECKED hel_status hel_program_add_vector(hel_program *p, const hel_complex *slots,
					      unsigned log_slots, uint32_t *index);
#define HEL_PLAN_TEXT_MAX (1u << 20)
HEL_CHECKED hel_status hel_program_add_layer(hel_program *p, const char *text);
HEL_CHECKED hel_status hel_program_write(hel_writer *w, hel_program *p);
HEL_CHECKED hel_status hel_program_read(hel_program **out, const void *bytes, size_t size);

#endif
