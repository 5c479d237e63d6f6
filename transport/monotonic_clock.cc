#include "transport/monotonic_clock.h"

namespace rse {

std::int64_t clock_nanoseconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

Instant monotonic_now() { return {static_cast<std::uint64_t>(clock_nanoseconds(CLOCK_MONOTONIC))}; }

}  // namespace rse
