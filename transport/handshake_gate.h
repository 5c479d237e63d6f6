// How many handshakes strangers may make us do. A handshake costs the one who answers some 0.3 ms of work, and the one who asks
// a few bytes: each source has a budget, and all together have one.
// Size: at most kGateSourcesMax sources are remembered. Threads: one at a time. Errors: none; who is refused comes again.
// Invariant: whatever arrives, at most kGateRate handshakes a second begin (and kGateBurst at once).
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "torus/base/strong.h"

namespace rse {

inline constexpr std::uint64_t kGateSourceRate = 50;    // a second, of one source
inline constexpr std::uint64_t kGateSourceBurst = 100;  // at once
inline constexpr std::uint64_t kGateRate = 400;         // of all: an eighth of one processor
inline constexpr std::uint64_t kGateBurst = 800;
inline constexpr std::size_t kGateSourcesMax = 4096;

class HandshakeGate {
 public:
  /// `source`: an IPv4 address, or the first half of an IPv6 address, whose other half is the sender's to choose.
  bool admit(const std::string& source, Instant now);
  /// Refused since the start.
  std::uint64_t refused() const { return refused_; }

 private:
  /// Refills with time up to `burst`.
  struct Budget {
    std::uint64_t spent_nanoseconds = 0;  // of the budget, in the time that it takes to refill
    Instant at;
    bool take(Instant now, std::uint64_t rate, std::uint64_t burst);
  };
  std::unordered_map<std::string, Budget> sources_;
  Budget all_;
  std::uint64_t refused_ = 0;
};

}  // namespace rse
