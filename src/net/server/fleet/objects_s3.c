/* An S3-compatible store, by libcurl and its own SigV4. Every body is named by its SHA-256, which
 * the store compares; what is read carries a checksum of its own (containers, key sets). */
#include "object_store.h"
#include "s3_answer.h"
#include "s3_credentials.h"
#include <curl/curl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define IDLE_MAX 32
#define PATIENCE 10.0	       /* seconds of trying again */
#define PART ((size_t)8 << 20) /* of a multipart upload; objects up to it go in one piece */
#define ANSWER_MAX ((size_t)4 << 20)
#define URL_MAX 4096
#define QUERY_MAX 1200

typedef struct s3 {
	hel_objects objects;
	char base[720];	  /* https://HOST/BUCKET */
	char prefix[256]; /* "" or ends with '/' */
	char provider[128], encryption[256];
	pthread_mutex_t lock; /* of all below */
	CURL *idle[IDLE_MAX];
	size_t count;
	hel_s3_credentials who;
} s3;

/* One request, and what came back. */
typedef struct exchange {
	const char *method;
	char url[URL_MAX];
	const void *body;
	size_t size;
	bool stores; /* it names how the store shall encrypt */
	hel_object_sink *sink;
	void *sink_arg;
	CURL *curl;
	/* --- */
	long status;
	uint64_t got;
	hel_status sunk;
	hel_writer answer;
	char etag[128];
	char why[192];
} exchange;

static s3 *own(hel_objects *o)
{
	return (s3 *)o;
}

/* --- one request -------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t one, size_t count, void *arg)
{
	exchange *e = arg;
	const size_t size = one * count;
	long status = 0;
	curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
	if (e->sink && status == 200) {
		e->sunk = e->sink(e->sink_arg, e->got, bytes, size);
		e->got += size;
		return e->sunk == HEL_OK ? size : 0;
	}
	if (size > ANSWER_MAX - e->answer.size)
		return 0;
	hel_write_bytes(&e->answer, bytes, size);
	return e->answer.status == HEL_OK ? size : 0;
}

static size_t on_header(char *bytes, size_t one, size_t count, void *arg)
{
	exchange *e = arg;
	char line[160];
	snprintf(line, sizeof line, "%.*s", (int)HEL_MIN(one * count, sizeof line - 1), bytes);
	if (strncasecmp(line, "ETag:", 5) == 0) {
		const char *value = line + 5 + strspn(line + 5, " ");
		snprintf(e->etag, sizeof e->etag, "%.*s", (int)strcspn(value, "\r\n"), value);
	}
	return one * count;
}

static CURL *take_handle(s3 *s)
{
	CURL *c = NULL;
	pthread_mutex_lock(&s->lock);
	if (s->count)
		c = s->idle[--s->count];
	pthread_mutex_unlock(&s->lock);
	return c ? c : curl_easy_init();
}

static void give_handle(s3 *s, CURL *c)
{
	pthread_mutex_lock(&s->lock);
	if (s->count < IDLE_MAX) {
		s->idle[s->count++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&s->lock);
	curl_easy_cleanup(c);
}

static hel_status who_we_are(hel_s3_credentials *out, s3 *s, bool anew)
{
	hel_status st = HEL_OK;
	pthread_mutex_lock(&s->lock);
	if (anew || hel_clock() > s->who.until)
		st = hel_s3_credentials_find(&s->who);
	*out = s->who;
	pthread_mutex_unlock(&s->lock);
	return st;
}

static bool add(struct curl_slist **list, const char *name, const char *value)
{
	char line[4300];
	snprintf(line, sizeof line, "%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(*list, line);
	*list = longer ? longer : *list;
	return longer != NULL;
}

static bool make_headers(struct curl_slist **list, const s3 *s, const exchange *e,
			 const hel_s3_credentials *who)
{
	uint8_t sum[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof sum + 1];
	crypto_hash_sha256(sum, e->body ? e->body : "", e->size);
	sodium_bin2hex(hex, sizeof hex, sum, sizeof sum);
	bool good = add(list, "x-amz-content-sha256", hex);
	if (*who->token)
		good &= add(list, "x-amz-security-token", who->token);
	if (e->body)
		good &= add(list, "Content-Type", "application/octet-stream");
	if (e->stores && *s->encryption) {
		const bool kms = strncmp(s->encryption, "aws:kms:", 8) == 0;
		good &= add(list, "x-amz-server-side-encryption", kms ? "aws:kms" : s->encryption);
		if (kms)
			good &= add(list, "x-amz-server-side-encryption-aws-kms-key-id",
				    s->encryption + 8);
	}
	return good;
}

static void set_options(CURL *c, exchange *e, const s3 *s, struct curl_slist *headers,
			const char *user)
{
	curl_easy_reset(c); /* the connection stays */
	curl_easy_setopt(c, CURLOPT_URL, e->url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 3L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1024L);
	curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, 5L);
	curl_easy_setopt(c, CURLOPT_USERAGENT, "helrm/" HELRM_VERSION);
	curl_easy_setopt(c, CURLOPT_AWS_SIGV4, s->provider);
	curl_easy_setopt(c, CURLOPT_USERPWD, user);
	if (e->body) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, e->body);
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)e->size);
	}
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, e->method);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, e);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, e);
}

/* Once; status 0: no answer came, e->why. */
static hel_status perform(s3 *s, exchange *e, bool credentials_anew)
{
	hel_status st = HEL_OK;
	hel_s3_credentials who = {0};
	char user[sizeof who.key + sizeof who.secret + 1] = "";
	struct curl_slist *headers = NULL;
	CURL *c = NULL;
	e->status = 0;
	e->got = e->answer.size = 0;
	*e->etag = 0;
	TRY(who_we_are(&who, s, credentials_anew));
	snprintf(user, sizeof user, "%s:%s", who.key, who.secret);
	c = take_handle(s);
	if (!c || !make_headers(&headers, s, e, &who))
		FAIL(HEL_ENOMEM, "out of memory for a request");
	e->curl = c;
	set_options(c, e, s, headers, user);
	const CURLcode code = curl_easy_perform(c);
	if (e->sunk != HEL_OK)
		TRY(e->sunk);
	if (code == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &e->status);
	else
		snprintf(e->why, sizeof e->why, "%s", curl_easy_strerror(code));
done:
	if (c)
		give_handle(s, c);
	curl_slist_free_all(headers);
	hel_wipe(user, sizeof user);
	hel_wipe(&who, sizeof who);
	return st;
}

static const char *text_of(exchange *e)
{
	hel_write_bytes(&e->answer, "", 1);
	e->answer.size--;
	return e->answer.status == HEL_OK ? (const char *)e->answer.bytes : "";
}

/* Until there is an answer that will not change. */
static hel_status persist(s3 *s, exchange *e)
{
	hel_status st = HEL_OK;
	const double until = hel_clock() + PATIENCE;
	bool anew = false, tried = false;
	for (unsigned n = 0;; n++) {
		TRY(perform(s, e, anew));
		if (e->status >= 200 && e->status < 300)
			break;
		char code[64] = "";
		const char *at = e->status ? text_of(e) : "";
		if (e->status && hel_s3_element(code, sizeof code, &at, "Code"))
			snprintf(e->why, sizeof e->why, "%s", code);
		else if (e->status)
			snprintf(e->why, sizeof e->why, "it answers %ld", e->status);
		anew = e->status == 403 && !tried; /* keys end, and are replaced */
		tried |= anew;
		const bool moment = !e->status || e->status >= 500 || e->status == 429 ||
				    e->status == 408 || strcmp(code, "RequestTimeout") == 0;
		if (!moment && !anew)
			break;
		if (hel_clock() > until)
			FAIL(e->status == 507 ? HEL_ESPACE : HEL_EBUSY,
			     "the store cannot be reached now: %s", e->why);
		const long most = 20000000L << HEL_MIN(n, 5u);
		nanosleep(&(struct timespec){.tv_nsec = most / 2 + (long)randombytes_uniform(
								       (uint32_t)most / 2)},
			  NULL);
	}
done:
	return st;
}

static hel_status refusal(const exchange *e)
{
	return hel_fail(e->status == 403 ? HEL_EDENIED : HEL_EIO, "the store refuses (%ld): %s",
			e->status, e->why);
}

static bool is_good(const exchange *e)
{
	return e->status >= 200 && e->status < 300;
}

static void set_url(exchange *e, const s3 *s, const char *name, const char *query)
{
	snprintf(e->url, sizeof e->url, "%s/%s%s%s%s", s->base, s->prefix, name, *query ? "?" : "",
		 query);
}

/* --- multipart ---------------------------------------------------------------------------- */

static hel_status escape(char *out, size_t size, const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	const bool fits = escaped && strlen(escaped) < size;
	snprintf(out, size, "%s", fits ? escaped : "");
	curl_free(escaped);
	return fits ? HEL_OK : hel_fail(HEL_EFORMAT, "the store's names are too long");
}

static hel_status put_part(s3 *s, hel_writer *parts, const char *name, const char *upload,
			   unsigned number, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	char query[QUERY_MAX], line[256];
	exchange e = {.method = "PUT", .body = bytes, .size = size};
	snprintf(query, sizeof query, "partNumber=%u&uploadId=%s", number, upload);
	set_url(&e, s, name, query);
	TRY(persist(s, &e));
	if (!is_good(&e))
		TRY(refusal(&e));
	snprintf(line, sizeof line, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
		 number, e.etag);
	hel_write_bytes(parts, line, strlen(line));
	TRY(parts->status);
done:
	hel_writer_clear(&e.answer);
	return st;
}

static void abort_upload(s3 *s, const char *name, const char *upload)
{
	exchange e = {.method = "DELETE"};
	char query[QUERY_MAX];
	snprintf(query, sizeof query, "uploadId=%s", upload);
	set_url(&e, s, name, query);
	(void)!persist(s, &e);
	hel_writer_clear(&e.answer);
}

static hel_status put_parts(s3 *s, const char *name, const uint8_t *bytes, size_t size)
{
	hel_status st = HEL_OK;
	char id[300], upload[QUERY_MAX - 64] = "", query[QUERY_MAX];
	hel_writer parts = {0};
	unsigned number = 0;
	exchange begin = {.method = "POST", .stores = true}, end = {.method = "POST"};
	set_url(&begin, s, name, "uploads=");
	TRY(persist(s, &begin));
	const char *at = text_of(&begin);
	if (!is_good(&begin) || !hel_s3_element(id, sizeof id, &at, "UploadId"))
		TRY(refusal(&begin));
	TRY(escape(upload, sizeof upload, id));
	hel_write_text(&parts, "");
	parts.size = 0;
	static const char head[] = "<CompleteMultipartUpload>",
			  tail[] = "</CompleteMultipartUpload>";
	hel_write_bytes(&parts, head, sizeof head - 1);
	for (size_t i = 0; i < size; i += PART)
		TRY(put_part(s, &parts, name, upload, ++number, bytes + i,
			     HEL_MIN(PART, size - i)));
	hel_write_bytes(&parts, tail, sizeof tail - 1);
	TRY(parts.status);
	end.body = parts.bytes;
	end.size = parts.size;
	snprintf(query, sizeof query, "uploadId=%s", upload);
	set_url(&end, s, name, query);
	TRY(persist(s, &end));
	/* a completion may fail after its 200 was sent */
	if (!is_good(&end) || strstr(text_of(&end), "<Error>"))
		TRY(refusal(&end));
done:
	if (st != HEL_OK && *upload)
		abort_upload(s, name, upload);
	hel_writer_clear(&begin.answer);
	hel_writer_clear(&end.answer);
	hel_writer_clear(&parts);
	return st;
}

/* --- calls -------------------------------------------------------------------------------- */

static hel_status put(hel_objects *o, const char *name, const void *bytes, size_t size)
{
	hel_status st = HEL_OK;
	s3 *s = own(o);
	exchange e = {.method = "PUT", .body = bytes, .size = size, .stores = true};
	if (size > PART)
		return put_parts(s, name, bytes, size);
	set_url(&e, s, name, "");
	TRY(persist(s, &e));
	if (!is_good(&e))
		TRY(refusal(&e));
done:
	hel_writer_clear(&e.answer);
	return st;
}

static hel_status get(hel_objects *o, const char *name, hel_object_sink *fn, void *arg)
{
	hel_status st = HEL_OK;
	s3 *s = own(o);
	exchange e = {.method = "GET", .sink = fn, .sink_arg = arg};
	set_url(&e, s, name, "");
	TRY(persist(s, &e));
	if (e.status == 404)
		FAIL(HEL_ETRUNC, "there is no such object");
	if (!is_good(&e))
		TRY(refusal(&e));
done:
	hel_writer_clear(&e.answer);
	return st;
}

static hel_status remove_object(hel_objects *o, const char *name)
{
	hel_status st = HEL_OK;
	s3 *s = own(o);
	exchange e = {.method = "DELETE"};
	set_url(&e, s, name, "");
	TRY(persist(s, &e));
	if (!is_good(&e) && e.status != 404)
		TRY(refusal(&e));
done:
	hel_writer_clear(&e.answer);
	return st;
}

static bool is_name(const char *name)
{
	return strlen(name) <= HEL_OBJECT_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-/") == strlen(name);
}

/* The names of one answer; *more: where the next one goes on, "" at the end. */
static hel_status list_some(s3 *s, const char *prefix, hel_object_name *fn, void *arg,
			    char more[QUERY_MAX / 2])
{
	hel_status st = HEL_OK;
	char query[QUERY_MAX], full[512], escaped[512], name[1100], before[QUERY_MAX / 2];
	exchange e = {.method = "GET"};
	snprintf(full, sizeof full, "%s%s", s->prefix, prefix);
	TRY(escape(escaped, sizeof escaped, full));
	/* in the order of their names, as they are signed */
	snprintf(query, sizeof query, "%s%s%slist-type=2&prefix=%s",
		 *more ? "continuation-token=" : "", more, *more ? "&" : "", escaped);
	snprintf(e.url, sizeof e.url, "%s?%s", s->base, query);
	TRY(persist(s, &e));
	if (!is_good(&e))
		TRY(refusal(&e));
	const char *at = text_of(&e), *token = at;
	while (hel_s3_element(name, sizeof name, &at, "Key"))
		if (strncmp(name, full, strlen(full)) == 0 && is_name(name + strlen(s->prefix)))
			TRY(fn(arg, name + strlen(s->prefix)));
	memcpy(before, more, sizeof before);
	*more = 0;
	if (hel_s3_element(name, sizeof name, &token, "NextContinuationToken"))
		TRY(escape(more, QUERY_MAX / 2, name));
	if (*more && strcmp(more, before) == 0)
		FAIL(HEL_EIO, "the store's list goes round in a circle");
done:
	hel_writer_clear(&e.answer);
	return st;
}

static hel_status list(hel_objects *o, const char *prefix, hel_object_name *fn, void *arg)
{
	char more[QUERY_MAX / 2] = "";
	hel_status st;
	do
		st = list_some(own(o), prefix, fn, arg, more);
	while (st == HEL_OK && *more);
	return st;
}

static void close_s3(hel_objects *o)
{
	s3 *s = own(o);
	while (s->count)
		curl_easy_cleanup(s->idle[--s->count]);
	pthread_mutex_destroy(&s->lock);
	hel_free_secret(s, sizeof *s);
}

static const hel_objects_calls calls = {
    .close = close_s3, .put = put, .get = get, .remove = remove_object, .list = list};

/* s3://BUCKET[/PREFIX] */
static hel_status read_place(s3 *s, const hel_objects_options *options)
{
	const char *bucket = options->where + 5, *slash = strchr(bucket, '/');
	const size_t size = slash ? (size_t)(slash - bucket) : strlen(bucket);
	const char *prefix = slash ? slash + 1 : "";
	const size_t end = strlen(prefix);
	char endpoint[512];
	if (!size || size > 63 || strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") < size ||
	    !is_name(prefix))
		return hel_fail(HEL_EINVAL, "store: '%s' is not s3://BUCKET[/PREFIX]",
				options->where);
	if (*options->endpoint)
		snprintf(endpoint, sizeof endpoint, "%s", options->endpoint);
	else
		snprintf(endpoint, sizeof endpoint, "https://s3.%s.amazonaws.com", options->region);
	if (strncmp(endpoint, "https://", 8) != 0 && strncmp(endpoint, "http://", 7) != 0)
		return hel_fail(HEL_EINVAL, "store-endpoint: '%s' is not https://HOST", endpoint);
	for (size_t n = strlen(endpoint); n && endpoint[n - 1] == '/'; n--)
		endpoint[n - 1] = 0;
	snprintf(s->base, sizeof s->base, "%s/%.*s", endpoint, (int)size, bucket);
	snprintf(s->prefix, sizeof s->prefix, "%s%s", prefix,
		 end && prefix[end - 1] != '/' ? "/" : "");
	snprintf(s->provider, sizeof s->provider, "aws:amz:%.60s:s3", options->region);
	snprintf(s->encryption, sizeof s->encryption, "%s", options->encryption);
	return HEL_OK;
}

hel_status hel_objects_s3(hel_objects **out, const hel_objects_options *options)
{
	hel_status st = HEL_OK;
	s3 *s = NULL;
	TRY_ALLOC(s, hel_alloc(1, sizeof *s));
	s->objects.call = &calls;
	pthread_mutex_init(&s->lock, NULL);
	TRY(read_place(s, options));
	TRY(hel_s3_credentials_find(&s->who));
	*out = &s->objects;
	s = NULL;
done:
	if (s)
		close_s3(&s->objects);
	return st;
}
