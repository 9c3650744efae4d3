/* Clients of a fleet that is being broken: fleet_load models DIR writes two versions of a model and
 * API keys; fleet_load run DIR URL CLIENTS QUERIES asks for so many predictions with so many key
 * sets, checks every score, deletes the sessions, and prints what happened as JSON. Fails if a
 * client was ever told something that did not hold. */
#include "fixture.h"
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#define VERSIONS 2
#define API_KEYS 16
#define FOLLOW_EVERY 8 /* queries: then the manifest is looked at again */

typedef struct version {
	uint8_t pin[HEL_PIN_BYTES];
	double want[ROWS];
	atomic_size_t answered;
} version;

typedef struct customer {
	pthread_t thread;
	user u;
	char api_key[32];
	version *version;
	size_t number, asked;
	uint64_t reached; /* by its upload */
} customer;

static const char *url;
static uint16_t port;
static size_t queries;
static double patience; /* seconds; as long as so many clients keep a small machine busy */
static atomic_size_t taken, answered, accepted, refused, uploads;
static atomic_bool failed;
static version versions[VERSIONS];

static void fail_client(const customer *c, const char *what)
{
	atomic_store(&failed, true);
	fprintf(stderr, "client %zu: %s: %s\n", c->number, what, hel_error_detail());
}

/* Bytes the servers acknowledged stay acknowledged. */
static void on_progress(void *arg, uint64_t done, uint64_t total)
{
	customer *c = arg;
	(void)total;
	if (done < c->reached)
		fail_client(c, "an upload went back");
	c->reached = done;
}

/* A client of the version that it is told of; keys that it has serve on. */
static hel_status follow(customer *c)
{
	hel_status st = HEL_OK;
	uint8_t *manifest = NULL, pin[HEL_PIN_BYTES];
	size_t size = 0, i = 0;
	hel_client *now = NULL;
	TRY(hel_remote_manifest(&manifest, &size, c->u.remote, "heart"));
	TRY(hel_client_open(&now, manifest, size, NULL, c->u.secret));
	if (c->u.access)
		TRY(hel_client_use(now, c->u.access));
	hel_client_pin(pin, now);
	while (i < VERSIONS && memcmp(pin, versions[i].pin, sizeof pin) != 0)
		i++;
	if (i == VERSIONS)
		FAIL(HEL_EMODEL, "a manifest of no version");
	c->version = &versions[i];
	hel_client_free(c->u.client);
	c->u.client = now;
	now = NULL;
done:
	hel_client_free(now);
	hel_bytes_free(manifest, size);
	return st;
}

static hel_status open_client(customer *c)
{
	hel_status st = HEL_OK;
	user *u = &c->u;
	snprintf(c->api_key, sizeof c->api_key, "the-key-of-number-%zu", c->number % API_KEYS);
	TRY(hel_secret_new(u->secret));
	TRY(hel_remote_new(&u->remote, &(hel_remote_options){.url = url,
							     .api_key = c->api_key,
							     .patience = patience,
							     .progress = on_progress,
							     .progress_arg = c}));
	TRY(follow(c));
	TRY(hel_access_new(&u->access, u->client, NULL));
	TRY(hel_remote_open(u->remote, u->access));
	TRY(hel_client_use(u->client, u->access));
	TRY(hel_remote_upload(u->remote, u->access, u->client));
	atomic_fetch_add(&uploads, 1);
done:
	return st;
}

static bool is_right(customer *c, size_t row, const void *result, size_t size)
{
	hel_score score = {0};
	const hel_status st = hel_client_score(&score, c->u.client, result, size);
	return st == HEL_OK && fabs(score.logit - c->version->want[row]) <= 0x1p-12;
}

/* A request's status; 0 where its answer was cut off: the server died while it sent it. */
static int ask_once(reply *r, const char *method, const char *where, const char *headers,
		    const void *body, size_t size)
{
	const int status = request(r, port, method, where, headers, body, size);
	const char *length = strcasestr(r->text, "\r\nContent-Length:");
	const size_t got = r->size - (size_t)(r->body - r->text);
	return *r->body && length && strtoull(length + 17, NULL, 10) == got ? status : 0;
}

/* Asks without waiting: after 202 the answer must come, from whichever server. */
static void ask_slowly(customer *c, size_t row)
{
	hel_writer query = {0};
	uint8_t random[16];
	char key[33], headers[512], where[128] = "";
	reply *r = hel_alloc(1, sizeof *r);
	hel_random_bytes(random, sizeof random);
	sodium_bin2hex(key, sizeof key, random, sizeof random);
	snprintf(headers, sizeof headers, "%sX-API-Key: %s\r\nIdempotency-Key: %s\r\n",
		 bearer(&c->u), c->api_key, key);
	if (user_encrypt(&query, &c->u, row) != HEL_OK)
		fail_client(c, "encryption");
	const double until = hel_clock() + patience;
	for (int status = 0; status != 200 && !atomic_load(&failed);) {
		if (hel_clock() > until) {
			fail_client(c, *where ? "no answer after 202" : "no answer");
			break;
		}
		status = *where ? ask_once(r, "GET", where, headers, NULL, 0)
				: ask_once(r, "POST", "/v1/models/heart/queries", headers,
					   query.bytes, query.size);
		if (status == 202) {
			const char *id = strstr(r->body, "\"query\":\"");
			if (!*where)
				atomic_fetch_add(&accepted, 1);
			snprintf(where, sizeof where, "/v1/queries/%.32s", id ? id + 9 : "");
			snprintf(headers, sizeof headers, "%sX-API-Key: %s\r\nPrefer: wait=5\r\n",
				 bearer(&c->u), c->api_key);
		} else if (status == 200) {
			const size_t size = r->size - (size_t)(r->body - r->text);
			if (!is_right(c, row, r->body, size))
				fail_client(c, "a wrong score");
		} else if (status == 0 || status == 502 || status == 503 || status == 504 ||
			   status == 429) {
			atomic_fetch_add(&refused, 1);
			usleep(200000);
		} else {
			fprintf(stderr, "%s: %s\n", where, r->text);
			fail_client(c, *where ? "lost after 202" : "a refusal that is none");
		}
	}
	hel_writer_clear(&query);
	hel_free(r);
}

static void ask(customer *c, size_t row)
{
	const hel_status st = user_predict(&c->u, "heart", row, c->version->want);
	if (st != HEL_OK)
		fail_client(c, "a prediction");
}

static void *live(void *arg)
{
	customer *c = arg;
	hel_status st = open_client(c);
	if (st != HEL_OK)
		fail_client(c, "an upload");
	while (!atomic_load(&failed) && atomic_fetch_add(&taken, 1) < queries) {
		const size_t row = (c->number + atomic_load(&taken)) % ROWS;
		if (++c->asked % FOLLOW_EVERY == 0 && (st = follow(c)) != HEL_OK)
			fail_client(c, "a manifest");
		if (atomic_load(&taken) % 3)
			ask(c, row);
		else
			ask_slowly(c, row);
		atomic_fetch_add(&answered, 1);
		atomic_fetch_add(&c->version->answered, 1);
	}
	if (c->u.access && (st = hel_remote_forget(c->u.remote, c->u.access)) != HEL_OK)
		fail_client(c, "removing a session");
	user_clear(&c->u);
	return NULL;
}

static int run(size_t clients)
{
	customer *c = hel_alloc(clients, sizeof *c);
	const double begun = hel_clock();
	patience = fmax(120, 5 * (double)clients);
	port = (uint16_t)atoi(strrchr(url, ':') + 1);
	for (size_t i = 0; i < clients; i++) {
		c[i].number = i;
		assert_int_equal(0, pthread_create(&c[i].thread, NULL, live, &c[i]));
	}
	for (size_t i = 0; i < clients; i++)
		pthread_join(c[i].thread, NULL);
	printf("{\"clients\": %zu, \"uploads\": %zu, \"answered\": %zu, \"accepted\": %zu,"
	       " \"by version\": [%zu, %zu], \"tried_again\": %zu, \"seconds\": %.1f, \"failed\": "
	       "%s}\n",
	       clients, atomic_load(&uploads), atomic_load(&answered), atomic_load(&accepted),
	       atomic_load(&versions[0].answered), atomic_load(&versions[1].answered),
	       atomic_load(&refused), hel_clock() - begun, atomic_load(&failed) ? "true" : "false");
	hel_free(c);
	return atomic_load(&failed);
}

/* "heart" of a seed, in a file of DIR. */
static void make_version(version *v, const char *dir, const char *name, unsigned seed)
{
	char file[PATH_SIZE];
	uint8_t *bytes;
	size_t size;
	hel_program *program;
	snprintf(file, sizeof file, "%s/%s", dir, name);
	make_model(file, "heart", seed, 3, v->want);
	assert_ok(hel_file_read(file, HEL_PROGRAM_MAX, &bytes, &size));
	assert_ok(hel_program_read(&program, bytes, size));
	memcpy(v->pin, program->manifest->id, sizeof v->pin);
	hel_program_free(program);
	hel_free(bytes);
}

static void write_api_keys(const char *dir)
{
	char file[PATH_SIZE], text[API_KEYS * 64] = "";
	for (int i = 0; i < API_KEYS; i++)
		snprintf(text + strlen(text), 64, "number-%d the-key-of-number-%d\n", i, i);
	snprintf(file, sizeof file, "%s/api.keys", dir);
	assert_ok(hel_file_write(file, text, strlen(text), 0600));
}

int main(int argc, char **argv)
{
	if (argc < 3 || hel_random_init() != HEL_OK)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	make_cohort(&records, ROWS, 1);
	const bool runs = strcmp(argv[1], "run") == 0;
	for (unsigned i = 0; i < VERSIONS; i++) {
		char name[32];
		snprintf(name, sizeof name, "heart@%u.%s", i + 1, runs ? "same" : "helm");
		make_version(&versions[i], argv[2], name, i + 1);
	}
	if (!runs) {
		write_api_keys(argv[2]);
		return 0;
	}
	url = argv[3];
	queries = (size_t)atol(argv[5]);
	return run((size_t)atol(argv[4]));
}
