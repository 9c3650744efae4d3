/* connection.h -- TCP connections and when their present phase must be over. */
#ifndef HEL_SERVER_CONNECTION_H
#define HEL_SERVER_CONNECTION_H

#include "request.h"
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>

#define HEL_NEVER 1e300

typedef struct hel_connection {
	int fd;
	uint8_t address[16]; /* IPv4 mapped into IPv6; of IPv6 the network of 64 bits */
	double deadline;
	bool cut;
	bool busy; /* with a request; its head came to its end */
	struct hel_connection *next, *previous;
} hel_connection;

typedef struct hel_connections {
	pthread_mutex_t lock;
	hel_connection *first;
	size_t count;
} hel_connections;

/** One begins or ends: MHD_NotifyConnectionCallback. */
void hel_connection_event(void *service, struct MHD_Connection *connection, void **socket,
			  enum MHD_ConnectionNotificationCode event);
/** MHD_AcceptPolicyCallback: not more than so many of one address. For one more the oldest that has
 *  asked nothing is cut, so that silence keeps nobody out. */
enum MHD_Result hel_connection_accept(void *service, const struct sockaddr *address,
				      socklen_t size);
/** A request begins or is over. */
void hel_connection_busy(hel_request *r, bool busy);
/** Seconds from now in which the request's present phase must be over. */
void hel_connection_deadline(hel_request *r, double seconds);
/** What a client may take for so many bytes. */
double hel_transfer_seconds(const hel_service *s, uint64_t bytes);
void hel_connections_cut_slow(hel_service *s, double now);

#endif
