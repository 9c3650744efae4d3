/* Candidates as a query names them. Input: their text. What a client lets through, and what a
 * server selects, is what a second reading finds line by line. */
#include "fuzz.h"
#include "net/client/client_inside.h"
#include "net/ranking_file.h"
#include "net/server/rank.h"
#include <unistd.h>

#define ITEMS 40u

static hel_params *params;
static hel_catalogue *catalogue;
static hel_manifest manifest = {.model = (char[]){"films"},
				.params = {12, 1, 1, 28, 1, 1},
				.items = {.any = true, .batched = true, .width = 1}};
static char name[ITEMS][32];

static hel_status weigh(void *arg, double *value, const double *dense, const uint32_t *hot,
			size_t count)
{
	(void)arg;
	(void)dense;
	(void)hot;
	memset(value, 0, count * sizeof *value);
	return HEL_OK;
}

static void finish(void)
{
	hel_catalogue_free(catalogue);
	hel_params_free(params);
}

/* Some ids look like ranges. */
static void start(void)
{
	char path[] = "fuzz_candidates_XXXXXX";
	const char *id[ITEMS];
	for (unsigned i = 0; i < ITEMS; i++) {
		snprintf(name[i], sizeof name[i],
			 i % 10 == 7   ? "%u..%u"
			 : i % 10 == 3 ? "%u, %u"
				       : "%u",
			 i, i + 1);
		id[i] = name[i];
	}
	fuzz_expect(hel_random_init() == HEL_OK);
	fuzz_expect(hel_params_new_insecure_test(&params, &manifest.params) == HEL_OK);
	const int fd = mkstemp(path);
	fuzz_expect(fd >= 0);
	close(fd);
	const hel_item_form form = {.params = params, .rows = 1, .batched = true, .largest = 1};
	const hel_item_source source = {.count = ITEMS, .id = id, .weigh = weigh};
	fuzz_expect(hel_catalogue_write(path, &manifest, &form, &source, NULL, NULL, NULL) ==
		    HEL_OK);
	fuzz_expect(hel_catalogue_open(&catalogue, path, &manifest, params, NULL) == HEL_OK);
	unlink(path);
	atexit(finish);
}

/* The number at *at, up to ITEMS + 1; 0: none is there. */
static unsigned number_at(const char **at)
{
	unsigned n = 0;
	for (; **at >= '0' && **at <= '9'; ++*at)
		n = HEL_MIN(10 * n + (unsigned)(**at - '0'), ITEMS + 1);
	return n;
}

/* Selects a line; false: it names nothing that is there. */
static bool select_line(bool chosen[ITEMS], const char *line)
{
	for (unsigned i = 0; i < ITEMS; i++)
		if (strcmp(line, name[i]) == 0)
			return chosen[i] = true;
	const unsigned first = number_at(&line);
	if (!first || strncmp(line, "..", 2) != 0)
		return false;
	line += 2;
	const unsigned last = number_at(&line);
	if (*line || last < first || last > ITEMS)
		return false;
	for (unsigned i = first; i <= last; i++)
		chosen[i - 1] = true;
	return true;
}

/* How many are chosen; 0: some line is wrong, or all are empty. */
static size_t second_reading(bool chosen[ITEMS], const char *text, size_t size)
{
	char line[FUZZ_INPUT_MAX + 1];
	size_t count = 0;
	for (size_t at = 0, length = 0; at <= size; at++) {
		if (at < size && text[at] != '\n') {
			line[length++] = text[at];
			continue;
		}
		length -= length && line[length - 1] == '\r';
		line[length] = 0;
		if (*line && !select_line(chosen, line))
			return 0;
		length = 0;
	}
	for (unsigned i = 0; i < ITEMS; i++)
		count += chosen[i];
	return count;
}

static void try_selection(const char *text, size_t size)
{
	hel_selection x = {0};
	bool chosen[ITEMS] = {false};
	const size_t count = second_reading(chosen, text, size);
	const hel_status st = hel_selection_parse(&x, catalogue, text, size, '\n');
	fuzz_expect((st == HEL_OK) == (count > 0));
	fuzz_expect(st == HEL_OK || st == HEL_EINVAL);
	if (st == HEL_OK)
		fuzz_expect(x.count == count);
	for (unsigned i = 0; st == HEL_OK && i < ITEMS; i++)
		fuzz_expect((x.bits[i / 8] >> i % 8 & 1) == chosen[i]);
	hel_selection_clear(&x);
}

/* What a client sends holds the text and the query as they were. */
static void try_client(const char *text, size_t size)
{
	const hel_client c = {.manifest = &manifest};
	uint8_t *narrowed, *query;
	size_t narrowed_size, query_size;
	hel_reader r;
	query = fuzz_seal(&query_size, HEL_KIND_QUERY, "query", 5);
	if (hel_client_candidates(&narrowed, &narrowed_size, &c, query, query_size, text, size) ==
	    HEL_OK) {
		fuzz_expect(narrowed_size <= query_size + HEL_CANDIDATES_ROOM);
		fuzz_expect(hel_container_open(&r, HEL_KIND_CANDIDATES, narrowed, narrowed_size) ==
			    HEL_OK);
		fuzz_expect(
		    memcmp(hel_read_bytes(&r, HEL_HASH_BYTES), manifest.id, HEL_HASH_BYTES) == 0);
		fuzz_expect(hel_read_u32(&r) == size &&
			    memcmp(hel_read_bytes(&r, size), text, size) == 0);
		fuzz_expect(hel_reader_left(&r) == query_size &&
			    memcmp(r.at, query, query_size) == 0);
		fuzz_expect(!memchr(text, 0, size) && !memchr(text, 0x1b, size));
		hel_bytes_free(narrowed, narrowed_size);
	}
	free(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!catalogue)
		start();
	char *copy = (char *)fuzz_copy(data, size);
	try_selection(copy, size);
	try_client(copy, size);
	free(copy);
	return 0;
}
