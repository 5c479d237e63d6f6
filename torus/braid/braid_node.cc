#include "torus/braid/braid_node.h"

#include "torus/braid/braid_state.h"
#include "torus/braid/planted_fault.h"

namespace rse {

namespace {

void replay(const RunEpoch& work) {
  TorusMachine& machine = *work.machine;
  ReplayResult& result = *work.replayed;
  for (const ReplayedEpoch& each : work.replay) {
    const bool inputs = machine.needs_inputs();
    if (machine.next_epoch() != each.sealed->epoch || (inputs && !(each.from_next && each.from_previous))) return;
    machine.run_epoch(inputs ? each.from_next.get() : nullptr, inputs ? each.from_previous.get() : nullptr);
    const Packet& packet = machine.seal(each.sealed->seal);
    result.last_sealed = packet.epoch;
    if (!machine.alarm().empty()) result.alarms.push_back(machine.alarm());
    if (packet.projection != each.sealed->projection) result.differs.push_back(packet.epoch);
    if (machine.cut_due()) return;
  }
}

/// Regions that have not changed are those of the cut before, with their digests; the others have none yet.
void take_cut(const RunEpoch& work) {
  CutRegions& taken = *work.taken;
  if (work.before) taken = *work.before;
  taken.halves = kBothHalves;
  work.machine->write_changed_regions([&](std::size_t r, Bytes bytes) {
    taken.regions[r] = std::make_shared<const Region>(Region{static_cast<std::uint8_t>(r), std::move(bytes)});
  });
}

void hash_cut(const RunEpoch& work) {
  CutRegions& taken = *work.taken;
  for (std::size_t r = 0; r < kRegionCount; ++r) {
    if (work.before && work.before->regions[r] == taken.regions[r]) continue;
    taken.digests.of[r] = digest_of(taken.regions[r]->bytes);
    const bool same = work.before && work.before->digests.of[r] == taken.digests.of[r];
    if (same) taken.regions[r] = work.before->regions[r];  // one copy in memory is enough
  }
}

}  // namespace

void execute(const RunEpoch& work) {
  switch (work.kind) {
    case RunEpoch::Kind::kRun:
      work.machine->run_epoch(work.from_next.get(), work.from_previous.get());
      return;
    case RunEpoch::Kind::kTakeCut: take_cut(work); return;
    case RunEpoch::Kind::kHashCut: hash_cut(work); return;
    case RunEpoch::Kind::kReplay: replay(work); return;
    case RunEpoch::Kind::kRestore: {
      std::optional<Error>& failure = *work.failure;
      for (const RegionPtr& region : work.regions) {
        if (failure) return;
        if (auto read = work.machine->restore_region(region->index, region->bytes); !read) failure = read.error();
      }
      if (failure || !work.last) return;
      if (auto ended = work.machine->end_restore(); !ended) failure = ended.error();
      return;
    }
    case RunEpoch::Kind::kLoad:
      if (auto result = work.machine->load(work.run, *work.scenario); !result) {
        *work.failure = result.error();
      }
      return;
  }
}

BraidNode::Impl::Impl(const Options& given, Recovered recovered, Instant at)
    : options(given), self(given.self), now(at), last_deadline(at), random(given.seed) {
  RSE_ASSERT(self.node.raw != 0, "a node has an id");
  RSE_ASSERT(self.role == Role::kHost || !(options.found || options.durable), "an observer founds nothing and keeps nothing");
  const Bytes empty = encode_scenario(Scenario{});
  ScenarioBlob blob{.bytes = empty, .hash = digest_of(empty), .whole = true, .held = true};
  const Digest256 empty_hash = blob.hash;
  scenarios[empty_hash] = std::move(blob);
  for (Bytes& scenario : recovered.scenarios) {
    const Digest256 hash = digest_of(scenario);
    scenarios[hash] = {.bytes = std::move(scenario), .hash = hash, .whole = true, .held = true, .order = ++offers_seen};
  }
  if (recovered.vote) {
    ByteReader reader(*recovered.vote);
    auto found = decode_view(reader);
    ViewAgreement::Acceptor acceptor;
    acceptor.number = reader.get<ViewNumber>();
    acceptor.promised = reader.get<std::uint64_t>();
    acceptor.accepted_ballot = reader.get<std::uint64_t>();
    const auto accepted = reader.get_sized(kMessageBytesMax);
    acceptor.accepted.assign(accepted.begin(), accepted.end());
    RSE_ASSERT(found && reader.finished(), "the data directory verifies its vote record");
    view = *found;
    restarted = true;
    start_agreement();
    if (acceptor.number == agreement.number()) agreement.restore(std::move(acceptor));
    for (RecoveredCut& cut : recovered.cuts) {
      if (cut.run != view.run) continue;
      if (!view.counts(cut.cut, cut.resumed)) continue;
      CutRegions& regions = cuts[cut.torus.raw][cut.cut];
      regions.digests = cut.digests;
      regions.resumed = cut.resumed;
      regions.halves |= cut.halves;
      OnDisk& on_disk = cuts_on_disk[cut.torus.raw][cut.cut];
      on_disk = {static_cast<Halves>(on_disk.halves | cut.halves), cut.resumed};
      for (Region& region : cut.regions) {
        regions.regions[region.index] = std::make_shared<const Region>(std::move(region));
      }
    }
    for (RecoveredSeal& seal : recovered.seals) {
      if (seal.run != view.run) continue;
      SealedEpoch& known = fixed_seals[seal.torus.raw][seal.epoch];
      if (seal.view >= known.view) known = {seal.epoch, seal.view, std::move(seal.seal)};
    }
    if (recovered.dropped_run == view.run) durable_cut = recovered.dropped_before;
  } else if (options.found) {
    View first;
    first.cluster = *options.found;
    first.number = first.run_since = ViewNumber{1};
    first.scenario = empty_hash;
    first.members = {self};
    first.voters = {self.node};
    first.hosts.fill(self.node);
    first.holders = {self.node};
    first.holders_needed = 1;
    first.homes.fill(self.node);
    first.hosted_since.fill(ViewNumber{1});
    first.trust = options.found_trust;
    install(std::move(first));
  }
  settle();
}

std::string BraidNode::Impl::name_of(NodeId node) const {
  if (node == self.node) return self.name;
  if (const Member* member = view.find(node); member && !member->name.empty()) return member->name;
  const auto found = peers.find(node);
  if (found != peers.end() && !found->second.member.name.empty()) return found->second.member.name;
  return "node " + std::to_string(node.raw);
}

bool BraidNode::Impl::is_host(NodeId node) const {
  return std::find(view.hosts.begin(), view.hosts.end(), node) != view.hosts.end();
}

bool BraidNode::Impl::is_holder(NodeId node) const {
  return std::find(view.holders.begin(), view.holders.end(), node) != view.holders.end();
}

void BraidNode::Impl::event(BraidEvent::Kind kind, std::string text, NodeId node,
                            std::optional<TorusId> torus, Epoch epoch) {
  if (events_out.size() >= 1024) events_out.pop_front();  // nobody reads: keep the newest
  events_out.push_back({kind, now, node, torus, epoch, std::move(text)});
}

void BraidNode::Impl::persist(
    std::variant<PersistVote, PersistCut, PersistSeals, PersistScenario, DropCuts> what,
    std::function<void()> then) {
  if (!options.durable) {
    if (then) then();
    return;
  }
  ++token;
  persisting[token] = std::move(then);
  work_out.push_back(Persist{token, std::move(what)});
}

// --- Links and routes. ---

void BraidNode::Impl::on_link_up(Instant at, const Member& member, const PublicKey& key, std::uint64_t ticket) {
  PeerState& state = peer(member.node);
  if (member.incarnation < state.member.incarnation) return;  // a late word of an earlier life
  if (member.incarnation > state.member.incarnation) {
    // A new life proves the death of the one before; what is known of that one says nothing of this one.
    state = PeerState{};
  }
  state.member = member;
  state.linked = true;
  state.key = key;
  state.ticket = ticket;
  state.dead = false;
  state.heard = state.heard_directly = at;
  state.sent_through = {};
  state.sent_at = {};
  for (auto& torus : hosted) {
    if (!torus) continue;
    for (Holder& holder : torus->holders) {
      if (holder.node == member.node) holder.sent = 0;  // parts may have been lost with the old link
    }
  }
  if (view.number.raw == 0 || !am_member()) next_join = at;
  heartbeat_to(member.node, make_heartbeat());
}

void BraidNode::Impl::on_link_down(NodeId node, bool proof_of_death) {
  const auto found = peers.find(node);
  if (found == peers.end()) return;
  found->second.linked = false;
  found->second.closed_at = now;
  if (proof_of_death) found->second.dead = true;
}

Duration BraidNode::Impl::rest(const PeerState& state) const {
  return milliseconds(std::max(rest_milliseconds, state.heartbeat ? state.heartbeat->rest_milliseconds : 0));
}

/// A link may be dead long before the transport notices: a cut cable tells nothing. Whoever hears its other end relays meanwhile.
bool BraidNode::Impl::link_works(const PeerState& state) const {
  if (!state.linked || direct_silence(state) > options.silence_floor) return false;
  if (!state.heartbeat || state.heartbeat->view != view.number) return true;  // it has not said yet whom it hears
  const auto& hears = state.heartbeat->hears;
  return std::find(hears.begin(), hears.end(), self.node) != hears.end();
}

/// A neighbour that hears `to` and that we can talk with.
NodeId BraidNode::Impl::relay_to(NodeId to) const {
  for (const auto& [node, state] : peers) {
    if (node == to || !link_works(state) || !state.heartbeat) continue;
    if (!view.trust.open() && !view.find(node)) continue;  // only members relay
    const auto& hears = state.heartbeat->hears;
    if (std::find(hears.begin(), hears.end(), to) != hears.end()) return node;
  }
  return {};
}

NodeId BraidNode::Impl::route(NodeId to) const {
  const auto direct = peers.find(to);
  const bool linked = direct != peers.end() && direct->second.linked;
  if (linked && link_works(direct->second)) return to;
  const NodeId relay = relay_to(to);
  return relay.raw == 0 && linked ? to : relay;
}

void BraidNode::Impl::send(NodeId to, Message message) {
  if (to == self.node) {
    to_self.push_back({self.node, std::move(message)});
    return;
  }
  const NodeId hop = route(to);
  if (hop.raw == 0) return;
  const bool bulk = std::holds_alternative<ShardPart>(message) || std::holds_alternative<ScenarioPart>(message);
  const bool answer = std::holds_alternative<GatherRegions>(message) || std::holds_alternative<GatherPacket>(message) ||
                      std::holds_alternative<GatherSeals>(message) || std::holds_alternative<GatherDone>(message);
  (bulk ? bulk_out : answer ? gather_out : send_out).push_back({hop, {self.node, self.incarnation, to, std::move(message)}});
}

/// Whether parts of a shard of `shard_of`, or without one of a scenario, still wait here for a neighbour that is slow. They are not
/// sent again until they have left: what waits is bounded by one copy of each.
bool BraidNode::Impl::bulk_waits(NodeId to, std::optional<TorusId> shard_of) const {
  return std::any_of(bulk_out.begin(), bulk_out.end(), [&](const Outgoing& out) {
    if (out.envelope.destination != to) return false;
    const auto* shard = std::get_if<ShardPart>(&out.envelope.message);
    return shard ? shard_of == shard->torus : !shard_of;
  });
}

void BraidNode::Impl::on_message(NodeId from, const Envelope& envelope) {
  const auto link = peers.find(from);
  if (link == peers.end()) return;
  link->second.heard_directly = now;
  if (envelope.destination != self.node) {
    // Relaying for a pair that cannot talk: one hop only, and only for the sender's own words.
    const auto to = peers.find(envelope.destination);
    if (envelope.origin == from && to != peers.end() && to->second.linked) {
      send_out.push_back({envelope.destination, kept(envelope)});
    }
    return;
  }
  if (envelope.origin != from && !view.trust.open() && !view.find(from)) {
    ++messages_refused;  // only members relay
    return;
  }
  PeerState& origin = peer(envelope.origin);
  if (envelope.origin_incarnation < origin.member.incarnation) return;
  if (envelope.origin_incarnation > origin.member.incarnation) {
    const PublicKey key = origin.key;
    const std::uint64_t ticket = origin.ticket;
    origin = PeerState{};
    origin.key = key;
    origin.ticket = ticket;
    origin.member.node = envelope.origin;
    origin.member.incarnation = envelope.origin_incarnation;
    attend();
  }
  const std::uint64_t gap = silence(origin).raw;
  // What separates two lives of a link, or lies across a change of views, says nothing of how steady it is; nor do the stops
  // with which a transport that has been without answers for long finds its pace again.
  if (gap >= options.silence_ceiling.raw) origin.steady_from = now + std::min(Duration{gap}, kRecoveryMax);
  if (origin.heard > installed_at && now > origin.steady_from && origin.heartbeat && origin.heartbeat->view == view.number) {
    origin.gap_max = std::max(gap < options.silence_ceiling.raw ? gap : 0,
                              origin.gap_max - origin.gap_max / 4096);
  }
  origin.heard = now;
  dispatch(envelope.origin, envelope.message);
}

void BraidNode::Impl::dispatch(NodeId from, const Message& message) {
  if (is_newcomer(from) && !std::holds_alternative<Join>(message) && !std::holds_alternative<Heartbeat>(message)) {
    ++messages_refused;
    return;
  }
  const bool vote = std::holds_alternative<Prepare>(message) || std::holds_alternative<Promise>(message) ||
                    std::holds_alternative<Accept>(message) || std::holds_alternative<Accepted>(message);
  if (vote && !may_vote(from)) {
    ++messages_refused;
    return;
  }
  if (!is_routine(message)) attend();
  struct Visitor {
    Impl& braid;
    NodeId from;
    void operator()(const Heartbeat& m) { braid.on_heartbeat(from, m); }
    void operator()(const PacketMessage& m) { braid.on_packet(from, m); }
    void operator()(const ShardPart& m) { braid.on_shard_part(from, m); }
    void operator()(const ShardAck& m) { braid.on_shard_ack(from, m); }
    void operator()(const Gather& m) { braid.on_gather(from, m); }
    void operator()(const GatherRegions& m) { braid.on_gather_regions(from, m); }
    void operator()(const GatherPacket& m) { braid.on_gather_packet(from, m); }
    void operator()(const GatherDone& m) { braid.on_gather_done(from, m); }
    void operator()(const GatherSeals& m) { braid.on_gather_seals(from, m); }
    void operator()(const Prepare& m) { braid.on_prepare(from, m); }
    void operator()(const Promise& m) { braid.on_promise(from, m); }
    void operator()(const Reject& m) { braid.on_reject(from, m); }
    void operator()(const Accept& m) { braid.on_accept(from, m); }
    void operator()(const Accepted& m) { braid.on_accepted(from, m); }
    void operator()(const Decided& m) { braid.on_decided(m.view); }
    void operator()(const Join& m) { braid.on_join(from, m); }
    void operator()(const TrustWish& m) { braid.on_trust_wish(from, m.change); }
    void operator()(const TakeOver& m) { braid.on_take_over(from, m); }
    void operator()(const Holdings& m) {
      PeerState& state = braid.peer(from);
      state.holdings = m;
      state.holdings_at = braid.now;
    }
    void operator()(const InjectRequest& m) {
      if (m.run == braid.view.run) braid.accept_injection(m.torus, m.injection, from);
    }
    void operator()(const InjectAnswer& m) { braid.on_inject_answer(m); }
    void operator()(const ScenarioPart& m) { braid.on_scenario_part(from, m); }
    void operator()(const ScenarioHeld& m) { braid.on_scenario_held(from, m); }
    void operator()(const ScenarioWanted& m) { braid.on_scenario_wanted(from, m); }
  };
  std::visit(Visitor{*this, from}, message);
}

// --- Heartbeats. ---

Heartbeat BraidNode::Impl::make_heartbeat() {
  Heartbeat beat;
  beat.view = view.number;
  beat.run = view.run;
  beat.sequence = planted(Fault::kHeartbeatSequenceStuck) ? 1 : ++heartbeat_sequence;
  for (const auto& [node, state] : peers) {
    if (state.linked && direct_silence(state) < options.silence_floor &&
        beat.hears.size() < kMembersMax) {
      beat.hears.push_back(node);
    }
  }
  for (const Member& member : view.members) {
    if (member.node != self.node && lost(member)) beat.suspects.push_back(member.node);
  }
  beat.undecided = agreement.acceptor().accepted_ballot != 0;
  beat.rest_milliseconds = rest_milliseconds;
  for (TorusId torus : kTori) {
    beat.wanted[torus.raw] = logs[torus.raw].wanted();
    beat.durable[torus.raw] =
        options.durable ? durable_through[torus.raw] : logs[torus.raw].wanted();
    const HostedTorus* mine = hosted[torus.raw].get();
    if (!mine || !mine->official) continue;
    beat.cut_complete[torus.raw] = cut_complete[torus.raw];
    if (!mine->working && mine->machine) beat.running[torus.raw] = mine->machine->next_epoch();
    if (mine->working && mine->machine) beat.progress[torus.raw] = mine->machine->progress();
    const auto bit = static_cast<std::uint8_t>(1u << torus.raw);
    if (mine->restored && !mine->replaying) beat.ready |= bit;
    if (settled_here(torus)) beat.settled |= bit;
  }
  return beat;
}

/// Over a link that seems dead too: by a heartbeat both ends learn that it works again.
void BraidNode::Impl::heartbeat_to(NodeId to, const Heartbeat& beat) {
  const auto direct = peers.find(to);
  if (direct != peers.end() && direct->second.linked && route(to) != to) {
    send_out.push_back({to, {self.node, self.incarnation, to, beat}});
  }
  send(to, beat);
}

void BraidNode::Impl::on_heartbeat(NodeId from, const Heartbeat& beat) {
  PeerState& state = peer(from);
  if (state.heartbeat && beat.sequence <= state.heartbeat->sequence) return;
  state.heartbeat = beat;
  if (view.number.raw != 0 && beat.view < view.number &&
      elapsed(state.decided_sent, now) > milliseconds(20)) {
    // Whoever is behind learns the newest decided view, member or not.
    state.decided_sent = now;
    send_decided(from, view);
  }
  if (beat.view != view.number || beat.run != view.run) return;
  for (TorusId torus : kTori) {
    if (view.hosts[torus.raw] == from && from != self.node) {
      cut_complete[torus.raw] = beat.cut_complete[torus.raw];
    }
  }
  update_durable();
  release_answers();
  resend(from);
}

void BraidNode::Impl::on_deadline() {
  // Silence counts while we are awake: while this process, or the whole machine, stood still, nobody could be heard.
  const Duration awaited{2 * options.heartbeat.raw};
  if (const Duration since = elapsed(last_deadline, now); last_deadline.raw != 0 && since > awaited) {
    const Duration asleep{since.raw - options.heartbeat.raw};
    for (auto& [node, state] : peers) {
      if (state.dead) continue;
      state.heard = std::min(now, state.heard + asleep);
      state.heard_directly = std::min(now, state.heard_directly + asleep);
    }
  }
  last_deadline = now;
  if (now >= next_heartbeat) {
    next_heartbeat = now + options.heartbeat;
    const Heartbeat beat = make_heartbeat();
    for (const auto& [node, state] : peers) {
      if (state.linked || view.find(node)) heartbeat_to(node, beat);
    }
    owed_acks.clear();
  }
  if (now >= next_join && (!am_member() || restarted)) {
    next_join = now + milliseconds(40);
    for (const auto& [node, state] : peers) {
      if (!state.linked) continue;
      send(node, Join{self, view.number, {}, 0});
    }
  }
  if ((needs_resumption() || restarted) && self.role == Role::kHost) {  // observers have nothing, and join again
    for (const auto& [node, state] : peers) {
      if (state.linked) send(node, make_holdings());
    }
  }
  repeat_trust_wishes();
  for (TorusId torus : kTori) retry_gather(torus);
  want_scenario();
  forward_requests();
}

void BraidNode::Impl::settle() {
  for (int round = 0; round < 64; ++round) {
    while (!to_self.empty()) {
      auto [from, message] = std::move(to_self.front());
      to_self.pop_front();
      dispatch(from, message);
    }
    if (now > calm_until) {
      consider_views();
      consider_staging();
      calm_until = calm_limit();
    }
    for (TorusId torus : kTori) advance(torus);
    for (TorusId torus : kTori) ship(torus);
    update_durable();
    flush_seals();
    release_answers();
    record_held();
    if (to_self.empty()) break;
  }
  if (owed_acks.empty()) return;
  const Heartbeat beat = make_heartbeat();
  for (NodeId node : owed_acks) heartbeat_to(node, beat);
  owed_acks.clear();
}

// --- The public face. ---

BraidNode::BraidNode(const Options& options, Recovered recovered, Instant now)
    : impl_(std::make_unique<Impl>(options, std::move(recovered), now)) {}
BraidNode::~BraidNode() = default;

void BraidNode::on_link_up(Instant now, const Member& peer, const PublicKey& key, std::uint64_t ticket) {
  impl_->now = now;
  impl_->attend();
  impl_->on_link_up(now, peer, key, ticket);
  impl_->settle();
}
void BraidNode::on_link_down(Instant now, NodeId peer, bool proof_of_death) {
  impl_->now = now;
  impl_->attend();
  impl_->on_link_down(peer, proof_of_death);
  impl_->settle();
}
void BraidNode::on_watched(Instant now, NodeId peer, std::uint64_t incarnation) {
  impl_->now = now;
  const auto found = impl_->peers.find(peer);
  if (found != impl_->peers.end() && found->second.member.incarnation == incarnation) found->second.watched = true;
  impl_->attend();
  impl_->settle();
}
void BraidNode::on_message(Instant now, NodeId from, const Envelope& envelope) {
  impl_->now = now;
  impl_->on_message(from, envelope);
  impl_->settle();
}
void BraidNode::on_epoch_done(Instant now, TorusId torus, RunEpoch::Kind kind) {
  impl_->now = now;
  impl_->on_epoch_done(torus, kind);
  impl_->settle();
}
void BraidNode::on_persisted(Instant now, std::uint64_t token) {
  impl_->now = now;
  const auto found = impl_->persisting.find(token);
  if (found == impl_->persisting.end()) return;
  auto then = std::move(found->second);
  impl_->persisting.erase(found);
  if (then) then();
  impl_->settle();
}
void BraidNode::on_deadline(Instant now) {
  impl_->now = now;
  impl_->on_deadline();
  impl_->settle();
}
void BraidNode::set_rest(Duration rest) {
  const auto longest = std::min<std::uint64_t>(rest.raw / milliseconds(1).raw, kRestMillisecondsMax);
  impl_->rest_milliseconds = static_cast<std::uint32_t>(longest);
}
void BraidNode::set_addresses(std::vector<std::string> addresses) { impl_->self.addresses = std::move(addresses); }
void BraidNode::on_inject(Instant now, TorusId torus, Injection injection) {
  impl_->now = now;
  impl_->on_inject(torus, std::move(injection));
  impl_->settle();
}
Result<void> BraidNode::on_load(Instant now, std::span<const std::byte> scenario) {
  impl_->now = now;
  impl_->attend();
  auto result = impl_->on_load(scenario);
  impl_->settle();
  return result;
}
Result<void> BraidNode::on_trust_change(Instant now, const TrustChange& change) {
  impl_->now = now;
  impl_->attend();
  auto result = impl_->ask_trust_change(change);
  impl_->settle();
  return result;
}
Result<void> BraidNode::on_override(Instant now) {
  impl_->now = now;
  if (impl_->majority_of_voters_heard() || impl_->self.role == Role::kObserver) return Error::kMalformed;
  impl_->attend();
  auto result = impl_->override_majority();
  impl_->settle();
  return result;
}

namespace {
template <class T, class Queue>
std::optional<T> pop(Queue& queue) {
  if (queue.empty()) return {};
  std::optional<T> front(std::move(queue.front()));
  queue.pop_front();
  return front;
}
}  // namespace

std::optional<Work> BraidNode::poll_work() { return pop<Work>(impl_->work_out); }
std::optional<Outgoing> BraidNode::poll_send(const std::function<bool(NodeId)>& has_room) {
  Impl& braid = *impl_;
  if (!braid.send_out.empty()) return pop<Outgoing>(braid.send_out);
  while (braid.gather_out.empty() && !braid.gather_answers.empty() &&
         (!has_room || has_room(braid.route(braid.gather_answers.front().to)))) {
    braid.continue_gather_answer();
  }
  for (auto* queue : {&braid.gather_out, &braid.bulk_out}) {
    // The order of what goes to one neighbour stays; a slow one holds up nobody else.
    const auto found = std::find_if(queue->begin(), queue->end(),
                                    [&](const Outgoing& out) { return !has_room || has_room(out.next_hop); });
    if (found == queue->end()) continue;
    std::optional<Outgoing> out(std::move(*found));
    queue->erase(found);
    return out;
  }
  return {};
}
std::optional<InjectAnswer> BraidNode::poll_answer() { return pop<InjectAnswer>(impl_->answers_out); }
std::optional<BraidEvent> BraidNode::poll_event() { return pop<BraidEvent>(impl_->events_out); }
std::shared_ptr<const Packet> BraidNode::poll_sealed() {
  return pop<PacketPtr>(impl_->sealed_out).value_or(nullptr);
}

std::optional<Instant> BraidNode::next_deadline() const {
  Instant next = impl_->next_heartbeat;
  if (next.raw == 0) next = impl_->now;
  for (TorusId torus : kTori) {
    const HostedTorus* mine = impl_->hosted[torus.raw].get();
    if (!mine || mine->idle_since.raw == 0) continue;
    // Over already: the torus waits for something else by now, and no deadline will bring it.
    const Instant idle_over = mine->idle_since + impl_->options.idle_epoch;
    if (idle_over > impl_->now) next = std::min(next, idle_over);
  }
  return next;
}

BraidStatus BraidNode::status(Instant now) const { return impl_->status(now); }
const View& BraidNode::view() const { return impl_->view; }
bool BraidNode::is_member() const { return impl_->am_member(); }
const TorusMachine* BraidNode::machine(TorusId torus) const {
  const HostedTorus* mine = impl_->hosted[torus.raw].get();
  return mine && !mine->working && mine->restored ? mine->machine.get() : nullptr;
}
Tick BraidNode::outputs_released(TorusId torus) const { return impl_->outputs_released(torus); }
std::vector<Member> BraidNode::peers_to_dial() const {
  std::vector<Member> result;
  for (const Member& member : impl_->view.members) {
    if (member.node != impl_->self.node) result.push_back(member);
  }
  return result;
}
const Bytes* BraidNode::scenario() const {
  const auto found = impl_->scenarios.find(impl_->view.scenario);
  return found != impl_->scenarios.end() && found->second.whole ? &found->second.bytes : nullptr;
}

}  // namespace rse
