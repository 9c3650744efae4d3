#include "mapping.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPPINGS_MAX 4096

/* The handler looks through all of them, so that it needs no lock. */
struct hel_mapping {
	atomic_uintptr_t start; /* 0: free */
	atomic_size_t bytes;
	atomic_bool damaged;
};

static hel_mapping table[MAPPINGS_MAX];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of taking and freeing places */
static struct sigaction before;
static uintptr_t page_bytes;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	const int saved = errno;
	const uintptr_t at = (uintptr_t)info->si_addr, page = at & ~(page_bytes - 1);
	for (hel_mapping *m = table; m < table + MAPPINGS_MAX; m++) {
		const uintptr_t start = atomic_load(&m->start);
		if (!start || at < start || at - start >= atomic_load(&m->bytes))
			continue;
		atomic_store(&m->damaged, true); /* before anybody reads the zeros */
		if (mmap((void *)page, page_bytes, PROT_READ,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			break;
		errno = saved;
		return;
	}
	if ((before.sa_flags & SA_SIGINFO) && before.sa_sigaction)
		before.sa_sigaction(number, info, context);
	else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
		before.sa_handler(number);
	else
		sigaction(number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	errno = saved;
}

static void install(void)
{
	struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigaction(SIGBUS, &action, &before);
}

static hel_mapping *take_place(void)
{
	hel_mapping *m = table;
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install);
	while (m < table + MAPPINGS_MAX && atomic_load(&m->start))
		m++;
	return m < table + MAPPINGS_MAX ? m : NULL;
}

hel_status hel_mapping_open(hel_mapping **out, int fd, size_t bytes)
{
	hel_status st = HEL_OK;
	struct stat info;
	if (fstat(fd, &info))
		return hel_fail(HEL_EIO, "cannot look at a file to map: %s", strerror(errno));
	if (!bytes || (uint64_t)info.st_size < bytes)
		return hel_fail(HEL_ETRUNC, "a file of %lld bytes, %zu were expected",
				(long long)info.st_size, bytes);
	pthread_mutex_lock(&lock);
	hel_mapping *m = take_place();
	if (!m)
		FAIL(HEL_ENOMEM, "more than %d mapped files", MAPPINGS_MAX);
	void *start = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (start == MAP_FAILED)
		FAIL(errno == ENOMEM ? HEL_ENOMEM : HEL_EIO, "cannot map a file: %s",
		     strerror(errno));
	atomic_store(&m->damaged, false);
	atomic_store(&m->bytes, bytes);
	atomic_store(&m->start, (uintptr_t)start);
	*out = m;
done:
	pthread_mutex_unlock(&lock);
	return st;
}

const void *hel_mapping_bytes(const hel_mapping *m)
{
	return (const void *)atomic_load(&((hel_mapping *)(uintptr_t)m)->start);
}

bool hel_mapping_damaged(const hel_mapping *m)
{
	return atomic_load(&((hel_mapping *)(uintptr_t)m)->damaged);
}

void hel_mapping_close(hel_mapping *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&lock);
	void *start = (void *)atomic_load(&m->start);
	const size_t bytes = atomic_load(&m->bytes);
	munmap(start, bytes);
	atomic_store(&m->start, 0);
	pthread_mutex_unlock(&lock);
}
