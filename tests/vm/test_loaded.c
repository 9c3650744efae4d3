/* Encoded weights in a file: the same bits as in memory, whatever happens to the file. */
#include "../ckks/fixture.h"
#include "../testing_dir.h"
#include "random_program.h"
#include "vm/encrypted.h"
#include "vm/shape.h"
#include "vm/weight.h"
#include "vm/weights_file.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const hel_params_spec spec = {10, 5, 1, 30, 2, 3};
static hel_params *params;
static hel_program *program, *retrained; /* with the same manifest, but other weights */
static hel_loaded *heap;		 /* what everything is compared with */
static hel_pool *pool;
static char cache[64], partial[80];

static void seal(hel_program *p)
{
	hel_writer w = {0};
	assert_non_null(p->manifest->model = hel_strdup("random"));
	assert_non_null(p->manifest->schema = hel_strdup("{}"));
	assert_ok(hel_program_write(&w, p));
	hel_writer_clear(&w);
}

/* A vector that one op uses twice and another at a lower level, for a product and for a sum. */
static void share_a_vector(hel_program *p)
{
	uint32_t linear = 0;
	while (p->op[linear].kind != HEL_OP_LINEAR)
		linear++;
	hel_op *op = &p->op[linear], twice = *op;
	const uint32_t vector = op->term[0].vector;
	twice.terms = op->terms + 1;
	twice.term = hel_alloc(twice.terms, sizeof *twice.term);
	assert_non_null(twice.term);
	memcpy(twice.term, op->term, op->terms * sizeof *op->term);
	twice.term[op->terms] = (hel_term){op->term[0].value, vector, 1, 0};
	hel_free(op->term);
	*op = twice;
	add(p, (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = p->ops - 1, .index = vector});
}

static int setup(void **state)
{
	hel_prng g;
	if (temp_dir_make(state))
		return -1;
	assert_ok(hel_random_init());
	snprintf(cache, sizeof cache, "%s/w.weights", temp_dir);
	snprintf(partial, sizeof partial, "%s.partial", cache);
	test_prng(&g, 7);
	program = random_program(spec, 1, &g);
	share_a_vector(program);
	seal(program);
	test_prng(&g, 7);
	retrained = random_program(spec, 1, &g);
	share_a_vector(retrained);
	for (uint32_t i = 0; i < retrained->vectors; i++)
		retrained->vector[i].value[0] += 0.5f;
	seal(retrained);
	assert_memory_equal(program->manifest->id, retrained->manifest->id, HEL_HASH_BYTES);
	assert_ok(hel_params_new_insecure_test(&params, &spec));
	assert_ok(hel_loaded_new(&heap, program, params, NULL));
	assert_non_null(pool = hel_pool_new(3));
	return 0;
}

static int teardown(void **state)
{
	hel_pool_free(pool);
	hel_loaded_free(heap);
	hel_params_free(params);
	hel_program_free(program);
	hel_program_free(retrained);
	return temp_dir_remove(state);
}

static void assert_same(const hel_loaded *a, const hel_loaded *b)
{
	assert_int_equal(a->weights, b->weights);
	assert_int_equal(a->bytes, b->bytes);
	for (size_t i = 0; i < a->weights; i++) {
		const hel_pt *x = &a->weight[i].pt, *y = &b->weight[i].pt;
		assert_equal(x->level, y->level);
		assert_equal(x->use, y->use);
		assert_equal(x->scale, y->scale);
		assert_memory_equal(x->data, y->data, 4 * hel_weight_words(x));
	}
}

static const hel_load_options options = {.cache = cache};

/* Opens the program's cache, with the right weights in any case. */
static hel_weights_origin opened(char note[256])
{
	hel_loaded *l;
	assert_ok(hel_loaded_open(&l, program, params, pool, &options));
	assert_same(heap, l);
	const hel_weights_origin origin = l->origin;
	assert_equal(origin == HEL_WEIGHTS_IN_MEMORY, l->memory != NULL);
	assert_equal(origin == HEL_WEIGHTS_IN_MEMORY, l->map == NULL);
	if (note)
		snprintf(note, 256, "%s", hel_loaded_note(l));
	hel_loaded_free(l);
	return origin;
}

static size_t size_of(const char *path)
{
	struct stat info;
	assert_int_equal(0, stat(path, &info));
	return (size_t)info.st_size;
}

/* Makes a good one if it is not there. */
static void have_cache(void)
{
	unlink(cache);
	assert_int_equal(HEL_WEIGHTS_WRITTEN, opened(NULL));
	assert_less(access(partial, F_OK), 0);
}

/* --- what it is for ------------------------------------------------------------------------ */

static hel_ct *run(const hel_loaded *l, const hel_eval *ev, const hel_ct *in)
{
	hel_ct *out;
	const hel_ct *const both[] = {in, in};
	assert_ok(hel_ckks_run(&out, l, ev, both, NULL));
	return out;
}

static void test_same_results(void **state)
{
	(void)state;
	double bound[FEATURES], feature[FEATURES];
	hel_shape shape;
	hel_secret_key *secret;
	hel_keys *keys;
	hel_eval *ev;
	hel_loaded *l;
	hel_pt *pt;
	hel_ct *in, *want, *got;
	hel_complex *x = hel_alloc(hel_params_slots(params), sizeof *x);
	for (int i = 0; i < FEATURES; i++) {
		bound[i] = 0.01;
		feature[i] = 0.01 * (i % 3 - 1);
	}
	assert_ok(hel_shape_run(&shape, program, params, &(hel_ranges){.feature = bound}, NULL));
	assert_ok(hel_secret_key_new(&secret, params));
	assert_ok(hel_keys_generate(&keys, secret, shape.key, shape.keys, NULL));
	assert_ok(hel_eval_new(&ev, params, keys, pool));
	hel_input_fill(x, &program->manifest->input[0], feature);
	assert_ok(hel_encode(&pt, params, x, spec.levels, HEL_FOR_ADD));
	assert_ok(hel_ct_new(&in, params));
	assert_ok(hel_encrypt(in, secret, pt));
	want = run(heap, ev, in);
	const hel_weights_origin origin[] = {HEL_WEIGHTS_WRITTEN, HEL_WEIGHTS_MAPPED};
	for (int i = 0; i < 2; i++) {
		assert_ok(hel_loaded_open(&l, program, params, pool, &options));
		assert_int_equal(origin[i], hel_loaded_origin(l));
		assert_string_equal("", hel_loaded_note(l));
		assert_int_equal(0, unlink(cache)); /* while it is mapped, also for the first run */
		got = run(l, ev, in);
		for (int half = 0; half < 2; half++)
			assert_memory_equal(want->part[half], got->part[half],
					    4 * params->limbs[0] * params->ring.n);
		hel_ct_free(got);
		hel_loaded_free(l);
		have_cache();
	}
	hel_ct_free(want);
	hel_ct_free(in);
	hel_pt_free(pt);
	hel_free(x);
	hel_eval_free(ev);
	hel_keys_free(keys);
	hel_secret_key_free(secret);
	hel_shape_clear(&shape);
}

/* Counted another way than by the loader's own chains. */
static void test_each_once(void **state)
{
	(void)state;
	unsigned level[64];
	size_t plaintexts = 0, distinct = 0, bytes, expected = 0;
	struct {
		uint32_t vector;
		unsigned level;
		bool mul;
	} seen[256];
	assert_at_most(program->ops, 64);
	hel_op_levels(level, program);
	for (uint32_t i = 0; i < program->ops; i++) {
		const hel_op *op = &program->op[i];
		const uint32_t count = op->kind == HEL_OP_LINEAR      ? op->terms
				       : op->kind == HEL_OP_ADD_PLAIN ? 1
								      : 0;
		for (uint32_t k = 0; k < count; k++, plaintexts++) {
			const uint32_t vector =
			    op->kind == HEL_OP_LINEAR ? op->term[k].vector : op->index;
			const bool mul = op->kind == HEL_OP_LINEAR;
			size_t s = 0;
			while (s < distinct && !(seen[s].vector == vector &&
						 seen[s].level == level[i] && seen[s].mul == mul))
				s++;
			if (s < distinct)
				continue;
			assert_less(distinct, HEL_ARRAY_LEN(seen));
			seen[distinct].vector = vector;
			seen[distinct].level = level[i];
			seen[distinct++].mul = mul;
			expected += 4 * params->limbs[level[i]] * params->ring.n;
		}
	}
	assert_less(distinct, plaintexts); /* share_a_vector sees to it */
	assert_int_equal(distinct, heap->weights);
	assert_int_equal(expected, hel_loaded_bytes(heap));
	assert_ok(hel_ckks_weight_bytes(&bytes, program, params));
	assert_int_equal(expected, bytes);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void flip(size_t at, unsigned bit)
{
	uint8_t byte;
	int fd = open(cache, O_RDWR | O_CLOEXEC);
	assert_int_equal(1, pread(fd, &byte, 1, (off_t)at));
	byte = (uint8_t)(byte ^ 1u << bit);
	assert_int_equal(1, pwrite(fd, &byte, 1, (off_t)at));
	close(fd);
}

static void assert_made_anew(void)
{
	char note[256];
	assert_int_equal(HEL_WEIGHTS_WRITTEN, opened(note));
	assert_non_null(strstr(note, "made anew"));
	assert_less(access(partial, F_OK), 0);
}

static void test_flipped_bits(void **state)
{
	(void)state;
	hel_prng g;
	char note[256];
	have_cache();
	const size_t size = size_of(cache);
	test_prng(&g, 8);
	for (size_t at = 8; at < HEL_WEIGHTS_HEAD_BYTES; at++) { /* every field, and the gaps */
		flip(at, (unsigned)(hel_prng_u64(&g) % 8));
		assert_made_anew();
	}
	for (int i = 0; i < 300; i++) { /* checksums and weights */
		flip(HEL_WEIGHTS_HEAD_BYTES +
			 hel_prng_u64(&g) % (i % 3 ? size - HEL_WEIGHTS_HEAD_BYTES : 2048),
		     (unsigned)(hel_prng_u64(&g) % 8));
		assert_made_anew();
	}
	flip(size - 1, 7);
	assert_made_anew();
	assert_int_equal(HEL_WEIGHTS_MAPPED, opened(note));
	assert_string_equal("", note);
	/* without its magic it could be anybody's: left alone */
	for (size_t at = 0; at < 8; at++) {
		flip(at, 0);
		assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(note));
		assert_non_null(strstr(note, "left alone"));
		flip(at, 0);
	}
	assert_int_equal(HEL_WEIGHTS_MAPPED, opened(NULL));
}

static void test_other_sizes(void **state)
{
	(void)state;
	hel_prng g;
	have_cache();
	const size_t size = size_of(cache);
	test_prng(&g, 9);
	for (int i = 0; i < 120; i++) {
		const size_t cut = i < 40    ? (size_t)i * 8
				   : i < 80  ? 3800 + (size_t)(i - 40) * 16
				   : i == 80 ? size - 1
				   : i % 2   ? size + 1 + hel_prng_u64(&g) % 9000
					     : hel_prng_u64(&g) % size;
		assert_int_equal(0, truncate(cache, (off_t)cut));
		assert_made_anew();
	}
	/* as after a power failure: the length is there, the bytes are not */
	for (size_t from = 0; from < size; from += size / 5) {
		assert_int_equal(0, truncate(cache, (off_t)from));
		assert_int_equal(0, truncate(cache, (off_t)size));
		assert_made_anew();
	}
	assert_int_equal(HEL_WEIGHTS_MAPPED, opened(NULL));
}

/* A head of this program that claims fewer weights than it has, in a file as short as that. */
static void test_short_head(void **state)
{
	(void)state;
	hel_prng g;
	hel_loaded *l;
	hel_complex x[512];
	test_prng(&g, 11);
	hel_program *long_one = random_program(spec, 1, &g);
	for (int k = 0; k < 600; k++) { /* checksums of several pages */
		uint32_t index;
		for (size_t i = 0; i < HEL_ARRAY_LEN(x); i++)
			x[i] = (hel_complex){k * 0x1p-10, 0};
		assert_ok(hel_program_add_vector(long_one, x, 9, &index));
		add(long_one,
		    (hel_op){.kind = HEL_OP_ADD_PLAIN, .value = long_one->ops - 1, .index = index});
	}
	seal(long_one);
	unlink(cache);
	for (int again = 0; again < 2; again++) {
		assert_ok(hel_loaded_open(&l, long_one, params, pool, &options));
		assert_int_equal(HEL_WEIGHTS_WRITTEN, hel_loaded_origin(l));
		if (again)
			assert_non_null(strstr(hel_loaded_note(l), "damaged in its head"));
		hel_loaded_free(l);
		const uint64_t claims[] = {1, 4096, 4097}; /* weights, data, bytes */
		int fd = open(cache, O_RDWR | O_CLOEXEC);
		assert_int_equal(sizeof claims, pwrite(fd, claims, sizeof claims, 16));
		assert_int_equal(0, ftruncate(fd, 4097));
		close(fd);
	}
	hel_program_free(long_one);
}

static void test_of_something_else(void **state)
{
	(void)state;
	char note[256];
	hel_loaded *l, *other_heap;
	hel_params *others;
	hel_params_spec other = spec;
	have_cache();
	/* the same manifest, but other weights: the manifest's id would not have told */
	assert_ok(hel_loaded_new(&other_heap, retrained, params, NULL));
	assert_ok(hel_loaded_open(&l, retrained, params, pool, &options));
	assert_int_equal(HEL_WEIGHTS_WRITTEN, hel_loaded_origin(l));
	assert_non_null(strstr(hel_loaded_note(l), "another program"));
	assert_same(other_heap, l);
	hel_loaded_free(other_heap);

	/* an older version stays mapped while a new one is made */
	assert_int_equal(HEL_WEIGHTS_WRITTEN, opened(NULL));
	assert_ok(hel_loaded_new(&other_heap, retrained, params, NULL));
	assert_same(other_heap, l);
	hel_loaded_free(l);
	hel_loaded_free(other_heap);

	other.levels++;
	assert_ok(hel_params_new_insecure_test(&others, &other));
	assert_ok(hel_loaded_new(&other_heap, program, others, NULL));
	assert_ok(hel_loaded_open(&l, program, others, pool, &options));
	assert_int_equal(HEL_WEIGHTS_WRITTEN, hel_loaded_origin(l));
	assert_non_null(strstr(hel_loaded_note(l), "other parameters"));
	assert_same(other_heap, l);
	hel_loaded_free(l);
	hel_loaded_free(other_heap);
	hel_params_free(others);
	assert_int_equal(HEL_WEIGHTS_WRITTEN, opened(note));

	hel_program unknown = *program; /* as it was before it was written */
	memset(unknown.hash, 0, sizeof unknown.hash);
	assert_status(HEL_EINVAL, hel_loaded_open(&l, &unknown, params, pool, &options));
}

static void test_left_alone(void **state)
{
	(void)state;
	static const char text[] = "somebody's only copy of something\n";
	char note[256], target[80];
	uint8_t *bytes;
	size_t size;
	unlink(cache);
	assert_ok(hel_file_write(cache, text, sizeof text, 0644));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(note));
	assert_non_null(strstr(note, "left alone"));
	assert_ok(hel_file_read(cache, 1000, &bytes, &size));
	assert_int_equal(sizeof text, size);
	assert_memory_equal(text, bytes, size);
	hel_free(bytes);
	unlink(cache);

	assert_int_equal(0, mkdir(cache, 0700));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	rmdir(cache);
	assert_int_equal(0, mkfifo(cache, 0600));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	unlink(cache);
	snprintf(target, sizeof target, "%s/target", temp_dir);
	assert_ok(hel_file_write(target, "", 0, 0644));
	assert_int_equal(0, symlink("target", cache));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	assert_int_equal(0, size_of(target));
	unlink(cache);
	unlink(target);
	assert_int_equal(0, mkdir(partial, 0700)); /* in the way */
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	rmdir(partial);
	assert_int_equal(0, symlink("/etc/passwd", partial));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	unlink(partial);
}

/* --- no room, no rights -------------------------------------------------------------------- */

static void test_no_rights(void **state)
{
	(void)state;
	char note[256];
	hel_loaded *l;
	hel_load_options nowhere = {.cache = "no/such/directory/w.weights", .cache_only = true};
	assert_status(HEL_EIO, hel_loaded_open(&l, program, params, pool, &nowhere));
	nowhere.cache_only = false;
	assert_ok(hel_loaded_open(&l, program, params, pool, &nowhere));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, hel_loaded_origin(l));
	assert_same(heap, l);
	hel_loaded_free(l);

	have_cache();
	assert_int_equal(0, chmod(temp_dir, 0555));
	assert_int_equal(0, geteuid() == 0 ? seteuid(65534) : 0);
	assert_int_equal(HEL_WEIGHTS_MAPPED, opened(note)); /* reading is enough */
	assert_int_equal(0, geteuid() == 65534 ? seteuid(0) : 0);
	unlink(cache);
	assert_int_equal(0, chmod(temp_dir, 0555));
	assert_int_equal(0, geteuid() == 0 ? seteuid(65534) : 0);
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(note));
	assert_int_equal(0, geteuid() == 65534 ? seteuid(0) : 0);
	assert_non_null(strstr(note, "Permission denied"));
	assert_int_equal(0, chmod(temp_dir, 0755));
	have_cache();
}

static void assert_no_room(void)
{
	char note[256];
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(note));
	assert_true(*note);
	assert_less(access(cache, F_OK), 0);
	assert_less(access(partial, F_OK), 0);
}

static void test_no_room(void **state)
{
	(void)state;
	struct rlimit before, limit;
	have_cache();
	const size_t size = size_of(cache);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
	static const size_t missing[] = {1, 64, 70000, 300000};
	for (size_t i = 0; i < HEL_ARRAY_LEN(missing); i++) {
		unlink(cache);
		limit = before;
		limit.rlim_cur = size - HEL_MIN(missing[i], size);
		assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
		assert_no_room();
		assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
	}
	/* a damaged one that cannot be replaced is not believed either */
	have_cache();
	flip(size - 1, 0);
	limit.rlim_cur = 1000;
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &limit));
	assert_int_equal(HEL_WEIGHTS_IN_MEMORY, opened(NULL));
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
	assert_made_anew();

	unlink(cache);
	assert_more(size, 32768);
	if (mount("none", temp_dir, "tmpfs", 0, "size=16k")) {
		print_message("SKIPPED, NOT TESTED: a full disk (no right to mount one)\n");
		return;
	}
	const hel_weights_origin origin = opened(NULL);
	const bool left = access(partial, F_OK) == 0 || access(cache, F_OK) == 0;
	assert_int_equal(0, umount(temp_dir));
	assert_equal(origin, HEL_WEIGHTS_IN_MEMORY);
	assert_true(!left);
}

/* --- many at once, killed --------------------------------------------------------------------- */

/* What a child process does: no asserts, which belong to the parent. */
static int child_opens(void)
{
	hel_loaded *l;
	int result = 99;
	if (hel_loaded_open(&l, program, params, NULL, &options) != HEL_OK)
		return result;
	result = (int)hel_loaded_origin(l);
	for (size_t i = 0; i < l->weights; i++)
		if (memcmp(l->weight[i].pt.data, heap->weight[i].pt.data,
			   4 * hel_weight_words(&l->weight[i].pt)) != 0)
			result = 98;
	hel_loaded_free(l);
	return result;
}

static void test_race_of_processes(void **state)
{
	(void)state;
	enum { CHILDREN = 5 };
	for (int round = 0; round < 8; round++) {
		pid_t child[CHILDREN];
		int gate[2], count[100] = {0};
		have_cache();
		if (round % 2)
			flip(5000, 0);
		else
			unlink(cache);
		assert_int_equal(0, pipe(gate));
		for (int i = 0; i < CHILDREN; i++)
			if ((child[i] = fork()) == 0) {
				char c;
				close(gate[1]);
				(void)!read(gate[0], &c, 1);
				_exit(child_opens());
			}
		close(gate[0]);
		close(gate[1]); /* go */
		for (int i = 0; i < CHILDREN; i++) {
			int status;
			assert_int_equal(child[i], waitpid(child[i], &status, 0));
			assert_true(WIFEXITED(status));
			assert_less(WEXITSTATUS(status), 100);
			count[WEXITSTATUS(status)]++;
		}
		/* one made it, the others share it */
		assert_int_equal(1, count[HEL_WEIGHTS_WRITTEN]);
		assert_int_equal(CHILDREN - 1, count[HEL_WEIGHTS_MAPPED]);
		assert_less(access(partial, F_OK), 0);
	}
}

static void *thread_opens(void *arg)
{
	*(int *)arg = child_opens();
	return NULL;
}

static void test_race_of_threads(void **state)
{
	(void)state;
	pthread_t thread[4];
	int result[4], made = 0;
	unlink(cache);
	for (int i = 0; i < 4; i++)
		assert_int_equal(0, pthread_create(&thread[i], NULL, thread_opens, &result[i]));
	for (int i = 0; i < 4; i++) {
		pthread_join(thread[i], NULL);
		assert_true(result[i] == HEL_WEIGHTS_WRITTEN || result[i] == HEL_WEIGHTS_MAPPED);
		made += result[i] == HEL_WEIGHTS_WRITTEN;
	}
	assert_int_equal(1, made);
}

static void test_killed_writer(void **state)
{
	(void)state;
	hel_prng g;
	unsigned left = 0;
	test_prng(&g, 10);
	for (int round = 0; round < 40; round++) {
		unlink(cache);
		const pid_t child = fork();
		if (child == 0)
			_exit(child_opens());
		usleep((useconds_t)(hel_prng_u64(&g) % 12000));
		kill(child, SIGKILL);
		assert_int_equal(child, waitpid(child, NULL, 0));
		left += access(partial, F_OK) == 0;
		const hel_weights_origin origin = opened(NULL);
		assert_true(origin == HEL_WEIGHTS_WRITTEN || origin == HEL_WEIGHTS_MAPPED);
		assert_equal(access(cache, F_OK), 0);
		if (origin == HEL_WEIGHTS_WRITTEN)
			assert_less(access(partial, F_OK), 0);
	}
	print_message("killed while writing: %u of 40\n", left);
}

static void test_cancelled(void **state)
{
	(void)state;
	hel_loaded *l = NULL;
	atomic_bool stop = true;
	const hel_load_options o = {.cache = cache, .stop = &stop};
	unlink(cache);
	assert_status(HEL_ECANCEL, hel_loaded_open(&l, program, params, pool, &o));
	assert_less(access(cache, F_OK), 0);
	assert_less(access(partial, F_OK), 0);
	/* also while it waits for another */
	int fd = open(partial, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(0, flock(fd, LOCK_EX));
	assert_status(HEL_ECANCEL, hel_loaded_open(&l, program, params, pool, &o));
	close(fd);
	assert_null(l);
	unlink(partial);
}

/* --- memory -------------------------------------------------------------------------------- */

static void test_every_allocation_fails(void **state)
{
	(void)state;
	for (int there = 0; there < 2; there++) {
		long n = 1;
		for (;; n++) {
			hel_loaded *l = NULL;
			have_cache();
			if (!there)
				unlink(cache);
			hel_alloc_fail_at(n);
			const hel_status st = hel_loaded_open(&l, program, params, NULL, &options);
			hel_alloc_fail_at(0);
			assert_less(access(partial, F_OK), 0);
			if (st == HEL_OK) {
				assert_same(heap, l);
				hel_loaded_free(l);
				break;
			}
			assert_status(HEL_ENOMEM, st);
			assert_null(l);
			assert_int_equal(there, access(cache, F_OK) == 0);
		}
		print_message("%ld failures\n", n - 1);
		assert_more(n, 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same_results),    cmocka_unit_test(test_each_once),
	    cmocka_unit_test(test_flipped_bits),    cmocka_unit_test(test_other_sizes),
	    cmocka_unit_test(test_short_head),	    cmocka_unit_test(test_of_something_else),
	    cmocka_unit_test(test_left_alone),	    cmocka_unit_test(test_no_rights),
	    cmocka_unit_test(test_no_room),	    cmocka_unit_test(test_race_of_processes),
	    cmocka_unit_test(test_race_of_threads), cmocka_unit_test(test_killed_writer),
	    cmocka_unit_test(test_cancelled),	    cmocka_unit_test(test_every_allocation_fails),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
