/* Training from a cache: it repeats, it survives being killed, it stops early. */
#include "../features/rowfile.h"
#include "model/accuracy.h"
#include "model/dlrm.h"
#include "model/ensemble.h"
#include "model/fit.h"
#include "model/model_file.h"
#include "model/network.h"
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS 20000

static hel_cache *cache;

static int setup(void **state)
{
	bool made;
	if (temp_dir_make(state))
		return -1;
	make_criteo(temp_path("data"), ROWS, 1);
	cache = open_criteo(temp_path("data"), temp_path("cache"), &made);
	return 0;
}

static int teardown(void **state)
{
	hel_cache_free(cache);
	return temp_dir_remove(state);
}

static hel_dlrm_config config(void)
{
	hel_dlrm_config c = hel_dlrm_config_for(hel_dataset_by_name("criteo"));
	c.embedding_dim = 4;
	c.bottom[0] = 4;
	c.top[0] = 16;
	c.training.epochs = 2;
	c.training.validation = 0.1;
	c.plan.threshold = 100;
	c.plan.kind = (hel_embedding){200, 8, 0};
	return c;
}

static hel_dlrm *model(const hel_dlrm_config *c)
{
	hel_schema *s;
	hel_dlrm *m;
	const hel_split split = hel_dlrm_split(c);
	assert_ok(hel_schema_learn(&s, cache, &split, &c->plan, c->clip, NULL));
	assert_ok(hel_dlrm_new(&m, c, s, c->training.seed));
	return m;
}

static hel_dlrm *trained(const hel_dlrm_config *c, hel_fit_report *report, const hel_fit_options *o)
{
	const hel_split split = hel_dlrm_split(c);
	hel_dlrm *m = model(c);
	assert_ok(hel_dlrm_fit(report, m, cache, &split, o));
	return m;
}

static void test_learns_and_repeats(void **state)
{
	(void)state;
	const hel_dlrm_config c = config();
	const hel_split split = hel_dlrm_split(&c);
	hel_fit_report r;
	hel_metrics before, after;
	uint64_t rows;
	hel_pool *pool = hel_pool_new(3);
	hel_dlrm *m = model(&c);
	assert_ok(hel_metrics_of_part(&before, &rows, m, cache, &split, HEL_TEST, NULL));
	hel_dlrm_free(m);
	m = trained(&c, &r, &(hel_fit_options){.quiet = true});
	assert_ok(hel_metrics_of_part(&after, &rows, m, cache, &split, HEL_TEST, pool));
	print_message("AUC %.3f -> %.3f on %u rows, %.0f rows/s\n", before.auc, after.auc,
		      (unsigned)rows, (double)r.rows / r.seconds);
	assert_more(after.auc, 0.68);
	assert_more(after.auc, before.auc + 0.1);
	assert_more(r.best_auc, 0.68);
	assert_more(r.steps, 200);
	hel_dlrm *again = trained(&c, &r, &(hel_fit_options){.quiet = true, .pool = pool});
	assert_memory_equal(m->parameter, again->parameter, m->parameters * sizeof(float));
	hel_dlrm_free(again);
	hel_dlrm_free(m);
	hel_pool_free(pool);
}

static ino_t inode_of(const char *path)
{
	struct stat info;
	return stat(path, &info) ? 0 : info.st_ino;
}

/* Killed again and again, each time after a checkpoint, and resumed: the same weights. */
static void test_killed_and_resumed(void **state)
{
	(void)state;
	const hel_dlrm_config c = config();
	const hel_split split = hel_dlrm_split(&c);
	hel_fit_report r;
	const char *path = temp_path("checkpoint");
	char checkpoint[128];
	snprintf(checkpoint, sizeof checkpoint, "%s", path);
	hel_dlrm *whole = trained(&c, &r, &(hel_fit_options){.quiet = true});
	const uint64_t steps = r.steps;
	bool resume = false;
	int kills = 0;
	for (int i = 0; i < 5; i++) {
		const ino_t before = inode_of(checkpoint);
		const pid_t child = fork();
		if (child == 0) { /* saves after every step */
			hel_dlrm *m = model(&c);
			const hel_fit_options o = {
			    .checkpoint = checkpoint, .resume = resume, .quiet = true};
			_exit(hel_dlrm_fit(&r, m, cache, &split, &o) != HEL_OK);
		}
		/* a new checkpoint is a new file */
		for (int wait = 0; wait < 2000 && inode_of(checkpoint) == before; wait++)
			usleep(10000);
		usleep(50000);
		kill(child, SIGKILL);
		int how;
		assert_int_equal(child, waitpid(child, &how, 0));
		kills += WIFSIGNALED(how);
		assert_true(WIFSIGNALED(how) || WEXITSTATUS(how) == 0);
		resume = resume || access(checkpoint, F_OK) == 0;
	}
	assert_true(resume);
	assert_more(kills, 0);
	hel_dlrm *m =
	    trained(&c, &r,
		    &(hel_fit_options){
			.checkpoint = checkpoint, .interval = 1e9, .resume = true, .quiet = true});
	print_message("%d kills, last resumed after step %u of %u\n", kills, (unsigned)r.resumed,
		      (unsigned)steps);
	assert_more(r.resumed, 0);
	assert_equal(r.steps, steps);
	assert_memory_equal(whole->parameter, m->parameter, m->parameters * sizeof(float));
	hel_dlrm_free(m);

	/* of another training, damaged, cut: refused */
	uint8_t *bytes;
	size_t size;
	const hel_fit_options resumed = {
	    .checkpoint = checkpoint, .interval = 1e9, .resume = true, .quiet = true};
	hel_dlrm_config other = c;
	other.training.rate *= 2;
	m = model(&other);
	assert_status(HEL_EMODEL, hel_dlrm_fit(&r, m, cache, &split, &resumed));
	hel_dlrm_free(m);
	assert_ok(hel_file_read(checkpoint, 1 << 30, &bytes, &size));
	m = model(&c);
	bytes[size / 2] ^= 1;
	assert_ok(hel_file_write(checkpoint, bytes, size, 0644));
	assert_status(HEL_EHASH, hel_dlrm_fit(&r, m, cache, &split, &resumed));
	assert_ok(hel_file_write(checkpoint, bytes, size - 1000, 0644));
	assert_status(HEL_ETRUNC, hel_dlrm_fit(&r, m, cache, &split, &resumed));
	assert_int_equal(0, unlink(checkpoint));
	assert_status(HEL_EIO, hel_dlrm_fit(&r, m, cache, &split, &resumed));
	hel_free(bytes);
	hel_dlrm_free(m);
	hel_dlrm_free(whole);
}

/* A rate that overfits within an epoch: training ends early and the best weights stay. */
static void test_stops_early(void **state)
{
	(void)state;
	hel_dlrm_config c = config();
	const hel_split split = hel_dlrm_split(&c);
	hel_fit_report r;
	hel_metrics metrics;
	c.training.epochs = 30;
	c.training.rate = 2e-2;
	c.training.evaluations = 2;
	c.training.patience = 2;
	hel_dlrm *m = trained(&c, &r, &(hel_fit_options){.quiet = true});
	assert_ok(hel_metrics_of_part(&metrics, NULL, m, cache, &split, HEL_VALIDATION, NULL));
	print_message("stopped after %u steps, AUC %.4f\n", (unsigned)r.steps, r.best_auc);
	assert_true(r.stopped);
	assert_less(r.steps, 30 * 120);
	assert_within(metrics.auc, r.best_auc, 1e-12);
	assert_less(r.best_share * (double)r.planned, (double)r.steps);
	hel_dlrm_free(m);

	/* told beforehand to take a quarter of the steps */
	const hel_split all = {.seed = split.seed, .test = split.test, .validation = 0};
	hel_fit_report once, whole;
	c.training.validation = 0;
	c.training.epochs = 1;
	hel_schema *s;
	assert_ok(hel_schema_learn(&s, cache, &all, &c.plan, c.clip, NULL));
	assert_ok(hel_dlrm_new(&m, &c, s, 1));
	assert_ok(hel_dlrm_fit(&whole, m, cache, &all, &(hel_fit_options){.quiet = true}));
	assert_equal(whole.best_share, 1);
	assert_equal(whole.steps, whole.planned);
	hel_dlrm_free(m);
	assert_ok(hel_schema_learn(&s, cache, &all, &c.plan, c.clip, NULL));
	assert_ok(hel_dlrm_new(&m, &c, s, 1));
	assert_ok(
	    hel_dlrm_fit(&once, m, cache, &all, &(hel_fit_options){.quiet = true, .share = 0.25}));
	assert_within((double)once.steps, 0.25 * (double)whole.steps, 1);
	assert_within(once.best_share, 0.25, 0.01);
	hel_dlrm_free(m);
}

/* Members are what their seeds give alone, whoever trains beside them; the model is their mean. A
 * member that was interrupted goes on, one that was done is not trained again. */
static void test_members(void **state)
{
	(void)state;
	hel_dlrm_config c = config();
	c.members = 3;
	c.training.epochs = 1;
	const hel_split split = hel_dlrm_split(&c);
	const char *first = temp_path("members.0"), *second = temp_path("members.1");
	hel_fit_options o = {.quiet = true, .checkpoint = temp_path("members"), .interval = 1e9};
	hel_fit_report r, own;
	hel_pool *pool = hel_pool_new(3);
	hel_dlrm *m = trained(&c, &r, &o), *member[3];
	uint64_t steps = 0;
	for (uint32_t k = 0; k < 3; k++) {
		hel_dlrm_config one = hel_ensemble_config(&c, k);
		hel_schema *s;
		assert_ok(hel_schema_learn(&s, cache, &split, &c.plan, c.clip, NULL));
		assert_ok(hel_dlrm_new(&member[k], &one, s, one.training.seed));
		assert_ok(hel_dlrm_fit(&own, member[k], cache, &split,
				       &(hel_fit_options){.quiet = true}));
		steps += own.steps;
		assert_unequal(memcmp(member[k]->parameter, member[0]->parameter,
				      member[k]->parameters * sizeof(float)) == 0,
			       k > 0);
	}
	assert_equal(r.steps, steps);
	const size_t block = 0;
	hel_samples s;
	assert_ok(hel_samples_load(&s, m->schema, cache, NULL, &split, HEL_TEST, &block, 1, NULL));
	for (size_t i = 0; i < 20; i++) {
		double all, mean = 0;
		for (size_t k = 0; k < 3; k++) {
			double z;
			assert_ok(hel_dlrm_logit(&z, member[k], s.value + i * s.dense,
						 s.hot + i * s.hots));
			mean += z / 3;
		}
		assert_ok(hel_dlrm_logit(&all, m, s.value + i * s.dense, s.hot + i * s.hots));
		assert_within(all, mean, 1e-12);
	}
	hel_samples_clear(&s);
	o.pool = pool;
	o.resume = true;
	assert_int_equal(0, unlink(second)); /* as if killed before the second was done */
	hel_dlrm *again = trained(&c, &r, &o);
	assert_memory_equal(m->parameter, again->parameter, m->parameters * sizeof(float));
	assert_equal(r.resumed, 2 * steps / 3);
	hel_fit_forget(o.checkpoint, &c);
	assert_unequal(0, access(first, F_OK));
	assert_status(HEL_EIO, hel_dlrm_fit(&r, again, cache, &split, &o));
	for (uint32_t k = 0; k < 3; k++)
		hel_dlrm_free(member[k]);
	hel_dlrm_free(again);
	hel_dlrm_free(m);
	hel_pool_free(pool);
}

static void test_refuses(void **state)
{
	(void)state;
	hel_dlrm_config c = config();
	const hel_split none = {.seed = 1, .test = 1};
	hel_fit_report r;
	hel_metrics metrics;
	hel_dlrm *m = model(&c);
	assert_status(HEL_EINVAL,
		      hel_dlrm_fit(&r, m, cache, &none, &(hel_fit_options){.quiet = true}));
	assert_status(HEL_EINVAL, hel_metrics_of_part(&metrics, NULL, m, cache, &(hel_split){0},
						      HEL_TEST, NULL));
	hel_dlrm_free(m);
}

/* From published rows to a trained model with every allocation failing once: no leak, no crash. */
static hel_status whole_way(const char *data, const char *path)
{
	hel_status st = HEL_OK;
	hel_cache *c = NULL;
	hel_schema *s = NULL;
	hel_dlrm *m = NULL;
	hel_scan_report scan;
	hel_fit_report report;
	bool made;
	hel_dlrm_config k = config();
	k.training.epochs = 1;
	k.training.validation = 0.3;
	const hel_split split = hel_dlrm_split(&k);
	unlink(path);
	TRY(hel_cache_open(&c, &scan, &made, path, hel_dataset_by_name("criteo"), &data, 1, 0,
			   NULL));
	TRY(hel_schema_learn(&s, c, &split, &k.plan, k.clip, NULL));
	TRY(hel_dlrm_new(&m, &k, s, 1));
	s = NULL;
	TRY(hel_dlrm_fit(&report, m, c, &split, &(hel_fit_options){.quiet = true}));
done:
	hel_cache_free(c);
	hel_schema_free(s);
	hel_dlrm_free(m);
	return st;
}

static void test_every_allocation_fails_once(void **state)
{
	(void)state;
	char data[128], path[128];
	snprintf(data, sizeof data, "%s/few", temp_dir);
	snprintf(path, sizeof path, "%s/few.cache", temp_dir);
	make_criteo(data, 150, 3);
	long n = 1;
	for (;; n++) {
		hel_alloc_fail_at(n);
		const hel_status st = whole_way(data, path);
		hel_alloc_fail_at(0);
		if (st == HEL_OK)
			break;
		assert_int_equal(HEL_ENOMEM, st);
	}
	print_message("%ld allocations\n", n - 1);
	assert_more(n, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_learns_and_repeats),
	    cmocka_unit_test(test_killed_and_resumed),
	    cmocka_unit_test(test_stops_early),
	    cmocka_unit_test(test_members),
	    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_every_allocation_fails_once),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
