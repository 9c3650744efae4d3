#include "log.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void hel_log(const char *level, const char *event, const char *format, ...)
{
	struct timespec now;
	struct tm utc;
	char stamp[40];
	va_list list;
	va_start(list, format);
	json_error_t error;
	json_t *fields = json_vpack_ex(&error, 0, format, list), *line = json_object();
	va_end(list);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
	snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
	json_object_set_new(line, "time", json_string(stamp));
	json_object_set_new(line, "level", json_string(level));
	json_object_set_new(line, "event", json_string(event));
	if (fields)
		json_object_update(line, fields);
	char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(6));
	if (text) {
		/* one write: lines of several threads do not mix */
		size_t size = strlen(text);
		text[size] = '\n';
		(void)!write(STDERR_FILENO, text, size + 1);
	}
	free(text);
	json_decref(fields);
	json_decref(line);
}
