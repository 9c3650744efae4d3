/* party.h -- the client of the commands that work on files: a manifest with a key. */
#ifndef HEL_CLI_PARTY_H
#define HEL_CLI_PARTY_H

#include "cli/cli.h"
#include "net/client/client_inside.h"

#define HEL_MANIFEST_OPTION                                                                        \
	{                                                                                          \
		"manifest", "FILE", "manifest.helm of the model", true, false                      \
	}
#define HEL_KEY_OPTION                                                                             \
	{                                                                                          \
		"key", "FILE", "secret.key", true, false                                           \
	}

/** The manifest of --manifest with the secret key of --key, where that is given. */
HEL_CHECKED hel_status hel_cli_client(hel_client **out, const hel_args *args);
/** The same for one who encrypts under another's --public-key. */
HEL_CHECKED hel_status hel_cli_contributor(hel_client **out, const hel_args *args);

#endif
