/* import_config.h -- what the names and shapes of a checkpoint do not tell, said by its owner. */
#ifndef HEL_IMPORT_CONFIG_H
#define HEL_IMPORT_CONFIG_H

#include "model/graph.h"
#include "model/model_config.h"

typedef enum hel_interaction {
	HEL_INTERACTION_UNSAID,
	HEL_INTERACTION_CAT,
	HEL_INTERACTION_DOT
} hel_interaction;
typedef enum hel_qr_operation {
	HEL_QR_UNSAID,
	HEL_QR_MULT,
	HEL_QR_ADD,
	HEL_QR_CONCAT
} hel_qr_operation;
typedef enum hel_order { HEL_ORDER_UNSAID, HEL_ORDER_LOWER, HEL_ORDER_UPPER } hel_order;
typedef enum hel_yes { HEL_YES_UNSAID, HEL_YES, HEL_NO } hel_yes;

/** Every word may be left unsaid. */
typedef struct hel_import_config {
	json_t *root;			     /* owned */
	bool activation_said, no_activation; /* no_activation: the identity */
	hel_activation activation;
	hel_yes bottom_last_activation, interaction_self;
	hel_interaction interaction;
	hel_qr_operation qr_operation;
	hel_order order;	       /* of pairs */
	hel_architecture architecture; /* HEL_ARCHITECTURES: unsaid */
	double batchnorm_eps;
	int output; /* the row of the last layer, -1: unsaid */
} hel_import_config;

/** All unsaid; relu, 1e-5. */
hel_import_config hel_import_config_default(void);
/** A JSON object. Keys that only a training configuration has are checked against nothing and
 *  refused.
 *  @retval HEL_EFORMAT */
HEL_CHECKED hel_status hel_import_config_read(hel_import_config *out, const char *text,
					      size_t size);
void hel_import_config_clear(hel_import_config *c);
/** An activation by PyTorch's name or ours, in a text or an object; *none: the identity.
 *  @retval HEL_EFORMAT it is none that is known. */
HEL_CHECKED hel_status hel_import_activation(hel_activation *out, bool *none, const json_t *v);
/** What the owner says is in the nn.Sequential called `prefix`: an array; NULL: unsaid. */
const json_t *hel_import_layers(const hel_import_config *c, const char *prefix);
/** "prefix" or "state_dict": a text; NULL where it is not said. */
const char *hel_import_said(const hel_import_config *c, const char *key);
/** A tensor that the owner wants left out ("ignore": names, or what they begin with). */
bool hel_import_ignores(const hel_import_config *c, const char *name);

#endif
