// Round trips of each link, as its transport estimates them, over about the last minute: for people, nothing decides by it.
// Size: kSamples numbers a link that is up. Threads: one. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "transport/transport.h"

namespace rse {

class LinkHistory {
 public:
  static constexpr std::size_t kSamples = 256;
  /// Takes a sample of each link that is up and knows its round trip; forgets links that are not there any more.
  void note(const std::vector<LinkStats>& links);
  struct RoundTrips {
    std::uint64_t p50_nanoseconds = 0, p99_nanoseconds = 0;  // 0: not known
  };
  RoundTrips of(const LinkStats& link) const;

 private:
  struct Samples {
    std::vector<std::uint64_t> ring;
    std::size_t next = 0;
  };
  std::map<std::pair<NodeId, std::string>, Samples> links_;  // peer and transport
};

}  // namespace rse
