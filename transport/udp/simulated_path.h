// A network between two links, for tests: loses, doubles, delays and reorders packets, drops large ones without a word, and has
// a queue of a given rate. Driven by one seed; time is simulated.
#pragma once

#include <functional>
#include <queue>

#include "torus/base/random.h"
#include "transport/udp/datagram_link.h"

namespace rse {

/// Into `packet`, replaced.
inline std::optional<std::uint64_t> next_packet(DatagramLink& link, Instant now, Bytes& packet) {
  packet.resize(link.packet_bytes_max());
  PacketWriter writer(packet);
  const auto number = link.poll_packet(now, writer);
  packet.resize(writer.size());
  return number;
}

struct PathOptions {
  std::uint64_t seed = 1;
  std::uint32_t lose_percent = 0, double_percent = 0, reorder_percent = 0;
  Duration delay = milliseconds(1);         // one way
  Duration reorder_delay = milliseconds(4);  // what a reordered packet waits in addition
  std::size_t packet_bytes_max = 65'000;    // larger ones vanish
  std::uint64_t bytes_per_second = 0;       // 0: no limit
  std::size_t queue_bytes = 1u << 18;       // of the limited path; a full one drops
};

class SimulatedPath {
 public:
  using OnMessage = std::function<void(std::size_t end, std::span<const std::byte> message)>;
  SimulatedPath(const PathOptions& options, OnMessage on_message)
      : options(options),
        random_(options.seed),
        links_{DatagramLink({}, [this](auto message) { on_message_(0, message); }),
               DatagramLink({}, [this](auto message) { on_message_(1, message); })},
        on_message_(std::move(on_message)) {}

  DatagramLink& link(std::size_t end) { return links_[end]; }
  Instant now() const { return now_; }
  std::uint64_t packets() const { return order_; }
  /// Lets packets leave and moves time to the next thing that happens. False: nothing is left to happen.
  bool step() {
    for (std::size_t end : {0u, 1u}) {
      Bytes packet;
      while (const auto number = next_packet(links_[end], now_, packet)) transmit(end, *number, packet);
    }
    Instant next{~std::uint64_t{0}};
    if (!flying_.empty()) next = flying_.top().at;
    for (const DatagramLink& link : links_) {
      if (const auto deadline = link.next_deadline()) next = std::min(next, std::max(*deadline, now_ + Duration{1'000}));
    }
    if (next.raw == ~std::uint64_t{0}) return false;
    now_ = std::max(now_, next);
    while (!flying_.empty() && flying_.top().at <= now_) {
      const Flying packet = flying_.top();
      flying_.pop();
      broken |= !links_[packet.to].on_packet(now_, packet.number, packet.bytes);
    }
    return true;
  }

  PathOptions options;
  bool broken = false;

 private:
  struct Flying {
    Instant at;
    std::uint64_t order;
    std::size_t to;
    std::uint64_t number;
    Bytes bytes;
    bool operator<(const Flying& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };
  void transmit(std::size_t from, std::uint64_t number, const Bytes& packet) {
    if (packet.size() > options.packet_bytes_max || random_.below(100) < options.lose_percent) return;
    Instant leaves = now_;
    if (options.bytes_per_second != 0) {
      Instant& free = free_[from];
      free = std::max(free, now_);
      if (elapsed(now_, free).raw * options.bytes_per_second / 1'000'000'000 > options.queue_bytes) return;
      leaves = free = free + Duration{packet.size() * 1'000'000'000 / options.bytes_per_second};
    }
    for (int copy = random_.below(100) < options.double_percent ? 2 : 1; copy > 0; --copy) {
      Duration delay = options.delay;
      if (random_.below(100) < options.reorder_percent) delay.raw += random_.next() % options.reorder_delay.raw;
      flying_.push({leaves + delay, ++order_, 1 - from, number, packet});
    }
  }

  Random random_;
  std::array<DatagramLink, 2> links_;
  OnMessage on_message_;
  Instant now_{1'000'000'000};
  std::array<Instant, 2> free_{};
  std::uint64_t order_ = 0;
  std::priority_queue<Flying> flying_;
};

}  // namespace rse
