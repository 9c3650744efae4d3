/* rank.h -- one query against a catalogue. */
#ifndef HEL_SERVER_RANK_H
#define HEL_SERVER_RANK_H

#include "rank/multiply.h"
#include "server.h"

/** Which items are ranked, a bit for each; the server sees them. */
typedef struct hel_selection {
	uint8_t *bits;
	size_t count;
} hel_selection;

/** "id,id,id", or "from..to": numbers of items, from 1; both may be mixed, and the separator is
 * any.
 *  - Cost: a search for each, and a sort.
 *  @retval HEL_EINVAL names the id that the catalogue does not have. */
HEL_CHECKED hel_status hel_selection_parse(hel_selection *out, const hel_catalogue *c,
					   const char *text, size_t size, char separator);
void hel_selection_clear(hel_selection *x);

/** Runs the program on a query, then its catalogue; writes the ranking. Items are those of `only`
 *  (NULL: all) that the query names, where it names some (net/ranking_file.h). times: `evaluate` is
 *  that of both; or NULL.
 *  @retval HEL_EINVAL the query names an item that the catalogue does not have.
 *  @retval HEL_EMODEL, HEL_ECLIENT as hel_server_infer. @retval HEL_ECANCEL it was stopped. */
HEL_CHECKED hel_status hel_server_rank(hel_writer *w, const hel_evaluation *evaluation,
				       const hel_catalogue *c, const hel_selection *only,
				       const void *query, size_t size, hel_infer_times *times,
				       hel_progress *progress);

#endif
