// Getting a torus ready on this node: restore from what was gathered, replay, and take over when the view says so.
// The same steps serve the loss of a host, a planned move and the resumption after a loss of power.
#include "torus/braid/braid_state.h"

namespace rse {
namespace {

constexpr Duration kTakeOverRepeat = milliseconds(50);
constexpr std::uint32_t kCatchUpRounds = 2;  // then what is missing is a few epochs

}  // namespace

MachinePtr BraidNode::Impl::make_machine(TorusId torus) const {
  MachinePool* pool = options.machines;
  return MachinePtr(pool ? pool->take(torus, options.capacity) : new TorusMachine(torus, options.capacity), {pool});
}

void BraidNode::Impl::drop_hosted(TorusId torus) {
  auto& mine = hosted[torus.raw];
  if (!mine) return;
  if (mine->working) dropped[torus.raw].push_back(std::move(mine->machine));
  mine.reset();
}

void BraidNode::Impl::forget_machine(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  if (mine.working) dropped[torus.raw].push_back(std::move(mine.machine));
  mine.machine.reset();
  mine.working = mine.put_together = mine.restored = mine.cut_due = false;
  mine.restoring.reset();
  mine.taking.reset();
  mine.last_taken.reset();
  mine.hashing = mine.cut_not_held = false;
  mine.replayed.reset();
  mine.failure.reset();
}

/// Whether the logs join on to the machine: they may have been replaced by later ones that another torus needed.
bool BraidNode::Impl::logs_reach(TorusId torus) const {
  const TorusMachine& machine = *hosted[torus.raw]->machine;
  const PacketLog& own = logs[torus.raw];
  if (own.wanted() != machine.next_epoch() && !own.find(machine.next_epoch())) return false;
  // What it needs next: of an epoch that waits for its seal the inputs are in, those of the one that follows are not.
  const Epoch input = machine.awaiting_seal() ? machine.input_epoch() + 1 : machine.input_epoch();
  if (machine.awaiting_seal() ? !machine.own_packet(input) : !machine.needs_inputs()) return true;
  return std::all_of(kTori.begin(), kTori.end(), [&](TorusId other) {
    return other == torus || logs[other.raw].wanted() <= input || logs[other.raw].find(input);
  });
}

/// While we caught up, a durable cut let the others forget what we lack: from a newer cut, then.
void BraidNode::Impl::begin_again(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const bool speculative = mine.since.raw == 0;
  mine.official_when_idle = false;
  forget_machine(torus);
  start_gather(torus, speculative, speculative ? 0 : resumption_cut(torus));
}

/// The cut that a resumption has fixed for this torus, as a Gather names it; 0: none, the newest will do.
CutNumber BraidNode::Impl::resumption_cut(TorusId torus) const {
  if (view.resumed != view.hosted_since[torus.raw]) return 0;
  return view.resume_cut == 0 ? kScenarioCut : view.resume_cut;
}

/// The view has made us the host of `torus`.
void BraidNode::Impl::begin_hosting(TorusId torus) {
  const bool from_scenario = view.hosted_since[torus.raw] == view.run_since;
  auto& slot = hosted[torus.raw];
  if (!slot || slot->since.raw != 0) {
    drop_hosted(torus);
    slot = std::make_unique<HostedTorus>();
  }
  slot->since = view.hosted_since[torus.raw];
  slot->official_when_idle = false;
  assign_holders(torus);
  cut_complete[torus.raw] = 0;
  if (from_scenario) {
    slot->official = true;
    load_machine(torus);
    return;
  }
  event(BraidEvent::Kind::kRebuildStarted,
        std::string("torus ") + letter_of(torus) + " is put together here", self.node, torus);
  gather_officially(torus);
}

/// Whether this node should get ready for a torus that it does not host: one that will come here if a silent peer is lost, or
/// one that the plan moves here.
void BraidNode::Impl::consider_staging() {
  if (!am_member() || restarted || self.role == Role::kObserver) return;
  std::optional<TorusId> wanted;
  bool planned = false;
  const auto suspected = [&](const Member& member) { return member.role == Role::kHost && suspected_early(member); };
  if (std::any_of(view.members.begin(), view.members.end(), suspected)) {
    // What would be ours if they were gone.
    View without = view;
    std::erase_if(without.members, suspected);
    if (place_tori(without)) {
      for (TorusId torus : kTori) {
        if (without.hosts[torus.raw] == self.node && view.hosts[torus.raw] != self.node) wanted = torus;
      }
    }
  } else {
    // The plan: tori return home; then whoever hosts none relieves whoever hosts most.
    for (TorusId torus : kTori) {
      const NodeId home = view.homes[torus.raw];
      if (home == view.hosts[torus.raw] || !view.find(home)) continue;
      if (!wanted && home == self.node) wanted = torus;
      planned = true;
    }
    if (!planned) {
      NodeId free;
      for (const Member& member : view.members) {
        if (free.raw == 0 && view.hosted_count(member.node) == 0 && member.role == Role::kHost) free = member.node;
      }
      std::size_t most = 1;
      for (TorusId torus : kTori) {
        const std::size_t count = view.hosted_count(view.hosts[torus.raw]);
        if (free == self.node && count >= 2 && count >= most) {
          most = count;
          wanted = torus;
        }
      }
    }
    planned = wanted.has_value();
  }
  for (TorusId torus : kTori) {
    auto& mine = hosted[torus.raw];
    if (mine && mine->since.raw == 0 && wanted != torus) {
      drop_hosted(torus);  // it is not needed any more
      if (!is_host(self.node) && !is_holder(self.node)) {
        for (PacketLog& log : logs) log.clear();
      }
    }
  }
  if (!wanted) return;
  auto& mine = hosted[wanted->raw];
  if (!mine) {
    // Suspicion that comes and goes must not fill the memory with machines that a busy worker has not given back yet.
    if (!dropped[wanted->raw].empty()) return;
    mine = std::make_unique<HostedTorus>();
    start_gather(*wanted, true, 0);
    return;
  }
  if (!planned || mine->since.raw != 0 || !mine->restored || mine->working || mine->gather) return;
  if (mine->catch_up_rounds < kCatchUpRounds) {
    ++mine->catch_up_rounds;
    start_gather(*wanted, true, 0);
    return;
  }
  if (elapsed(mine->take_over_asked, now) < kTakeOverRepeat) return;
  mine->take_over_asked = now;
  if (++mine->catch_up_rounds % 8 == 0) {
    start_gather(*wanted, true, 0);  // nobody proposed: do not fall behind
    return;
  }
  to_voters(TakeOver{view.number, *wanted, mine->machine->next_epoch()});
}

void BraidNode::Impl::on_take_over(NodeId from, const TakeOver& take_over) {
  if (take_over.torus.raw >= kTorusCount || take_over.view != view.number || !view.find(from) || view.is_observer(from)) return;
  take_overs[from] = {take_over, now};
}

// --- From an answer to a machine. ---

/// What to ask for when the cut that was asked for was not enough: the newest before it of which the sources and we have both
/// halves. The newest of all may still be on its way from its host to those that hold it.
CutNumber BraidNode::Impl::older_cut(TorusId torus, const GatherState& gather) const {
  std::map<CutNumber, Halves> held = gather.cuts_held;
  for (const auto& [cut, regions] : cuts[torus.raw]) held[cut] |= regions.halves;
  for (auto each = held.rbegin(); each != held.rend(); ++each) {
    const bool asked_for = gather.cut_wanted == 0 ? each->first == held.rbegin()->first : each->first >= gather.cut_wanted;
    if (!asked_for && each->first != 0 && each->second == kBothHalves) return each->first;
  }
  return kScenarioCut;
}

/// The newest cut of which every region is here, our own shard included; 0: the scenario.
std::optional<CutNumber> BraidNode::Impl::best_cut(TorusId torus, const GatherState& gather,
                                                   const GatheredChains& chains, CutRegions& out) const {
  std::vector<std::pair<CutNumber, CutRegions>> all = gather.cuts;
  for (const auto& [number, own] : cuts[torus.raw]) {
    bool merged = false;
    for (auto& [cut, regions] : all) {
      if (cut != number || regions.digests != own.digests) continue;
      merged = true;
      for (std::size_t r = 0; r < kRegionCount; ++r) {
        if (!regions.regions[r]) regions.regions[r] = own.regions[r];
      }
    }
    if (!merged) all.emplace_back(number, own);
  }
  std::optional<CutNumber> best;
  // The first epoch whose packets the tori that run here may still need.
  std::uint64_t needed_here = ~0ull;
  for (TorusId each : kTori) {
    const HostedTorus* const other = hosted[each.raw].get();
    if (each == torus || !other || !other->official) continue;
    needed_here = std::min(needed_here, std::max<std::uint64_t>(other->last_sealed.raw, 1) - 1);
  }
  // Whether the packets of every torus, once merged, are there from `epoch` on, or will be: a torus may be two epochs behind a cut
  // that another has taken. What a source has kept of long ago reaches back far enough and not up to here.
  const auto reaches_back_to = [&](std::uint64_t epoch) {
    return std::all_of(kTori.begin(), kTori.end(), [&](TorusId each) {
      const auto& chain = chains[each.raw];
      const PacketLog& log = logs[each.raw];
      // Nobody has any: what each torus sent last is in its own cut. But of a torus that is being rebuilt too, its host cannot
      // tell: whoever else has its packets is asked before we do without. And a host that nobody has asked has some, most likely.
      const bool host_asked = view.hosts[each.raw] == self.node || gather.sources.contains(view.hosts[each.raw]);
      if (chain.empty() && log.empty()) return host_asked && (gather.everything || gather.cut_wanted != 0);
      const bool replaces = !chain.empty() && (log.empty() || chain.front()->epoch > log.wanted());
      const bool apart = !chain.empty() && !log.empty() && chain.back()->next_epoch < log.first()->epoch;
      Epoch begin = replaces ? chain.front()->epoch : log.first()->epoch;
      Epoch end = replaces ? chain.back()->next_epoch : log.wanted();
      if (!chain.empty() && !replaces && !apart) {
        begin = std::min(begin, chain.front()->epoch);
        end = std::max(end, chain.back()->next_epoch);
      }
      return begin.raw <= std::min(epoch, needed_here) && epoch < end.raw + kLookaheadEpochs;
    });
  };
  // A run that was resumed at a cut goes on from there: nobody has what came before.
  const bool from_start = view.resume_cut == 0 && reaches_back_to(0);
  if ((gather.cut_wanted == 0 || gather.cut_wanted == kScenarioCut) && from_start) best = 0;
  for (auto& [cut, regions] : all) {
    if (gather.cut_wanted != 0 && cut != gather.cut_wanted) continue;
    const bool whole = std::all_of(regions.regions.begin(), regions.regions.end(),
                                   [](const auto& region) { return region != nullptr; });
    const PacketLog& mine = logs[torus.raw];
    const Epoch end = chains[torus.raw].empty() ? mine.wanted() : std::max(mine.wanted(), chains[torus.raw].back()->next_epoch);
    // Between what is known and what the cut brings along there may be packets that another torus here needs.
    if ((!mine.empty() || needed_here < cut - std::min<CutNumber>(cut, kOldBatch)) && end.raw + kOldBatch < cut) continue;
    if (whole && cut > 0 && cut >= view.resume_cut && reaches_back_to(cut - 1) && (!best || cut > *best)) {
      best = cut;
      out = regions;
      out.halves = kBothHalves;
    }
  }
  return best;
}

/// Whether a packet of `torus` in an answer that was given in view `answered_in` is certainly of a host whose seals still count:
/// the present one, or the one from which the view has just given us the torus that we gather.
bool BraidNode::Impl::packet_counts(TorusId gathered, TorusId torus, ViewNumber answered_in) const {
  const bool ours = torus == gathered && hosted[torus.raw]->since.raw != 0;
  return answered_in >= (ours ? hosted_since_before : view.hosted_since)[torus.raw];
}

/// The gathered packets of each torus in epoch order, once each. Before a gap lies what a source has kept of long ago, or what
/// answers given at different times do not join: the chain begins behind the last one.
GatheredChains BraidNode::Impl::gathered_chains(TorusId torus) const {
  GatheredChains chains;
  for (const auto& [node, source] : hosted[torus.raw]->gather->sources) {
    for (const PacketPtr& packet : source.packets) {
      if (packet_counts(torus, packet->torus, source.view)) chains[packet->torus.raw].push_back(packet);
    }
  }
  for (auto& chain : chains) {
    std::stable_sort(chain.begin(), chain.end(),
                     [](const PacketPtr& a, const PacketPtr& b) { return a->epoch < b->epoch; });
    const auto same = [](const PacketPtr& a, const PacketPtr& b) { return a->epoch == b->epoch; };
    chain.erase(std::unique(chain.begin(), chain.end(), same), chain.end());
    const auto gap = std::adjacent_find(chain.rbegin(), chain.rend(), [](const PacketPtr& later, const PacketPtr& earlier) {
      return later->epoch != earlier->next_epoch;
    });
    if (gap != chain.rend()) chain.erase(chain.begin(), gap.base() - 1);
  }
  return chains;
}

void BraidNode::Impl::merge_gathered(TorusId torus, const GatheredChains& chains) {
  HostedTorus& mine = *hosted[torus.raw];
  for (TorusId each : kTori) {
    if (hosted[each.raw] && each != torus && hosted[each.raw]->official && !logs[each.raw].empty()) {
      // Our own is the best, but it may begin too late for what we gather.
      auto older = chains[each.raw];
      std::erase_if(older, [&](const PacketPtr& packet) { return packet->epoch >= logs[each.raw].first()->epoch; });
      logs[each.raw].merge(older);
      continue;
    }
    const Epoch before = logs[each.raw].wanted();
    logs[each.raw].merge(chains[each.raw]);
    for (const PacketPtr& packet : logs[each.raw].from(before)) keep_seal(*packet);
  }
  for (auto& [epoch, seal] : mine.gather->seals) {
    SealedEpoch& known = fixed_seals[torus.raw][epoch];
    if (seal.view >= known.view) known = seal;
  }
}

void BraidNode::Impl::gather_complete(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  GatherState& gather = *mine.gather;
  const GatheredChains chains = gathered_chains(torus);
  if (!gather.with_cut) {
    const bool connects = std::all_of(kTori.begin(), kTori.end(), [&](TorusId each) {
      return chains[each.raw].empty() || chains[each.raw].front()->epoch <= logs[each.raw].wanted();
    });
    if (!connects) {
      begin_again(torus);
      return;
    }
    gathered(torus, chains);
    return;
  }
  CutRegions whole;
  const auto best = best_cut(torus, gather, chains, whole);
  if (!best) {
    const std::string key = std::string("gather ") + letter_of(torus);
    if (gather.view.raw != 0 && elapsed(alarms_said[key], now) > milliseconds(2000)) {
      alarms_said[key] = now;
      event(BraidEvent::Kind::kStopped,
            std::string("torus ") + letter_of(torus) + " cannot be put together from what the members hold", self.node, torus);
    }
    if (!gather.everything) {
      // Our own logs may begin too late for the cut that there is.
      start_gather(torus, gather.view.raw == 0, gather.cut_wanted, GatherScope::kEverything);
    } else if (const CutNumber fixed = gather.view.raw != 0 ? resumption_cut(torus) : 0;
               fixed == 0 && gather.cut_wanted != kScenarioCut) {
      start_gather(torus, gather.view.raw == 0, older_cut(torus, gather));
    } else {
      gather.cut_wanted = fixed;
      gather.retry_at = now + milliseconds(200);
    }
    return;
  }
  if (*best == 0 && (!scenarios.contains(view.scenario) || !scenarios[view.scenario].whole)) {
    gather.retry_at = now + milliseconds(50);  // asked again once the scenario is here
    return;
  }
  mine.cut_taken = *best;
  if (*best == 0) {
    forget_machine(torus);
    load_machine(torus);
  } else {
    mine.put_together = true;
    mine.last_sealed = Epoch{*best - 1};
    whole.resumed = view.resumed;
    cuts[torus.raw][*best] = whole;
    mine.chosen = std::move(whole);
    begin_restore(torus, *best, mine.chosen.digests);
  }
  gathered(torus, chains);
  feed_restore(torus);
}

/// An answer is whole. The view's own question may have been asked beside it: then that one goes on.
void BraidNode::Impl::gathered(TorusId torus, const GatheredChains& chains) {
  HostedTorus& mine = *hosted[torus.raw];
  merge_gathered(torus, chains);
  mine.official_when_idle |= mine.gather->view.raw != 0;
  mine.gather.reset();
  if (mine.fence) {
    mine.gather = std::exchange(mine.fence, std::nullopt);
    if (mine.gather->complete()) gather_complete(torus);
    return;
  }
  if (mine.official_when_idle && mine.restored && !mine.working) become_official(torus);
}

// --- Restoring, while the cut arrives. ---

void BraidNode::Impl::begin_restore(TorusId torus, CutNumber cut, const RegionDigests& digests) {
  HostedTorus& mine = *hosted[torus.raw];
  if (mine.restoring && mine.restoring->cut == cut && mine.restoring->digests == digests) return;
  const bool put_together = mine.put_together;
  forget_machine(torus);
  mine.put_together = put_together;
  mine.machine = make_machine(torus);
  mine.restoring = Restoring{cut, digests, {}};
  feed_restore(torus);
}

/// Gives the worker the regions that have come since it was last given some; the head comes first.
void BraidNode::Impl::feed_restore(TorusId torus) {
  HostedTorus* const mine = hosted[torus.raw].get();
  if (!mine || !mine->restoring || mine->working) return;
  Restoring& restoring = *mine->restoring;
  RunEpoch work;
  const auto give = [&](const CutRegions& from) {
    if (from.digests != restoring.digests) return;
    for (std::size_t r = kRegionCount; r-- > 0;) {
      if (!from.regions[r] || restoring.given[r]) continue;
      restoring.given[r] = true;
      work.regions.push_back(from.regions[r]);
    }
  };
  const auto own = cuts[torus.raw].find(restoring.cut);
  if (own != cuts[torus.raw].end()) give(own->second);
  if (mine->put_together) give(mine->chosen);
  if (mine->gather) {
    for (const auto& [cut, regions] : mine->gather->cuts) {
      if (cut == restoring.cut && restoring.given[kHeadRegion]) give(regions);
    }
  }
  work.last = mine->put_together && restoring.given.all();
  if (work.regions.empty() && !work.last) return;
  work.kind = RunEpoch::Kind::kRestore;
  work.torus = torus;
  work.machine = mine->machine.get();
  work.failure = mine->failure = std::make_shared<std::optional<Error>>();
  if (work.last) mine->restoring.reset();
  mine->working = true;
  work_out.push_back(std::move(work));
}

/// A worker has loaded the machine, or restored some more of it.
void BraidNode::Impl::restored(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const auto failure = *std::exchange(mine.failure, nullptr);
  if (failure) {
    event(BraidEvent::Kind::kAlarm,
          std::string("torus ") + letter_of(torus) + " cannot be restored: " + to_string(*failure), self.node, torus);
    const bool chosen = mine.put_together;
    cuts[torus.raw].erase(mine.restoring ? mine.restoring->cut : mine.cut_taken);
    forget_machine(torus);
    mine.official_when_idle = false;
    if (chosen && mine.since.raw != 0 && mine.cut_taken != 0) start_gather(torus, false, resumption_cut(torus));
    return;
  }
  if (mine.restoring) {
    feed_restore(torus);
    return;
  }
  mine.chosen = {};
  mine.restored = true;
  PacketLog& log = logs[torus.raw];
  // The host before may have taken its cut before anyone had its last packets: the checkpoint has them.
  while (!log.empty() && log.wanted() < mine.machine->next_epoch()) {
    const Packet* own = mine.machine->own_packet(log.wanted());
    if (!own || !log.append(std::make_shared<const Packet>(*own))) break;
  }
  if (log.empty() && mine.cut_taken != 0) {
    // After a resumption nobody has them but us: what the torus sent for c - 1 and c is part of its checkpoint.
    const Epoch last = mine.last_sealed;
    const Epoch first{last.raw > 0 && mine.machine->own_packet({last.raw - 1}) ? last.raw - 1 : last.raw};
    log.start_at_least(first);
    for (Epoch epoch = first; epoch <= last; epoch = epoch + 1) {
      if (const Packet* own = mine.machine->own_packet(epoch)) log.append(std::make_shared<const Packet>(*own));
    }
  }
  log.start_at_least(mine.machine->next_epoch());
}

/// All that must answer have installed the view and answered: from here on this node is the torus's host.
void BraidNode::Impl::become_official(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  if (!logs_reach(torus)) {
    begin_again(torus);
    return;
  }
  mine.official = true;
  mine.official_when_idle = false;
  const Epoch next = mine.machine->next_epoch();
  mine.replay_until = logs[torus.raw].wanted();
  const auto& fixed = fixed_seals[torus.raw];
  if (!fixed.empty()) mine.replay_until = std::max(mine.replay_until, Epoch{fixed.rbegin()->first.raw + 1});
  mine.replaying = mine.replay_until > next;
  mine.held_by_another = mine.replay_until;
  // Two events even where all was replayed ahead: whoever tells the story afterwards knows when all was gathered.
  const std::string name = std::string("torus ") + letter_of(torus);
  event(BraidEvent::Kind::kRebuildReplaying,
        name + (mine.replaying ? " replays epochs " + std::to_string(next.raw) + " to " + std::to_string(mine.replay_until.raw)
                               : " is whole here, nothing is left to replay"),
        self.node, torus, next);
  if (!mine.replaying) event(BraidEvent::Kind::kRebuilt, name + " runs here from epoch " + std::to_string(next.raw), self.node, torus, next);
  assign_holders(torus);
  mine.held_from = mine.cut_taken;
  if (mine.cut_taken != 0 && !mine.cut_not_held) persist_own_cut(torus);
  next_heartbeat = now;
}

}  // namespace rse
