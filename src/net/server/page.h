/* page.h -- the page that people can try: static files of a directory, read once. */
#ifndef HEL_SERVER_PAGE_H
#define HEL_SERVER_PAGE_H

#include "request.h"

typedef struct hel_page hel_page;

/** Reads DIR/page and DIR/src, as tools/web makes them; "" for no page: *out is NULL.
 *  @retval HEL_EIO, HEL_ELIMIT with what is missing. */
HEL_CHECKED hel_status hel_page_open(hel_page **out, const char *dir);
void hel_page_close(hel_page *page);
/** Sets the route of "/" or of a file, where there is one: without API key or session. */
bool hel_page_find(hel_request *r, const char *url);

#endif
