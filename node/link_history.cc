#include "node/link_history.h"

#include <algorithm>

namespace rse {

void LinkHistory::note(const std::vector<LinkStats>& links) {
  std::map<std::pair<NodeId, std::string>, Samples> kept;
  for (const LinkStats& link : links) {
    if (!link.connected) continue;
    auto& samples = kept[{link.peer, link.transport}];
    if (const auto known = links_.find({link.peer, link.transport}); known != links_.end()) samples = std::move(known->second);
    if (link.rtt_nanoseconds == 0) continue;
    if (samples.ring.size() < kSamples) {
      samples.ring.push_back(link.rtt_nanoseconds);
    } else {
      samples.ring[samples.next] = link.rtt_nanoseconds;
      samples.next = (samples.next + 1) % kSamples;
    }
  }
  links_ = std::move(kept);
}

LinkHistory::RoundTrips LinkHistory::of(const LinkStats& link) const {
  const auto found = links_.find({link.peer, link.transport});
  if (found == links_.end() || found->second.ring.empty()) return {};
  std::vector<std::uint64_t> sorted = found->second.ring;
  std::sort(sorted.begin(), sorted.end());
  return {sorted[(sorted.size() - 1) / 2], sorted[(sorted.size() - 1) * 99 / 100]};
}

}  // namespace rse
