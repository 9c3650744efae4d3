#include "fleet_open.h"
#include "net/server/log.h"

#define PATIENCE                                                                                   \
	2 /* seconds a transaction may take: longer ones are the client's, who tries again */

static void close_fleet(hel_fleet *f)
{
	hel_shared *s = hel_shared_of(f);
	hel_objects_close(s->objects);
	hel_pg_close(s->pg);
	hel_free(s);
}

static const hel_fleet_calls calls = {
    .close = close_fleet,
    .find = hel_fleet_find,
    .create = hel_fleet_create,
    .piece = hel_fleet_piece,
    .fetch = hel_fleet_fetch,
    .ready = hel_fleet_ready,
    .restart = hel_fleet_restart,
    .remove = hel_fleet_remove,
    .used = hel_fleet_used,
    .clock = hel_fleet_clock,
    .tick = hel_fleet_tick,
    .job_begin = hel_fleet_job_begin,
    .job_keep = hel_fleet_job_keep,
    .job_end = hel_fleet_job_end,
    .job_give = hel_fleet_job_give,
    .job_look = hel_fleet_job_look,
    .job_cancel = hel_fleet_job_cancel,
    .job_take = hel_fleet_job_take,
};

hel_status hel_fleet_open(hel_fleet **out, const hel_settings *settings, hel_counters *metrics)
{
	hel_status st = HEL_OK;
	hel_shared *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->fleet.call = &calls;
	s->settings = settings;
	s->metrics = metrics;
	hel_random_bytes(s->server, sizeof s->server);
	TRY(hel_pg_open(&s->pg, settings->registry, PATIENCE));
	TRY(hel_fleet_tables(s->pg));
	TRY(hel_objects_open(&s->objects, &(hel_objects_options){
					      .where = settings->store,
					      .endpoint = settings->store_endpoint,
					      .region = settings->store_region,
					      .encryption = settings->store_encryption,
					  }));
	*out = &s->fleet;
	s = NULL;
done:
	if (s)
		close_fleet(&s->fleet);
	return st;
}
