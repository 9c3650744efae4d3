/** @file client.h
 * Everything a client of private predictions needs.
 *
 * Include this header; read secret.h, prediction.h, ranking.h where models rank items, access.h;
 * then, if you do not bring your own HTTP, remote.h. examples/predict.c is a whole program.
 *
 *   - A *secret* is 32 bytes, the only thing that decrypts. Everything else can be made again.
 *   - A *client* is a secret with one model's manifest. The manifest comes from the server, so its
 *     parameters and security are checked here, and its hash is pinned by you.
 *   - An *access* is one upload of evaluation keys: which keys, from which randomness, and the
 * token that lets only you use them. Several models of the same parameters share it. Keep its text.
 *   - Outputs come first; on any status but HEL_OK they are as they were. hel_error_detail() says
 *     what was expected, what was found, and what to do.
 *   - Nothing here writes files, reads the clock to decide, or depends on what was decrypted before
 * a score is returned to you. Do not let a server notice how you react to a score: SECURITY.md.
 *
 * Libraries: helrm-client has no network; helrm-transport adds hel_remote_* by libcurl.
 */
#ifndef HELRM_CLIENT_H
#define HELRM_CLIENT_H

#include <helrm/access.h>
#include <helrm/ranking.h>
#include <helrm/remote.h>
#include <helrm/version.h>

#endif
