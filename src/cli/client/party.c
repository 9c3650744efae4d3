#include "party.h"
#include "passphrase.h"
#include <sys/stat.h>

void hel_cli_warn_of_readers(const char *path)
{
	struct stat info;
	if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_mode & 077)
		fprintf(stderr,
			"warning: %s can be read or written by others (mode %03o): chmod 600 it\n",
			path, (unsigned)info.st_mode & 0777);
}

hel_status hel_cli_secret_read(uint8_t **plain, size_t *size, const hel_args *args, bool *sealed)
{
	hel_status st = HEL_OK;
	hel_reader r;
	char passphrase[HEL_PASSPHRASE_MAX] = "";
	uint8_t *file = NULL;
	size_t file_size = 0;
	TRY(hel_arg_file(&file, &file_size, args, "key"));
	*sealed = hel_secret_is_sealed(file, file_size);
	if (hel_container_kind(file, file_size) != HEL_KIND_SEALED_SECRET) {
		TRY(hel_container_open(&r, HEL_KIND_SECRET_KEY, file, file_size));
		*plain = file;
		*size = file_size;
		file = NULL;
		goto done;
	}
	if (*sealed)
		TRY(hel_passphrase_read(passphrase, args, "passphrase-file", false));
	TRY(hel_unseal(plain, size, file, file_size, passphrase));
done:
	hel_passphrase_clear(passphrase);
	hel_free_secret(file, file ? file_size : 0);
	return st;
}

hel_status hel_cli_client(hel_client **out, const hel_args *args)
{
	hel_status st = HEL_OK;
	hel_client *c = NULL;
	uint8_t *manifest = NULL, *secret = NULL;
	size_t manifest_size, secret_size = 0;
	bool sealed;
	TRY(hel_arg_file(&manifest, &manifest_size, args, "manifest"));
	TRY(hel_client_open(&c, manifest, manifest_size, NULL, NULL));
	if (hel_arg(args, "key")) {
		TRY(hel_cli_secret_read(&secret, &secret_size, args, &sealed));
		if (secret_size == HEL_SECRET_BYTES) /* query's, for all models */
			TRY(hel_client_use_secret(c, secret));
		else
			TRY(hel_client_load_key(c, secret, secret_size));
		hel_cli_warn_of_readers(hel_arg(args, "key"));
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

#define TOP 10

hel_status hel_cli_ranking(const hel_args *args, json_t *out, const hel_ranking *r)
{
	hel_status st = HEL_OK;
	uint64_t top;
	const size_t count = hel_ranking_count(r);
	json_t *items = json_array();
	json_object_set_new(out, "items", items);
	TRY(hel_arg_number(&top, args, "top", 1, HEL_MAX_ITEMS, args->json ? count : TOP));
	for (size_t i = 0; i < HEL_MIN(count, (size_t)top); i++) {
		const hel_ranked_item *item = hel_ranking_item(r, i);
		hel_say(args, "%4zu  %-24s  logit %+.6f, probability %.6f\n", i + 1, item->id,
			item->logit, item->probability);
		json_array_append_new(items,
				      json_pack("{s:s, s:f, s:f}", "id", item->id, "logit",
						item->logit, "probability", item->probability));
	}
	hel_say(args, "of %zu items; scores are right to about %.4f\n", count,
		hel_ranking_error(r));
	json_object_update_new(out, json_pack("{s:I, s:f}", "ranked", (json_int_t)count, "error",
					      hel_ranking_error(r)));
done:
	return st;
}
