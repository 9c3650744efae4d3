/* authorize.h -- who may ask: client certificates, API keys, tokens, and what guessing costs. */
#ifndef HEL_SERVER_AUTHORIZE_H
#define HEL_SERVER_AUTHORIZE_H

#include "request.h"
#include <pthread.h>

typedef struct hel_authority {
	pthread_mutex_t lock;
	hel_api_key *key;
	size_t keys;
	uint8_t address_key[16];
	hel_bucket address[1024];
} hel_authority;

/** Rereads the operators' keys; a bad file changes nothing. */
HEL_CHECKED hel_status hel_authorize_load(hel_service *s);
/** Whose address the request comes from, as far as the proxy in front says so. */
void hel_authorize_address(hel_request *r);
/** Finds the API key and the session of a request; answers when the request may not go on. */
void hel_authorize(hel_request *r);
/** The API key's name, or the address where no keys are asked for. */
static inline const char *hel_request_customer(const hel_request *r)
{
	return *r->api_key.name ? r->api_key.name : r->address;
}
/** Seconds until this client's address may open a session or show a wrong token or key again; 0:
 *  now. */
double hel_request_address_rate(hel_request *r);
/** Seconds until this request's API key may ask again. */
double hel_request_key_rate(hel_request *r);

#endif
