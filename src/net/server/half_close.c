#include "half_close.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#define STALL_SECONDS 60 /* a client that reads nothing for so long has gone */

typedef struct ends {
	int from, to;
} ends;

static bool write_all(int fd, const uint8_t *bytes, ssize_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		bytes += n > 0 ? n : 0;
		size -= n > 0 ? n : 0;
	}
	return true;
}

static void *copy(void *arg)
{
	const ends e = {(int)((uintptr_t)arg >> 32), (int)((uintptr_t)arg & UINT32_MAX)};
	uint8_t bytes[16384];
	for (ssize_t n; (n = recv(e.from, bytes, sizeof bytes, 0)) != 0;)
		if ((n < 0 && errno != EINTR) || (n > 0 && !write_all(e.to, bytes, n)))
			break;
	shutdown(e.to, SHUT_WR);
	close(e.from);
	close(e.to);
	return NULL;
}

bool hel_half_close_hide(int fd)
{
	int pair[2] = {-1, -1};
	pthread_t thread;
	const struct timeval stall = {.tv_sec = STALL_SECONDS};
	int real = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (real < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		goto failed;
	/* the library's end does not block, as its socket did not; ours do */
	if (fcntl(real, F_SETFL, fcntl(real, F_GETFL) & ~O_NONBLOCK) ||
	    fcntl(pair[0], F_SETFL, O_NONBLOCK) ||
	    setsockopt(real, SOL_SOCKET, SO_SNDTIMEO, &stall, sizeof stall))
		goto failed;
	const uintptr_t both = (uintptr_t)pair[1] << 32 | (uintptr_t)real;
	if (dup3(pair[0], fd, O_CLOEXEC) < 0)
		goto failed;
	close(pair[0]);
	if (pthread_create(&thread, NULL, copy, (void *)both)) {
		close(pair[1]); /* the library sees the end, as it would have */
		close(real);
		return false;
	}
	pthread_detach(thread);
	return true;
failed:
	if (real >= 0)
		close(real);
	if (pair[0] >= 0) {
		close(pair[0]);
		close(pair[1]);
	}
	return false;
}
