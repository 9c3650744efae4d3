/* What client and server send each other, at the smallest secure rings: secret key, query, result,
 * a contributed query, public key, ranking.
 * These files are too large to be inputs themselves. An input is a list of edits to a valid one: a
 * byte that picks the file, then (offset, value) in four bytes each; a rest of one to three bytes
 * cuts the file's end. The edited body is sealed again. The input as it came is tried, too. */
#include "fuzz.h"
#include "net/client/client_inside.h"
#include "net/ranking_file.h"
#include "net/server/server.h"

static const char schema[] = "{\"dataset\": \"heart\", \"clip\": 3, \"dense\": [{\"name\": "
			     "\"age\", \"mean\": 50, \"deviation\": 8},"
			     " {\"name\": \"trestbps\", \"mean\": 130, \"deviation\": 17}, "
			     "{\"name\": \"chol\", \"mean\": 240,"
			     " \"deviation\": 50}, {\"name\": \"thalach\", \"mean\": 150, "
			     "\"deviation\": 20}, {\"name\": \"oldpeak\","
			     " \"mean\": 1, \"deviation\": 1}], \"tables\": [";

enum { SECRET, QUERY, RESULT, CONTRIBUTED, PUBLIC, RANKING, PARTS };
static hel_writer manifest, parts[PARTS];
static hel_client *client, *contributor, *other, *ranker;
static hel_server *server;
static hel_evaluation *evaluation;
static const hel_kind kinds[PARTS] = {HEL_KIND_SECRET_KEY, HEL_KIND_QUERY,	HEL_KIND_RESULT,
				      HEL_KIND_QUERY,	   HEL_KIND_PUBLIC_KEY, HEL_KIND_RANKING};

#define BATCH 4 /* records that a query may hold; here it holds one */

/* A manifest of one input. */
static hel_manifest *make_manifest(hel_params_spec params)
{
	static const char *const tables[] = {"sex",   "cp",    "fbs", "restecg",
					     "exang", "slope", "ca",  "thal"};
	hel_manifest *m = hel_alloc(1, sizeof *m);
	m->model = hel_strdup("echo");
	m->schema = hel_alloc(4096, 1);
	size_t n = (size_t)snprintf(m->schema, 4096, "%s", schema);
	for (size_t i = 0; i < HEL_ARRAY_LEN(tables); i++)
		n += (size_t)snprintf(
		    m->schema + n, 4096 - n,
		    "%s{\"name\": \"%s\", \"base\": 0, \"digits\": 1, \"values\": [\"1\"]}",
		    i ? ", " : "", tables[i]);
	snprintf(m->schema + n, 4096 - n, "]}");
	m->params = params;
	m->degree = 1;
	m->features = 5 + 2 * HEL_ARRAY_LEN(tables);
	m->inputs = 1;
	m->input = hel_alloc(1, sizeof *m->input);
	m->input[0] = (hel_input){.layout = {(uint8_t)(params.log_n - 1), 0, {0}, 1}};
	m->samples = 16;
	m->bound = 3;
	m->bits = 15;
	m->bits_contributed = 15;
	m->bits_model = 15;
	m->unit = m->spread = m->largest = 1;
	m->key = hel_alloc(1, sizeof *m->key);
	return m;
}

/* A program that sends its one input back: the age, in every slot of its record. */
static void make_program(hel_writer *out)
{
	hel_program *p = hel_alloc(1, sizeof *p);
	p->manifest = make_manifest((hel_params_spec){12, 0, 1, 30, 1, 1});
	p->manifest->log_batch = 2; /* check: log2(BATCH) */
	fuzz_expect(hel_program_add_layer(p, "echo") == HEL_OK);
	const hel_op op = {.kind = HEL_OP_INPUT};
	fuzz_expect(hel_program_add_op(p, &op) == HEL_OK);
	fuzz_expect(hel_program_write(out, p) == HEL_OK);
	fuzz_expect(hel_manifest_write(&manifest, p->manifest) == HEL_OK);
	hel_program_free(p);
}

/* Three items of one block, with scores 0.5, 1, 0.5; and who reads them. */
static void make_ranking(hel_writer *out)
{
	static const char *const ids[] = {"film", "films", "a"};
	static const uint8_t shared[] = {0, 4, 0};
	hel_manifest *m = make_manifest((hel_params_spec){13, 1, 1, 30, 1, 1});
	hel_writer bytes = {0};
	hel_pt *pt = NULL;
	hel_ct *ct = NULL;
	m->items = (hel_items){.any = true, .log_width = 1};
	fuzz_expect(hel_manifest_write(&bytes, m) == HEL_OK);
	fuzz_expect(hel_client_open(&ranker, bytes.bytes, bytes.size, NULL, NULL) == HEL_OK);
	fuzz_expect(hel_client_generate(ranker) == HEL_OK);
	const size_t n = ranker->params->ring.n;
	hel_complex *slots = hel_alloc(n / 2, sizeof *slots);
	uint8_t *bits = hel_alloc((hel_block_items(n) + 7) / 8, 1);
	slots[0] = (hel_complex){.5, 1};
	slots[1] = (hel_complex){.5, 0};
	bits[0] = 7;
	fuzz_expect(hel_encode(&pt, ranker->params, slots, 0, HEL_FOR_ADD) == HEL_OK);
	fuzz_expect(hel_ct_new(&ct, ranker->params) == HEL_OK);
	fuzz_expect(hel_encrypt(ct, ranker->secret, pt) == HEL_OK);
	hel_container_begin(out, HEL_KIND_RANKING);
	hel_write_bytes(out, ranker->manifest->id, HEL_HASH_BYTES);
	hel_write_bytes(out, ranker->id, HEL_CLIENT_ID_BYTES);
	hel_write_bytes(out, ranker->manifest->id, HEL_HASH_BYTES); /* the catalogue's: any */
	hel_write_u32(out, 1);
	hel_write_bytes(out, bits, (hel_block_items(n) + 7) / 8);
	for (size_t i = 0; i < HEL_ARRAY_LEN(ids); i++) {
		hel_write_u8(out, shared[i]);
		hel_write_u8(out, (uint8_t)(strlen(ids[i]) - shared[i]));
		hel_write_bytes(out, ids[i] + shared[i], strlen(ids[i]) - shared[i]);
	}
	hel_ct_write(out, ct);
	fuzz_expect(hel_container_end(out) == HEL_OK);
	hel_free(slots);
	hel_free(bits);
	hel_pt_free(pt);
	hel_ct_free(ct);
	hel_manifest_free(m);
	hel_writer_clear(&bytes);
}

/* By falling score, with ids that are texts. */
static void expect_order(const hel_ranking *r)
{
	for (size_t i = 0; i < hel_ranking_count(r); i++) {
		const hel_ranked_item *item = hel_ranking_item(r, i);
		fuzz_expect(*item->id && strlen(item->id) <= HEL_ITEM_ID_MAX);
		fuzz_expect(!i || item->logit <= hel_ranking_item(r, i - 1)->logit);
	}
	fuzz_expect(!hel_ranking_item(r, hel_ranking_count(r)));
}

static hel_status read_ranking(const void *bytes, size_t size)
{
	hel_ranking *r = NULL;
	const hel_status st = hel_client_rank(&r, ranker, bytes, size);
	if (st == HEL_OK)
		expect_order(r);
	hel_ranking_free(r);
	return st;
}

static void setup(void)
{
	static const char record[] = "58,1,1,130,240,1,1,150,1,1,1,1,1\n";
	hel_writer program = {0}, keys = {0};
	hel_records records;
	hel_score score[BATCH];
	fuzz_expect(hel_random_init() == HEL_OK);
	make_program(&program);
	fuzz_expect(hel_client_open(&client, manifest.bytes, manifest.size, NULL, NULL) == HEL_OK);
	fuzz_expect(hel_client_generate(client) == HEL_OK);
	fuzz_expect(hel_client_write_secret(&parts[SECRET], client) == HEL_OK);
	fuzz_expect(hel_client_write_public(&parts[PUBLIC], client) == HEL_OK);
	fuzz_expect(hel_client_open(&other, manifest.bytes, manifest.size, NULL, NULL) == HEL_OK);
	fuzz_expect(hel_client_open(&contributor, manifest.bytes, manifest.size, NULL, NULL) ==
		    HEL_OK);
	fuzz_expect(hel_client_contribute(contributor, parts[PUBLIC].bytes, parts[PUBLIC].size) ==
		    HEL_OK);
	fuzz_expect(hel_client_write_keys(&keys, client, NULL) == HEL_OK);
	fuzz_expect(hel_records_parse(&records, hel_dataset_by_name("heart"), "record", record,
				      strlen(record)) == HEL_OK);
	fuzz_expect(hel_client_encrypt(&parts[QUERY], client, &records, 0, 1) == HEL_OK);
	fuzz_expect(hel_client_encrypt(&parts[CONTRIBUTED], contributor, &records, 0, 1) == HEL_OK);
	fuzz_expect(hel_server_new(&server, program.bytes, program.size, NULL) == HEL_OK);
	fuzz_expect(hel_evaluation_new(&evaluation, server, keys.bytes, keys.size) == HEL_OK);
	for (int from = QUERY; from <= CONTRIBUTED; from += CONTRIBUTED - QUERY) {
		hel_writer_clear(&parts[RESULT]);
		fuzz_expect(hel_server_infer(&parts[RESULT], evaluation, parts[from].bytes,
					     parts[from].size, NULL) == HEL_OK);
		fuzz_expect(hel_client_decrypt(score, BATCH, client, parts[RESULT].bytes,
					       parts[RESULT].size) == HEL_OK);
		for (int i = 0; i < BATCH; i++) /* the last record fills the other places */
			fuzz_expect(score[i].logit > 0.999 && score[i].logit < 1.001);
	}
	make_ranking(&parts[RANKING]);
	fuzz_expect(read_ranking(parts[RANKING].bytes, parts[RANKING].size) == HEL_OK);
	hel_records_clear(&records);
	hel_writer_clear(&program);
	hel_writer_clear(&keys);
}

static void try_file(size_t which, const uint8_t *bytes, size_t size)
{
	hel_writer w = {0};
	hel_score score[BATCH];
	hel_status st;
	if (which == SECRET)
		st = hel_client_load_key(other, bytes, size);
	else if (which == PUBLIC)
		st = hel_client_contribute(contributor, bytes, size);
	else if (which == QUERY || which == CONTRIBUTED)
		st = hel_server_infer(&w, evaluation, bytes, size, NULL);
	else if (which == RANKING)
		st = read_ranking(bytes, size);
	else
		st = hel_client_decrypt(score, BATCH, client, bytes, size);
	fuzz_expect(st == HEL_OK || *hel_error_detail());
	hel_writer_clear(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!client)
		setup();
	if (!size)
		return 0;
	const size_t which = data[0] % PARTS, front = 16;
	const hel_writer *from = &parts[which];
	size_t body = from->size - HEL_CONTAINER_OVERHEAD, sealed, at = 1;
	uint8_t *edited = fuzz_copy(from->bytes + front, body);
	for (; at + 4 <= size; at += 4) {
		size_t offset =
		    (size_t)data[at] | (size_t)data[at + 1] << 8 | (size_t)data[at + 2] << 16;
		edited[offset % body] = data[at + 3];
	}
	for (; at < size; at++)
		body -= body < data[at] ? body : data[at];
	uint8_t *file = fuzz_seal(&sealed, kinds[which], edited, body);
	try_file(which, file, sealed);
	free(file);
	free(edited);
	file = fuzz_seal(&sealed, kinds[which], data, size);
	try_file(which, file, sealed);
	free(file);
	file = fuzz_copy(data, size);
	try_file(which, file, size);
	free(file);
	return 0;
}
