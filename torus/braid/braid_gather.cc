// Gather: asking the members for what they hold of a torus, answering, and collecting the answers.
#include "torus/braid/braid_state.h"

namespace rse {
namespace {

constexpr Duration kGatherRetry = milliseconds(15);
constexpr Duration kGatherGiveUp = milliseconds(400);

using KnownCuts = std::map<CutNumber, CutRegions>;

Halves held_by(const Gather& gather, CutNumber cut) {
  Halves halves = 0;
  for (const HeldCut& held : gather.held) {
    if (held.cut == cut) halves |= held.halves;
  }
  return halves;
}

/// The cut that answers best: the one asked for; else the newest that the requester has the rest of; else the newest.
KnownCuts::const_iterator cut_for(const KnownCuts& known, const Gather& gather) {
  if (known.empty()) return known.end();
  if (gather.cut_wanted != 0) return known.find(gather.cut_wanted);
  for (auto at = known.rbegin(); at != known.rend(); ++at) {
    const Halves rest = held_by(gather, at->first);
    if (rest != 0 && (rest | at->second.halves) == kBothHalves) return std::prev(at.base());
  }
  return std::prev(known.end());
}

}  // namespace

// --- Asking. ---

/// Asks all who may hold something of the torus. What an answer to an earlier question has brought so far is given up.
void BraidNode::Impl::start_gather(TorusId torus, bool speculative, CutNumber cut_wanted, GatherScope scope) {
  HostedTorus& mine = *hosted[torus.raw];
  mine.fence.reset();
  mine.gather = make_gather(torus, speculative && mine.since.raw == 0, cut_wanted);
  mine.gather->everything = scope == GatherScope::kEverything;
  if (mine.gather->with_cut) {
    // Our own half of the cut that will most likely be used is decoded while the other one is on its way.
    const auto& known = cuts[torus.raw];
    const auto own = cut_wanted == 0 ? (known.empty() ? known.end() : std::prev(known.end())) : known.find(cut_wanted);
    if (own != known.end() && own->second.regions[kHeadRegion]) begin_restore(torus, own->first, own->second.digests);
  }
  for (const auto& [node, source] : mine.gather->sources) send_gather(torus, *mine.gather, node);
  if (mine.gather->sources.empty()) gather_complete(torus);
}

/// The view has made us the host: all that must let go are asked in that view. A speculative answer with a cut that is under
/// way goes on beside it, so that nothing travels twice.
void BraidNode::Impl::gather_officially(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  mine.official_when_idle = false;  // what an earlier view's question has brought does not make us the host in this one
  const CutNumber cut_wanted = resumption_cut(torus);
  const bool under_way = mine.gather && mine.gather->view.raw == 0 && mine.gather->with_cut && cut_wanted == 0 &&
                         std::all_of(mine.gather->sources.begin(), mine.gather->sources.end(),
                                     [&](const auto& source) { return view.find(source.first) != nullptr; });
  if (!under_way) {
    start_gather(torus, false, cut_wanted);
    return;
  }
  mine.fence = make_gather(torus, false, 0);
  mine.fence->with_cut = false;
  for (const auto& [node, source] : mine.fence->sources) send_gather(torus, *mine.fence, node);
}

GatherState BraidNode::Impl::make_gather(TorusId torus, bool speculative, CutNumber cut_wanted) {
  HostedTorus& mine = *hosted[torus.raw];
  GatherState gather;
  gather.request = ++request_counter;
  gather.view = speculative ? ViewNumber{} : view.number;
  gather.with_cut = !mine.put_together;
  gather.cut_wanted = cut_wanted;
  gather.started = now;
  gather.retry_at = now + kGatherRetry;
  // After a resumption seals may lie on the disk of any member, until they have been run and published again.
  const bool resumption = !speculative && view.resumed.raw != 0;
  for (const Member& member : view.members) {
    const NodeId node = member.node;
    if (node == self.node) continue;
    if (member.role == Role::kObserver || (!resumption && !is_host(node) && !is_holder(node))) continue;
    if (speculative && suspected_early(member)) continue;
    gather.sources[node];
  }
  return gather;
}

GatherState* BraidNode::Impl::find_gather(TorusId torus, std::uint64_t request) {
  if (torus.raw >= kTorusCount) return nullptr;
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine) return nullptr;
  if (mine->gather && mine->gather->request == request) return &*mine->gather;
  if (mine->fence && mine->fence->request == request) return &*mine->fence;
  return nullptr;
}

/// The newest cuts of which this node has a part, oldest first.
std::vector<HeldCut> BraidNode::Impl::cuts_held_here(TorusId torus) const {
  std::vector<HeldCut> held;
  for (const auto& [cut, regions] : cuts[torus.raw]) held.push_back({cut, regions.halves});
  if (held.size() > kHoldingsMax) held.erase(held.begin(), held.end() - kHoldingsMax);
  return held;
}

void BraidNode::Impl::send_gather(TorusId torus, const GatherState& state, NodeId to) {
  const HostedTorus& mine = *hosted[torus.raw];
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
  if (state.with_cut && state.cut_wanted == 0 && !state.everything) {
    gather.held = cuts_held_here(torus);
  }
  if (!state.with_cut) {
    gather.from_epoch = mine.restored && !mine.working ? mine.machine->next_epoch() : mine.last_sealed;
  }
  send(to, std::move(gather));
}

void BraidNode::Impl::retry_gather(TorusId torus) {
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine) return;
  if (mine->fence && now >= mine->fence->retry_at) ask_again(torus, *mine->fence);
  if (!mine->gather || now < mine->gather->retry_at) return;
  GatherState& gather = *mine->gather;
  if (gather.view.raw == 0 && elapsed(gather.started, now) > kGatherGiveUp) {
    if (mine->since.raw != 0) {
      start_gather(torus, false, resumption_cut(torus));
      return;
    }
    const bool keep = mine->put_together;
    mine->gather.reset();
    if (!keep) drop_hosted(torus);
    return;
  }
  if (gather.complete()) {
    // All have answered, but it was not enough: ask everyone again, someone may have returned.
    start_gather(torus, gather.view.raw == 0, gather.cut_wanted);
    return;
  }
  ask_again(torus, gather);
}

/// Those who have not answered, or not well.
void BraidNode::Impl::ask_again(TorusId torus, GatherState& gather) {
  gather.retry_at = now + kGatherRetry;
  for (auto& [node, source] : gather.sources) {
    if (source.done && !source.refused) continue;
    if (source.refused || elapsed(gather.started, now) > milliseconds(1000)) {
      source = {};
      send_gather(torus, gather, node);
    }
  }
  if (elapsed(gather.started, now) > milliseconds(1000)) gather.started = now;
}

// --- Answering. ---

void BraidNode::Impl::on_gather(NodeId from, const Gather& gather) {
  const std::size_t t = gather.torus.raw;
  if (t >= kTorusCount || !view.find(from)) return;
  GatherDone done{.request = gather.request, .torus = gather.torus, .view = view.number};
  // The view may count on an earlier life of ours, which has acknowledged what only its memory and our disk know: not for us to answer.
  const bool of_earlier_life = gather.view.raw != 0 && restarted;
  if (of_earlier_life || gather.run != view.run || (gather.view.raw != 0 && gather.view != view.number)) {
    done.refused = true;  // or one of us has not installed the view of the other
    send(from, std::move(done));
    return;
  }
  CutNumber base = gather.from_epoch.raw;
  GatherAnswer answer{.to = from, .with_cut = gather.with_cut};
  if (gather.with_cut) {
    done.held = cuts_held_here(gather.torus);
    base = gather.cut_wanted == kScenarioCut ? 0 : gather.cut_wanted;
    if (const auto found = cut_for(cuts[t], gather); found != cuts[t].end()) {
      base = answer.cut = found->first;
      const CutRegions& cut = found->second;
      answer.digests.assign(cut.digests.of.begin(), cut.digests.of.end());
      std::vector<RegionPtr> regions;
      const Halves lacking = kBothHalves & ~held_by(gather, answer.cut);
      for (std::size_t r = kRegionCount; r-- > 0;) {  // the head first: a machine begins with it
        if (cut.regions[r] && (half_of_region(r) & lacking) != 0) regions.push_back(cut.regions[r]);
      }
      answer.regions.emplace(std::move(regions));
    } else {
      answer.regions.emplace(std::vector<RegionPtr>{});
    }
  }
  // A cut that is not durable is perhaps not there of another torus: with that one's own, older one its host needs what lies between,
  // and the answer makes a host of whoever asks.
  const CutNumber begin = gather.with_cut ? std::min(base, durable_cut) : base;
  Epoch oldest{gather.everything || begin < kOldBatch + 1 ? 0 : begin - kOldBatch - 1};
  for (NodeId host : view.hosts) {
    // What a host lacks of the torus it will want from whoever is its host then, however new the cut.
    const auto found = peers.find(host);
    if (host == from || found == peers.end() || !found->second.heartbeat || found->second.heartbeat->run != view.run) continue;
    oldest = std::min(oldest, found->second.heartbeat->wanted[t]);
  }
  const bool resumption = gather.view.raw != 0 && view.resumed == view.hosted_since[t];
  const bool seals_too = gather.view.raw != 0 && view.resumed.raw != 0;
  for (TorusId torus : kTori) {
    if (torus != gather.torus && !gather.everything && (view.hosts[torus.raw] != self.node || resumption)) continue;
    // From where its own log ends, even if that is long before the cut: other tori that it hosts may need what is between.
    const Epoch have = gather.have[torus.raw];
    for (const PacketPtr& packet : logs[torus.raw].from(have.raw == 0 ? oldest : have)) {
      answer.packets.push_back(packet);
    }
  }
  if (seals_too) {
    for (const auto& [epoch, seal] : fixed_seals[t]) {
      if (epoch.raw + 1 >= base && answer.seals.size() < kSealedEpochsMax) answer.seals.push_back(seal);
    }
  }
  answer.done = std::move(done);
  // Whoever asks again has given up the answer before; but while a cut is on its way, asking for packets is one more question.
  std::erase_if(gather_answers, [&](const GatherAnswer& other) {
    return other.to == from && other.done.torus == gather.torus && (gather.with_cut || !other.with_cut);
  });
  // Packets only: a small answer that a view waits for overtakes the megabytes of a cut.
  if (gather.with_cut) {
    gather_answers.push_back(std::move(answer));
  } else {
    gather_answers.push_front(std::move(answer));
  }
}

/// Builds the next message of the oldest answer. Called when nothing else waits to be sent: what was decided is fixed in the
/// answer, but its megabytes are sent a part at a time, so that votes and heartbeats never wait behind them.
void BraidNode::Impl::continue_gather_answer() {
  GatherAnswer& answer = gather_answers.front();
  const std::uint64_t request = answer.done.request;
  const TorusId torus = answer.done.torus;
  if (answer.regions) {
    GatherRegions message{.request = request, .torus = torus, .cut = answer.cut};
    message.digests = std::exchange(answer.digests, {});
    message.pieces = answer.regions->next();
    if (answer.regions->done()) answer.regions.reset();
    ++answer.done.region_messages;
    send(answer.to, std::move(message));
    return;
  }
  std::size_t bytes = 0;
  if (answer.next_packet < answer.packets.size()) {
    GatherPacket message{.request = request, .torus = torus, .packet = {}};
    while (answer.next_packet < answer.packets.size() && message.packet.size() < kPartBytes) {
      encode_packet(*answer.packets[answer.next_packet++], message.packet);
    }
    bytes = message.packet.size();
    ++answer.done.packet_messages;
    send(answer.to, std::move(message));
  }
  if (answer.next_packet < answer.packets.size()) return;
  if (answer.next_seal < answer.seals.size()) {
    GatherSeals message{.request = request, .torus = torus, .seals = {}};
    while (answer.next_seal < answer.seals.size() && bytes < kPartBytes && message.seals.size() < kSealsPerMessageMax) {
      SealedEpoch& sealed = answer.seals[answer.next_seal++];
      bytes += sizeof sealed + sealed.seal.injections.size() * sizeof(Injection);
      message.seals.push_back(std::move(sealed));
    }
    ++answer.done.seal_messages;
    send(answer.to, std::move(message));
    return;
  }
  send(answer.to, answer.done);
  gather_answers.pop_front();
}

// --- Collecting. ---

void BraidNode::Impl::on_gather_regions(NodeId from, const GatherRegions& message) {
  GatherState* const gather = find_gather(message.torus, message.request);
  if (!gather) return;
  const auto source = gather->sources.find(from);
  if (source == gather->sources.end()) return;
  ++source->second.region_messages;
  if (message.cut == 0) return;
  if (!message.digests.empty()) {
    if (message.digests.size() != kRegionCount || gather->cuts.size() > 16) return;
    CutRegions fresh;
    std::copy(message.digests.begin(), message.digests.end(), fresh.digests.of.begin());
    const bool known = std::any_of(gather->cuts.begin(), gather->cuts.end(), [&](const auto& entry) {
      return entry.first == message.cut && entry.second.digests == fresh.digests;
    });
    if (!known) {
      // Not the newest that we hold, then: begin again with the half that fits.
      const auto own = cuts[message.torus.raw].find(message.cut);
      const bool fits = own != cuts[message.torus.raw].end() && own->second.regions[kHeadRegion] &&
                        own->second.digests == fresh.digests;
      if (fits && gather->cuts.empty()) begin_restore(message.torus, message.cut, fresh.digests);
      gather->cuts.emplace_back(message.cut, std::move(fresh));
    }
  }
  for (const RegionPiece& piece : message.pieces) {
    gather->region_bytes += piece.bytes.bytes.size();
    const auto region = gather->region_bytes <= 3 * kCutBytesMax ? source->second.builder.add(piece) : Error::kTooLarge;
    if (!region) {
      ++messages_refused;  // the answer is then shorter than its end says, and is asked for again
      --source->second.region_messages;
      return;
    }
    if (!*region) continue;
    const std::size_t r = (*region)->index;
    const Digest256 digest = digest_of((*region)->bytes);
    for (auto& [cut, regions] : gather->cuts) {
      if (cut == message.cut && regions.digests.of[r] == digest && !regions.regions[r]) regions.regions[r] = *region;
    }
  }
  feed_restore(message.torus);
}

void BraidNode::Impl::on_gather_packet(NodeId from, const GatherPacket& message) {
  GatherState* const gather = find_gather(message.torus, message.request);
  if (!gather) return;
  const auto source = gather->sources.find(from);
  if (source == gather->sources.end()) return;
  std::vector<PacketPtr> packets;
  for (ByteReader reader(message.packet); !reader.finished();) {
    auto packet = decode_packet(reader);
    if (!packet || packet->run != view.run) {
      ++messages_refused;
      return;
    }
    packets.push_back(std::make_shared<const Packet>(std::move(*packet)));
  }
  ++source->second.packet_messages;
  source->second.packets.insert(source->second.packets.end(), packets.begin(), packets.end());
}

void BraidNode::Impl::on_gather_seals(NodeId from, const GatherSeals& message) {
  GatherState* const gather = find_gather(message.torus, message.request);
  if (!gather) return;
  const auto source = gather->sources.find(from);
  if (source == gather->sources.end()) return;
  ++source->second.seal_messages;
  for (const SealedEpoch& seal : message.seals) {
    if (gather->seals.size() >= kSealedEpochsMax && !gather->seals.contains(seal.epoch)) continue;
    SealedEpoch& known = gather->seals[seal.epoch];
    if (seal.view >= known.view) known = seal;
  }
}

void BraidNode::Impl::on_gather_done(NodeId from, const GatherDone& done) {
  GatherState* const gather = find_gather(done.torus, done.request);
  if (!gather) return;
  const auto found = gather->sources.find(from);
  if (found == gather->sources.end()) return;
  GatherSource& source = found->second;
  source.done = true;
  source.view = done.view;
  source.refused = done.refused || done.view > view.number || done.view < view.resumed || (gather->view.raw != 0 && done.view != gather->view) ||
                   source.region_messages < done.region_messages || source.packet_messages < done.packet_messages ||
                   source.seal_messages < done.seal_messages;
  for (const HeldCut& held : done.held) gather->cuts_held[held.cut] |= held.halves;
  HostedTorus& mine = *hosted[done.torus.raw];
  if (mine.gather && gather == &*mine.gather && gather->complete()) gather_complete(done.torus);
}

}  // namespace rse
