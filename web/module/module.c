/* All of the module is libhelrm-client. */
#include <helrm/client.h>
#include <assert.h>
#include <stddef.h>

/* as src/library.js reads them */
static_assert(sizeof(hel_score) == 24, "hel_score has changed: library.js");
static_assert(offsetof(hel_doubts, unseen) == 8 && offsetof(hel_doubts, text) == 12 &&
		      sizeof(hel_doubts) == 12 + 256,
	      "hel_doubts has changed: library.js");
static_assert(offsetof(hel_ranked_item, logit) == 8 && offsetof(hel_ranked_item, probability) == 16,
	      "hel_ranked_item has changed: library.js");
