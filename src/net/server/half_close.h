/* half_close.h -- clients that have said that nothing more will come, and wait for the answer. */
#ifndef HEL_SERVER_HALF_CLOSE_H
#define HEL_SERVER_HALF_CLOSE_H

#include <stdbool.h>

/** Puts a pipe between a suspended connection of libmicrohttpd and its half-closed socket: the
 *  library would take the end of reading for the end of the connection. The descriptor keeps its
 *  number; the answer is copied by a thread of its own, which ends with the connection. False: out
 * of descriptors or threads; nothing has changed. */
bool hel_half_close_hide(int fd);

#endif
