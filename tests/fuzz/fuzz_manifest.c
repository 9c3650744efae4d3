/* The manifest a client opens. Input: the body of the container. */
#include "fuzz.h"
#include "net/client/client_inside.h"

/* Of a data set, whatever the manifest makes of them. */
static const char *const heart[] = {"63,1,1,145,233,1,2,150,0,2.3,3,0,6\n",
				    "?,?,?,?,?,?,?,?,?,?,?,?,?\n",
				    "1e308,word,9,-1e308,1e15,x,y,0,zz1,-9,a,b,c\n",
				    "-1e308,0,1,1e-320,-9,0,1,1e308,0,1e9,2,3,7\n"};
static const char criteo[][200] = {
    "1\t2\t3\t4\t5\t6\t7\t8\t9\t10\t11\t12\t13\ta\tb\tc\td\te\tf\tg\th\ti\tj\tk\tl\tm\tn\to\tp\tq\t"
    "r\t"
    "s\tt\tu\tv\tw\tx\ty\tz\n",
    "\t1000000000\t-"
    "7\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t68fd1e64\n"};

/* Of columns that the manifest describes: anything is a record. */
static const char *const any[] = {"63,1,1,145,233,1,2,150,0,2.3,3,0,6\n",
				  "1,genre|genre|x:1e9|,?\n",
				  "{\"a\": [1, \"b\"], \"user\": 7}",
				  "[{}]",
				  "\"open",
				  "1\t2;3|4,5\n"};

/* Once it is open, records do not change the wire: each gives a query, all of one size. */
static void same_wire(hel_client *c)
{
	size_t first = 0;
	const bool is_heart = hel_client_dataset(c) == hel_dataset_by_name("heart"),
		   is_criteo = hel_client_dataset(c) == hel_dataset_by_name("criteo");
	const size_t count = is_heart	 ? HEL_ARRAY_LEN(heart)
			     : is_criteo ? HEL_ARRAY_LEN(criteo)
					 : HEL_ARRAY_LEN(any);
	if (!hel_client_key(c))
		fuzz_expect(hel_client_generate(c) == HEL_OK);
	for (size_t i = 0; i < count; i++) {
		const char *text = is_heart ? heart[i] : is_criteo ? criteo[i] : any[i];
		uint8_t *query;
		size_t size;
		fuzz_expect(hel_client_query(&query, &size, c, text, strlen(text), 0) == HEL_OK);
		fuzz_expect(!i || size == first);
		first = size;
		hel_bytes_free(query, size);
	}
}

/* Above, honest parameters already take tens of megabytes and a second. */
#define LOG_N_MAX 13

static void try_manifest(const uint8_t *bytes, size_t size)
{
	hel_manifest *m = NULL;
	hel_client *c = NULL;
	hel_writer w = {0};
	if (hel_manifest_read(&m, bytes, size) != HEL_OK)
		return;
	/* one manifest has one encoding, and so one id */
	uint8_t id[HEL_HASH_BYTES];
	memcpy(id, m->id, sizeof id);
	fuzz_expect(hel_manifest_write(&w, m) == HEL_OK);
	fuzz_expect(w.size == size && memcmp(w.bytes, bytes, size) == 0);
	fuzz_expect(memcmp(id, m->id, sizeof id) == 0);
	for (uint32_t i = 0; i < m->inputs; i++) {
		const hel_layout *l = &m->input[i].layout;
		char text[256];
		fuzz_expect(l->width > 0);
		for (size_t slot = 0; slot < (size_t)2 << l->log_slots; slot += 7)
			fuzz_expect(hel_input_at(&m->input[i], slot) < (int32_t)m->features);
		hel_layout_describe(text, sizeof text, l);
	}
	if (m->params.log_n <= LOG_N_MAX &&
	    hel_client_open(&c, bytes, size, NULL, NULL) == HEL_OK) {
		fuzz_expect(hel_client_dataset(c));
		fuzz_expect(hel_client_batch(c) <= hel_client_manifest(c)->samples / 2);
		fuzz_expect(hel_client_batch(c) << HEL_MIN_LOG_SLOTS <=
			    hel_params_slots(hel_client_params(c)));
		fuzz_expect(hel_client_manifest(c)->samples <= 1u << m->params.log_n);
		if (m->inputs <= 4 && m->params.log_n <= 12)
			same_wire(c);
	}
	hel_client_free(c);
	hel_writer_clear(&w);
	hel_manifest_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sealed_size;
	uint8_t *sealed = fuzz_seal(&sealed_size, HEL_KIND_MANIFEST, data, size);
	try_manifest(data, size);
	try_manifest(sealed, sealed_size);
	free(sealed);
	return 0;
}
