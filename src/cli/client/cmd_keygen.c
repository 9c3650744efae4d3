/* keygen: a secret key, and the keys others need. */
#include "party.h"
#include <unistd.h>

static hel_status run_keygen(const hel_args *args, json_t *out)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	hel_writer secret = {0}, keys = {0}, public = {0};
	char path[4096];
	const char *dir = hel_arg(args, "out");
	snprintf(path, sizeof path, "%s/secret.key", dir);
	if (!hel_arg(args, "force") && access(path, F_OK) == 0)
		FAIL(HEL_EINVAL,
		     "%s exists, and what was encrypted with it can be read with nothing else; "
		     "choose another directory or --force",
		     path);
	TRY(hel_cli_client(&c, args));
	TRY(hel_client_generate(c));
	TRY(hel_client_write_keys(&keys, c, args->pool));
	TRY(hel_client_write_public(&public, c));
	TRY(hel_client_write_secret(&secret, c));
	TRY(hel_dir_make(dir));
	snprintf(path, sizeof path, "%s/evaluation.keys", dir);
	TRY(hel_file_write(path, keys.bytes, keys.size, 0644));
	snprintf(path, sizeof path, "%s/public.key", dir);
	TRY(hel_file_write(path, public.bytes, public.size, 0644));
	snprintf(path, sizeof path, "%s/secret.key", dir);
	TRY(hel_file_write(path, secret.bytes, secret.size, 0600));
	hel_say(args,
		"%s/secret.key: keep it, show it to nobody\n%s/evaluation.keys: %.1f MB for the "
		"server\n%s/public.key: %.1f kB, for others who encrypt records for you\n",
		dir, dir, (double)keys.size / 1e6, dir, (double)public.size / 1e3);
	json_object_update_new(out, json_pack("{s:I, s:I}", "evaluation_keys_bytes",
					      (json_int_t)keys.size, "public_key_bytes",
					      (json_int_t) public.size));
done:
	hel_writer_clear(&secret);
	hel_writer_clear(&keys);
	hel_writer_clear(&public);
	hel_client_free(c);
	return st;
}

const hel_command hel_command_keygen = {
    .name = "keygen",
    .summary = "Make a secret key and the evaluation keys a model needs",
    .option = {HEL_MANIFEST_OPTION,
	       {"out", "DIR", "where the three files go", true, false},
	       {"force", NULL, "replace a secret key that is already there", false, false}},
    .run = run_keygen,
};
