/* shares.h -- NAME.shares beside the models: which versions of NAME new clients are told of. The
 * keeper reads them; the catalog's lock guards what they say. */
#ifndef HEL_SERVER_SHARES_H
#define HEL_SERVER_SHARES_H

#include "catalog.h"

#define HEL_SHARES_ENDING ".shares"
#define HEL_SHARES_MAX 100 /* versions: one percent each */

typedef struct hel_shares {
	char base[HEL_ROUTE_NAME_MAX + 1];
	size_t count;
	struct {
		char name[HEL_ROUTE_NAME_MAX + 1];
		unsigned percent;
	} version[HEL_SHARES_MAX];
	struct hel_shares *next;
} hel_shares;

bool hel_shares_are(const char *entry);
/** Lines "NAME PERCENT" or "NAME@LABEL PERCENT", 100 together; # begins a comment. All or nothing.
 *  @retval HEL_EFORMAT with the line and what is wrong. */
HEL_CHECKED hel_status hel_shares_read(hel_catalog *c, const char *entry, const char *path);
/** Forgets those whose file is not among `seen`. */
void hel_shares_keep(hel_catalog *c, char (*seen)[HEL_ROUTE_NAME_MAX + 1], size_t count);
void hel_shares_clear(hel_catalog *c);

#endif
