#include "http.h"
#include "log.h"
#include "notify.h"
#include "takeover.h"
#include "wait.h"
#include <time.h>
#include <unistd.h>

hel_status hel_service_check(const hel_settings *settings)
{
	hel_status st = HEL_OK;
	hel_tls *tls = NULL;
	hel_api_key *keys = NULL;
	hel_page *page = NULL;
	size_t count;
	TRY(hel_settings_check(settings));
	TRY(hel_page_open(&page, settings->web));
	TRY(hel_tls_open(&tls, settings));
	TRY(hel_api_keys_read(&keys, &count, settings->api_keys));
done:
	hel_free(keys);
	hel_page_close(page);
	hel_tls_close(tls);
	return st;
}

/* What a fleet shares is asked by a thread of its own: it may be out of reach. */
static void *keep_shared(void *arg)
{
	hel_service *s = arg;
	while (!atomic_load(&s->keeper_stops)) {
		hel_store_sweep(s->store, hel_clock());
		hel_take_over(s);
		for (int i = 0; i < 10 && !atomic_load(&s->keeper_stops); i++) {
			hel_queue_share(s->queue);
			nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		}
	}
	return NULL;
}

static hel_status start_keeper(hel_service *s)
{
	if (!hel_store_fleet(s->store))
		return HEL_OK;
	if (pthread_create(&s->keeper, NULL, keep_shared, s))
		return hel_fail(HEL_ENOMEM, "cannot start a thread");
	s->kept = true;
	return HEL_OK;
}

hel_status hel_service_open(hel_service **out, const hel_settings *settings, hel_pool *pool)
{
	hel_status st = HEL_OK;
	hel_service *s = NULL;
	TRY(hel_random_init());
	TRY(hel_settings_check(settings));
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->settings = *settings;
	pthread_mutex_init(&s->connections.lock, NULL);
	pthread_mutex_init(&s->waiting.lock, NULL);
	pthread_mutex_init(&s->authority.lock, NULL);
	pthread_mutex_init(&s->verifier.lock, NULL);
	pthread_cond_init(&s->verifier.work, NULL);
	if (!s->settings.workers)
		s->settings.workers = (uint64_t)HEL_MAX(1, sysconf(_SC_NPROCESSORS_ONLN));
	hel_budget_init(&s->budget, (size_t)s->settings.memory << 20);
	TRY(hel_counters_init(&s->metrics));
	TRY(hel_store_open(&s->store, &s->settings, &s->metrics)); /* makes and locks the data */
	TRY(hel_catalog_open(&s->catalog, &s->settings, &s->budget, &s->metrics, pool));
	TRY(hel_queue_open(&s->queue, &s->settings, s->store, &s->budget, &s->metrics,
			   hel_wait_wake, s));
	s->swept = hel_clock();
	TRY(start_keeper(s));
	TRY(hel_http_open(s));
	hel_log("info", "listening", "{s:s, s:i, s:b, s:i, s:I, s:s}", "address",
		s->settings.listen, "port", (int)s->port, "tls", s->tls != NULL, "workers",
		(int)s->settings.workers, "memory_bytes", (json_int_t)s->budget.limit, "version",
		HELRM_VERSION);
	hel_notify("READY=1");
	*out = s;
	s = NULL;
done:
	if (st != HEL_OK)
		hel_service_close(s);
	return st;
}

void hel_service_tick(hel_service *s, bool reload)
{
	const double now = hel_clock();
	hel_queue_sweep(s->queue);
	hel_http_tick(s);
	if (reload) {
		hel_notify("RELOADING=1");
		if (hel_tls_reload(s->tls) != HEL_OK)
			hel_log("error", "certificate_refused", "{s:s}", "reason",
				hel_error_detail());
		if (hel_authorize_load(s) != HEL_OK)
			hel_log("error", "api_keys_refused", "{s:s}", "reason", hel_error_detail());
		hel_catalog_look(s->catalog);
		hel_log("info", "reload", "{}");
		hel_notify("READY=1");
	}
	if (now - s->swept >= 1 && !hel_store_fleet(s->store)) {
		s->swept = now;
		hel_store_sweep(s->store, now);
	}
}

/* Load balancers see /readyz and stop sending before nobody listens any more. */
static void announce(hel_service *s)
{
	const double until = hel_clock() + (double)s->settings.announce_seconds;
	atomic_store(&s->leaving, true);
	while (s->daemon && hel_clock() < until) {
		hel_service_tick(s, false);
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
	}
}

void hel_service_close(hel_service *s)
{
	if (!s)
		return;
	hel_notify("STOPPING=1");
	announce(s);
	const double deadline = hel_clock() + (double)s->settings.drain_seconds;
	atomic_store(&s->draining, true);
	if (s->daemon) {
		int listening = MHD_quiesce_daemon(s->daemon);
		if (listening >= 0)
			close(listening);
		hel_log("info", "draining", "{s:i}", "queries", (int)hel_queue_busy(s->queue));
		while (hel_queue_busy(s->queue) && hel_clock() < deadline) {
			hel_queue_sweep(s->queue);
			hel_http_tick(s);
			nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		}
	}
	hel_catalog_stop(s->catalog);
	hel_http_close(s);
	atomic_store(&s->keeper_stops, true);
	if (s->kept)
		pthread_join(s->keeper, NULL);
	hel_queue_close(s->queue);
	hel_store_close(s->store);
	hel_catalog_close(s->catalog);
	hel_counters_clear(&s->metrics);
	pthread_cond_destroy(&s->verifier.work);
	pthread_mutex_destroy(&s->verifier.lock);
	pthread_mutex_destroy(&s->authority.lock);
	pthread_mutex_destroy(&s->waiting.lock);
	pthread_mutex_destroy(&s->connections.lock);
	hel_log("info", "stopped", "{}");
	hel_free(s);
}
