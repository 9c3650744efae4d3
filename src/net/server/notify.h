/* notify.h -- what a service manager is told, by systemd's protocol (sd_notify(3)). */
#ifndef HEL_SERVER_NOTIFY_H
#define HEL_SERVER_NOTIFY_H

/** Lines like "READY=1"; nothing happens without NOTIFY_SOCKET. */
void hel_notify(const char *text);

#endif
