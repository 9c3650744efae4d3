#include "answer.h"
#include "http.h"
#include "routes.h"
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

void hel_health_end(hel_request *r)
{
	hel_answer_json(r, 200, json_pack("{s:s}", "status", "alive"));
}

void hel_ready_end(hel_request *r)
{
	hel_model **models;
	size_t count = 0;
	char refused[512], none[600];
	const bool leaving = atomic_load(&r->s->leaving);
	if (hel_catalog_all(&models, &count, r->s->catalog) == HEL_OK) {
		for (size_t i = 0; i < count; i++)
			hel_model_release(models[i]);
		hel_free(models);
	}
	hel_catalog_refusals(refused, sizeof refused, r->s->catalog);
	snprintf(none, sizeof none, "no model in service%s%s", *refused ? ": " : "", refused);
	if (leaving || !count)
		hel_answer_problem(r, 503, "not_ready", leaving ? "shutting down" : none, 2);
	else
		hel_answer_json(r, 200,
				json_pack("{s:s, s:i, s:s}", "status", "ready", "models",
					  (int)count, "refused", refused));
}

static bool from_this_machine(hel_request *r)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *a = info ? info->client_addr : NULL;
	if (a && a->sa_family == AF_INET)
		return *(const uint8_t *)&((const struct sockaddr_in *)(const void *)a)->sin_addr ==
		       127;
	return a && a->sa_family == AF_INET6 &&
	       IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr);
}

void hel_metrics_end(hel_request *r)
{
	hel_service *s = r->s;
	hel_gauges g = {.memory_reserved = atomic_load(&s->budget.used),
			.memory_limit = s->budget.limit};
	size_t size;
	/* a proxy on this machine speaks for others */
	const bool forwarded =
	    s->settings.behind_proxy && hel_request_header(r, "X-Forwarded-For") != NULL;
	if (!s->settings.public_metrics && (forwarded || !from_this_machine(r))) {
		hel_answer_problem(r, 403, "denied",
				   "metrics are for this machine; see public-metrics", 0);
		return;
	}
	hel_store_gauges(s->store, &g);
	hel_queue_gauges(s->queue, &g);
	pthread_mutex_lock(&s->connections.lock);
	g.connections = s->connections.count;
	pthread_mutex_unlock(&s->connections.lock);
	hel_model **models;
	if (hel_catalog_all(&models, &size, s->catalog) == HEL_OK) {
		g.models = size;
		for (size_t i = 0; i < size; i++)
			hel_model_release(models[i]);
		hel_free(models);
	}
	g.models_loaded = hel_catalog_loaded(s->catalog);
	char *text = hel_counters_text(&s->metrics, &g, &size);
	if (text)
		hel_answer_bytes(r, 200, "text/plain; version=0.0.4", text, size);
	else
		hel_answer_failure(r, HEL_ENOMEM, 0);
	free(text);
}
