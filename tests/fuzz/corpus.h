/* corpus.h -- what the parts of make_corpus share. */
#ifndef HEL_TEST_CORPUS_H
#define HEL_TEST_CORPUS_H

#include "base/base.h"
#include "fuzz.h"

#define OK(call) fuzz_expect((call) == HEL_OK)

extern const char *corpus_root;

/* Into the corpus: TARGET/FILE. */
void save(const char *name, const void *bytes, size_t size);
void save_text(const char *name, const char *text);

/* Rankings and candidates (corpus_ranking.c). */
void make_rankings(void);
/* Checkpoints and models of other libraries (corpus_foreign.c). */
void make_foreign_models(void);

#endif
