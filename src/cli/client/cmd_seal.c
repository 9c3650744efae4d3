/* seal: a secret key file comes under a passphrase, under another one, or under none. */
#include "party.h"

static hel_status run_seal(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	char passphrase[HEL_PASSPHRASE_MAX] = "";
	uint8_t *plain = NULL, *sealed = NULL;
	size_t plain_size = 0, size = 0;
	bool was = false;
	const char *key = hel_arg(args, "key");
	const bool open = hel_arg(args, "no-passphrase") != NULL;
	if (open && hel_arg(args, "new-passphrase-file"))
		FAIL(HEL_EINVAL, "give either --new-passphrase-file or --no-passphrase");
	TRY(hel_cli_secret_read(&plain, &plain_size, args, &was));
	if (plain_size != HEL_SECRET_BYTES &&
	    hel_container_kind(plain, plain_size) != HEL_KIND_SECRET_KEY)
		FAIL(HEL_EFORMAT, "%s holds no secret key", key);
	if (!open)
		TRY(hel_passphrase_read(passphrase, args, "new-passphrase-file", true));
	if (open && plain_size != HEL_SECRET_BYTES) {
		TRY(hel_file_write(key, plain, plain_size, 0600));
	} else {
		TRY(hel_seal(&sealed, &size, plain, plain_size, open ? NULL : passphrase));
		TRY(hel_file_write(key, sealed, size, 0600));
	}
	hel_say(args, "%s: %s\n", key,
		open  ? "NOT sealed any more"
		: was ? "sealed by the new passphrase; the old one opens older copies"
		      : "sealed by your passphrase; older copies are not: remove them");
	json_object_set_new(out, "sealed", json_boolean(!open));
done:
	hel_passphrase_clear(passphrase);
	hel_free_secret(plain, plain ? plain_size : 0);
	hel_free_secret(sealed, sealed ? size : 0);
	return st;
}

const hel_command hel_command_seal = {
    .name = "seal",
    .summary = "Encrypt a secret key file under a passphrase, or change it",
    .secrets = true,
    .option = {{"key", "FILE", "secret.key, of keygen or of query; replaced when all is well", true,
		false},
	       HEL_KEY_PASSPHRASE_OPTION,
	       {"new-passphrase-file", "FILE", HEL_PASSPHRASE_FILE, false, false},
	       {"no-passphrase", NULL, "remove the seal: whoever reads the file reads all", false,
		false}},
    .run = run_seal,
};
