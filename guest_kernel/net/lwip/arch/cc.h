// What lwIP asks of its compiler and system.
#pragma once

#include <stdint.h>
#include <string.h>

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define X8_F "x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "u"
typedef long ssize_t;
#define SSIZE_MAX INTPTR_MAX

#ifdef __cplusplus
extern "C" {
#endif
/// Ends the run with a report: a bug, never something that came from the network.
void rse_lwip_assertion_failed(const char* what, const char* file, int line);
uint32_t rse_lwip_random(void);
#ifdef __cplusplus
}
#endif

#define LWIP_PLATFORM_ASSERT(what) rse_lwip_assertion_failed(what, __FILE__, __LINE__)
#define LWIP_PLATFORM_DIAG(what)
#define LWIP_RAND() rse_lwip_random()
