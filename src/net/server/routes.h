/* routes.h -- the resources of /v1 and what operators ask. docs/openapi.json describes them; a test
 * compares. A route's functions are named after its resource: see hel_route. */
#ifndef HEL_SERVER_ROUTES_H
#define HEL_SERVER_ROUTES_H

#include "request.h"
#include <jansson.h>

extern const hel_route hel_routes[];
extern const size_t hel_routes_count;

void hel_health_end(hel_request *r);
void hel_ready_end(hel_request *r);
void hel_metrics_end(hel_request *r);
void hel_models_end(hel_request *r);
/** The version that the path stands for; answers where there is none. */
bool hel_request_find_model(hel_request *r);
/** Tells who uses a version that no new client gets where others are. */
void hel_answer_successor(hel_request *r);
void hel_manifest_end(hel_request *r);
void hel_catalogue_end(hel_request *r);
bool hel_keyset_covers(const hel_keyset *k, const hel_model *m);
json_t *hel_session_describe(hel_request *r);
void hel_open_begin(hel_request *r);
void hel_open_end(hel_request *r);
void hel_session_end(hel_request *r);
void hel_remove_end(hel_request *r);
void hel_upload_begin(hel_request *r);
void hel_upload_take(hel_request *r, const uint8_t *bytes, size_t size);
void hel_upload_end(hel_request *r);
void hel_upload_resume(hel_request *r);
void hel_query_begin(hel_request *r);
void hel_job_resume(hel_request *r);
void hel_query_end(hel_request *r);
void hel_job_begin(hel_request *r);
void hel_job_end(hel_request *r);
void hel_cancel_end(hel_request *r);

#endif
