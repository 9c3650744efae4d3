/* party.h -- the client of the commands that work on files: a manifest with a key. */
#ifndef HEL_CLI_PARTY_H
#define HEL_CLI_PARTY_H

#include "cli/cli.h"
#include "net/client/client_inside.h"
#include "passphrase.h"

#define HEL_MANIFEST_OPTION                                                                        \
	{                                                                                          \
		"manifest", "FILE", "manifest.helm of the model", true, false                      \
	}
#define HEL_KEY_PASSPHRASE_OPTION                                                                  \
	{                                                                                          \
		"passphrase-file", "FILE", "of a sealed key: " HEL_PASSPHRASE_FILE, false, false   \
	}

#define HEL_TOP_OPTION                                                                             \
	{                                                                                          \
		"top", "N",                                                                        \
		    "of a ranking: items with the highest scores (default 10; --json without it: " \
		    "all)",                                                                        \
		    false, false                                                                   \
	}

/** Says and stores the items of --top. */
HEL_CHECKED hel_status hel_cli_ranking(const hel_args *args, json_t *out, const hel_ranking *r);

/** What the secret key file of --key holds, its seal opened: *plain is freed by hel_free_secret. */
HEL_CHECKED hel_status hel_cli_secret_read(uint8_t **plain, size_t *size, const hel_args *args,
					   bool *sealed);
/** Says on stderr when a file of secrets is open to other users. */
void hel_cli_warn_of_readers(const char *path);
/** The manifest of --manifest with the secret key of --key, where that is given. */
HEL_CHECKED hel_status hel_cli_client(hel_client **out, const hel_args *args);
/** The same for one who encrypts under another's --public-key. */
HEL_CHECKED hel_status hel_cli_contributor(hel_client **out, const hel_args *args);

#endif
