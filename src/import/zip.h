/* zip.h -- the entries of a ZIP archive whose files are stored as they are, as torch.save writes
 * them (APPNOTE.TXT of PKWARE, with its 64-bit fields). Nothing is unpacked.
 */
#ifndef HEL_ZIP_H
#define HEL_ZIP_H

#include "base/base.h"

#define HEL_MAX_ZIP_ENTRIES (1u << 18)

typedef struct hel_zip_entry {
	const char *name; /* not zero-ended; borrowed */
	size_t name_size;
	const uint8_t *data;
	size_t size;
	uint32_t crc;
	bool compressed, checked;
} hel_zip_entry;

typedef struct hel_zip {
	size_t count;
	hel_zip_entry *entry; /* sorted by name */
} hel_zip;

/** Every entry lies in the file; `bytes` are borrowed.
 *  @retval HEL_EFORMAT, HEL_ETRUNC it is damaged. @retval HEL_EUNSUPPORTED an entry is compressed.
 */
HEL_CHECKED hel_status hel_zip_open(hel_zip *out, const uint8_t *bytes, size_t size);
void hel_zip_clear(hel_zip *z);
/** NULL where there is none; its bytes are what its checksum says.
 *  @retval HEL_EHASH they are not. @retval HEL_EUNSUPPORTED it is compressed. */
HEL_CHECKED hel_status hel_zip_find(const hel_zip_entry **out, const hel_zip *z, const char *name);

#endif
