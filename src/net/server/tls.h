/* tls.h -- the server's certificate and its key, which can be replaced while it serves. */
#ifndef HEL_SERVER_TLS_H
#define HEL_SERVER_TLS_H

#include "settings.h"
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

typedef struct hel_tls hel_tls;

/** NULL when HTTPS is not asked for.
 *  @retval HEL_EINVAL a file that is no certificate or key, or two that do not belong together. */
HEL_CHECKED hel_status hel_tls_open(hel_tls **out, const hel_settings *s);
void hel_tls_close(hel_tls *t);
/** Reads certificate and key again for handshakes to come; bad files change nothing. */
HEL_CHECKED hel_status hel_tls_reload(hel_tls *t);
/** gnutls_certificate_retrieve_function2, by the server that serves. */
int hel_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *authorities, int count,
		     const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
		     gnutls_pcert_st **chain, unsigned *length, gnutls_privkey_t *key);

#endif
