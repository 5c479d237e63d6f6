// What a bad network does to packets: they are lost, doubled, late and overtaken, or a direction is cut. All of it follows
// from one seed and the order of the calls, so that a network is as bad everywhere as it was here.
// Threads: one. Memory: the packets on their way, at most kOnTheWayMax a direction; more are dropped, as by a switch.
// Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <span>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/random.h"
#include "torus/base/strong.h"

namespace rse {

inline constexpr std::size_t kOnTheWayMax = 4096;  // packets a direction

/// One direction of a link. Packets are overtaken where `jitter` exceeds the distance between them.
struct LinkFaults {
  std::uint32_t loss_percent = 0;
  std::uint32_t duplicate_percent = 0;
  Duration delay;   // of every packet
  Duration jitter;  // added to it: 0 up to this
  bool cut = false;
};

class PacketRelay {
 public:
  struct Delivery {
    std::size_t from = 0, to = 0;
    Bytes packet;
  };
  /// Of all directions.
  struct Counts {
    std::uint64_t accepted = 0, delivered = 0;
    std::uint64_t cut = 0, lost = 0, doubled = 0, overtaken = 0, overflowed = 0;
  };
  PacketRelay(std::size_t host_count, std::uint64_t seed);

  /// For packets accepted from now on; a cut also takes those that are on their way.
  void set(std::size_t from, std::size_t to, const LinkFaults& faults);
  const LinkFaults& faults(std::size_t from, std::size_t to) const { return links_[from * hosts_ + to].faults; }
  void accept(Instant now, std::size_t from, std::size_t to, std::span<const std::byte> packet);
  /// The next packet that has arrived by `now`.
  std::optional<Delivery> poll(Instant now);
  std::optional<Instant> next_arrival() const;
  const Counts& counts() const { return counts_; }

 private:
  struct Link {
    LinkFaults faults;
    std::uint64_t cuts = 0;  // packets of an earlier number are gone
    std::size_t on_the_way = 0;
    std::uint64_t delivered_through = 0;
  };
  struct OnTheWay {
    Instant due;
    std::uint64_t number;
    std::size_t link;
    std::uint64_t cuts;
    Bytes packet;
    bool operator<(const OnTheWay& other) const {  // for a queue with the earliest on top
      return due != other.due ? due > other.due : number > other.number;
    }
  };
  bool happens(std::uint32_t percent) { return random_.below(100) < percent; }
  void send_off(Instant now, std::size_t link, std::span<const std::byte> packet);

  std::size_t hosts_;
  Random random_;
  std::vector<Link> links_;
  std::priority_queue<OnTheWay> queue_;
  std::uint64_t number_ = 0;
  Counts counts_;
};

}  // namespace rse
