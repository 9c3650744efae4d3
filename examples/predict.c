/* A private prediction in one program: predict https://SERVER MODEL RECORD_FILE
 *   cc predict.c $(pkg-config --cflags --libs helrm-transport) -o predict
 * A real client keeps the secret, the manifest's pin and the access between runs ('helrm query'
 * does); this one makes new ones and removes its keys from the server at the end. */
#include <helrm/client.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call)                                                                                \
	do {                                                                                       \
		if ((call) != HEL_OK) {                                                            \
			fprintf(stderr, "%s\n", hel_error_detail());                               \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

int main(int argc, char **argv)
{
	uint8_t secret[HEL_SECRET_BYTES], *manifest, *query, *result;
	size_t manifest_size, query_size, result_size;
	hel_client *client;
	hel_access *access;
	hel_remote *remote;
	hel_score score;
	hel_doubts doubts;
	static char record[65536];
	FILE *f = argc == 4 ? fopen(argv[3], "rb") : NULL;
	if (!f) {
		fprintf(stderr, "usage: predict URL MODEL RECORD_FILE\n");
		return 2;
	}
	const size_t size = fread(record, 1, sizeof record, f);
	size_t records;
	CHECK(hel_input_check(&records, record, size)); /* before a server hears of it */

	/* what the model needs, checked here */
	CHECK(hel_remote_new(&remote, &(hel_remote_options){.url = argv[1]}));
	CHECK(hel_remote_manifest(&manifest, &manifest_size, remote, argv[2]));
	CHECK(hel_secret_new(secret));
	CHECK(hel_client_open(&client, manifest, manifest_size, NULL, secret));

	/* evaluation keys: generated and sent piece by piece, once */
	CHECK(hel_access_new(&access, client, NULL));
	CHECK(hel_remote_open(remote, access));
	CHECK(hel_remote_upload(remote, access, client));

	/* any number of queries */
	CHECK(hel_client_query(&query, &query_size, client, record, size, 0));
	CHECK(
	    hel_remote_predict(&result, &result_size, remote, access, argv[2], query, query_size));
	CHECK(hel_remote_forget(remote, access));
	CHECK(hel_client_score(&score, client, result, result_size));
	CHECK(hel_client_doubts(&doubts, client, record, size, 0));
	printf("probability %.4f %s\n", score.probability, doubts.text);

	hel_wipe(secret, sizeof secret);
	hel_wipe(record, sizeof record);
	hel_bytes_free(manifest, manifest_size);
	hel_bytes_free(query, query_size);
	hel_bytes_free(result, result_size);
	hel_access_free(access);
	hel_client_free(client);
	hel_remote_free(remote);
	return 0;
}
