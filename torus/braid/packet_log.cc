#include "torus/braid/packet_log.h"

namespace rse {
namespace {

std::size_t bytes_of(const Packet& packet) {
  return sizeof(Packet) + packet.seal.injections.size() * sizeof(Injection) +
         (packet.batch_to_next.size() + packet.batch_to_previous.size()) * sizeof(Event);
}

}  // namespace

PacketPtr PacketLog::find(Epoch epoch) const {
  const auto found = packets_.find(epoch.raw);
  return found == packets_.end() ? nullptr : found->second;
}

bool PacketLog::append(PacketPtr packet) {
  if (packet->epoch != wanted_ || packet->next_epoch <= packet->epoch) return false;
  bytes_ += bytes_of(*packet);
  wanted_ = packet->next_epoch;
  packets_.emplace(packet->epoch.raw, std::move(packet));
  return true;
}

bool PacketLog::begin_with(PacketPtr packet) {
  if (!packets_.empty() || wanted_.raw != 0) return false;
  wanted_ = packet->epoch;
  return append(std::move(packet));
}

void PacketLog::merge(const std::vector<PacketPtr>& sorted) {
  // What goes before the chain is taken from its end backwards, as far as it connects.
  for (auto older = sorted.rbegin(); older != sorted.rend(); ++older) {
    if (packets_.empty() || (*older)->next_epoch != first()->epoch) continue;
    bytes_ += bytes_of(**older);
    packets_.emplace((*older)->epoch.raw, *older);
  }
  for (const PacketPtr& packet : sorted) {
    if (packet->epoch < wanted_) continue;
    if (packet->epoch > wanted_) {
      clear();
      wanted_ = packet->epoch;
    }
    append(packet);
  }
}

void PacketLog::start_at_least(Epoch next) {
  if (wanted_ >= next) return;
  clear();
  wanted_ = next;
}

void PacketLog::prune(Epoch oldest) {
  while (!packets_.empty() && packets_.begin()->first < oldest.raw) {
    bytes_ -= bytes_of(*packets_.begin()->second);
    packets_.erase(packets_.begin());
  }
}

void PacketLog::clear() {
  packets_.clear();
  bytes_ = 0;
  wanted_ = Epoch{};
}

std::vector<PacketPtr> PacketLog::from(Epoch first) const {
  std::vector<PacketPtr> found;
  for (auto it = packets_.lower_bound(first.raw); it != packets_.end(); ++it) {
    found.push_back(it->second);
  }
  return found;
}

}  // namespace rse
