/* dlrm.h -- the deep-learning recommendation model (Naumov et al. 2019): a bottom
 * MLP for dense features, an embedding vector per categorical one (the sum of one
 * row for each hot entry), concatenation, a top MLP, one logit.
 */
#ifndef HEL_DLRM_H
#define HEL_DLRM_H

#include "base/base.h"
#include "features/rows.h"

#define HEL_MAX_LAYERS 16
#define HEL_MAX_WIDTH 65536
#define HEL_MAX_PARAMETERS ((size_t)1 << 31)

typedef enum hel_activation_kind {
	HEL_ACT_RELU,
	HEL_ACT_SQUARE,	   /* x^2 */
	HEL_ACT_QUADRATIC, /* a x^2 + b x */
	HEL_ACT_SILU,	   /* x / (1 + exp(-x)) */
	HEL_ACT_SIGMOID,
	HEL_ACT_GELU, /* x Phi(x) */
	HEL_ACT_KINDS
} hel_activation_kind;

typedef struct hel_activation {
	hel_activation_kind kind;
	double a, b;
} hel_activation;

double hel_activate(hel_activation act, double x);
double hel_activate_slope(hel_activation act, double x);
const char *hel_activation_name(hel_activation_kind kind);

#define HEL_MAX_APPROXIMATION 63

/** In an activation's place: sum of c_i T_i(x / range). */
typedef struct hel_approximation {
	unsigned degree;
	double range, c[HEL_MAX_APPROXIMATION + 1];
} hel_approximation;

double hel_approximation_at(const hel_approximation *a, double x);

typedef struct hel_training {
	uint32_t epochs, batch, warmup; /* warm-up in steps */
	double rate, weight_decay, gradient_clip;
	bool adagrad; /* for tables, in place of Adam */
	/* early stopping: the share of training rows to judge by, how often per epoch, and after
	 * how many judgements without a better AUC; the best weights are kept */
	double validation;
	uint32_t evaluations, patience;
	uint32_t
	    test; /* one row in this many is held out; 0: none. Data sets read as a stream only */
	uint64_t seed;
} hel_training;

/** Widths exclude the input. An activation follows every layer but each tower's last one,
 *  unless bottom_last_activation. */
typedef struct hel_dlrm_config {
	uint32_t embedding_dim;
	uint32_t bottom[HEL_MAX_LAYERS], top[HEL_MAX_LAYERS];
	size_t bottom_layers, top_layers;
	hel_activation activation;
	bool bottom_last_activation;
	double clip;
	hel_embedding_plan plan;
	hel_training training;
} hel_dlrm_config;

/** The co-designed heart network: bottom 5-4 linear, top 36-8-1, one squaring. */
hel_dlrm_config hel_dlrm_config_default(void);
/** A data set's own default; criteo: bottom 13-16 linear, top 432-128-1, one squaring. */
hel_dlrm_config hel_dlrm_config_for(const hel_dataset *set);
/** Who trains on which rows, by the training's seed. */
hel_split hel_dlrm_split(const hel_dlrm_config *c);
/** Changes what the JSON object names; c stays as it is on errors. */
HEL_CHECKED hel_status hel_dlrm_config_update(hel_dlrm_config *c, const char *text, size_t size);
/** The same on top of hel_dlrm_config_default. */
HEL_CHECKED hel_status hel_dlrm_config_from_json(hel_dlrm_config *out, const char *text,
						 size_t size);
/** JSON text, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_dlrm_config_to_json(char **out, const hel_dlrm_config *c);
/** The base of digits for a data set whose tables are vocabularies of texts, 0 for full ones.
 *  @retval HEL_EUNSUPPORTED another embedding kind. */
HEL_CHECKED hel_status hel_dlrm_text_base(uint32_t *base, const hel_dlrm_config *c);

typedef struct hel_tensor {
	char name[HEL_NAME_MAX]; /* as in facebookresearch/dlrm state dicts */
	size_t rows,
	    columns;   /* weights: [out][in]; tables: [one-hot entry][dim]; biases: one column */
	size_t offset; /* into the flat parameter vector */
} hel_tensor;

/** All parameters stand in one vector; tensors name its parts. */
typedef struct hel_dlrm {
	hel_dlrm_config config;
	hel_schema *schema; /* owned */
	size_t tensors, parameters;
	hel_tensor *tensor; /* bottom weight, bias, ..., tables, top weight, bias, ... */
	float *parameter;
	hel_approximation *approximation; /* one per activated layer, bottom first; NULL: none */
} hel_dlrm;

/** A model with all weights 0 and at most `limit` of them; takes over the schema. */
HEL_CHECKED hel_status hel_dlrm_new_zero(hel_dlrm **out, const hel_dlrm_config *config,
					 hel_schema *schema, size_t limit);
/** A model with random weights (facebookresearch initialisation); takes over the schema. */
HEL_CHECKED hel_status hel_dlrm_new(hel_dlrm **out, const hel_dlrm_config *config,
				    hel_schema *schema, uint64_t seed);
void hel_dlrm_free(hel_dlrm *m);
const hel_tensor *hel_dlrm_bottom(const hel_dlrm *m, size_t layer, bool bias);
const hel_tensor *hel_dlrm_table(const hel_dlrm *m, size_t table);
const hel_tensor *hel_dlrm_top(const hel_dlrm *m, size_t layer, bool bias);
static inline const float *hel_tensor_data(const hel_dlrm *m, const hel_tensor *t)
{
	return m->parameter + t->offset;
}
/** Width of the bottom tower's output: the number of dense features when it has no layer. */
size_t hel_dlrm_bottom_width(const hel_dlrm *m);

/** The logit of one record in double precision, layer by layer: the reference of all others. */
HEL_CHECKED hel_status hel_dlrm_logit(double *out, const hel_dlrm *m, const double *dense,
				      const uint32_t *hots);

/** Sees what enters each activation: its number, bottom tower first, and the value. */
typedef void hel_observer(void *arg, size_t activation, double x);
/** hel_dlrm_logit with an observer; NULL for none. */
HEL_CHECKED hel_status hel_dlrm_observe(double *out, const hel_dlrm *m, const double *dense,
					const uint32_t *hots, hel_observer *observer, void *arg);

/** Records ready for a model: applied schema. */
typedef struct hel_samples {
	size_t count, dense, hots;
	double *value;	/* [count][dense] */
	uint32_t *hot;	/* [count][hots] */
	uint8_t *label; /* [count] */
	size_t unknown; /* categories outside the vocabulary, taken as missing */
} hel_samples;

/** Room for `count` samples; the count is still 0. */
HEL_CHECKED hel_status hel_samples_reserve(hel_samples *out, const hel_schema *schema,
					   size_t count);
HEL_CHECKED hel_status hel_samples_new(hel_samples *out, const hel_schema *schema,
				       const hel_records *records, const size_t *rows, size_t count,
				       hel_unknown policy);
/** Those rows of a cache's blocks (NULL: the first `count`) that belong to any of `parts`. */
HEL_CHECKED hel_status hel_samples_load(hel_samples *out, const hel_schema *schema,
					const hel_cache *cache, const hel_split *split,
					unsigned parts, const size_t *blocks, size_t count,
					hel_pool *pool);
void hel_samples_clear(hel_samples *s);

/** Logits of all samples, in single precision. */
HEL_CHECKED hel_status hel_dlrm_logits(double *logits, const hel_dlrm *m,
				       const hel_samples *samples, hel_pool *pool);

/** Trains in place on one thread: AdamW, warm-up, linear decay, gradient clipping. Deterministic
 *  per seed. progress may be NULL. */
HEL_CHECKED hel_status hel_dlrm_train(hel_dlrm *m, const hel_samples *samples,
				      hel_progress *progress);

/* --- fit.c: training from a cache ------------------------------------------------ */

typedef struct hel_fit_options {
	const char *checkpoint; /* NULL: none */
	double interval;	/* seconds between checkpoints */
	bool resume;		/* go on from the checkpoint */
	bool quiet;
	hel_pool *pool;
} hel_fit_options;

typedef struct hel_fit_report {
	uint64_t steps, rows, resumed; /* rows trained on in this run; steps done before it */
	double seconds, loss;	       /* of this run; the last epoch's mean */
	double best_auc;	       /* on the validation part; NaN without one */
	bool stopped;		       /* early */
} hel_fit_report;

/** Trains on the training part, streaming: rows are shuffled over blocks and within windows of
 *  blocks. The result depends on configuration, data and seed alone, not on threads, checkpoints or
 *  interruptions.
 *  @retval HEL_EMODEL the checkpoint belongs to another training. */
HEL_CHECKED hel_status hel_dlrm_fit(hel_fit_report *report, hel_dlrm *m, const hel_cache *cache,
				    const hel_split *split, const hel_fit_options *o);

/* --- approximation.c: polynomials for activations that ciphertexts cannot take ------- */

typedef enum hel_approximation_kind {
	HEL_LEAST_SQUARES, /* weighted by how often a value occurs */
	HEL_INTERPOLATION, /* in Chebyshev's nodes: nearly the least largest error */
} hel_approximation_kind;

/** How many layers have an activation. */
size_t hel_dlrm_activated(const hel_dlrm *m);
/** Fits on [-range, range]; seen: what hel_dlrm_approximate learned there, or NULL. */
HEL_CHECKED hel_status hel_approximation_fit(hel_approximation *out, hel_activation act,
					     unsigned degree, hel_approximation_kind kind,
					     double range, const void *seen);
/** Replaces every activation, and every polynomial in its place, by one fitted to what these
 * samples feed the activation, on a range `margin` (above 1) times the largest value. */
HEL_CHECKED hel_status hel_dlrm_approximate(hel_dlrm *m, const hel_samples *samples,
					    unsigned degree, hel_approximation_kind kind,
					    double margin);
/** As JSON text, zero-ended, which the caller frees with hel_free; and back. */
HEL_CHECKED hel_status hel_approximations_to_json(char **out, const hel_dlrm *m);
HEL_CHECKED hel_status hel_approximations_from_json(hel_dlrm *m, const char *text, size_t size);

/* --- metrics (metrics.c) ---------------------------------------------------- */

typedef struct hel_metrics {
	double accuracy, auc, log_loss;
} hel_metrics;

/** Labels 0/1 against logits. auc is NaN when one class is absent. */
HEL_CHECKED hel_status hel_metrics_of(hel_metrics *out, const double *logits, const uint8_t *labels,
				      size_t count);
/** The same for a part of a cache; *rows is its size, may be NULL. */
HEL_CHECKED hel_status hel_metrics_of_part(hel_metrics *out, uint64_t *rows, const hel_dlrm *m,
					   const hel_cache *cache, const hel_split *split,
					   hel_part part, hel_pool *pool);

/** What one sample contributes to the AUC: the share of the other class it is ranked right against
 *  (DeLong, DeLong, Clarke-Pearson 1988), in [count]. */
HEL_CHECKED hel_status hel_auc_placements(double *placement, const double *logits,
					  const uint8_t *labels, size_t count);
/** Standard error of an AUC, or with b of the difference of two on the same samples. */
double hel_auc_error(const double *a, const double *b, const uint8_t *labels, size_t count);

/* --- logistic.c ------------------------------------------------------------- */

/** Ridge logistic regression on dense values and one-hot entries (Newton), as a baseline:
 *  logits of the test samples. */
HEL_CHECKED hel_status hel_logistic_fit_predict(double *logits, const hel_samples *train,
						const hel_samples *test, size_t onehots,
						double ridge);

/* --- cross_validation.c ------------------------------------------------------ */

typedef struct hel_cv_result {
	double accuracy, accuracy_error, auc, auc_error, log_loss; /* means, standard errors */
} hel_cv_result;

typedef struct hel_cv_report {
	hel_cv_result model, relu, logistic;
	size_t runs;
} hel_cv_report;

/** Stratified folds, new for every seed; schema and weights learned on each training part only. */
HEL_CHECKED hel_status hel_cross_validate(hel_cv_report *out, const hel_dataset *set,
					  const hel_records *records, const hel_dlrm_config *config,
					  size_t folds, size_t seeds, hel_pool *pool);

/* --- model_file.c: a directory with model.json and weights.safetensors ---------- */

HEL_CHECKED hel_status hel_dlrm_save(const hel_dlrm *m, const char *dir);
HEL_CHECKED hel_status hel_dlrm_load(hel_dlrm **out, const char *dir);
typedef struct hel_import_report {
	size_t
	    no_missing_row; /* tables without a row for missing or other values: zero stands in */
	size_t collisions;  /* values that share a fingerprint, and so a row, with another one */
} hel_import_report;

/** A model trained elsewhere with full tables and concatenation; widths come from the weights, what
 *  they do not tell (activation, bottom_last_activation) from config. The schema's tables list in
 *  "values" what each row stands for: a text, "" for missing, null for all that are not listed.
 *  @retval HEL_EUNSUPPORTED dot interaction, other table kinds, by name. */
HEL_CHECKED hel_status hel_dlrm_import(hel_dlrm **out, hel_import_report *report,
				       const hel_dlrm_config *config, const char *schema,
				       size_t schema_size, const uint8_t *weights, size_t size);
HEL_CHECKED hel_status hel_safetensors_read(hel_dlrm *m, const uint8_t *bytes, size_t size);
/** A model without weights (all zero); refuses more than `parameters` of them. */
HEL_CHECKED hel_status hel_model_json_read(hel_dlrm **out, const char *text, size_t size,
					   size_t parameters);

#endif
