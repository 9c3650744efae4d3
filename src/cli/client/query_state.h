/* query_state.h -- what `query` keeps between runs, under the state directory:
 *   secret.key                the only secret, sealed by a passphrase or explicitly not
 *   servers/S/MODEL.manifest  what was accepted on first use; another one is refused
 *   servers/S/PARAMS.access   the session and which keys it holds
 * with S from the server's address.
 */
#ifndef HEL_CLI_QUERY_STATE_H
#define HEL_CLI_QUERY_STATE_H

#include "cli/cli.h"
#include <helrm/client.h>

typedef struct query_state {
	char state[HEL_PATH_MAX / 2],
	    server[HEL_PATH_MAX / 2 + 64]; /* the directory, and servers/S */
	int lock;			   /* -1: not held */
	uint8_t secret[HEL_SECRET_BYTES];
} query_state;

/** Where things are for this --server: --state, or the user's directory for state.
 *  @retval HEL_EINVAL there is no such place. */
HEL_CHECKED hel_status query_state_find(query_state *q, const hel_args *args);
/** One run at a time sets up keys and sessions. */
HEL_CHECKED hel_status query_state_lock(query_state *q);
void query_state_unlock(query_state *q);
/** The secret: opened, or made on first use. Locked in memory until the state is closed. */
HEL_CHECKED hel_status query_state_secret(query_state *q, const hel_args *args);
void query_state_close(query_state *q);

#endif
