/* memory.h -- aligned memory, secrets that are wiped, scratch (memory.c). */
#ifndef HEL_MEMORY_H
#define HEL_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define HEL_ALIGN 64 /* one cache line, one AVX-512 register */

/** `count * size` zeroed bytes aligned to HEL_ALIGN; NULL when too large or out of memory. */
void *hel_alloc(size_t count, size_t size) __attribute__((malloc));
/** The same, contents undefined: for large buffers that are filled at once. */
void *hel_alloc_raw(size_t count, size_t size) __attribute__((malloc));
/** Contents undefined; from 2 MB on huge pages where the system lends them, for which programs must
 * ask on most: for what many runs walk through (keys, weights, scratch). Not for what is read once:
 * fresh huge pages may take longer to clear than they save. */
void *hel_alloc_huge(size_t count, size_t size) __attribute__((malloc));
/** For a process that ends after one run of anything: from now on no memory of its lies on huge
 * pages. Where a virtual machine gives free pages back to its host, clearing fresh huge ones takes
 * seconds, which only many runs earn back. No library calls this. */
void hel_memory_for_one_run(void);
void hel_free(void *p);
/** For secrets: zeroed, aligned, locked into memory where the system lets it, left out of core
 * dumps, between pages that nobody may touch. NULL as hel_alloc. Some page tables each: not for
 * crowds. */
void *hel_secret_alloc(size_t count, size_t size) __attribute__((malloc));
/** Wipes and frees what hel_secret_alloc gave; NULL is fine. */
void hel_secret_free(void *p);
/** Wipes `bytes` bytes, then frees what hel_alloc gave. */
void hel_free_secret(void *p, size_t bytes);
char *hel_strdup(const char *text);

/** Test hook: the n-th allocation from now fails (once); 0 switches it off. */
void hel_alloc_fail_at(long n);

/** A pool of equally aligned scratch buffers, shared by threads; keeps what it has ever lent. */
typedef struct hel_scratch hel_scratch;
hel_scratch *hel_scratch_new(void);
void hel_scratch_free(hel_scratch *pool);
/** A buffer of at least `bytes` bytes, contents undefined; NULL when out of memory. */
void *hel_scratch_take(hel_scratch *pool, size_t bytes);
void hel_scratch_give(hel_scratch *pool, void *buffer);

#endif
