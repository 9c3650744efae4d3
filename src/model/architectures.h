/* architectures.h -- graphs by name, as the literature has them; docs/models.md draws them. */
#ifndef HEL_ARCHITECTURES_H
#define HEL_ARCHITECTURES_H

#include "graph.h"
#include "model_config.h"

/** The graph that a configuration names; the schema is borrowed.
 *  @retval HEL_EFORMAT widths do not fit each other; names the node. */
HEL_CHECKED hel_status hel_architecture_build(hel_graph **out, const hel_dlrm_config *c,
					      const hel_schema *schema);

#endif
