#include "party.h"

hel_status hel_cli_client(hel_client **out, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *manifest = NULL, *secret = NULL;
	size_t manifest_size, secret_size = 0;
	TRY(hel_arg_file(&manifest, &manifest_size, args, "manifest"));
	TRY(hel_client_open(&c, manifest, manifest_size, NULL, NULL));
	if (hel_arg(args, "key")) {
		TRY(hel_arg_file(&secret, &secret_size, args, "key"));
		TRY(hel_client_load_key(c, secret, secret_size));
	}
	*out = c;
	c = NULL;
done:
	hel_client_free(c);
	hel_free(manifest);
	hel_free_secret(secret, secret ? secret_size : 0);
	return st;
}

hel_status hel_cli_contributor(hel_client **out, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *public = NULL;
	size_t size;
	TRY(hel_cli_client(&c, args));
	TRY(hel_arg_file(&public, &size, args, "public-key"));
	TRY(hel_client_contribute(c, public, size));
	*out = c;
	c = NULL;
done:
	hel_free(public);
	hel_client_free(c);
	return st;
}
