/* The queue of jobs, with keys and models that are made up: who runs when, what is taken in, what
 * ends a job. Jobs "run" as long as the test lets them, and then fail; the clock is the test's. */
#include "../testing.h"
#include "net/server/job.h"
#include <semaphore.h>
#include <unistd.h>

static atomic_int now = 1000;
static sem_t permits;
static const hel_keyset *ran[256];
static atomic_size_t runs;

double __wrap_hel_clock(void);
double __wrap_hel_clock(void)
{
	return atomic_load(&now);
}

hel_status __wrap_hel_model_ready(const hel_server **server, hel_model *m);
hel_status __wrap_hel_model_ready(const hel_server **server, hel_model *m)
{
	(void)m;
	*server = NULL;
	return HEL_OK;
}

void __wrap_hel_model_release(hel_model *m);
void __wrap_hel_model_release(hel_model *m)
{
	(void)m;
}

void __wrap_hel_keyset_release(hel_store *s, hel_keyset *k);
void __wrap_hel_keyset_release(hel_store *s, hel_keyset *k)
{
	(void)s;
	(void)k;
}

void __wrap_hel_store_interrupt(hel_store *s);
void __wrap_hel_store_interrupt(hel_store *s)
{
	(void)s;
}

hel_status __wrap_hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
				 const hel_params *params, const atomic_bool *stop);
hel_status __wrap_hel_store_keys(const hel_keys **out, hel_store *s, hel_keyset *k,
				 const hel_params *params, const atomic_bool *stop)
{
	(void)s;
	(void)params;
	*out = NULL;
	ran[atomic_fetch_add(&runs, 1)] = k;
	while (sem_trywait(&permits)) {
		if (atomic_load(stop))
			return hel_fail(HEL_ECANCEL, "stopped");
		usleep(200);
	}
	return hel_fail(HEL_EIO, "it ran");
}

enum { CUSTOMERS = 3 };

static hel_settings settings;
static hel_counters counters;
static hel_budget budget;
static hel_queue *queue;
static hel_manifest manifest;
static hel_model model[CUSTOMERS];
static hel_keyset session[CUSTOMERS];
static const char *const name[CUSTOMERS] = {"a", "b", "c"};
static double retry;

static void wake(void *arg)
{
	(void)arg;
}

static int setup(void **state)
{
	(void)state;
	sem_init(&permits, 0, 0);
	runs = 0;
	settings = (hel_settings){.workers = 1,
				  .evaluation_threads = 1,
				  .queue = 400,
				  .session_queue = 400,
				  .query_seconds = 60,
				  .gone_seconds = 5,
				  .result_seconds = 30};
	hel_budget_init(&budget, 1 << 20);
	for (int i = 0; i < CUSTOMERS; i++) {
		model[i] = (hel_model){.manifest = &manifest, .seconds = 0.1};
		session[i] = (hel_keyset){.expanded = 1};
		session[i].id[0] = (uint8_t)(i + 1);
	}
	assert_ok(hel_queue_open(&queue, &settings, NULL, &budget, &counters, wake, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hel_queue_close(queue);
	assert_int_equal(0, budget.used);
	sem_destroy(&permits);
	return 0;
}

static hel_status submit_as(hel_job **job, int who, const char *idempotency, uint8_t content,
			    bool attended, uint64_t most)
{
	hel_submission s = {.keys = &session[who],
			    .model = &model[who],
			    .size = 64,
			    .idempotency = idempotency,
			    .attended = attended,
			    .customer = name[who],
			    .customer_queue = most};
	s.query = hel_alloc(s.size, 1);
	assert_non_null(s.query);
	memset(s.query, content, s.size);
	const hel_status st = hel_queue_submit(job, queue, &s, &retry);
	if (st != HEL_OK)
		hel_free(s.query);
	return st;
}

static hel_job *submit(int who)
{
	hel_job *job = NULL;
	assert_ok(submit_as(&job, who, "", 1, false, 0));
	return job;
}

/* Waits until so many have begun: a worker takes one as soon as it is free. */
static void wait_for_runs(size_t count)
{
	for (int i = 0; atomic_load(&runs) < count; i++) {
		assert_less(i, 100000);
		usleep(200);
	}
}

/* One that the idle worker takes. */
static hel_job *submit_running(int who)
{
	hel_job *job = submit(who);
	wait_for_runs(1);
	return job;
}

static void wait_until_done(const hel_job *job)
{
	for (int i = 0; hel_job_where(queue, job) != HEL_JOB_DONE; i++) {
		assert_less(i, 100000);
		usleep(200);
	}
}

static void run_all(size_t count)
{
	for (size_t i = 0; i < count; i++)
		sem_post(&permits);
	for (int i = 0; hel_queue_busy(queue); i++) {
		assert_less(i, 100000);
		usleep(200);
	}
}

/* How many of the runs [first, first + count) were a customer's. */
static size_t share_of(int who, size_t first, size_t count)
{
	size_t n = 0;
	for (size_t i = first; i < first + count; i++)
		n += ran[i] == &session[who];
	return n;
}

/* Who came first with forty has no more of the worker than who came later. */
static void test_fair(void **state)
{
	(void)state;
	for (int i = 0; i < 40; i++)
		hel_job_release(queue, submit(0));
	wait_for_runs(1);
	for (int i = 0; i < 40; i++)
		hel_job_release(queue, submit(1));
	run_all(80);
	assert_int_equal(80, atomic_load(&runs));
	for (size_t first = 1; first + 10 <= 79; first += 10)
		assert_in_range(share_of(0, first, 10), 4, 6);
}

/* Shares are of time: one whose queries take three times as long has a third as many. */
static void test_shares_are_time(void **state)
{
	(void)state;
	model[0].seconds = 0.3;
	for (int i = 0; i < 40; i++)
		hel_job_release(queue, submit(0));
	wait_for_runs(1);
	for (int i = 0; i < 40; i++)
		hel_job_release(queue, submit(1));
	run_all(80);
	assert_in_range(share_of(1, 1, 40), 29, 31);
}

/* Who comes when others have had much begins where they are, and does not catch up. */
static void test_newcomer(void **state)
{
	(void)state;
	for (int i = 0; i < 30; i++)
		for (int who = 0; who < 2; who++)
			hel_job_release(queue, submit(who));
	for (int i = 0; i < 20; i++)
		sem_post(&permits);
	wait_for_runs(21);
	for (int i = 0; i < 20; i++)
		hel_job_release(queue, submit(2));
	run_all(60);
	assert_in_range(share_of(2, 21, 30), 9, 11);
}

/* One customer has at most what is left free; a session and a customer their own limits. */
static void test_admission(void **state)
{
	(void)state;
	hel_job *job;
	settings.queue = 8;
	size_t taken[CUSTOMERS] = {0};
	for (int who = 0; who < CUSTOMERS; who++)
		while (submit_as(&job, who, "", 1, false, 0) == HEL_OK) {
			hel_job_release(queue, job);
			taken[who]++;
		}
	assert_int_equal(4, taken[0]);
	assert_int_equal(2, taken[1]);
	assert_int_equal(1, taken[2]);
	assert_at_least(retry, 1);
	settings.queue = 400;
	settings.session_queue = 5;
	assert_ok(submit_as(&job, 0, "", 1, false, 0));
	hel_job_release(queue, job);
	assert_status(HEL_EBUSY, submit_as(&job, 0, "", 1, false, 0));
	assert_status(HEL_EBUSY, submit_as(&job, 1, "", 1, false, 2));
	model[1].run_bytes = 1 << 20; /* with the keys more than all memory */
	assert_status(HEL_ELIMIT, submit_as(&job, 1, "", 1, false, 0));
	model[1].run_bytes = 0;
	run_all(8);
}

static void test_cancellation(void **state)
{
	(void)state;
	hel_job *running = submit_running(0), *waiting = submit(0), *other = submit(1);
	char id[HEL_JOB_ID_CHARS + 1];
	assert_int_equal(HEL_JOB_RUNNING, hel_job_where(queue, running));
	assert_int_equal(HEL_JOB_QUEUED, hel_job_where(queue, waiting));
	memcpy(id, waiting->id, sizeof id);
	assert_ok(hel_job_cancel(queue, waiting)); /* at once */
	assert_int_equal(HEL_JOB_DONE, hel_job_where(queue, waiting));
	assert_int_equal(HEL_ECANCEL, waiting->status);
	assert_string_equal("cancelled by the client", waiting->detail);
	hel_job *found;
	assert_status(HEL_EDENIED, hel_queue_find(&found, queue, &session[0], id));
	/* another's */
	assert_status(HEL_EDENIED, hel_queue_find(&found, queue, &session[1], running->id));
	hel_queue_cancel_all(queue, &session[0]); /* what runs, as soon as it looks */
	wait_until_done(running);
	assert_int_equal(HEL_ECANCEL, running->status);
	assert_string_equal("the session was removed", running->detail);
	wait_for_runs(2);
	run_all(1);
	assert_int_equal(HEL_EIO, other->status); /* it ran */
	assert_ptr_equal(&session[1], ran[1]);
	hel_job_release(queue, running);
	hel_job_release(queue, waiting);
	hel_job_release(queue, other);
}

static void test_deadlines(void **state)
{
	(void)state;
	hel_job *blocker = submit_running(0), *late = submit(1), *alone, *kept;
	char id[HEL_JOB_ID_CHARS + 1];
	now += 50;
	assert_ok(submit_as(&alone, 2, "", 1, true, 0));
	assert_false(hel_job_poll(queue, alone, true));
	hel_queue_sweep(queue);
	assert_int_equal(HEL_JOB_QUEUED, hel_job_where(queue, late));
	now += 6; /* longer than gone_seconds, but somebody waits */
	hel_queue_sweep(queue);
	assert_int_equal(HEL_JOB_QUEUED, hel_job_where(queue, alone));
	hel_job_unwait(queue, alone);
	now += 3;
	hel_queue_sweep(queue);
	assert_int_equal(HEL_JOB_QUEUED, hel_job_where(queue, alone));
	now += 3;
	hel_queue_sweep(queue);
	assert_int_equal(HEL_ECANCEL, alone->status);
	assert_string_equal("its client has gone", alone->detail);
	assert_int_equal(HEL_ECANCEL, late->status); /* 62 of 60 seconds */
	assert_non_null(strstr(late->detail, "took longer"));
	wait_until_done(blocker); /* it ran as long */
	assert_int_equal(HEL_ECANCEL, blocker->status);
	kept = submit(2);
	memcpy(id, kept->id, sizeof id);
	run_all(1);
	hel_job_release(queue, kept);
	now += 29;
	hel_queue_sweep(queue);
	assert_ok(hel_queue_find(&kept, queue, &session[2], id));
	assert_non_null(kept);
	hel_job_release(queue, kept);
	now += 2; /* result_seconds are over */
	hel_queue_sweep(queue);
	assert_status(HEL_EDENIED, hel_queue_find(&kept, queue, &session[2], id));
	hel_job_release(queue, blocker);
	hel_job_release(queue, late);
	hel_job_release(queue, alone);
}

/* A client that was away comes back: in time to its query, too late to a new one, never to one that
 * is given up. */
static void test_back_again(void **state)
{
	(void)state;
	hel_job *first, *again, *late;
	assert_ok(submit_as(&first, 0, "key", 1, true, 0));
	wait_for_runs(1);
	assert_false(hel_job_poll(queue, first, true));
	hel_job_unwait(queue, first);
	now += 4;
	assert_ok(submit_as(&again, 0, "key", 1, true, 0));
	assert_ptr_equal(again, first);
	now += 4; /* longer than gone_seconds, since it went */
	hel_queue_sweep(queue);
	assert_int_equal(HEL_JOB_RUNNING, hel_job_where(queue, first));
	assert_false(hel_job_poll(queue, first, true));
	hel_job_unwait(queue, first);
	now += 6;
	hel_queue_sweep(queue);
	assert_ok(
	    submit_as(&late, 0, "key", 1, true, 0)); /* while the first one is being stopped */
	assert_ptr_not_equal(late, first);
	wait_until_done(first);
	run_all(1);
	assert_int_equal(HEL_ECANCEL, first->status);
	assert_int_equal(HEL_EIO, late->status); /* it ran */
	hel_job_release(queue, first);
	hel_job_release(queue, again);
	hel_job_release(queue, late);
}

static void test_idempotency(void **state)
{
	(void)state;
	hel_job *blocker = submit_running(1), *first, *again, *other;
	assert_ok(submit_as(&first, 0, "key", 1, false, 0));
	assert_ok(submit_as(&again, 0, "key", 1, false, 0));
	assert_ptr_equal(first, again);
	assert_status(HEL_EINVAL, submit_as(&other, 0, "key", 2, false, 0));
	assert_ok(submit_as(&other, 2, "key", 2, false, 0)); /* another session's key */
	assert_ptr_not_equal(first, other);
	assert_int_equal(3, hel_queue_busy(queue));
	run_all(3);
	hel_job_release(queue, again);
	/* what failed may be tried again */
	assert_ok(submit_as(&again, 0, "key", 2, false, 0));
	assert_ptr_not_equal(first, again);
	run_all(1);
	hel_job_release(queue, blocker);
	hel_job_release(queue, first);
	hel_job_release(queue, again);
	hel_job_release(queue, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_fair, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_shares_are_time, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_newcomer, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_admission, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_cancellation, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_deadlines, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_back_again, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_idempotency, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
