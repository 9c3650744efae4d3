/* parties.h -- client and server in one process, for verify. */
#ifndef HEL_CLI_PARTIES_H
#define HEL_CLI_PARTIES_H

#include "cli/server/infer.h"

typedef struct hel_parties {
	hel_client *client;
	hel_client *contributor; /* has the client's public key only; NULL: the client encrypts */
	hel_server *server;
	hel_evaluation *evaluation;
	size_t keys_bytes, query_bytes, result_bytes;
	double cpu_ms; /* of the last query on the server */
} hel_parties;

/** What --compiled holds, with keys made now. */
HEL_CHECKED hel_status hel_parties_open(hel_parties *p, const hel_args *args);
void hel_parties_clear(hel_parties *p);

#endif
