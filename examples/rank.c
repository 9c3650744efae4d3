/* One private user ranked against a catalogue (docs/ranking.md), both parties in one program:
 *   rank MANIFEST PROGRAM CATALOGUE RECORD_FILE
 *   cc rank.c $(pkg-config --cflags --libs helrm-client helrm-server) -o rank
 * What crosses from one to the other is keys, a query and a result; between machines by a protocol
 * of your own, or by 'helrm serve'. */
#include <helrm/client.h>
#include <helrm/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(hel_status st)
{
	if (st == HEL_OK)
		return;
	fprintf(stderr, "%s: %s\n", hel_status_text(st), hel_error_detail());
	exit(1);
}

/** What travels, or lies in a file. */
typedef struct bytes {
	uint8_t *at; /**< The first. */
	size_t size; /**< How many. */
} bytes;

static hel_status append(void *arg, const void *piece, size_t size)
{
	bytes *b = arg;
	uint8_t *more = realloc(b->at, b->size + size);
	if (!more)
		return HEL_ENOMEM;
	memcpy(more + b->size, piece, size);
	*b = (bytes){more, b->size + size};
	return HEL_OK;
}

static bytes read_file(const char *path)
{
	static char piece[65536];
	bytes b = {NULL, 0};
	FILE *f = fopen(path, "rb");
	for (size_t n; f && (n = fread(piece, 1, sizeof piece, f));)
		must(append(&b, piece, n));
	if (!f || fclose(f) != 0) {
		fprintf(stderr, "cannot read %s\n", path);
		exit(1);
	}
	return b;
}

int main(int argc, char **argv)
{
	uint8_t secret[HEL_SECRET_BYTES];
	bytes query, result, keys = {NULL, 0};
	hel_client *client;
	hel_access *access;
	hel_server *server;
	hel_evaluation *evaluation;
	hel_catalogue *catalogue;
	hel_ranking *ranking;
	if (argc != 5) {
		fprintf(stderr, "usage: rank MANIFEST PROGRAM CATALOGUE RECORD_FILE\n");
		return 2;
	}
	const bytes manifest = read_file(argv[1]), program = read_file(argv[2]),
		    record = read_file(argv[4]);

	/* the user: a secret, keys that decrypt nothing, a query */
	must(hel_secret_new(secret));
	must(hel_client_open(&client, manifest.at, manifest.size, NULL, secret));
	must(hel_access_new(&access, client, NULL));
	must(hel_client_use(client, access));
	must(hel_access_keys(access, client, append, &keys));
	must(hel_client_query(&query.at, &query.size, client, (const char *)record.at, record.size,
			      0));

	/* the server: sees a model, items, keys, and what it cannot read */
	must(hel_server_new(&server, program.at, program.size, NULL));
	must(hel_server_catalogue(&catalogue, server, argv[3]));
	must(hel_evaluation_new(&evaluation, server, keys.at, keys.size));
	must(hel_server_run_catalogue(&result.at, &result.size, evaluation, catalogue, NULL,
				      query.at, query.size, NULL));

	/* the user again */
	must(hel_client_rank(&ranking, client, result.at, result.size));
	printf("the best of %zu items:\n", hel_ranking_count(ranking));
	for (size_t place = 0; place < 10 && hel_ranking_item(ranking, place); place++) {
		const hel_ranked_item *item = hel_ranking_item(ranking, place);
		printf("%zu: %s, probability %.4f\n", place + 1, item->id, item->probability);
	}

	hel_ranking_free(ranking);
	hel_evaluation_free(evaluation);
	hel_catalogue_free(catalogue);
	hel_server_free(server);
	hel_access_free(access);
	hel_client_free(client);
	hel_bytes_free(query.at, query.size);
	hel_bytes_free(result.at, result.size);
	hel_wipe(secret, sizeof secret);
	free(keys.at);
	free(manifest.at);
	free(program.at);
	free(record.at);
	return 0;
}
