// Which injections of clients a torus has applied already: the last sequence of each of the latest 1,024 clients.
// Size: 24 bytes a client. Threads: none. Memory: one vector, at most kClientsMax. Errors: decode only.
// Invariant: a function of the injections delivered, in their order; its canonical bytes are sorted by client.
#pragma once

#include <cstdint>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/result.h"
#include "torus/base/strong.h"

namespace rse {

/// Per torus. A client that 1,024 others have followed is forgotten; its repeats would be applied again.
inline constexpr std::size_t kClientsMax = 1024;

class ClientTable {
 public:
  enum class Verdict : std::uint8_t { kApply, kRepeated };

  /// Notes an injection as delivered. Client 0 is nobody: always kApply. Full: the client whose last delivery is the
  /// longest ago gives way.
  Verdict deliver(ClientId client, std::uint64_t sequence);
  bool has_applied(ClientId client, std::uint64_t sequence) const;
  void clear();

  void encode(Bytes& out) const;
  Result<void> decode(ByteReader& reader);

 private:
  struct Entry {
    ClientId client;
    std::uint64_t sequence;       // the highest applied
    std::uint64_t last_delivery;  // number of the client's latest delivery; all differ
  };
  void forget_the_oldest();

  std::vector<Entry> entries_;  // sorted by client
  std::uint64_t deliveries_ = 0;
};

}  // namespace rse
