/* model_config.h -- what to train and how, and its JSON. */
#ifndef HEL_MODEL_CONFIG_H
#define HEL_MODEL_CONFIG_H

#include "activation.h"
#include "features/learn.h"
#include <jansson.h>

#define HEL_MAX_LAYERS 16

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

/** Builders of graphs (architectures.c), and graphs of nobody's. */
#define HEL_ARCHITECTURE_LIST(X)                                                                   \
	X(HEL_ARCHITECTURE_DLRM, "dlrm")                                                           \
	X(HEL_ARCHITECTURE_DCN, "dcn")                                                             \
	X(HEL_ARCHITECTURE_FM, "fm")                                                               \
	X(HEL_ARCHITECTURE_DEEPFM, "deepfm")                                                       \
	X(HEL_ARCHITECTURE_WIDE_DEEP, "wide-deep")                                                 \
	X(HEL_ARCHITECTURE_TWO_TOWER, "two-tower")                                                 \
	X(HEL_ARCHITECTURE_MLP, "mlp")                                                             \
	X(HEL_ARCHITECTURE_GRAPH, "graph")

typedef enum hel_architecture {
#define X(architecture, name) architecture,
	HEL_ARCHITECTURE_LIST(X)
#undef X
	    HEL_ARCHITECTURES
} hel_architecture;

const char *hel_architecture_name(hel_architecture architecture);
/** HEL_ARCHITECTURES when unknown. */
hel_architecture hel_architecture_by_name(const char *name);
/** All that have a builder, for messages. */
#define HEL_ARCHITECTURE_NAMES "dlrm, dcn, fm, deepfm, wide-deep, two-tower or mlp"

#define HEL_MAX_CROSS_LAYERS 16
#define HEL_MAX_ITEM_COLUMNS 64
#define HEL_MAX_MEMBERS 64

/** Widths exclude the input. An activation follows every layer but each tower's last one,
 *  unless bottom_last_activation. */
typedef struct hel_dlrm_config {
	hel_architecture architecture;
	uint32_t members; /* networks of different seeds whose logits' mean is the model's */
	uint32_t embedding_dim;
	bool interaction_dot, interaction_self; /* dlrm: pairs' products; squares with them */
	uint32_t cross_layers, cross_rank;	/* dcn; rank 0: full matrices */
	bool cross_parallel;			/* dcn: beside the deep tower, not before it */
	size_t item_columns;			/* two-tower; none: the second half of the tables */
	char item_column[HEL_MAX_ITEM_COLUMNS][HEL_NAME_MAX];
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
/** What a data set's configurations are changes of; criteo: bottom 13-16 linear, top 432-128-1, one
 *  squaring, full tables. */
hel_dlrm_config hel_dlrm_config_for(const hel_dataset *set);
/** What is trained where nobody says anything else, co-designed with its encryption; criteo: four
 *  members of bottom 13-16 linear, top 432-31-1, 4,096 entries with click rates. Of most data sets
 *  hel_dlrm_config_for(): no one knows what they need before `tune` has looked. */
hel_dlrm_config hel_dlrm_config_codesigned(const hel_dataset *set);
/** Who trains on which rows, by the training's seed. */
hel_split hel_dlrm_split(const hel_dlrm_config *c);
/** Changes what the JSON object names; c stays as it is on errors. */
HEL_CHECKED hel_status hel_dlrm_config_update(hel_dlrm_config *c, const char *text, size_t size);
/** The same on top of hel_dlrm_config_default. */
HEL_CHECKED hel_status hel_dlrm_config_from_json(hel_dlrm_config *out, const char *text,
						 size_t size);
/** Both as values of jansson, for those who read or write a larger text. */
HEL_CHECKED hel_status hel_dlrm_config_read(hel_dlrm_config *out, const json_t *o);
json_t *hel_dlrm_config_write(const hel_dlrm_config *c);
/** JSON text, zero-ended; the caller frees it with hel_free. */
HEL_CHECKED hel_status hel_dlrm_config_to_json(char **out, const hel_dlrm_config *c);
/** The base of digits for a data set whose tables are vocabularies of texts, 0 for full ones.
 *  @retval HEL_EUNSUPPORTED another embedding kind. */
HEL_CHECKED hel_status hel_dlrm_text_base(uint32_t *base, const hel_dlrm_config *c);

#endif
