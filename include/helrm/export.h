/** @file export.h
 *  What declarations of the library carry. Define HEL_API before any header to say it otherwise.
 */
#ifndef HELRM_EXPORT_H
#define HELRM_EXPORT_H

#ifndef HEL_API
#if defined(__GNUC__) || defined(__clang__)
/** Marks what the library exports. */
#define HEL_API __attribute__((visibility("default")))
#else
#define HEL_API
#endif
#endif

#ifndef HEL_CHECKED
#if defined(__GNUC__) || defined(__clang__)
/** Marks results that must be looked at. */
#define HEL_CHECKED __attribute__((warn_unused_result))
#else
#define HEL_CHECKED
#endif
#endif

#endif
