// Epochs, seals, packets and clients' requests: what happens while nothing fails.
#include "torus/braid/braid_state.h"

#include "torus/braid/planted_fault.h"

namespace rse {
namespace {

constexpr Duration kResendAfter = milliseconds(20);
constexpr Duration kResendAfterMax = milliseconds(320);  // over a link that is slower than what is published
constexpr Duration kSealFlushEvery = milliseconds(100);
constexpr std::size_t kResendPacketsMax = 16;
constexpr std::size_t kUnreadSealedMax = 8192;
constexpr std::size_t kReplayEpochsMax = 256;  // in one piece of work: as many as between two cuts

/// Whether the client has gone on, as far as the machine or the seal under way know: the machine would pass over this one.
bool is_overtaken(const TorusMachine& machine, const Seal& seal, const Injection& injection) {
  if (injection.client.raw == 0 || injection.sequence + 1 == 0) return false;
  return machine.has_applied(injection.client, injection.sequence + 1) ||
         std::any_of(seal.injections.begin(), seal.injections.end(), [&](const Injection& other) {
           return other.client == injection.client && other.sequence > injection.sequence;
         });
}

}  // namespace

/// Whether every seal of `torus` before `end` is held, on disk if asked, by another host, if there is one, and by so many holders
/// that any `holders_needed` of them include one who knows.
/// The word of a node in a later view is worth nothing: what it holds may be of the host that has taken our place.
bool BraidNode::Impl::another_holds(TorusId torus, Epoch end, bool on_disk) const {
  const auto knows = [&](NodeId node) {
    if (node == self.node) return (on_disk ? durable_through[torus.raw] : logs[torus.raw].wanted()) >= end;
    const auto found = peers.find(node);
    if (found == peers.end() || !found->second.heartbeat) return false;
    const Heartbeat& beat = *found->second.heartbeat;
    const ViewNumber since = std::max(view.hosted_since[torus.raw], found->second.member_since);
    if (beat.run != view.run || beat.view < since) return false;
    if (beat.view > view.number && !planted(Fault::kLaterViewAcknowledges)) return false;
    return (on_disk ? beat.durable : beat.wanted)[torus.raw] >= end;
  };
  const bool alone = view.hosted_count(self.node) == kTorusCount;
  const bool elsewhere = std::any_of(view.hosts.begin(), view.hosts.end(),
                                     [&](NodeId host) { return host != self.node && knows(host); });
  if (!alone && !elsewhere) return false;
  const auto knowing = static_cast<std::size_t>(std::count_if(view.holders.begin(), view.holders.end(), knows));
  return knowing + view.holders_needed > view.holders.size();
}

void BraidNode::Impl::advance(TorusId torus) {
  HostedTorus* mine = hosted[torus.raw].get();
  if (mine && mine->restored && !mine->working && !mine->official && !mine->gather && !logs_reach(torus)) {
    begin_again(torus);
    return;
  }
  if (!mine || mine->working || !mine->restored || mine->machine->awaiting_seal()) {
    // A machine may have waited for the right to seal.
    if (mine && !mine->working && mine->restored) finish_epoch(torus);
    if (!mine || mine->working || !mine->restored || mine->machine->awaiting_seal()) return;
  }
  if (mine->cut_due) {
    // None passes a cut before every host and those who hold its shards have the last.
    if (mine->hashing || (mine->official && (mine->cut_not_held || cut_everywhere() < mine->cut_taken))) return;
    take_cut(torus);
    return;
  }
  if (replay_known(torus)) return;
  TorusMachine& machine = *mine->machine;
  RunEpoch work;
  work.kind = RunEpoch::Kind::kRun;
  work.torus = torus;
  work.machine = &machine;
  if (machine.needs_inputs()) {
    const Epoch input = machine.input_epoch();
    work.from_next = logs[next_torus(torus).raw].find(input);
    work.from_previous = logs[previous_torus(torus).raw].find(input);
    if (!work.from_next || !work.from_previous) return;
  }
  if (machine.next_epoch().raw >= kLookaheadEpochs) {
    const Epoch before{machine.next_epoch().raw - 1};  // seals of next - 2 and older
    const auto held = [&](TorusId each) { return another_holds(each, std::min(before, logs[each.raw].wanted()), false); };
    // Its own and those of its inputs that come from here: what comes from elsewhere two nodes hold, the host and we.
    const bool all_held = std::all_of(kTori.begin(), kTori.end(), [&](TorusId each) {
      return (each != torus && view.hosts[each.raw] != self.node) || held(each);
    });
    if (mine->official && !mine->replaying && !all_held) return;
  }
  if (mine->official && !mine->replaying && idle_wait(torus)) return;
  mine->working = true;
  work_out.push_back(std::move(work));
}

/// Runs the epochs whose packets are known, as far as their inputs are here, in one piece of work: handing them over to a
/// worker one at a time costs more than running them. False: the next one is not known, or its inputs are not here.
bool BraidNode::Impl::replay_known(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const PacketLog& next = logs[next_torus(torus).raw];
  const PacketLog& previous = logs[previous_torus(torus).raw];
  std::vector<ReplayedEpoch> known;
  Epoch epoch = mine.machine->next_epoch();
  while (known.size() < kReplayEpochsMax) {
    ReplayedEpoch one{nullptr, nullptr, logs[torus.raw].find(epoch)};
    if (!one.sealed) break;
    if (epoch.raw >= kLookaheadEpochs) {
      const Epoch input{epoch.raw - kLookaheadEpochs};
      one.from_next = next.find(input);
      one.from_previous = previous.find(input);
    }
    epoch = one.sealed->next_epoch;
    known.push_back(std::move(one));
  }
  if (known.empty()) return false;
  if (mine.machine->needs_inputs() && !(known.front().from_next && known.front().from_previous)) return false;
  RunEpoch work;
  work.kind = RunEpoch::Kind::kReplay;
  work.torus = torus;
  work.machine = mine.machine.get();
  work.replay = std::move(known);
  work.replayed = mine.replayed = std::make_shared<ReplayResult>();
  mine.working = true;
  work_out.push_back(std::move(work));
  return true;
}

void BraidNode::Impl::finish_replay(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const auto result = std::exchange(mine.replayed, nullptr);
  RSE_ASSERT(result->last_sealed, "the first of a replay's epochs was ready to run");
  const Epoch last = *result->last_sealed;
  for (const std::string& text : result->alarms) alarm(torus, last, text);
  for (Epoch epoch : result->differs) {
    alarm(torus, epoch,
          std::string("torus ") + letter_of(torus) + ", epoch " + std::to_string(epoch.raw) +
              ": replay differs from the projection that the host before had published; determinism is broken");
  }
  const Epoch first{mine.last_sealed.raw + 1};
  note_sealed(torus, last);
  if (!mine.official) return;
  for (const PacketPtr& packet : logs[torus.raw].from(first)) {
    if (packet->epoch > last) break;
    publish(torus, packet);
  }
}

/// For the operator, once a second where it is said again and again.
void BraidNode::Impl::alarm(TorusId torus, Epoch epoch, const std::string& text) {
  if (elapsed(alarms_said[text], now) <= milliseconds(1000)) return;
  alarms_said[text] = now;
  event(BraidEvent::Kind::kAlarm, text, self.node, torus, epoch);
}

/// The machine has sealed `epoch`, for the first time or again.
void BraidNode::Impl::note_sealed(TorusId torus, Epoch epoch) {
  HostedTorus& mine = *hosted[torus.raw];
  mine.last_sealed = epoch;
  if (mine.machine->cut_due()) mine.cut_due = true;
  if (mine.replaying && mine.machine->next_epoch() >= mine.replay_until) {
    mine.replaying = false;
    event(BraidEvent::Kind::kRebuilt,
          std::string("torus ") + letter_of(torus) + " runs here again from epoch " +
              std::to_string(mine.machine->next_epoch().raw),
          self.node, torus, mine.machine->next_epoch());
    next_heartbeat = now;
  }
}

/// Where nothing is pending anywhere, epochs idle slowly: no machine is kept busy by an empty cluster.
bool BraidNode::Impl::idle_wait(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  bool idle = mine.waiting.empty() && !offered;
  for (TorusId each : kTori) {
    const PacketPtr last = logs[each.raw].last();
    idle &= last && last->projection.idle();
    if (hosted[each.raw] && !hosted[each.raw]->waiting.empty()) idle = false;
  }
  if (!idle) {
    mine.idle_since = {};
    return false;
  }
  if (mine.idle_since.raw == 0) mine.idle_since = now;
  if (elapsed(mine.idle_since, now) < options.idle_epoch) return true;
  mine.idle_since = {};
  return false;
}

void BraidNode::Impl::on_epoch_done(TorusId torus, RunEpoch::Kind kind) {
  if (kind == RunEpoch::Kind::kHashCut) {
    // In order: what is under way behind it is of a machine that came later.
    const bool newest = --hashes_under_way[torus.raw] == 0;
    if (newest && hosted[torus.raw] && hosted[torus.raw]->hashing) cut_taken(torus);
    return;
  }
  if (!dropped[torus.raw].empty()) {
    dropped[torus.raw].pop_front();
    return;
  }
  HostedTorus* mine = hosted[torus.raw].get();
  RSE_ASSERT(mine && mine->working, "a worker gives back what it was given");
  mine->working = false;
  if (kind == RunEpoch::Kind::kTakeCut) {
    hash_cut(torus);
  } else if (mine->replayed) {
    finish_replay(torus);
  } else if (mine->failure) {
    restored(torus);
  } else {
    finish_epoch(torus);
  }
  if (mine->official_when_idle && mine->restored && !mine->working) become_official(torus);
}

/// Seals the epoch that the machine has run, if we may: with the seal that is known already, or with a new one.
void BraidNode::Impl::finish_epoch(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  TorusMachine& machine = *mine.machine;
  if (!machine.awaiting_seal()) return;
  PacketLog& log = logs[torus.raw];
  const Epoch epoch = machine.next_epoch();
  const PacketPtr known = log.find(epoch);
  auto fixed = planted(Fault::kKnownSealsIgnored) ? fixed_seals[torus.raw].end() : fixed_seals[torus.raw].find(epoch);
  if (fixed != fixed_seals[torus.raw].end() && machine.must_seal_empty() && !fixed->second.seal.injections.empty()) {
    fixed = fixed_seals[torus.raw].end();
  }
  Seal seal;
  if (known) {
    seal = known->seal;
  } else if (fixed != fixed_seals[torus.raw].end()) {
    if (!mine.official) return;
    seal = fixed->second.seal;
  } else {
    if (!mine.official && !planted(Fault::kSealedBeforeOfficial)) return;
    // Acknowledged seals have no gaps between them: what disks hold beyond this epoch is of a time that was taken back.
    fixed_seals[torus.raw].erase(fixed_seals[torus.raw].lower_bound(epoch), fixed_seals[torus.raw].end());
    auto& sealed = mine.unanswered[epoch];
    const std::size_t room = machine.must_seal_empty() ? 0 : kInjectionsPerSealMax;
    while (!mine.waiting.empty() && seal.injections.size() < room) {
      const auto& [injection, origin] = mine.waiting.front();
      if (is_overtaken(machine, seal, injection)) {
        send(origin, InjectAnswer{injection.client, injection.sequence, InjectStatus::kOvertaken, {}});
      } else {
        seal.injections.push_back(injection);
        sealed.push_back(std::move(mine.waiting.front()));
      }
      mine.waiting.pop_front();
    }
    if (sealed.empty()) mine.unanswered.erase(epoch);
    seal.waiting = !mine.waiting.empty();
  }
  auto packet = std::make_shared<Packet>(machine.seal(std::move(seal)));
  if (!machine.alarm().empty()) alarm(torus, epoch, machine.alarm());
  if (known) {
    if (known->projection != packet->projection) {
      alarm(torus, epoch,
            std::string("torus ") + letter_of(torus) + ", epoch " + std::to_string(epoch.raw) +
                ": replay differs from the projection that the host before had published; determinism is broken");
    }
  } else {
    const bool appended = log.append(packet);
    RSE_ASSERT(appended, "our own next packet is the one that is wanted");
    keep_seal(*packet);
  }
  note_sealed(torus, epoch);
  if (mine.official) publish(torus, known ? known : packet);
}

void BraidNode::Impl::publish(TorusId torus, const PacketPtr& packet) {
  std::set<NodeId> to(view.hosts.begin(), view.hosts.end());
  to.insert(view.holders.begin(), view.holders.end());
  std::erase_if(to, [&](NodeId node) { return node == self.node || !view.find(node); });
  for (NodeId node : to) {
    const PeerState& state = peer(node);
    // During replay the others have most of it already.
    if (state.heartbeat && state.heartbeat->run == view.run && state.heartbeat->view >= view.resumed &&
        state.heartbeat->wanted[torus.raw] > packet->epoch) {
      continue;
    }
    send_packet(node, torus, packet);
  }
}

void BraidNode::Impl::send_packet(NodeId to, TorusId torus, const PacketPtr& packet) {
  PeerState& state = peer(to);
  state.sent_through[torus.raw] = packet->next_epoch;
  state.sent_at[torus.raw] = now;
  send(to, PacketMessage{view.number, packet == logs[torus.raw].first(), *packet});
}

/// Sends again what a host says it lacks and what was sent too long ago to be still on its way. An observer gets all its packets
/// here, as its heartbeats ask for them: only what is part of the record, since no gather will ask it for what it alone has; and
/// from our oldest on when it has been away for too long.
void BraidNode::Impl::resend(NodeId to) {
  const bool observer = view.is_observer(to);
  if (!(is_host(to) || is_holder(to) || observer) || planted(Fault::kPacketsNotRepeated)) return;
  PeerState& state = peer(to);
  for (TorusId torus : kTori) {
    const HostedTorus* mine = hosted[torus.raw].get();
    if (!mine || !mine->official) continue;
    const Epoch wanted = state.heartbeat->wanted[torus.raw];
    const Epoch end = observer ? sealed_recorded[torus.raw] : logs[torus.raw].wanted();
    Duration& patience = state.resend_after[torus.raw];
    patience = std::max(kResendAfter, wanted >= end ? Duration{patience.raw / 2} : patience);
    if (wanted >= end) continue;
    if (wanted < state.sent_through[torus.raw]) {
      if (elapsed(state.sent_at[torus.raw], now) < patience) continue;
      patience = std::min(kResendAfterMax, Duration{2 * patience.raw});  // it may only be on its way for longer
    }
    std::size_t sent = 0;
    for (const PacketPtr& packet : logs[torus.raw].from(wanted)) {
      if (sent == 0 && packet->epoch != wanted && wanted.raw != 0 && !observer) break;
      if (packet->epoch >= end) break;
      send_packet(to, torus, packet);
      if (++sent == kResendPacketsMax) break;
    }
  }
}

void BraidNode::Impl::on_packet(NodeId from, const PacketMessage& message) {
  const Packet& packet = message.packet;
  const std::size_t t = packet.torus.raw;
  if (t >= kTorusCount || packet.run != view.run) return;
  // Fencing: only from the host that our view names, and only what it sent as that host.
  const bool fenced = view.hosts[t] != from || message.view < view.hosted_since[t];
  const Member* member = view.find(from);
  const bool lives = member && member->incarnation == peer(from).member.incarnation;
  if (from == self.node || ((fenced || !lives) && !planted(Fault::kFencedHostAccepted))) return;
  const bool observes = self.role == Role::kObserver;
  if (!am_member() || !(is_host(self.node) || is_holder(self.node) || observes)) return;
  owed_acks.insert(from);
  if (observes && message.first && packet.epoch > logs[t].wanted()) logs[t].clear();  // what is between is nowhere any more
  const bool begins = message.first && logs[t].empty() && logs[t].wanted().raw == 0;
  if (packet.epoch != logs[t].wanted() && !begins) return;
  auto kept = std::make_shared<const Packet>(packet);
  if (!(begins ? logs[t].begin_with(kept) : logs[t].append(kept))) {
    ++messages_refused;
    return;
  }
  keep_seal(packet);
  if (observes) record_held();  // late as it may be, before a durable cut lets it go
}

/// On its way to our disk, if there is one.
void BraidNode::Impl::keep_seal(const Packet& packet) {
  if (options.durable) seals_to_persist.push_back({packet.run, packet.torus, packet.epoch, view.number, packet.seal});
}

/// What two hosts hold becomes part of the record: a view may take back what only its host holds, and what a node has
/// gathered that hosts nothing yet is acknowledged to nobody.
void BraidNode::Impl::record_held() {
  const bool observes = self.role == Role::kObserver;
  if (!am_member() || !(is_host(self.node) || observes)) return;
  for (TorusId torus : kTori) {
    Epoch& recorded = sealed_recorded[torus.raw];
    if (recorded >= logs[torus.raw].wanted()) continue;
    for (const PacketPtr& packet : logs[torus.raw].from(recorded)) {
      if (!observes && !another_holds(torus, packet->next_epoch, false)) break;  // an observer is sent nothing that is not
      recorded = packet->epoch + 1;
      if (sealed_out.size() >= kUnreadSealedMax) sealed_out.pop_front();  // nobody reads
      sealed_out.push_back(packet);
    }
  }
}

/// One write at a time; at once when a client waits for it, otherwise a few times a second.
void BraidNode::Impl::flush_seals() {
  if (!options.durable || persisting_seals || seals_to_persist.empty()) return;
  const bool wanted = std::any_of(seals_to_persist.begin(), seals_to_persist.end(),
                                  [](const RecoveredSeal& seal) { return !seal.seal.injections.empty(); });
  if (!wanted && elapsed(seals_flushed, now) < kSealFlushEvery) return;
  seals_flushed = now;
  persisting_seals = true;
  std::array<Epoch, kTorusCount> through{};
  for (const RecoveredSeal& seal : seals_to_persist) through[seal.torus.raw] = Epoch{seal.epoch.raw + 1};
  if (planted(Fault::kSealsDurableEarly)) durable_through = through;
  const RunId run = view.run;
  const ViewNumber resumed = view.resumed;
  persist(PersistSeals{std::exchange(seals_to_persist, {})}, [this, through, run, resumed] {
    persisting_seals = false;
    if (run != view.run || resumed != view.resumed) return;
    for (TorusId torus : kTori) {
      durable_through[torus.raw] = std::max(durable_through[torus.raw], through[torus.raw]);
    }
    for (NodeId host : view.hosts) {
      if (host != self.node) owed_acks.insert(host);
    }
  });
}

// --- Clients. ---

void BraidNode::Impl::on_inject(TorusId torus, Injection injection) {
  const std::pair key{injection.client, injection.sequence};
  if (requests.size() >= kWaitingInjectionsMax && !requests.contains(key)) {
    answers_out.push_back({key.first, key.second, InjectStatus::kTooMany, {}});
    return;
  }
  requests[key] = {torus, std::move(injection), {}, {}};
  forward_requests();
}

void BraidNode::Impl::forward_requests() {
  if (view.number.raw == 0) return;
  std::size_t sent = 0;
  for (auto& [key, request] : requests) {
    const NodeId host = view.hosts[request.torus.raw];
    if (request.sent_to == host && elapsed(request.sent_at, now) < milliseconds(250)) continue;
    request.sent_to = host;
    request.sent_at = now;
    send(host, InjectRequest{view.run, request.torus, request.injection});
    if (++sent == 1024) break;
  }
}

void BraidNode::Impl::on_inject_answer(const InjectAnswer& answer) {
  const auto found = requests.find({answer.client, answer.sequence});
  if (found == requests.end()) return;
  requests.erase(found);
  answers_out.push_back(answer);
}

void BraidNode::Impl::accept_injection(TorusId torus, const Injection& injection, NodeId origin) {
  const auto outside = [](CellId cell) { return cell.raw >= kTorusCount * kCellCount; };
  if (torus.raw >= kTorusCount || outside(injection.dst) || outside(injection.src) ||
      torus_of(injection.dst) != torus) {
    ++messages_refused;  // in a seal it would be refused by every peer, and the torus would stand still
    return;
  }
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->official || !mine->restored) return;  // the origin asks again
  const auto answer = [&](InjectStatus status) {
    send(origin, InjectAnswer{injection.client, injection.sequence, status, {}});
  };
  if (injection.program.size() > kProgramNameBytesMax || injection.args.size() > kProgramArgsBytesMax ||
      (injection.kind == Injection::Kind::kSpawn && !find_program(injection.program))) {
    answer(InjectStatus::kUnknownProgram);
    return;
  }
  const auto same = [&](const auto& entry) {
    return entry.first.client == injection.client && entry.first.sequence == injection.sequence;
  };
  if (std::any_of(mine->waiting.begin(), mine->waiting.end(), same)) return;
  for (const auto& [epoch, entries] : mine->unanswered) {
    if (std::any_of(entries.begin(), entries.end(), same)) return;
  }
  if (!mine->working && injection.client.raw != 0 &&
      mine->machine->has_applied(injection.client, injection.sequence)) {
    if (is_overtaken(*mine->machine, {}, injection)) {
      answer(InjectStatus::kOvertaken);
      return;
    }
    // Perhaps from a seal of the host before that only this node holds: answered once all that is sealed is held by two.
    mine->unanswered[mine->last_sealed].emplace_back(injection, origin);
    return;
  }
  if (mine->waiting.size() >= kWaitingInjectionsMax) {
    answer(InjectStatus::kTooMany);
    return;
  }
  mine->waiting.emplace_back(injection, origin);
  for (auto& each : hosted) {
    if (each) each->idle_since = {};
  }
}

/// An injection is acknowledged when two nodes hold the seal it is in; with data directories, two disks.
void BraidNode::Impl::release_answers() {
  for (TorusId torus : kTori) {
    HostedTorus* mine = hosted[torus.raw].get();
    if (!mine || !mine->official) continue;
    while (!mine->unanswered.empty()) {
      const auto first = mine->unanswered.begin();
      const bool on_disk = planted(Fault::kAnsweredBeforeDisk) || durable_through[torus.raw] > first->first;
      if (options.durable && !on_disk) break;
      if (!planted(Fault::kAnsweredBeforeSecondCopy) && !another_holds(torus, Epoch{first->first.raw + 1}, options.durable && !planted(Fault::kAnsweredBeforeDisk))) break;
      for (const auto& [injection, origin] : first->second) {
        send(origin, InjectAnswer{injection.client, injection.sequence, InjectStatus::kAccepted, first->first});
      }
      mine->unanswered.erase(first);
    }
  }
}

/// Whether what the tori did in `epoch` will be done again in the same way whichever node fails, or, with data directories, all
/// of them: it follows from seals of two epochs before and older.
bool BraidNode::Impl::is_fixed(Epoch epoch) const {
  if (epoch.raw < kLookaheadEpochs) return true;
  const Epoch end{epoch.raw - kLookaheadEpochs + 1};
  return std::all_of(kTori.begin(), kTori.end(), [&](TorusId torus) { return another_holds(torus, end, options.durable); });
}

Tick BraidNode::Impl::outputs_released(TorusId torus) const {
  const HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->official) return {};
  const std::vector<PacketPtr> sealed = logs[torus.raw].from({});
  const auto newest = std::find_if(sealed.rbegin(), sealed.rend(), [&](const PacketPtr& packet) { return is_fixed(packet->epoch); });
  return newest == sealed.rend() ? Tick{} : (*newest)->projection.end_tick;
}

}  // namespace rse
