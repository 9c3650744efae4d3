/* Runs a fuzz target without libFuzzer: TARGET CORPUS_DIR [MUTATIONS [FIRST]].
 *
 * First every file of the corpus, then mutations FIRST, FIRST + 1, ... of them. A mutation depends
 * on its number and the corpus only: what crashes once crashes again, and the number is printed
 * along with the input in hex (xxd -r -p makes a file of it).
 *
 * The link wraps aligned_alloc, the one call behind hel_alloc, to bound what one input may
 * allocate. With libFuzzer: compile a target without this file, with clang
 * -fsanitize=fuzzer,address.
 */
#include "fuzz.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define ALLOCATED_MAX ((size_t)64 << 20)
#define FILES_MAX 256

typedef struct input {
	uint8_t bytes[FUZZ_INPUT_MAX];
	size_t size;
} input;

static input corpus[FILES_MAX], current;
static size_t files, allocated;
static unsigned long number; /* of the run in progress */
static const char *target;

/* Only calls that are safe in a signal handler. */
static void put(const char *text)
{
	(void)!write(STDERR_FILENO, text, strlen(text));
}

static void report(void)
{
	static const char digit[] = "0123456789abcdef";
	static char hex[2 * FUZZ_INPUT_MAX + 2];
	char text[24] = {0}, *at = text + sizeof text - 1;
	unsigned long n = number;
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	for (size_t i = 0; i < current.size; i++) {
		hex[2 * i] = digit[current.bytes[i] >> 4];
		hex[2 * i + 1] = digit[current.bytes[i] & 15];
	}
	hex[2 * current.size] = '\n';
	put(target);
	put(": crash in run ");
	put(at);
	put(" of input\n");
	put(hex);
}

static void on_signal(int signal_number)
{
	signal(signal_number, SIG_DFL);
	report();
	raise(signal_number);
}

/* Sanitizers end a process without a signal; they are not always there. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	allocated += size;
	if (allocated > ALLOCATED_MAX) {
		put("one input allocates more than 64 MB\n");
		abort();
	}
	return __real_aligned_alloc(alignment, size);
}

static void run(void)
{
	allocated = 0;
	uint8_t *exact = fuzz_copy(current.bytes, current.size);
	LLVMFuzzerTestOneInput(exact, current.size);
	free(exact);
}

/* --- mutations ------------------------------------------------------------- */

static uint64_t state;

/* splitmix64 */
static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static size_t below(size_t limit)
{
	return limit ? (size_t)(draw() % limit) : 0;
}

/* `bytes` in place of the `cut` bytes at `at`; too much is cut off at the end. */
static void replace(input *in, size_t at, size_t cut, const void *bytes, size_t size)
{
	static uint8_t tail[FUZZ_INPUT_MAX];
	const size_t rest = in->size - at - cut;
	memcpy(tail, in->bytes + at + cut, rest);
	size = HEL_MIN(size, FUZZ_INPUT_MAX - at);
	const size_t kept = HEL_MIN(rest, FUZZ_INPUT_MAX - at - size);
	memcpy(in->bytes + at, bytes, size);
	memcpy(in->bytes + at + size, tail, kept);
	in->size = at + size + kept;
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '.' || c == '-' || c == '+' || c == '_';
}

/* A number or name of a text format, as a whole. */
static void replace_word(input *in)
{
	static const char *const word[] = {
	    "0",	"1",	   "-1",	 "2",		"1.5",
	    "65536",	"1048576", "2147483648", "4294967295",	"9223372036854775807",
	    "1e308",	"-1e999",  "1e-320",	 "nan",		"null",
	    "true",	"?",	   "[]",	 "{}",		"\"\"",
	    "",		",",	   "\n",	 "\"\\u0000\"", "\xff",
	    "[[[[[[[[", "heart",   "age",	 "num",
	};
	const char *text = word[below(HEL_ARRAY_LEN(word))];
	size_t first = below(in->size);
	while (first < in->size && !is_word(in->bytes[first]))
		first++;
	size_t end = first;
	while (end < in->size && is_word(in->bytes[end]))
		end++;
	while (first && is_word(in->bytes[first - 1]))
		first--;
	replace(in, first, end - first, text, strlen(text));
}

static void mutate_once(input *in)
{
	static const uint8_t byte[] = {
	    0,	 1,   2,   4,	 7,   8,   16,	31,  32,  63,  64,  127, 128, 254,
	    255, '"', ',', '\n', '{', '}', '[', ']', ':', '0', '9', '-', '.',
	};
	static const uint32_t length[] = {0, 1, 0xffffffff, 0x7fffffff};
	static uint8_t piece[FUZZ_INPUT_MAX];
	const size_t at = below(in->size + 1);
	const size_t longest = below(4) ? 16 : FUZZ_INPUT_MAX;
	const size_t count = below(HEL_MIN(in->size - at, longest) + 1);
	switch (below(11)) {
	case 0: /* flip bits */
		for (size_t k = 1 + below(4); in->size && k--;)
			in->bytes[below(in->size)] ^= (uint8_t)(1u << below(8));
		break;
	case 1: /* set a byte */
		if (in->size)
			in->bytes[below(in->size)] = byte[below(HEL_ARRAY_LEN(byte))];
		break;
	case 2:
		if (in->size)
			in->bytes[below(in->size)] = (uint8_t)draw();
		break;
	case 3: /* truncate */
		if (below(4) == 0)
			in->size = at;
		break;
	case 4: /* leave out */
		replace(in, at, count, "", 0);
		break;
	case 5: /* repeat */
		memcpy(piece, in->bytes + at, count);
		replace(in, at, 0, piece, count);
		break;
	case 6: /* insert */
		for (size_t k = 0; k < 8; k++)
			piece[k] = below(2) ? byte[below(HEL_ARRAY_LEN(byte))] : (uint8_t)draw();
		replace(in, at, 0, piece, 1 + below(8));
		break;
	case 7: { /* splice: a piece of another file, or its tail */
		const input *other = &corpus[below(files)];
		const size_t from = below(other->size + 1);
		const bool tail = below(2);
		replace(in, at, tail ? in->size - at : count, other->bytes + from,
			tail ? other->size - from : below(other->size - from + 1));
		break;
	}
	case 8: /* a length */
		if (in->size >= 4) {
			uint32_t v = length[below(HEL_ARRAY_LEN(length))];
			size_t to = below(in->size - 3);
			for (unsigned i = 0; i < 4; i++)
				in->bytes[to + i] = (uint8_t)(v >> (8 * i));
		}
		break;
	case 9: /* a length, nearly right */
		if (in->size >= 4)
			in->bytes[below(in->size - 3)] += (uint8_t)(below(2) ? 1 : 255);
		break;
	case 10:
		replace_word(in);
		break;
	default:
		break;
	}
}

static void mutate(unsigned long n)
{
	state = (uint64_t)n * 0xd1342543de82ef95u;
	current = corpus[below(files)];
	for (size_t k = 1 + below(below(8) ? 3 : 16); k--;)
		mutate_once(&current);
}

/* --- corpus ------------------------------------------------------------------ */

static void read_corpus(const char *dir)
{
	struct dirent **entry;
	int count = scandir(dir, &entry, NULL, alphasort); /* sorted: runs must repeat */
	for (int i = 0; i < count; i++) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
		FILE *f =
		    entry[i]->d_name[0] == '.' || files == FILES_MAX ? NULL : fopen(path, "rb");
		free(entry[i]);
		if (!f)
			continue;
		input *in = &corpus[files++];
		in->size = fread(in->bytes, 1, sizeof in->bytes, f);
		if (fgetc(f) != EOF) {
			fprintf(stderr, "%s is longer than %d bytes\n", path, FUZZ_INPUT_MAX);
			exit(2);
		}
		fclose(f);
	}
	if (count < 0 || !files) {
		fprintf(stderr, "no corpus in %s: %s\n", dir,
			count < 0 ? strerror(errno) : "no files");
		exit(2);
	}
	free(entry);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS_DIR [MUTATIONS [FIRST]]\n", argv[0]);
		return 2;
	}
	const unsigned long mutations = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	const unsigned long first = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	target = argv[0];
	read_corpus(argv[1]);
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM, SIGALRM};
	for (size_t i = 0; i < HEL_ARRAY_LEN(fatal); i++)
		signal(fatal[i], on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(report);
	for (size_t i = 0; i < files; i++) {
		number = i;
		current = corpus[i];
		run();
	}
	for (unsigned long i = 0; i < mutations; i++) {
		number = first + i;
		mutate(number);
		run();
	}
	printf("%zu files, %lu mutations\n", files, mutations);
	return 0;
}
