/* A file of encoded weights. Input: the size that the file claims to have in 8 bytes, then what
 * stands at its beginning. Read as a head; and put over the beginning of a good file, which then
 * must give the right weights all the same. */
#include "fuzz_weights.h"
#include "vm/weights_file.h"
#include <fcntl.h>
#include <unistd.h>

static char dir[] = "fuzz_weights_XXXXXX", path[64];
static hel_program *program;
static hel_loaded *heap;
static uint8_t *good;
static size_t good_size;

static void remove_all(void)
{
	unlink(path);
	rmdir(dir);
	hel_loaded_free(heap);
	hel_program_free(program);
	hel_free(good);
}

static void open_and_compare(void)
{
	hel_loaded *l;
	const hel_load_options o = {.cache = path};
	fuzz_expect(hel_loaded_open(&l, program, fuzz_params(0), NULL, &o) == HEL_OK);
	fuzz_expect(l->weights == heap->weights);
	for (size_t i = 0; i < l->weights; i++)
		fuzz_expect(memcmp(l->weight[i].pt.data, heap->weight[i].pt.data,
				   4 * hel_weight_words(&l->weight[i].pt)) == 0);
	hel_loaded_free(l);
}

static void start(void)
{
	fuzz_expect(hel_random_init() == HEL_OK && mkdtemp(dir));
	snprintf(path, sizeof path, "%s/w", dir);
	program = fuzz_weights_program(fuzz_params(0));
	fuzz_expect(hel_loaded_new(&heap, program, fuzz_params(0), NULL) == HEL_OK);
	atexit(remove_all);
	open_and_compare();
	fuzz_expect(hel_file_read(path, 1 << 20, &good, &good_size) == HEL_OK);
}

static void try_head(const uint8_t *bytes, size_t size, uint64_t claimed)
{
	/* as many bytes as a file of that size has within its head, and no more */
	const size_t there = (size_t)HEL_MIN(claimed, (uint64_t)HEL_WEIGHTS_HEAD_BYTES);
	uint8_t whole[HEL_WEIGHTS_HEAD_BYTES] = {0};
	memcpy(whole, bytes, HEL_MIN(size, sizeof whole));
	uint8_t *copy = fuzz_copy(whole, there);
	hel_weights_head h;
	if (hel_weights_head_read(&h, copy, claimed) == HEL_OK)
		fuzz_expect(h.bytes == claimed && h.data < h.bytes && h.weights > 0 &&
			    h.data / 16 > h.weights);
	free(copy);
}

static void try_file(const uint8_t *bytes, size_t size, uint64_t claimed)
{
	const size_t length = claimed <= 2 * good_size ? (size_t)claimed : good_size;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	fuzz_expect(fd >= 0);
	fuzz_expect(pwrite(fd, good, good_size, 0) == (ssize_t)good_size);
	fuzz_expect(pwrite(fd, bytes, size, 0) == (ssize_t)size);
	fuzz_expect(ftruncate(fd, (off_t)length) == 0);
	close(fd);
	open_and_compare();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t claimed;
	if (!program)
		start();
	if (size < sizeof claimed)
		return 0;
	memcpy(&claimed, data, sizeof claimed);
	try_head(data + 8, size - 8, claimed);
	try_head(data + 8, size - 8, size - 8);
	try_file(data + 8, size - 8, claimed);
	return 0;
}
