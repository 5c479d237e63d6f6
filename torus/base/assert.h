// RSE_ASSERT: a broken invariant stops the program, in release builds too. Bad input never gets here.
#pragma once

namespace rse {
/// Reports and stops. The hosted definition prints to stderr and aborts; the guest kernel brings its own.
[[noreturn]] void assertion_failed(const char* file, int line, const char* condition, const char* why);
}  // namespace rse

#define RSE_ASSERT(condition, why)                                               \
  do {                                                                           \
    if (!(condition)) [[unlikely]]                                               \
      ::rse::assertion_failed(__FILE__, __LINE__, #condition, why);              \
  } while (false)
