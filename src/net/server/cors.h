/* cors.h -- pages of other origins that may ask, through their visitors' browsers. */
#ifndef HEL_SERVER_CORS_H
#define HEL_SERVER_CORS_H

#include "request.h"

/** Answers a browser's question whether a page may ask: of an origin that is listed. */
void hel_cors_preflight(hel_request *r, const char *methods);
/** Is this such a question? */
bool hel_cors_asks(hel_request *r);
/** Lets the page read the answer. */
void hel_cors_headers(hel_request *r);

#endif
