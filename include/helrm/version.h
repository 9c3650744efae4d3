/** @file version.h
 *  Which helrm this is. Nothing else says it: the build reads it here.
 */
#ifndef HELRM_VERSION_H
#define HELRM_VERSION_H

#define HELRM_VERSION_MAJOR 0 /**< changes when programs must change */
#define HELRM_VERSION_MINOR 1 /**< changes when calls are added */
#define HELRM_VERSION_PATCH 0 /**< changes when faults are mended */

/** All three as one number that grows. */
#define HELRM_VERSION_NUMBER                                                                       \
	(HELRM_VERSION_MAJOR * 1000000 + HELRM_VERSION_MINOR * 1000 + HELRM_VERSION_PATCH)

#define HELRM_TEXT_OF(x) #x /**< the characters of x */
#define HELRM_DOTTED(a, b, c)                                                                      \
	HELRM_TEXT_OF(a) "." HELRM_TEXT_OF(b) "." HELRM_TEXT_OF(c) /**< "a.b.c" */
/** All three as a text. */
#define HELRM_VERSION HELRM_DOTTED(HELRM_VERSION_MAJOR, HELRM_VERSION_MINOR, HELRM_VERSION_PATCH)

#endif
