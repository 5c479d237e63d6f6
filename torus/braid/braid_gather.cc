// Gather: asking the members for what they hold of a torus, answering, and collecting the answers.
#include "torus/braid/braid_state.h"

namespace rse {
namespace {

constexpr Duration kGatherRetry = milliseconds(15);
constexpr Duration kGatherGiveUp = milliseconds(400);

}  // namespace

// --- Asking. ---

void BraidNode::Impl::start_gather(TorusId torus, bool speculative, CutNumber cut_wanted, GatherScope scope) {
  HostedTorus& mine = *hosted[torus.raw];
  GatherState gather;
  gather.request = ++request_counter;
  gather.view = speculative ? ViewNumber{} : view.number;
  gather.with_cut = !mine.restored && !mine.working;
  gather.everything = scope == GatherScope::kEverything;
  gather.cut_wanted = cut_wanted;
  gather.started = now;
  gather.retry_at = now + kGatherRetry;
  // After a resumption seals may lie on the disk of any member, until they have been run and published again.
  const bool resumption = !speculative && view.resumed.raw != 0;
  for (const Member& member : view.members) {
    const NodeId node = member.node;
    if (node == self.node) continue;
    if (!resumption && !is_host(node) && !is_holder(node)) continue;
    if (speculative && suspected_early(member)) continue;
    gather.sources[node];
  }
  mine.gather = std::move(gather);
  std::vector<NodeId> to;
  for (const auto& [node, source] : mine.gather->sources) to.push_back(node);
  for (NodeId node : to) send_gather(torus, node);
  if (to.empty()) gather_complete(torus);
}

void BraidNode::Impl::send_gather(TorusId torus, NodeId to) {
  HostedTorus& mine = *hosted[torus.raw];
  const GatherState& state = *mine.gather;
  Gather gather;
  gather.view = state.view;
  gather.run = view.run;
  gather.torus = torus;
  gather.request = state.request;
  gather.with_cut = state.with_cut;
  gather.cut_wanted = state.cut_wanted;
  gather.everything = state.everything;
  if (is_host(self.node) && !state.everything) {
    for (TorusId each : kTori) gather.have[each.raw] = logs[each.raw].wanted();
  }
  if (!state.with_cut && mine.restored && !mine.working) gather.from_epoch = mine.machine->next_epoch();
  if (!state.with_cut && (!mine.restored || mine.working)) gather.from_epoch = mine.last_sealed;
  send(to, gather);
}

void BraidNode::Impl::retry_gather(TorusId torus) {
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->gather || now < mine->gather->retry_at) return;
  GatherState& gather = *mine->gather;
  if (gather.view.raw == 0 && elapsed(gather.started, now) > kGatherGiveUp) {
    const bool keep = mine->restored || mine->working;
    mine->gather.reset();
    if (!keep) drop_hosted(torus);
    return;
  }
  bool waiting = false;
  for (auto& [node, source] : gather.sources) waiting |= !source.done || source.refused;
  if (!waiting) {
    // All have answered, but it was not enough: ask everyone again, someone may have returned.
    start_gather(torus, gather.view.raw == 0, gather.cut_wanted);
    return;
  }
  gather.retry_at = now + kGatherRetry;
  for (auto& [node, source] : gather.sources) {
    if (source.done && !source.refused) continue;
    if (source.refused || elapsed(gather.started, now) > milliseconds(1000)) {
      source = {};
      send_gather(torus, node);
    }
  }
  if (elapsed(gather.started, now) > milliseconds(1000)) gather.started = now;
}

// --- Answering. ---

void BraidNode::Impl::on_gather(NodeId from, const Gather& gather) {
  const std::size_t t = gather.torus.raw;
  if (t >= kTorusCount || !view.find(from)) return;
  GatherDone done{.request = gather.request, .torus = gather.torus, .view = view.number};
  if (gather.run != view.run || (gather.view.raw != 0 && gather.view != view.number)) {
    done.refused = true;  // one of us has not installed the view of the other
    send(from, std::move(done));
    return;
  }
  CutNumber base = gather.from_epoch.raw;
  GatherAnswer answer{.to = from};
  answer.with_cut = gather.with_cut;
  if (gather.with_cut) {
    base = gather.cut_wanted == kScenarioCut ? 0 : gather.cut_wanted;
    const auto& known = cuts[t];
    const auto found = gather.cut_wanted != 0 ? known.find(gather.cut_wanted)
                       : known.empty()        ? known.end()
                                              : std::prev(known.end());
    if (found != known.end()) {
      base = answer.cut = found->first;
      answer.regions = found->second;
    }
  }
  const Epoch oldest{base < kOldBatch + 1 ? 0 : base - kOldBatch - 1};
  const bool resumption = gather.view.raw != 0 && view.resumed == view.hosted_since[t];
  const bool seals_too = gather.view.raw != 0 && view.resumed.raw != 0;
  for (TorusId torus : kTori) {
    if (torus != gather.torus && !gather.everything && (view.hosts[torus.raw] != self.node || resumption)) continue;
    for (const PacketPtr& packet : logs[torus.raw].from(std::max(oldest, gather.have[torus.raw]))) {
      answer.packets.push_back(packet);
    }
  }
  if (seals_too) {
    for (const auto& [epoch, seal] : fixed_seals[t]) {
      if (epoch.raw + 1 >= base && done.seals.size() < kSealedEpochsMax) done.seals.push_back(seal);
    }
  }
  answer.done = std::move(done);
  // Whoever asks again has given up the answer before.
  std::erase_if(gather_answers, [&](const GatherAnswer& other) {
    return other.to == from && other.done.torus == gather.torus;
  });
  gather_answers.push_back(std::move(answer));
}

/// Builds the next message of the oldest answer. Called when nothing else waits to be sent: what was decided is fixed in the
/// answer, but its megabytes are copied a part at a time, so that votes and heartbeats never wait behind them.
void BraidNode::Impl::continue_gather_answer() {
  GatherAnswer& answer = gather_answers.front();
  const std::uint64_t request = answer.done.request;
  const TorusId torus = answer.done.torus;
  if (answer.with_cut) {
    GatherRegions message{.request = request, .torus = torus, .cut = answer.cut};
    if (answer.cut != 0 && answer.next_region == 0) {
      message.digests.assign(answer.regions.digests.of.begin(), answer.regions.digests.of.end());
    }
    std::size_t bytes = 0;
    for (; answer.cut != 0 && answer.next_region < kRegionCount; ++answer.next_region) {
      const auto& region = answer.regions.regions[answer.next_region];
      if (!region) continue;
      if (bytes > 0 && bytes + region->bytes.size() > kPartBytes) break;
      message.regions.push_back(*region);
      bytes += region->bytes.size();
    }
    if (answer.cut == 0 || answer.next_region == kRegionCount) answer.with_cut = false;
    ++answer.done.region_messages;
    send(answer.to, std::move(message));
    return;
  }
  for (std::size_t bytes = 0; answer.next_packet < answer.packets.size() && bytes < kPartBytes;) {
    GatherPacket message{.request = request, .torus = torus, .packet = {}};
    encode_packet(*answer.packets[answer.next_packet++], message.packet);
    bytes += message.packet.size();
    ++answer.done.packet_messages;
    send(answer.to, std::move(message));
  }
  if (answer.next_packet < answer.packets.size()) return;
  send(answer.to, std::move(answer.done));
  gather_answers.pop_front();
}

// --- Collecting. ---

void BraidNode::Impl::on_gather_regions(NodeId from, const GatherRegions& message) {
  if (message.torus.raw >= kTorusCount) return;
  HostedTorus* mine = hosted[message.torus.raw].get();
  if (!mine || !mine->gather || mine->gather->request != message.request) return;
  GatherState& gather = *mine->gather;
  const auto source = gather.sources.find(from);
  if (source == gather.sources.end()) return;
  ++source->second.region_messages;
  gather.cuts_named.insert(message.cut);
  if (message.cut == 0) return;
  CutRegions* into = nullptr;
  if (!message.digests.empty()) {
    if (message.digests.size() != kRegionCount || gather.cuts.size() > 16) return;
    CutRegions fresh;
    std::copy(message.digests.begin(), message.digests.end(), fresh.digests.of.begin());
    for (auto& [cut, regions] : gather.cuts) {
      if (cut == message.cut && regions.digests == fresh.digests) into = &regions;
    }
    if (!into) into = &gather.cuts.emplace_back(message.cut, std::move(fresh)).second;
  }
  for (const Region& region : message.regions) {
    if (region.index >= kRegionCount) return;
    const Digest256 digest = digest_of(region.bytes);
    for (auto& [cut, regions] : gather.cuts) {
      if (cut == message.cut && regions.digests.of[region.index] == digest && !regions.regions[region.index]) {
        regions.regions[region.index] = std::make_shared<const Region>(region);
      }
    }
  }
}

void BraidNode::Impl::on_gather_packet(NodeId from, const GatherPacket& message) {
  if (message.torus.raw >= kTorusCount) return;
  HostedTorus* mine = hosted[message.torus.raw].get();
  if (!mine || !mine->gather || mine->gather->request != message.request) return;
  const auto source = mine->gather->sources.find(from);
  if (source == mine->gather->sources.end()) return;
  ByteReader reader(message.packet);
  auto packet = decode_packet(reader);
  if (!packet || !reader.finished() || packet->run != view.run) {
    ++messages_refused;
    return;
  }
  ++source->second.packet_messages;
  source->second.packets.push_back(std::make_shared<const Packet>(std::move(*packet)));
}

void BraidNode::Impl::on_gather_done(NodeId from, const GatherDone& done) {
  if (done.torus.raw >= kTorusCount) return;
  HostedTorus* mine = hosted[done.torus.raw].get();
  if (!mine || !mine->gather || mine->gather->request != done.request) return;
  GatherState& gather = *mine->gather;
  const auto found = gather.sources.find(from);
  if (found == gather.sources.end()) return;
  GatherSource& source = found->second;
  source.done = true;
  source.refused = done.refused || (gather.view.raw != 0 && done.view != gather.view) ||
                   source.region_messages < done.region_messages ||
                   source.packet_messages < done.packet_messages;
  if (source.refused) return;
  for (const SealedEpoch& seal : done.seals) {
    SealedEpoch& known = gather.seals[seal.epoch];
    if (seal.view >= known.view) known = seal;
  }
  for (const auto& [node, each] : gather.sources) {
    if (!each.done || each.refused) return;
  }
  gather_complete(done.torus);
}

}  // namespace rse
