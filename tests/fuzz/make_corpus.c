/* Writes the corpus anew: make_corpus DIR. All values are invented; all parameters are tiny.
 * Keys and ciphertexts are random: a new run gives other bytes of the same form.
 */
#include "compile/calibration.h"
#include "corpus.h"
#include "fuzz_weights.h"
#include "model/dlrm.h"
#include "model/model_file.h"
#include "net/client/client_inside.h"
#include "vm/shape.h"
#include "vm/weights_file.h"
#include <helrm/refresh.h>
#include <zlib.h>

const char *corpus_root;

void save(const char *name, const void *bytes, size_t size)
{
	char path[1024];
	snprintf(path, sizeof path, "%s/%s", corpus_root, name);
	char *slash = strrchr(path, '/');
	*slash = 0;
	OK(hel_dir_make(path));
	*slash = '/';
	fuzz_expect(size <= FUZZ_INPUT_MAX);
	OK(hel_file_write(path, bytes, size, 0644));
}

void save_text(const char *name, const char *text)
{
	save(name, text, strlen(text));
}

static void save_body(const char *name, const hel_writer *container)
{
	const size_t front = HEL_CONTAINER_OVERHEAD - HEL_HASH_BYTES;
	save(name, container->bytes + front, container->size - HEL_CONTAINER_OVERHEAD);
}

static const char tiny_schema[] =
    "{\"dataset\": \"heart\", \"clip\": 3, \"dense\": [{\"name\": \"age\", \"mean\": 50, "
    "\"deviation\": 8}], \"tables\": [{\"name\": \"sex\", \"base\": 0, \"digits\": 1, "
    "\"values\": [\"0\", \"1\"]}]}";

static const char schema[] =
    "{\"dataset\": \"heart\", \"clip\": 3,\n \"dense\": [\n"
    "  {\"name\": \"age\", \"mean\": 51.5, \"deviation\": 8.25},\n"
    "  {\"name\": \"oldpeak\", \"mean\": 1.125, \"deviation\": 1}],\n \"tables\": [\n"
    "  {\"name\": \"sex\", \"base\": 0, \"digits\": 1, \"values\": [\"0\", \"1\"]},\n"
    "  {\"name\": \"cp\", \"base\": 2, \"digits\": 3, \"values\": [\"1\", \"2\", \"3\", \"4\"]},\n"
    "  {\"name\": \"thal\", \"base\": 3, \"digits\": 2, \"values\": [\"3\", \"6\", \"fixed\"]}]}\n";

/* All columns of the data set, as a client demands. */
static const char whole_schema[] =
    "{\"dataset\": \"heart\", \"clip\": 3, \"dense\": [\n"
    "{\"name\": \"age\", \"mean\": 54, \"deviation\": 9},\n"
    "{\"name\": \"trestbps\", \"mean\": 130, \"deviation\": 17},\n"
    "{\"name\": \"chol\", \"mean\": 246, \"deviation\": 52},\n"
    "{\"name\": \"thalach\", \"mean\": 150, \"deviation\": 23},\n"
    "{\"name\": \"oldpeak\", \"mean\": 1, \"deviation\": 1.125}], \"tables\": [\n"
    "{\"name\": \"sex\", \"base\": 0, \"digits\": 1, \"values\": [\"0\", \"1\"]},\n"
    "{\"name\": \"cp\", \"base\": 2, \"digits\": 3, \"values\": [\"1\", \"2\", \"3\", \"4\"]},\n"
    "{\"name\": \"fbs\", \"base\": 0, \"digits\": 1, \"values\": [\"0\"]},\n"
    "{\"name\": \"restecg\", \"base\": 0, \"digits\": 1, \"values\": [\"0\"]},\n"
    "{\"name\": \"exang\", \"base\": 0, \"digits\": 1, \"values\": [\"0\"]},\n"
    "{\"name\": \"slope\", \"base\": 0, \"digits\": 1, \"values\": [\"1\"]},\n"
    "{\"name\": \"ca\", \"base\": 0, \"digits\": 1, \"values\": [\"0\"]},\n"
    "{\"name\": \"thal\", \"base\": 3, \"digits\": 2, \"values\": [\"3\", \"6\", \"fixed\"]}]}";

static const char hashed_schema[] =
    "{\"dataset\": \"criteo\", \"clip\": 3, \"salt\": \"000102030405060708090a0b0c0d0e0f\",\n"
    " \"dense\": [{\"name\": \"I1\", \"mean\": 1, \"deviation\": 2}], \"tables\": [\n"
    "  {\"name\": \"C1\", \"base\": 0, \"digits\": 1, \"known\": 2, \"print_bits\": 11,\n"
    "   \"prints\": \"BQAw\"},\n"
    "  {\"name\": \"C2\", \"base\": 4, \"digits\": 3, \"known\": 1, \"print_bits\": 10, "
    "\"prints\": \"BQA=\"},\n"
    "  {\"name\": \"C3\", \"base\": 7, \"digits\": 1, \"known\": 0, \"print_bits\": 0, "
    "\"prints\": \"\"}]}\n";

/* Everything that a description of columns can say. */
#define COLUMNS                                                                                    \
	"{\"helrm_columns\": 1, \"name\": \"films\", \"credit\": \"nobody\", \"separator\": "      \
	"\"|\", "                                                                                  \
	"\"missing\": [\"NA\", -1], \"columns\": ["                                                \
	"{\"name\": \"user\", \"kind\": \"category\", \"values\": \"modulo\", \"modulo\": 5, "     \
	"\"ids\": \"hexadecimal\"},"                                                               \
	"{\"name\": \"film\", \"kind\": \"category\", \"text\": \"number\"},"                      \
	"{\"name\": \"genres\", \"kind\": \"bag\", \"limit\": 3, \"weight\": 2, \"pool\": "        \
	"\"mean\", "                                                                               \
	"\"over_limit\": \"error\", \"separator\": \"json\", \"values\": \"hashed\"},"             \
	"{\"name\": \"age\", \"kind\": \"dense\", \"log\": 3, \"least\": -2, \"missing\": 0, "     \
	"\"quantiles\": [0.01, 0.99], \"whole\": true, \"zero_is_missing\": true, "                \
	"\"public\": true},"                                                                       \
	"{\"name\": \"note\", \"kind\": \"ignore\"},"                                              \
	"{\"name\": \"rating\", \"kind\": \"label\", \"above\": 3.5}]}"

static const char columns_schema[] =
    "{\"dataset\": \"films\", \"columns\": " COLUMNS
    ", \"clip\": 3, \"dense\": [{\"name\": \"age\", "
    "\"mean\": 1, \"deviation\": 2, \"low\": 0.5, \"high\": 4}], \"tables\": ["
    "{\"name\": \"user\", \"base\": 5, \"digits\": 1, \"modulo\": true},"
    "{\"name\": \"film\", \"base\": 0, \"digits\": 1, \"values\": [\"1\", \"a film\"]},"
    "{\"name\": \"genres\", \"base\": 4, \"digits\": 2, \"known\": 1, \"print_bits\": 10, "
    "\"prints\": \"BQA=\"}], \"salt\": \"000102030405060708090a0b0c0d0e0f\"}";

static const char coded_schema[] =
    "{\"dataset\": \"criteo\", \"clip\": 3, \"salt\": \"000102030405060708090a0b0c0d0e0f\",\n"
    " \"dense\": [{\"name\": \"I1\", \"mean\": 1, \"deviation\": 2}], \"tables\": [\n"
    "  {\"name\": \"C1\", \"base\": 0, \"digits\": 1, \"known\": 2, \"print_bits\": 11,\n"
    "   \"prints\": \"BQAw\", \"coding\": {\"kind\": \"grid\", \"size\": 3}},\n"
    "  {\"name\": \"C2\", \"base\": 4, \"digits\": 3, \"known\": 1, \"print_bits\": 10, "
    "\"prints\": \"BQA=\",\n   \"coding\": {\"kind\": \"powers\", \"size\": 7}},\n"
    "  {\"name\": \"C3\", \"base\": 7, \"digits\": 1, \"known\": 0, \"print_bits\": 0, "
    "\"prints\": \"\",\n   \"coding\": {\"kind\": \"roots\", \"size\": 8}},\n"
    "  {\"name\": \"C4\", \"base\": 7, \"digits\": 1, \"known\": 0, \"print_bits\": 0, "
    "\"prints\": \"\",\n   \"coding\": {\"kind\": \"coded\", \"size\": 9}}]}\n";

/* Every kind of node. */
static const char graph[] =
    "[{\"name\": \"d\", \"kind\": \"dense\"},\n"
    " {\"name\": \"e\", \"kind\": \"embed\", \"table\": \"cp\", \"width\": 2},\n"
    " {\"name\": \"l\", \"kind\": \"linear\", \"inputs\": [\"d\"], \"width\": 2, \"bias\": "
    "false},\n"
    " {\"name\": \"s\", \"kind\": \"scale\", \"inputs\": [\"e\"], \"factor\": -0.5},\n"
    " {\"name\": \"m\", \"kind\": \"multiply\", \"inputs\": [\"l\", \"s\"]},\n"
    " {\"name\": \"a\", \"kind\": \"add\", \"inputs\": [\"m\", \"l\", \"e\"]},\n"
    " {\"name\": \"f\", \"kind\": \"activation\", \"inputs\": [\"a\"],\n"
    "  \"activation\": {\"kind\": \"gelu\"}},\n"
    " {\"name\": \"p\", \"kind\": \"dot\", \"inputs\": [\"l\", \"e\", \"f\"], \"self\": true,\n"
    "  \"order\": \"upper\"},\n"
    " {\"name\": \"c\", \"kind\": \"concat\", \"inputs\": [\"p\", \"d\"]},\n"
    " {\"name\": \"z\", \"kind\": \"linear\", \"inputs\": [\"c\"], \"width\": 1}]";

static const char config[] =
    "{\"embedding_dim\": 2, \"bottom\": [3, 2], \"top\": [4, 1], \"embedding\": \"digits(2)\", "
    "\"clip\": 2.5,\n"
    " \"activation\": {\"kind\": \"quadratic\", \"a\": 0.125, \"b\": 0.5},\n"
    " \"bottom_last_activation\": true, \"training\": {\"epochs\": 3, \"batch\": 8, "
    "\"warmup\": 2,\n \"rate\": 0.01, \"weight_decay\": 1, \"gradient_clip\": 1, \"seed\": 7}}\n";

/* With figures that do not depend on the machine it is made on. */
static void make_calibration(void)
{
	hel_calibration c = {.model = {.efficiency = 0.9, .cache = 0x1p22},
			     .cpu = "a CPU",
			     .backend = "avx2",
			     .version = "0.1.0"};
	char *text;
#define SET(name) c.model.seconds.name = 1e-9;
	HEL_COSTS(SET)
#undef SET
	OK(hel_calibration_to_json(&text, &c));
	save_text("calibration/full.json", text);
	free(text);
	save_text("calibration/other.json", "{\"kind\": \"helrm calibration 2\"}");
}

static void make_texts(void)
{
	char model[4096];
	save_text("model/approximations.json",
		  "[{\"range\": 2.5, \"chebyshev\": [0.25, 0.5, 0.125, 0, -0.0625]}]\n");
	save_text("schema/small.json", schema);
	save_text("schema/tiny.json", tiny_schema);
	save_text("schema/dense_only.json",
		  "{\"dataset\":\"x\",\"clip\":1e-3,\"tables\":[],\"dense\":"
		  "[{\"name\":\"a\",\"mean\":-1e300,\"deviation\":1e-300}]}");
	save_text("config/full.json", config);
	save_text("config/default.json", "{}");
	save_text("config/relu.json", "{\"activation\":{\"kind\":\"relu\"},\"bottom\":[],\"top\":["
				      "1],\"embedding\":\"full\"}");
	save_text(
	    "config/plan.json",
	    "{\"embedding\": \"frequent(all)+digits(16)\", \"threshold\": 100, \"min_count\": 3,"
	    " \"max_onehot\": 4096, \"tables\": {\"C3\": \"hash(64)\", \"C4\": "
	    "\"frequent(9)\"},"
	    " \"training\": {\"table_optimizer\": \"adagrad\", \"validation\": 0.125,"
	    " \"evaluations\": 2, \"patience\": 2, \"test\": 5}}");
	save_text("schema/hashed.json", hashed_schema);
	save_text("schema/coded.json", coded_schema);
	save_text("schema/columns.json", columns_schema);
	save_text("columns/all.json", COLUMNS);
	save_text(
	    "columns/small.json",
	    "{\"helrm_columns\": 1, \"name\": \"s\", \"small\": true, \"columns\": ["
	    "{\"name\": \"a\", \"kind\": \"bag\", \"limit\": 2, \"pool\": \"max\"},"
	    "{\"name\": \"y\", \"kind\": \"label\", \"positive\": \"1\", \"negative\": \"0\"}]}");
	save_text("columns/heart.json", hel_builtin_heart.text);
	save_text("columns/movies.json", hel_builtin_movies.text);
	snprintf(model, sizeof model, "{\"helrm_model\": 1, \"config\": %s, \"schema\": %s}",
		 config, schema);
	save_text("model/model.json", model);
	snprintf(model, sizeof model,
		 "{\"helrm_model\":1,\"config\":{\"bottom\":[],\"top\":[1]},\"schema\":%s}",
		 tiny_schema);
	save_text("model/tiny.json", model);
	snprintf(model, sizeof model, "{\"helrm_model\": 1, \"graph\": %s, \"schema\": %s}", graph,
		 schema);
	save_text("model/graph.json", model);
	/* invented rows; the second file has words, blanks and missing values */
	save_text("records/plain.csv",
		  "44.0,1.0,2.0,111.0,222.0,0.0,1.0,133.0,1.0,0.5,2.0,1.0,3.0,0\n"
		  "66.0,0.0,3.0,122.0,244.0,1.0,0.0,155.0,0.0,1.5,1.0,?,7.0,2\n");
	save_text("records/header.csv",
		  "num,thal,ca,slope,oldpeak,exang,thalach,restecg,fbs,chol,trestbps,cp,sex,age\r\n"
		  "1, fixed ,0,1,0.25,0,140,0,0,0,?,4,1,40\r\n\r\n"
		  "0,,3,2,-0.5,1,0x70,2,1,2e2,130,1,0,?\r\n");
	save_text("records/unlabelled.csv", "50,1,1,120,200,0,0,150,0,0,1,0,3");
	save_text(
	    "records/array.json",
	    "[{\"age\":41,\"sex\":true,\"cp\":\"2\",\"trestbps\":120.5,\"chol\":null,\"fbs\":0,"
	    "\"restecg\":1,\"thalach\":99,\"exang\":false,\"oldpeak\":\"0.5\",\"slope\":1,"
	    "\"ca\":\"?\",\"thal\":\"normal\",\"num\":1},\n {\"age\":55,\"sex\":0,\"cp\":3,"
	    "\"trestbps\":100,\"chol\":180,\"fbs\":1,\"restecg\":0,\"thalach\":120,\"exang\":1,"
	    "\"oldpeak\":1,\"slope\":2,\"ca\":0,\"thal\":6}]\n");
	save_text(
	    "records/object.json",
	    "{\"age\":1e2,\"sex\":1,\"cp\":1,\"trestbps\":1,\"chol\":1,\"fbs\":1,\"restecg\":1,"
	    "\"thalach\":1,\"exang\":1,\"oldpeak\":1,\"slope\":1,\"ca\":1,\"thal\":1}");
}

#define TABS12 "\t\t\t\t\t\t\t\t\t\t\t\t"
#define TABS25 TABS12 TABS12 "\t"

/* Rows of Criteo's form. */
static void make_rows(void)
{
	static const char rows[] = "1\t3\t-2\t\t17\t4000000" TABS12 "5a9ed9b0\tabc" TABS25 "\n"
				   "0\t" TABS12 "\t" TABS25 "\n"
				   "0\t1" TABS12 "05db9164" TABS25 "\r\n\n"
				   "2\t" TABS12 "\t" TABS25 "\n"
				   "1\t3\n"
				   "1\t" TABS12 "\t" TABS25;
	save_text("scan/plain.txt", rows);
	save_text("scan/movies.csv", "rating,genres,user,item,age,timestamp\n4,a|b,1,x,20,9e8\n"
				     "1,\"c\",2,\"y, z\",?,1e9\n3,,NA,x,7,1\n");
	save_text("scan/lines.json", "{\"user\": 1, \"genres\": [\"a\"], \"rating\": 5}\n"
				     "{\"user\": \"u\", \"age\": 2.5, \"rating\": 2}\n");
	save_text("records/criteo.tsv", "1\t3\t-2" TABS12 "05db9164" TABS25 "\n"
					"7\t" TABS12 "68fd1e64" TABS25 "\n");
	char path[1024];
	snprintf(path, sizeof path, "%s/scan/packed.gz", corpus_root);
	gzFile f = gzopen(path, "wb");
	fuzz_expect(f && gzputs(f, rows) > 0 && gzclose(f) == Z_OK);
}

/* The small model of fuzz_model.c has these shapes. */
static void make_weights(void)
{
	static const struct {
		const char *name;
		unsigned rows, columns; /* no columns: a bias */
	} tensor[] = {
	    {"bot_l.0.weight", 3, 2}, {"bot_l.0.bias", 3, 0},	{"emb_l.0.weight", 3, 2},
	    {"emb_l.1.weight", 6, 2}, {"top_l.0.weight", 2, 7}, {"top_l.0.bias", 2, 0},
	    {"top_l.2.weight", 1, 2}, {"top_l.2.bias", 1, 0},
	};
	char text[1024] = "";
	unsigned offset = 0;
	hel_writer w = {0};
	for (size_t i = 0; i < HEL_ARRAY_LEN(tensor); i++) {
		char shape[32];
		const unsigned size = 4 * tensor[i].rows * HEL_MAX(tensor[i].columns, 1);
		snprintf(shape, sizeof shape, tensor[i].columns ? "%u,%u" : "%u", tensor[i].rows,
			 tensor[i].columns);
		snprintf(text + strlen(text), sizeof text - strlen(text),
			 "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%u,%u]}",
			 i ? "," : "{", tensor[i].name, shape, offset, offset + size);
		offset += size;
	}
	strcat(text, "}");
	hel_write_u64(&w, strlen(text));
	hel_write_bytes(&w, text, strlen(text));
	for (unsigned i = 0; i < offset / 4; i++)
		hel_write_f32(&w, (float)i / 8 - 2);
	OK(w.status);
	save("model/weights.safetensors", w.bytes, w.size);
	hel_writer_clear(&w);
}

/* Secure, so that a client accepts it: 90 bits of primes at 2^12. */
/* One that brings its columns along. */
static void make_manifest_of_columns(hel_manifest m)
{
	char schema_text[sizeof columns_schema];
	hel_input input = {
	    .layout = {.log_slots = 11, .bits = 5, .position = {3, 4, 5, 6, 7}, .width = 20}};
	hel_writer w = {0};
	hel_client *c;
	m.schema = memcpy(schema_text, columns_schema, sizeof columns_schema);
	m.degree = 1;
	m.features = 1 + 6 + 3 + 10;
	m.inputs = 1;
	m.input = &input;
	OK(hel_manifest_write(&w, &m));
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	hel_client_free(c);
	save_body("manifest/columns.bin", &w);
	hel_writer_clear(&w);
}

/* Of programs that meet catalogues: a vector's, and one that leaves 12 features to items. */
static void make_manifests_of_items(hel_manifest m, hel_input *input)
{
	hel_writer w = {0};
	hel_client *c;
	const hel_params_spec lower = m.params;
	const uint8_t log_batch = m.log_batch;
	m.params.levels = m.params.base = input[0].level = 1;
	m.log_batch = 0;
	m.items = (hel_items){.any = true, .common = true, .log_width = 3};
	OK(hel_manifest_write(&w, &m));
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	hel_client_free(c);
	save_body("manifest/items.bin", &w);
	w.size = 0;
	m.params = lower;
	input[0].level = 0;
	m.log_batch = log_batch;
	m.items = (hel_items){.any = true, .batched = true, .first = 5, .width = 12};
	m.features += 12;
	input[0].first = 3;
	OK(hel_manifest_write(&w, &m));
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	fuzz_expect(hel_client_batch(c) == 1);
	hel_client_free(c);
	save_body("manifest/items_batched.bin", &w);
	hel_writer_clear(&w);
}

static void make_manifests(void)
{
	hel_piece piece[] = {{0, 4}, {9, 3}};
	hel_input input[] = {
	    {.log_piece = 2,
	     .layout = {.log_slots = 11, .bits = 3, .position = {0, 11, 10}, .width = 8},
	     .pieces = 2,
	     .piece = piece},
	    {.first = 4,
	     .layout = {.log_slots = 11, .bits = 4, .position = {3, 4, 5, 6}, .width = 12}},
	};
	hel_key_request key[] = {{HEL_RELINEARISE, 0}, {5, 0}, {8191, 0}};
	hel_manifest m = {.model = (char[]){"invented"},
			  .params = {12, 0, 1, 28, 1, 1},
			  .schema = (char[sizeof whole_schema]){0},
			  .degree = 2,
			  .features = 5 + 15 + 3 + 6 + 5 * 2 + 6,
			  .inputs = 2,
			  .input = input,
			  .samples = 64,
			  .bound = 20,
			  .bits = 12.5,
			  .bits_contributed = 12.5,
			  .bits_model = 12.5,
			  .unit = 1,
			  .spread = 1,
			  .largest = 1,
			  .keys = 3,
			  .key = key};
	hel_writer w = {0};
	memcpy(m.schema, whole_schema, sizeof whole_schema);
	OK(hel_manifest_write(&w, &m));
	hel_client *c;
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	hel_client_free(c);
	save_body("manifest/two_inputs.bin", &w);
	save("container/manifest.bin", w.bytes, w.size);
	make_manifest_of_columns(m);
	w.size = 0;
	m.log_batch = 3;
	memcpy(input[0].layout.position, (uint8_t[]){0, 8, 7}, 3);
	OK(hel_manifest_write(&w, &m));
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	fuzz_expect(hel_client_batch(c) == 8);
	hel_client_free(c);
	save_body("manifest/batch.bin", &w);
	w.size = 0;
	m.degree = 1;
	m.features = 5 + 3 + 6 + 5 * 2 + 6;
	m.inputs = 1;
	m.input[0].pieces = 0;
	m.input[0].log_piece = 0;
	m.input[0].layout.bits = 2;
	m.input[0].layout.width = 4;
	m.keys = 0;
	OK(hel_manifest_write(&w, &m));
	OK(hel_client_open(&c, w.bytes, w.size, NULL, NULL));
	hel_client_free(c);
	save_body("manifest/tiny.bin", &w);
	hel_writer_clear(&w);
	make_manifests_of_items(m, input);
}

/* What it holds for catalogues, in both forms. */
static void make_item_programs(hel_program *p, const hel_params *params)
{
	hel_complex turn[3] = {{1, 0}, {0.5, -0.5}, {0, 2}};
	uint8_t model[] = "a model";
	hel_manifest *m = p->manifest;
	hel_writer w = {0};
	p->ops = 1;
	m->params = params->spec;
	m->params.log_n = 8;
	m->input[0].layout.log_slots = 7;
	m->items = (hel_items){.any = true, .common = true, .log_width = 2};
	p->items = (hel_item_part){
	    .rows = 3, .usual = 0.25, .turn = turn, .model = model, .model_size = sizeof model};
	OK(hel_program_write(&w, p));
	hel_program *again;
	OK(hel_program_read(&again, w.bytes, w.size));
	hel_program_free(again);
	save_body("program/items.bin", &w);
	w.size = 0;
	m->items = (hel_items){.any = true, .batched = true, .first = 1, .width = 2};
	m->log_batch = 1;
	m->params.log_n = 5;
	m->input[0].layout.log_slots = 3;
	p->items =
	    (hel_item_part){.rows = 2, .largest = 3, .model = model, .model_size = sizeof model};
	OK(hel_program_write(&w, p));
	OK(hel_program_read(&again, w.bytes, w.size));
	hel_program_free(again);
	save_body("program/items_batched.bin", &w);
	hel_writer_clear(&w);
	m->items = (hel_items){0};
	m->log_batch = 0;
	p->items = (hel_item_part){0};
}

static void make_programs(void)
{
	const hel_params *params = fuzz_params(0);
	static const uint8_t seed[HEL_SEED_BYTES] = {3};
	hel_complex real[8], complex[8];
	for (int i = 0; i < 8; i++) {
		real[i] = (hel_complex){0.25 * (i % 4) - 0.5, 0};
		complex[i] = (hel_complex){0.125 * i, 0.5 - 0.125 * i};
	}
	hel_input input[] = {
	    {.level = 2,
	     .first = 0,
	     .layout = {.log_slots = 3, .bits = 2, .position = {0, 2}, .width = 3}},
	};
	hel_manifest m = {.model = (char[]){"invented"},
			  .params = params->spec,
			  .schema = (char[]){"{}"},
			  .degree = 1,
			  .features = 3,
			  .inputs = 1,
			  .input = input,
			  .samples = 16,
			  .bound = 50,
			  .bits = 10,
			  .bits_contributed = 10,
			  .bits_model = 10,
			  .unit = 1,
			  .spread = 1,
			  .largest = 1};
	hel_program p = {.manifest = &m};
	uint32_t index[2];
	OK(hel_program_add_vector(&p, real, 3, &index[0]));
	OK(hel_program_add_vector(&p, complex, 3, &index[1]));
	OK(hel_program_add_layer(&p, "bottom"));
	OK(hel_program_add_layer(&p, "top"));
	hel_term term[] = {{0, index[0], 0, 0}, {0, index[1], 1, 0}, {0, index[0], 1, -2}};
	hel_term sum[] = {{6, 0, 0, 0}, {3, 0, 0, 0}};
	double factor[] = {2, -0.5, 0.25};
	int32_t step[] = {0, 4, -1, 9};
	const hel_op ops[] = {
	    {.kind = HEL_OP_INPUT},
	    {.kind = HEL_OP_LINEAR, .terms = 3, .term = term},
	    {.kind = HEL_OP_RESCALE, .value = 1},
	    {.kind = HEL_OP_ADD_PLAIN, .layer = 1, .value = 2, .index = index[1]},
	    {.kind = HEL_OP_SQUARE, .layer = 1, .value = 3},
	    {.kind = HEL_OP_RESCALE, .layer = 1, .value = 4},
	    {.kind = HEL_OP_MUL, .layer = 1, .value = 3, .index = 3},
	    {.kind = HEL_OP_WEIGHTED_SUM,
	     .layer = 1,
	     .index = 1,
	     .terms = 2,
	     .term = sum,
	     .factor = factor},
	    {.kind = HEL_OP_RESCALE, .layer = 1, .value = 7},
	    {.kind = HEL_OP_ROTATE_SUM, .layer = 1, .value = 8, .steps = 4, .step = step},
	};
	for (size_t i = 0; i < HEL_ARRAY_LEN(ops); i++)
		OK(hel_program_add_op(&p, &ops[i]));
	hel_shape shape;
	OK(hel_shape_run(&shape, &p, params, &(hel_ranges){.feature = (double[]){3, 3, 3}}, NULL));
	m.key = shape.key;
	m.keys = shape.keys;
	hel_writer w = {0};
	OK(hel_program_write(&w, &p));
	save_body("program/all_ops.bin", &w);
	save("container/program.bin", w.bytes, w.size);
	w.size = 0;
	m.params.log_n += 2; /* four records of as many slots */
	m.log_batch = 2;
	hel_params *wider;
	hel_shape batch;
	OK(hel_params_new_insecure_test(&wider, &m.params));
	OK(hel_shape_run(&batch, &p, wider, &(hel_ranges){.feature = (double[]){3, 3, 3}}, NULL));
	m.key = batch.key;
	OK(hel_program_write(&w, &p));
	save_body("program/batch.bin", &w);
	hel_shape_clear(&batch);
	hel_params_free(wider);
	w.size = 0;
	m.params = params->spec;
	m.log_batch = 0;
	p.ops = 1; /* the input is the result: at level 0 it can be sent back */
	p.vectors = 0;
	m.keys = 0;
	input[0].level = 0;
	OK(hel_program_write(&w, &p));
	save_body("program/echo.bin", &w);
	w.size = 0;
	/* runs of levels, and a refresh, which no ring this small runs */
	const hel_op refresh = {
	    .kind = HEL_OP_REFRESH, .index = 3, .factor = (double[]){1.0009765625, 0.0625}};
	OK(hel_refresh_params(&m.params, 9, 6));
	m.params.log_n = 4;
	OK(hel_program_add_op(&p, &refresh));
	OK(hel_program_write(&w, &p));
	save_body("program/refresh.bin", &w);
	make_item_programs(&p, params);
	hel_writer_clear(&w);
	hel_shape_clear(&shape);

	hel_container_begin(&w, HEL_KIND_SECRET_KEY);
	hel_write_bytes(&w, params->fingerprint, HEL_HASH_BYTES);
	hel_write_bytes(&w, seed, HEL_SEED_BYTES);
	OK(hel_container_end(&w));
	save("container/secret.bin", w.bytes, w.size);
	hel_writer_clear(&w);
}

static void make_keys(size_t set, const hel_key_request *requests, size_t count, const char *name)
{
	static const uint8_t seed[HEL_SEED_BYTES] = {2};
	hel_secret_key *secret;
	hel_keys *keys;
	hel_writer w = {0};
	OK(hel_secret_key_from_seed(&secret, fuzz_params(set), seed));
	OK(hel_keys_generate(&keys, secret, requests, count, NULL));
	hel_keys_write(&w, keys);
	OK(w.status);
	save(name, w.bytes, w.size);
	hel_writer_clear(&w);
	hel_keys_free(keys);
	hel_secret_key_free(secret);
}

static void make_public_key(size_t set, unsigned level)
{
	static const uint8_t seed[HEL_SEED_BYTES] = {2};
	hel_secret_key *secret;
	hel_public_key *key;
	hel_writer w = {0};
	char name[64];
	OK(hel_secret_key_from_seed(&secret, fuzz_params(set), seed));
	OK(hel_public_key_new(&key, secret, level));
	hel_public_key_write(&w, key);
	OK(w.status);
	snprintf(name, sizeof name, "public_key/set_%zu_level_%u.bin", set, level);
	save(name, w.bytes, w.size);
	hel_writer_clear(&w);
	hel_public_key_free(key);
	hel_secret_key_free(secret);
}

static void make_ciphertexts(size_t set, unsigned level)
{
	static const uint8_t secret_seed[HEL_SEED_BYTES] = {2};
	const hel_params *p = fuzz_params(set);
	const hel_complex slots[32] = {{0.5, 0}, {-0.25, 0.125}};
	uint8_t seed[HEL_SEED_BYTES];
	char name[64];
	hel_secret_key *secret;
	hel_eval *ev;
	hel_pt *pt;
	hel_ct *ct;
	hel_writer w = {0};
	OK(hel_secret_key_from_seed(&secret, p, secret_seed));
	OK(hel_eval_new(&ev, p, NULL, NULL));
	OK(hel_encode(&pt, p, slots, level, HEL_FOR_ADD));
	OK(hel_ct_new(&ct, p));
	OK(hel_encrypt_seeded(ct, seed, secret, pt));
	hel_ct_write(&w, ct);
	OK(w.status);
	snprintf(name, sizeof name, "ciphertext/full_%zu.bin", set);
	save(name, w.bytes, w.size);
	w.size = 0;
	hel_ct_write_seeded(&w, ct, seed);
	OK(w.status);
	snprintf(name, sizeof name, "ciphertext/seeded_%zu.bin", set);
	save(name, w.bytes, w.size);
	w.size = 0;
	OK(hel_ct_write_sampled(&w, ev, ct, 4));
	snprintf(name, sizeof name, "ciphertext/sampled_%zu.bin", set);
	save(name, w.bytes, w.size);
	hel_writer_clear(&w);
	hel_ct_free(ct);
	hel_pt_free(pt);
	hel_eval_free(ev);
	hel_secret_key_free(secret);
}

/* What fuzz_weights_file reads: the size, the beginning of the file. */
static void make_weights_files(void)
{
	static const char path[] = "weights_file.tmp";
	const hel_load_options o = {.cache = path};
	hel_program *p = fuzz_weights_program(fuzz_params(0));
	hel_loaded *l;
	uint8_t *bytes;
	size_t size;
	hel_writer w = {0};
	OK(hel_loaded_open(&l, p, fuzz_params(0), NULL, &o));
	OK(hel_file_read(path, 1 << 20, &bytes, &size));
	hel_write_u64(&w, size);
	hel_write_bytes(&w, bytes, 512);
	save("weights_file/good.bin", w.bytes, w.size);
	save("weights_file/head.bin", w.bytes, 8 + HEL_WEIGHTS_HEAD_BYTES);
	w.bytes[8 + 24]++; /* where the weights begin */
	save("weights_file/moved.bin", w.bytes, w.size);
	memset(w.bytes + 8, 0, w.size - 8);
	save("weights_file/blank.bin", w.bytes, w.size);
	hel_writer_clear(&w);
	hel_free(bytes);
	hel_loaded_free(l);
	hel_program_free(p);
	remove(path);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	corpus_root = argv[1];
	OK(hel_random_init());
	make_texts();
	make_calibration();
	make_rows();
	make_foreign_models();
	make_rankings();
	make_weights();
	make_manifests();
	make_programs();
	make_weights_files();
	make_keys(0, (hel_key_request[]){{HEL_RELINEARISE, 1}, {5, 0}, {31, 0}}, 3,
		  "keys/three.bin");
	make_keys(1, (hel_key_request[]){{5, 0}}, 1, "keys/two_primes.bin");
	make_keys(2, (hel_key_request[]){{HEL_RELINEARISE, 0}}, 1, "keys/level_0.bin");
	make_keys(0, NULL, 0, "keys/none.bin");
	make_public_key(0, 0);
	make_public_key(0, 2);
	make_public_key(1, 1);
	make_public_key(2, 0);
	make_ciphertexts(0, 1);
	make_ciphertexts(1, 1);
	make_ciphertexts(2, 0);
	return 0;
}
