// The descriptor by which another thread wakes a loop.
// Threads: any. Errors: std::system_error where the system has none left.
#pragma once

#include <sys/eventfd.h>

#include <cerrno>
#include <system_error>

namespace rse {

inline int new_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace rse
