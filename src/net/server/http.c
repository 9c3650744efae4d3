#include "http.h"
#include "log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static void on_mhd_message(void *cls, const char *format, va_list list)
{
	char text[256];
	(void)cls;
	vsnprintf(text, sizeof text, format, list);
	text[strcspn(text, "\n")] = 0;
	hel_log("debug", "http", "{s:s}", "message", hel_is_text(text) ? text : "?");
}

/* MHD logs every malformed request and every broken handshake: too much to keep. */
static void no_message(void *cls, const char *format, va_list list)
{
	(void)cls;
	(void)format;
	(void)list;
}

static hel_status read_pem(char **out, const char *path)
{
	uint8_t *bytes = NULL;
	size_t size;
	hel_status st = *path ? hel_file_read(path, 1u << 20, &bytes, &size) : HEL_OK;
	*out = (char *)bytes;
	return st;
}

static hel_status start_daemon(hel_service *s, const struct sockaddr *address, bool six)
{
	const hel_settings *set = &s->settings;
	struct MHD_OptionItem options[16];
	size_t n = 0;
#define OPTION(name, number, pointer)                                                              \
	options[n++] =                                                                             \
	    (struct MHD_OptionItem){name, (intptr_t)(number), (void *)(uintptr_t)(pointer)}
	OPTION(MHD_OPTION_SOCK_ADDR, 0, address);
	OPTION(MHD_OPTION_THREAD_POOL_SIZE, set->io_threads, 0);
	OPTION(MHD_OPTION_CONNECTION_LIMIT, set->connections, 0);
	OPTION(MHD_OPTION_CONNECTION_MEMORY_LIMIT, 64 << 10, 0);
	OPTION(MHD_OPTION_STRICT_FOR_CLIENT, 1, 0);
	OPTION(MHD_OPTION_LISTEN_BACKLOG_SIZE, 511, 0);
	if (s->tls) {
		OPTION(MHD_OPTION_HTTPS_CERT_CALLBACK, 0, hel_tls_retrieve);
		OPTION(MHD_OPTION_HTTPS_PRIORITIES, 0,
		       "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2");
	}
	if (s->ca)
		OPTION(MHD_OPTION_HTTPS_MEM_TRUST, 0, s->ca);
	OPTION(MHD_OPTION_END, 0, NULL);
#undef OPTION
	/* poll, not epoll: MHD 0.9.75 misses the end of a connection in the middle of a body there
	 */
	const unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG |
			       MHD_ALLOW_SUSPEND_RESUME | (six ? MHD_USE_IPv6 : 0) |
			       (s->tls ? MHD_USE_TLS : 0);
	s->daemon = MHD_start_daemon(
	    flags, 0, hel_connection_accept, s, hel_request_handle, s, MHD_OPTION_EXTERNAL_LOGGER,
	    getenv("HELRM_LOG_HTTP") ? on_mhd_message : no_message, NULL,
	    MHD_OPTION_NOTIFY_COMPLETED, hel_request_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
	    hel_connection_event, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	return s->daemon ? HEL_OK
			 : hel_fail(HEL_EIO, "cannot listen on %s: %s", set->listen,
				    errno ? strerror(errno) : "the address is not usable");
}

hel_status hel_http_open(hel_service *s)
{
	hel_status st = HEL_OK;
	char host[64];
	uint16_t port;
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	hel_random_bytes(&s->instance, sizeof s->instance);
	hel_random_bytes(s->authority.address_key, sizeof s->authority.address_key);
	TRY(hel_authorize_load(s));
	TRY(hel_tls_open(&s->tls, &s->settings));
	TRY(read_pem(&s->ca, s->settings.client_ca));
	TRY(hel_page_open(&s->page, s->settings.web));
	TRY(hel_settings_address(host, sizeof host, &port, s->settings.listen));
	const bool is_six = strchr(host, ':') != NULL;
	four.sin_port = six.sin6_port = htons(port);
	inet_pton(is_six ? AF_INET6 : AF_INET, host,
		  is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr);
	TRY(hel_verifier_start(s, hel_wait_wake));
	errno = 0;
	TRY(start_daemon(s, is_six ? (const void *)&six : (const void *)&four, is_six));
	const union MHD_DaemonInfo *info =
	    MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	s->port = info ? info->port : port;
done:
	return st;
}

void hel_http_tick(hel_service *s)
{
	hel_wait_find_gone(s);
	hel_connections_cut_slow(s, hel_clock());
	hel_wait_wake(s);
}

/* Requests in progress have been answered, or are answered now; MHD sends what is queued. */
void hel_http_close(hel_service *s)
{
	atomic_store(&s->closing, true);
	for (unsigned i = 0; s->daemon && i < 50; i++) {
		hel_wait_wake(s);
		pthread_mutex_lock(&s->waiting.lock);
		const bool idle = !s->waiting.first;
		pthread_mutex_unlock(&s->waiting.lock);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		if (idle)
			break;
	}
	hel_verifier_stop(&s->verifier);
	hel_wait_wake(s);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	hel_tls_close(s->tls);
	hel_page_close(s->page);
	hel_free(s->ca);
	hel_free(s->authority.key);
}
