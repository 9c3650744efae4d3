/* Models' weights: read, encoded or mapped, and given up again when memory asks for it. */
#include "catalog_inside.h"
#include "log.h"
#include "vm/weights_file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *hel_weights_path(char out[WEIGHTS_PATH_MAX], const hel_catalog *c, const char *name)
{
	snprintf(out, WEIGHTS_PATH_MAX, "%s/" WEIGHTS_DIR "/%s.weights", c->settings->data, name);
	return out;
}

/* The loaded model that was used longest ago and that nobody uses now loses its weights. */
static bool unload_one(hel_catalog *c, const hel_model *but)
{
	hel_model *oldest = NULL;
	hel_server *weights = NULL;
	hel_scratch **idle = NULL;
	size_t idle_count = 0;
	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->models; i++) {
		hel_model *m = c->model[i];
		if (m != but && m->server && m->refs == 1 && (!oldest || m->used < oldest->used))
			oldest = m;
	}
	if (oldest) {
		weights = oldest->server;
		oldest->server = NULL;
		idle = oldest->idle;
		idle_count = oldest->idle_count;
		oldest->idle = NULL;
		oldest->idle_count = 0;
		hel_budget_give(c->budget, oldest->weight_bytes);
	}
	pthread_mutex_unlock(&c->lock);
	if (weights)
		hel_log("info", "model_unloaded", "{s:s}", "model", oldest->name);
	hel_server_free(weights);
	for (size_t i = 0; i < idle_count; i++)
		hel_scratch_free(idle[i]);
	hel_free(idle);
	return weights != NULL;
}

static hel_status load(hel_server **out, hel_model *m, bool cache_only)
{
	hel_status st = HEL_OK;
	hel_catalog *c = m->catalog;
	const double start = hel_clock();
	uint8_t *bytes = NULL;
	size_t size;
	hel_server *server = NULL;
	char weights[WEIGHTS_PATH_MAX];
	if (access(m->path, F_OK) != 0 && errno == ENOENT) /* the next look takes it out */
		FAIL(HEL_EBUSY, "the model '%s' is just being removed", m->name);
	TRY(hel_file_read(m->path, HEL_PROGRAM_MAX, &bytes, &size));
	const hel_server_options o = {.params = m->params,
				      .load = {.cache = hel_weights_path(weights, c, m->name),
					       .cache_only = cache_only,
					       .stop = &c->stop}};
	/* by its frame: a replaced file must not be encoded, nor take this one's cache */
	if (size < sizeof m->program ||
	    memcmp(bytes + size - sizeof m->program, m->program, sizeof m->program) != 0)
		FAIL(HEL_EBUSY, "the model '%s' is just being replaced", m->name);
	TRY(hel_server_open(&server, bytes, size, c->pool, &o));
	const hel_loaded *l = hel_server_weights(server);
	hel_count(&c->metrics->models_encoded, hel_loaded_origin(l) != HEL_WEIGHTS_MAPPED);
	hel_observe(&c->metrics->stage_load, hel_clock() - start);
	hel_log("info", "model_loaded", "{s:s, s:f, s:I, s:s}", "model", m->name, "seconds",
		hel_clock() - start, "weight_bytes", (json_int_t)hel_loaded_bytes(l), "weights",
		hel_weights_origin_text(hel_loaded_origin(l)));
	if (*hel_loaded_note(l))
		hel_log("error",
			hel_loaded_origin(l) == HEL_WEIGHTS_IN_MEMORY ? "weights_uncached"
								      : "weights_made_anew",
			"{s:s, s:s}", "model", m->name, "reason", hel_loaded_note(l));
	*out = server;
	server = NULL;
done:
	hel_free(bytes);
	hel_server_free(server);
	return st;
}

bool hel_model_make_room(hel_model *m)
{
	return unload_one(m->catalog, m);
}

/* The last user of weights whose file was damaged lets them go: they are made anew. */
static void drop_damaged_locked(hel_model *m)
{
	if (!hel_loaded_damaged(hel_server_weights(m->server)))
		return;
	hel_log("error", "weights_damaged", "{s:s}", "model", m->name);
	hel_server_free(m->server);
	m->server = NULL;
	hel_budget_give(m->catalog->budget, m->weight_bytes);
}

hel_status hel_model_ready(const hel_server **out, hel_model *m)
{
	hel_status st = HEL_OK;
	hel_catalog *c = m->catalog;
	hel_server *server = NULL;
	bool reserved = false;
	pthread_mutex_lock(&m->loading);
	pthread_mutex_lock(&c->lock);
	m->used = hel_clock();
	if (m->server && !m->users)
		drop_damaged_locked(m);
	if (m->server && hel_loaded_damaged(hel_server_weights(m->server)))
		st = hel_fail(HEL_EBUSY, "the weights of '%s' are made anew", m->name);
	else if (m->server)
		m->users++;
	server = m->server; /* stays while the model is counted: unload_one leaves those alone */
	pthread_mutex_unlock(&c->lock);
	if (server) {
		if (st == HEL_OK)
			*out = server;
		goto done;
	}
	while (!(reserved = hel_budget_take(c->budget, m->weight_bytes)) && unload_one(c, m))
		;
	if (!reserved)
		FAIL(HEL_EBUSY, "no memory for the weights of '%s' now", m->name);
	TRY(load(&server, m, false));
	pthread_mutex_lock(&c->lock);
	m->server = server;
	m->users++;
	pthread_mutex_unlock(&c->lock);
	hel_count(&c->metrics->model_loads, 1);
	*out = server;
done:
	if (st != HEL_OK && reserved)
		hel_budget_give(c->budget, m->weight_bytes);
	pthread_mutex_unlock(&m->loading);
	return st;
}

/* Whether the cache is of this version, as far as its head says. */
static bool has_weights(const hel_model *m)
{
	char path[WEIGHTS_PATH_MAX];
	uint8_t bytes[HEL_WEIGHTS_HEAD_BYTES] = {0};
	struct stat info;
	hel_weights_head h;
	int fd =
	    open(hel_weights_path(path, m->catalog, m->name), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const bool read = fd >= 0 && fstat(fd, &info) == 0 && pread(fd, bytes, sizeof bytes, 0) > 0;
	if (fd >= 0)
		close(fd);
	return read && hel_weights_head_read(&h, bytes, (uint64_t)info.st_size) == HEL_OK &&
	       memcmp(h.program, m->program, sizeof h.program) == 0;
}

void hel_model_prepare(hel_model *m)
{
	hel_catalog *c = m->catalog;
	hel_server *server = NULL;
	const size_t need = 2 * (size_t)m->bytes;
	pthread_mutex_lock(&m->loading);
	pthread_mutex_lock(&c->lock);
	const bool loaded = m->server != NULL;
	pthread_mutex_unlock(&c->lock);
	if (!loaded && !has_weights(m) && hel_budget_take(c->budget, need)) {
		if (load(&server, m, true) != HEL_OK && !atomic_load(&c->stop))
			hel_log("error", "weights_uncached", "{s:s, s:s}", "model", m->name,
				"reason", hel_error_detail());
		hel_server_free(server);
		hel_budget_give(c->budget, need);
	}
	pthread_mutex_unlock(&m->loading);
}

hel_scratch *hel_model_scratch(hel_model *m)
{
	hel_scratch *scratch = NULL;
	pthread_mutex_lock(&m->catalog->lock);
	if (m->idle_count)
		scratch = m->idle[--m->idle_count];
	pthread_mutex_unlock(&m->catalog->lock);
	return scratch ? scratch : hel_scratch_new();
}

bool hel_model_done(hel_model *m, hel_scratch *scratch, double seconds)
{
	pthread_mutex_lock(&m->catalog->lock);
	const bool damaged = hel_loaded_damaged(hel_server_weights(m->server));
	if (!m->idle)
		m->idle = hel_alloc((size_t)m->catalog->settings->workers, sizeof(hel_scratch *));
	if (scratch && m->idle && m->idle_count < m->catalog->settings->workers) {
		m->idle[m->idle_count++] = scratch;
		scratch = NULL;
	}
	if (seconds > 0)
		m->seconds = m->seconds > 0 ? 0.8 * (double)m->seconds + 0.2 * seconds : seconds;
	if (--m->users == 0)
		drop_damaged_locked(m);
	pthread_mutex_unlock(&m->catalog->lock);
	hel_scratch_free(scratch);
	return damaged;
}
