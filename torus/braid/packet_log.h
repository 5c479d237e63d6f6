// The packets of one torus that a node knows: a chain in epoch order without gaps, from the oldest retained to `wanted`.
// Threads: none. Memory: pruned at every durable cut; between cuts it grows with the epochs run.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "torus/braid/packet.h"

namespace rse {

using PacketPtr = std::shared_ptr<const Packet>;

class PacketLog {
 public:
  /// The first epoch not held; all retained before it are. Epochs that a leap skipped are not missing.
  Epoch wanted() const { return wanted_; }
  PacketPtr find(Epoch epoch) const;
  PacketPtr first() const { return packets_.empty() ? nullptr : packets_.begin()->second; }
  PacketPtr last() const { return packets_.empty() ? nullptr : packets_.rbegin()->second; }
  bool empty() const { return packets_.empty(); }

  /// Appends the packet that is wanted next; false for any other (older: known; newer: it will be sent again).
  bool append(PacketPtr packet);
  /// Takes what is new of a gathered, sorted list, before the chain and after it. A list that begins beyond the chain
  /// replaces it.
  void merge(const std::vector<PacketPtr>& sorted);
  /// Takes the oldest packet that the torus's host has, when nothing is known of the torus yet.
  bool begin_with(PacketPtr packet);
  /// After a restore: the chain ends at or beyond `next`, so that the torus's own next epoch can be appended.
  void start_at_least(Epoch next);
  /// Forgets epochs before `oldest`.
  void prune(Epoch oldest);
  void clear();

  /// Retained packets with epoch >= `first`, in order.
  std::vector<PacketPtr> from(Epoch first) const;
  std::size_t bytes() const { return bytes_; }

 private:
  std::map<std::uint64_t, PacketPtr> packets_;
  Epoch wanted_;
  std::size_t bytes_ = 0;
};

}  // namespace rse
