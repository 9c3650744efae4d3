#include "s3_credentials.h"
#include <curl/curl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ANSWER_MAX ((size_t)64 << 10)
#define SPARE 300 /* seconds before they end */

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

/* Nothing that could end a header or a pair of user and password. */
static bool set(char *out, size_t size, const char *text)
{
	const size_t length = text ? strlen(text) : 0;
	*out = 0;
	if (!length || length >= size || !is_printable(text) ||
	    (size != sizeof(((hel_s3_credentials *)0)->token) && strchr(text, ':')))
		return false;
	memcpy(out, text, length + 1);
	return true;
}

static bool from_environment(hel_s3_credentials *c)
{
	const char *token = getenv("AWS_SESSION_TOKEN");
	c->until = INFINITY;
	return set(c->key, sizeof c->key, getenv("AWS_ACCESS_KEY_ID")) &&
	       set(c->secret, sizeof c->secret, getenv("AWS_SECRET_ACCESS_KEY")) &&
	       (!token || !*token || set(c->token, sizeof c->token, token));
}

static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	for (char *end = text + strlen(text); end > text && strchr(" \t\r", end[-1]);)
		*--end = 0;
	return text;
}

bool hel_s3_credentials_parse(hel_s3_credentials *out, const char *text, const char *profile)
{
	char *copy = hel_strdup(text), *rest = NULL;
	bool inside = false, key = false, secret = false;
	for (char *at = copy; at; at = rest) {
		rest = strchr(at, '\n');
		if (rest)
			*rest++ = 0;
		char *line = trim(at), *equals = strchr(line, '=');
		const size_t size = strlen(line);
		if (*line == '[' && line[size - 1] == ']') {
			line[size - 1] = 0;
			inside = strcmp(trim(line + 1), profile) == 0;
		} else if (inside && equals && *line != '#') {
			*equals = 0;
			const char *name = trim(line), *value = trim(equals + 1);
			if (strcmp(name, "aws_access_key_id") == 0)
				key = set(out->key, sizeof out->key, value);
			else if (strcmp(name, "aws_secret_access_key") == 0)
				secret = set(out->secret, sizeof out->secret, value);
			else if (strcmp(name, "aws_session_token") == 0)
				(void)set(out->token, sizeof out->token, value);
		}
	}
	hel_free_secret(copy, copy ? strlen(text) : 0);
	return key && secret;
}

static bool from_file(hel_s3_credentials *c)
{
	const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME"),
		   *profile = getenv("AWS_PROFILE");
	char path[1024];
	uint8_t *text = NULL;
	size_t size = 0;
	if (named)
		snprintf(path, sizeof path, "%s", named);
	else
		snprintf(path, sizeof path, "%s/.aws/credentials", home ? home : "");
	c->until = hel_clock() + 60; /* a file may be replaced */
	const bool found = hel_file_read(path, ANSWER_MAX, &text, &size) == HEL_OK &&
			   !memchr(text, 0, size) &&
			   hel_s3_credentials_parse(c, (const char *)text,
						    profile && *profile ? profile : "default");
	hel_free_secret(text, text ? size : 0);
	return found;
}

/* --- metadata services -------------------------------------------------------------------- */

static size_t take(char *bytes, size_t one, size_t count, void *arg)
{
	hel_writer *w = arg;
	if (w->size + one * count > ANSWER_MAX)
		return 0;
	hel_write_bytes(w, bytes, one * count);
	return w->status == HEL_OK ? one * count : 0;
}

/* A small text, "" after a failure. */
static bool ask(hel_writer *answer, const char *method, const char *url, const char *header)
{
	CURL *c = curl_easy_init();
	struct curl_slist *headers = header ? curl_slist_append(NULL, header) : NULL;
	long status = 0;
	answer->size = 0;
	if (!c)
		return false;
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_PROXY, ""); /* these are on this machine */
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 3L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, answer);
	const bool good = curl_easy_perform(c) == CURLE_OK &&
			  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
			  status == 200;
	curl_slist_free_all(headers);
	curl_easy_cleanup(c);
	hel_write_bytes(answer, "", 1);
	return good && answer->status == HEL_OK;
}

/* "2026-11-28T12:00:00Z" as seconds from now. */
static double seconds_until(const char *time_text)
{
	struct tm t = {0};
	return time_text && strptime(time_text, "%Y-%m-%dT%H:%M:%S", &t)
		   ? difftime(timegm(&t), time(NULL))
		   : 3600;
}

bool hel_s3_credentials_json(hel_s3_credentials *out, const void *text, size_t size)
{
	json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	const char *token = json_string_value(json_object_get(json, "Token"));
	const bool good = set(out->key, sizeof out->key,
			      json_string_value(json_object_get(json, "AccessKeyId"))) &&
			  set(out->secret, sizeof out->secret,
			      json_string_value(json_object_get(json, "SecretAccessKey"))) &&
			  (!token || set(out->token, sizeof out->token, token));
	out->until =
	    hel_clock() +
	    fmax(seconds_until(json_string_value(json_object_get(json, "Expiration"))) - SPARE, 10);
	json_decref(json);
	return good;
}

static bool from_container(hel_s3_credentials *c)
{
	const char *url = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
		   *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	hel_writer answer = {0};
	char header[2200];
	if (!url)
		return false;
	snprintf(header, sizeof header, "Authorization: %s", token ? token : "");
	const bool found = ask(&answer, "GET", url, token ? header : NULL) &&
			   hel_s3_credentials_json(c, answer.bytes, answer.size - 1);
	hel_writer_clear(&answer);
	return found;
}

/* https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html */
static bool from_instance(hel_s3_credentials *c)
{
	static const char roles[] = "latest/meta-data/iam/security-credentials/";
	const char *base = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	hel_writer answer = {0};
	char url[1024], header[512];
	bool found = false;
	base = base ? base : "http://169.254.169.254";
	snprintf(url, sizeof url, "%s/latest/api/token", base);
	if (!ask(&answer, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 300"))
		goto done;
	snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %.400s",
		 (const char *)answer.bytes);
	snprintf(url, sizeof url, "%s/%s", base, roles);
	if (!ask(&answer, "GET", url, header))
		goto done;
	answer.bytes[strcspn((const char *)answer.bytes, "\r\n")] = 0;
	if (!is_printable((const char *)answer.bytes))
		goto done;
	snprintf(url, sizeof url, "%s/%s%.400s", base, roles, (const char *)answer.bytes);
	found = ask(&answer, "GET", url, header) &&
		hel_s3_credentials_json(c, answer.bytes, answer.size - 1);
done:
	hel_writer_clear(&answer);
	return found;
}

hel_status hel_s3_credentials_find(hel_s3_credentials *out)
{
	static bool (*const places[])(hel_s3_credentials *) = {from_environment, from_file,
							       from_container, from_instance};
	for (size_t i = 0; i < HEL_ARRAY_LEN(places); i++) {
		memset(out, 0, sizeof *out);
		if (places[i](out))
			return HEL_OK;
	}
	return hel_fail(HEL_EDENIED, "no credentials for the store: set AWS_ACCESS_KEY_ID and "
				     "AWS_SECRET_ACCESS_KEY, or a credentials file");
}
