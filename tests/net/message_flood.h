// Messages between two processes over the UDP transport, each on a host of its own, both ways at once, through a network that
// loses, doubles and reorders packets: how many came, and whether each came once, in order and as it was sent.
// Threads: the caller's. Memory: small. Errors: a sentence.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tests/net/packet_relay.h"
#include "tests/net/test_network.h"

namespace rse {

struct FloodOptions {
  std::uint64_t messages = 200'000;  // of both directions together
  std::uint64_t seed = 1;            // of the network's faults
  LinkFaults faults{.loss_percent = 10, .duplicate_percent = 10, .delay = {200'000}, .jitter = {1'000'000}};
  unsigned seconds_max = 240;
};

/// What one of the two has seen.
struct FloodEnd {
  std::uint64_t received = 0;       // in order and whole, up to the first that was not
  std::uint64_t wrong = 0;          // 1: then one came that was not the next
  std::uint64_t links_lost = 0;
  std::uint64_t packets_sent = 0, packets_lost = 0;
  double seconds = 0;
};

struct FloodResult {
  std::string failure;              // why there is none
  std::array<FloodEnd, 2> ends{};
  PacketRelay::Counts network;
  bool whole(std::uint64_t messages) const;
};

FloodResult flood(const FloodOptions& options);

}  // namespace rse
