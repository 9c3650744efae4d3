/* versions.h -- models of one name side by side: which version answers whom. NAME.helm and
 * NAME@LABEL.helm are versions of NAME. A query goes to the version that its manifest is of; shares
 * decide which version a client is told of that has no manifest yet. */
#ifndef HEL_SERVER_VERSIONS_H
#define HEL_SERVER_VERSIONS_H

#include "catalog.h"
#include <string.h>

/** The version that `name` stands for, counted; NULL when there is none. NAME@LABEL and NAME@ with
 *  at least eight first digits of a manifest's hash are that version. NAME: by the shares, the same
 *  one for the same customer on every server; without shares NAME.helm, else the last label in
 *  strverscmp's order. */
hel_model *hel_version_find(hel_catalog *c, const char *name, const char *customer);
/** The version of `name` that a query was encrypted for, counted; NULL when it is not in service.
 */
hel_model *hel_version_of_query(hel_catalog *c, const char *name, const uint8_t *query,
				size_t size);
/** Some version of `name` that `fits`, counted; NULL: none. It is called under the catalog's lock.
 */
hel_model *hel_version_that(hel_catalog *c, const char *name,
			    bool (*fits)(const hel_model *m, void *arg), void *arg);
/** Which part of new clients is told of it, 0 to 1. */
double hel_version_share(hel_catalog *c, const hel_model *m);
/** The length of what is before '@'. */
static inline size_t hel_version_base(const char *name)
{
	return strcspn(name, "@");
}

#endif
