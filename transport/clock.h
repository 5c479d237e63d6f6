// The time for people and for what expires, on hosts and in the guest kernel alike.
// Threads: any. Memory: the text. Errors: none.
#pragma once

#include <cstdint>
#include <string>

namespace rse {

/// Seconds since 1970 by this machine's clock.
std::uint64_t unix_seconds();
/// "2026-11-21 10:15:00 UTC".
std::string time_text(std::uint64_t seconds);

}  // namespace rse
