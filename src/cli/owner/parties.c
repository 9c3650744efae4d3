#include "parties.h"

void hel_parties_clear(hel_parties *p)
{
	hel_evaluation_free(p->evaluation);
	hel_server_free(p->server);
	hel_client_free(p->contributor);
	hel_client_free(p->client);
}

hel_status hel_parties_open(hel_parties *p, const hel_args *args)
{
	hel_status st = HEL_OK;
	char path[HEL_PATH_MAX];
	uint8_t *manifest = NULL, *program = NULL;
	size_t manifest_size, program_size;
	hel_writer keys = {0}, public = {0};
	TRY(hel_path(path, hel_arg(args, "compiled"), "manifest.helm"));
	TRY(hel_file_read(path, HEL_FILE_MAX, &manifest, &manifest_size));
	TRY(hel_path(path, hel_arg(args, "compiled"), "program.helm"));
	TRY(hel_file_read(path, HEL_FILE_MAX, &program, &program_size));
	TRY(hel_client_open(&p->client, manifest, manifest_size, NULL, NULL));
	TRY(hel_open_server(&p->server, args, program, program_size));
	TRY(hel_client_generate(p->client));
	TRY(hel_client_write_keys(&keys, p->client, args->pool));
	TRY(hel_evaluation_new(&p->evaluation, p->server, keys.bytes, keys.size));
	p->keys_bytes = keys.size;
	if (hel_arg(args, "contributed")) {
		TRY(hel_client_write_public(&public, p->client));
		TRY(hel_client_open(&p->contributor, manifest, manifest_size, NULL, NULL));
		TRY(hel_client_contribute(p->contributor, public.bytes, public.size));
	}
done:
	hel_writer_clear(&keys);
	hel_writer_clear(&public);
	hel_free(manifest);
	hel_free(program);
	return st;
}
