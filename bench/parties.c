/* What one encrypted prediction takes of the public C API, for bench/python:
 * parties MANIFEST PROGRAM RECORDS RUNS prints seconds of encrypt + run + decrypt, one line each.
 */
#include <helrm/client.h>
#include <helrm/server.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(hel_status st)
{
	if (st == HEL_OK)
		return;
	fprintf(stderr, "parties: %s\n", hel_error_detail());
	exit(1);
}

typedef struct bytes {
	uint8_t *at;
	size_t size, room;
} bytes;

static hel_status append(void *arg, const void *more, size_t size)
{
	bytes *b = arg;
	if (b->size + size > b->room)
		return HEL_ELIMIT;
	memcpy(b->at + b->size, more, size);
	b->size += size;
	return HEL_OK;
}

static bytes read_file(const char *path)
{
	bytes b = {.room = (size_t)256 << 20};
	FILE *f = fopen(path, "rb");
	b.at = malloc(b.room);
	if (!f || !b.at) {
		perror(path);
		exit(1);
	}
	b.size = fread(b.at, 1, b.room, f);
	fclose(f);
	return b;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	bytes manifest = read_file(argv[1]), program = read_file(argv[2]),
	      text = read_file(argv[3]);
	uint8_t secret[HEL_SECRET_BYTES];
	hel_client *client = NULL;
	hel_access *access = NULL;
	hel_server *server = NULL;
	hel_evaluation *evaluation = NULL;
	check(hel_secret_new(secret));
	check(hel_client_open(&client, manifest.at, manifest.size, NULL, secret));
	check(hel_access_new(&access, client, NULL));
	check(hel_client_use(client, access));
	bytes keys = {.room = (size_t)hel_access_keys_size(access, client)};
	keys.at = malloc(keys.room);
	check(hel_access_keys(access, client, append, &keys));
	check(hel_server_new(&server, program.at, program.size, NULL));
	check(hel_evaluation_new(&evaluation, server, keys.at, keys.size));
	for (int i = 0; i < atoi(argv[4]); i++) {
		uint8_t *query = NULL, *result = NULL;
		size_t query_size, result_size;
		hel_score score;
		const double begun = now();
		check(hel_client_query(&query, &query_size, client, (const char *)text.at,
				       text.size, 0));
		check(hel_server_run(&result, &result_size, evaluation, query, query_size, NULL));
		check(hel_client_score(&score, client, result, result_size));
		printf("%.9f\n", now() - begun);
		hel_bytes_free(query, query_size);
		hel_bytes_free(result, result_size);
	}
	hel_evaluation_free(evaluation);
	hel_server_free(server);
	hel_access_free(access);
	hel_client_free(client);
	free(keys.at);
	free(manifest.at);
	free(program.at);
	free(text.at);
	return 0;
}
