/* testing_dir.h -- for tests that write files. */
#ifndef HEL_TESTING_DIR_H
#define HEL_TESTING_DIR_H

#include "testing.h"

/** A directory for a group of tests, made in the working directory and removed after them. */
static char temp_dir[] = "test_dir_XXXXXX";

static inline int temp_dir_make(void **state)
{
	(void)state;
	return mkdtemp(temp_dir) ? 0 : -1;
}

static inline int temp_dir_remove(void **state)
{
	(void)state;
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", temp_dir);
	return system(command);
}

#endif
