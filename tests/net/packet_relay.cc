#include "tests/net/packet_relay.h"

#include <algorithm>
#include <utility>

namespace rse {

PacketRelay::PacketRelay(std::size_t host_count, std::uint64_t seed)
    : hosts_(host_count), random_(seed), links_(host_count * host_count) {}

void PacketRelay::set(std::size_t from, std::size_t to, const LinkFaults& faults) {
  Link& link = links_[from * hosts_ + to];
  if (faults.cut && !link.faults.cut) {
    ++link.cuts;
    link.on_the_way = 0;
  }
  link.faults = faults;
}

void PacketRelay::accept(Instant now, std::size_t from, std::size_t to, std::span<const std::byte> packet) {
  if (from >= hosts_ || to >= hosts_ || from == to) return;
  ++counts_.accepted;
  const std::size_t link = from * hosts_ + to;
  const LinkFaults& faults = links_[link].faults;
  if (faults.cut) {
    ++counts_.cut;
    return;
  }
  if (happens(faults.loss_percent)) {
    ++counts_.lost;
    return;
  }
  send_off(now, link, packet);
  if (!happens(faults.duplicate_percent)) return;
  ++counts_.doubled;
  send_off(now, link, packet);
}

void PacketRelay::send_off(Instant now, std::size_t link, std::span<const std::byte> packet) {
  Link& state = links_[link];
  if (state.on_the_way >= kOnTheWayMax) {
    ++counts_.overflowed;
    return;
  }
  ++state.on_the_way;
  const std::uint64_t jitter_microseconds = state.faults.jitter.raw / 1000;
  const Duration late{random_.below(static_cast<std::uint32_t>(jitter_microseconds + 1)) * std::uint64_t{1000}};
  queue_.push({now + state.faults.delay + late, ++number_, link, state.cuts, Bytes(packet.begin(), packet.end())});
}

std::optional<PacketRelay::Delivery> PacketRelay::poll(Instant now) {
  while (!queue_.empty() && queue_.top().due <= now) {
    OnTheWay next = std::move(const_cast<OnTheWay&>(queue_.top()));  // popped at once
    queue_.pop();
    Link& link = links_[next.link];
    if (next.cuts != link.cuts) {
      ++counts_.cut;
      continue;
    }
    --link.on_the_way;
    ++counts_.delivered;
    if (next.number < link.delivered_through) ++counts_.overtaken;
    link.delivered_through = std::max(link.delivered_through, next.number);
    return Delivery{next.link / hosts_, next.link % hosts_, std::move(next.packet)};
  }
  return std::nullopt;
}

std::optional<Instant> PacketRelay::next_arrival() const {
  if (queue_.empty()) return std::nullopt;
  return queue_.top().due;
}

}  // namespace rse
