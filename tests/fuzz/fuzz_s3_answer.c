/* What an object store answers: whatever it says, texts fit and the reader moves on; and what
 * stands in an element, as XML has it, is read back. */
#include "fuzz.h"
#include "net/server/fleet/s3_answer.h"

#define ROOM 200

static void read_all(const char *text, const char *name)
{
	const char *at = text;
	char out[ROOM + 1];
	memset(out, 7, sizeof out);
	for (const char *before = at; hel_s3_element(out, ROOM, &at, name); before = at) {
		fuzz_expect(at > before && at <= text + strlen(text));
		fuzz_expect(memchr(out, 0, ROOM));
		fuzz_expect(out[ROOM] == 7);
	}
}

/* As an XML writer may: entities by name, by number, or as it is. */
static void write_text(FILE *out, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		const uint8_t c = bytes[i];
		const char *name = c == '<'    ? "lt"
				   : c == '>'  ? "gt"
				   : c == '&'  ? "amp"
				   : c == '"'  ? "quot"
				   : c == '\'' ? "apos"
					       : NULL;
		if (name && i % 3)
			fprintf(out, "&%s;", name);
		else if (name || (c < 0x80 && i % 7 == 0))
			fprintf(out, i % 2 ? "&#%u;" : "&#x%x;", c);
		else
			fputc(c, out);
	}
}

static void read_back(const uint8_t *data, size_t size)
{
	char *xml = NULL, got[ROOM];
	size_t length;
	const size_t half = HEL_MIN(size / 2, (size_t)ROOM - 1);
	const uint8_t *const part[] = {data, data + half};
	FILE *out = open_memstream(&xml, &length);
	fuzz_expect(out);
	fputs("<Keys>other</Keys><Key>cut <Key>off</Key><Key>&no;</Key>", out);
	for (int i = 0; i < 2; i++) {
		fputs("<Key>", out);
		write_text(out, part[i], half);
		fputs("</Key>\n", out);
	}
	fclose(out);
	const char *at = xml;
	for (int i = 0; i < 2; i++) {
		fuzz_expect(hel_s3_element(got, sizeof got, &at, "Key"));
		fuzz_expect(strlen(got) == half && memcmp(got, part[i], half) == 0);
	}
	fuzz_expect(!hel_s3_element(got, sizeof got, &at, "Key"));
	free(xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);
	fuzz_expect(text);
	memcpy(text, data, size);
	static const char *const name[] = {"Key", "Code", "UploadId", "NextContinuationToken"};
	for (size_t i = 0; i < HEL_ARRAY_LEN(name); i++)
		read_all(text, name[i]);
	if (!memchr(data, 0, size))
		read_back(data, size);
	free(text);
	return 0;
}
