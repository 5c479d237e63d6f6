// One end of a way to pass messages between two processes, for transport_bench: ours and what we compare ourselves with.
// Threads: one. Memory: small. Errors: a broken channel ends the process.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace rse::bench {

/// 64 KB is 65,000 bytes, so that it fits one UDP datagram.
inline constexpr std::size_t kSizes[] = {64, 4700, 65'000};

using OnMessage = std::function<void(std::span<const std::byte>)>;

class Channel {
 public:
  virtual ~Channel() = default;
  /// False: no room now; pump() and try again.
  virtual bool send(std::span<const std::byte> message) = 0;
  /// Waits, in the way that the channel is about, until something has come, or moved, and hands it over.
  virtual void pump(const OnMessage& on_message) = 0;
};

enum class Side : unsigned char { kClient, kServer };

struct Candidate {
  std::string name;
  std::string raw;          // name of the primitive that it is measured against; empty: it is one
  std::size_t window = 0;   // messages on their way at most; 0: as many as it takes
  /// Called in each of the two processes after the fork; `run` is the same number in both, and never used before.
  std::function<std::unique_ptr<Channel>(Side, std::size_t message_bytes, unsigned run)> make;
};

/// A bare ring in shared memory, TCP, UDP, ZeroMQ.
std::vector<Candidate> raw_candidates();
/// The ring, and each transport.
std::vector<Candidate> own_candidates();

/// A file of /dev/shm that belongs to this run.
std::string shared_name(unsigned run);
[[noreturn]] void give_up(const std::string& what);

}  // namespace rse::bench
