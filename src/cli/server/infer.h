/* infer.h -- the server's side of the commands that evaluate offline: infer and verify. */
#ifndef HEL_CLI_INFER_H
#define HEL_CLI_INFER_H

#include "cli/cli.h"
#include "net/client/client_inside.h"
#include "net/server/server.h"

#define HEL_CACHE_OPTION                                                                           \
	{                                                                                          \
		"cache", "FILE",                                                                   \
		    "encoded weights of this program: made when needed, mapped and shared by "     \
		    "later runs "                                                                  \
		    "(default: none, in memory)",                                                  \
		    false, false                                                                   \
	}

/** A program ready to run, its weights from --cache; says on stderr what is wrong with that. */
HEL_CHECKED hel_status hel_open_server(hel_server **out, const hel_args *args, const void *program,
				       size_t size);

#endif
