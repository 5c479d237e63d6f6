// Cuts: taken at the same epoch by all tori, kept in two shards by the hosts of the other two.
#include "torus/braid/braid_state.h"

#include "torus/braid/observer_epochs.h"
#include "torus/braid/planted_fault.h"

namespace rse {
namespace {

constexpr Duration kShardRepeat = milliseconds(1000);
constexpr Duration kObserverAwayMax = milliseconds(5000);  // left out of the view
constexpr Duration kRebuildPatience = milliseconds(500);

}  // namespace

void BraidNode::Impl::take_cut(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  RunEpoch work;
  work.kind = RunEpoch::Kind::kTakeCut;
  work.torus = torus;
  work.machine = mine.machine.get();
  work.before = mine.last_taken;
  work.taken = mine.taking = std::make_shared<CutRegions>();
  mine.taking_number = mine.last_sealed.raw + 1;
  mine.cut_not_held = false;  // an older one, if a machine that catches up had it
  mine.cut_due = false;
  mine.working = true;
  work_out.push_back(std::move(work));
}

/// The machine has written itself down and may go on; what it wrote is hashed beside it.
void BraidNode::Impl::hash_cut(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  RunEpoch work;
  work.kind = RunEpoch::Kind::kHashCut;
  work.torus = torus;
  work.before = mine.last_taken;
  work.taken = mine.taking;
  mine.hashing = true;
  ++hashes_under_way[torus.raw];
  work_out.push_back(std::move(work));
}

void BraidNode::Impl::cut_taken(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  mine.cut_not_held = true;
  mine.taking->resumed = view.resumed;
  mine.last_taken = std::exchange(mine.taking, nullptr);
  mine.hashing = false;
}

/// A cut leaves its machine, to disks, copies or answers, only once another host holds every seal in it: a view may still take
/// back what nobody else holds. So within a resumption there is one cut of each number.
void BraidNode::Impl::release_cut(TorusId torus) {
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->official || !mine->cut_not_held || !another_holds(torus, Epoch{mine->taking_number}, false)) return;
  mine->cut_not_held = false;
  mine->cut_taken = mine->taking_number;
  auto& known = cuts[torus.raw];
  known[mine->cut_taken] = *mine->last_taken;
  if (planted(Fault::kOldCutForgotten)) {
    known.erase(known.begin(), known.find(mine->cut_taken));
    persist(DropCuts{view.run, mine->cut_taken}, nullptr);
  }
  keep_needed_cuts(torus);
  persist_own_cut(torus);
}

/// Until holders and hosts are the same again no cut becomes durable, and there would be more and more: the durable one and the last
/// two are enough.
void BraidNode::Impl::keep_needed_cuts(TorusId torus) {
  auto& known = cuts[torus.raw];
  while (known.size() > 3) known.erase(std::next(known.begin()));
}

/// Puts the newest own cut on our own disk; cut_is_complete() waits for it.
void BraidNode::Impl::persist_own_cut(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const CutNumber number = mine.cut_taken;
  mine.persisted_cut = planted(Fault::kOwnCutNotPersisted);
  if (mine.persisted_cut) return;
  const auto found = cuts[torus.raw].find(number);
  if (found == cuts[torus.raw].end()) return;
  PersistCut record{view.run, torus, number, kBothHalves, found->second.digests, {}, view.resumed};
  record.regions.assign(found->second.regions.begin(), found->second.regions.end());
  persist_cut(std::move(record), [this, torus, number, since = mine.since] {
    HostedTorus* still = hosted[torus.raw].get();
    if (still && still->since == since && still->cut_taken == number) still->persisted_cut = true;
  });
}

void BraidNode::Impl::persist_cut(PersistCut record, std::function<void()> then) {
  const RunId run = record.run;
  const TorusId torus = record.torus;
  const CutNumber cut = record.cut;
  const OnDisk written{record.halves, record.resumed};
  persist(std::move(record), [this, run, torus, cut, written, then = std::move(then)] {
    if (run == view.run && cuts[torus.raw].contains(cut)) {
      OnDisk& known = cuts_on_disk[torus.raw][cut];
      if (known.resumed != written.resumed) known = {0, written.resumed};
      known.halves |= written.halves;
    }
    then();
  });
}

/// What this node still has of a cut when it has lost its memory, or, without a disk, as long as it lives.
Halves BraidNode::Impl::lasting_halves(TorusId torus, CutNumber cut) const {
  const Halves halves = cuts[torus.raw].at(cut).halves;
  if (!options.durable) return halves;
  const auto found = cuts_on_disk[torus.raw].find(cut);
  return found != cuts_on_disk[torus.raw].end() && view.counts(cut, found->second.resumed) ? halves & found->second.halves : Halves{0};
}

/// One half to the host of each other torus; both to the same node where that hosts both, or the other half is ours.
void BraidNode::Impl::assign_holders(TorusId torus) {
  HostedTorus& mine = *hosted[torus.raw];
  const NodeId first = view.hosts[next_torus(torus).raw];
  const NodeId second = view.hosts[previous_torus(torus).raw];
  std::vector<Holder> holders;
  const auto add = [&](NodeId node, Halves halves) {
    for (Holder& holder : holders) {
      if (holder.node == node) {
        holder.halves |= halves;
        return;
      }
    }
    holders.push_back({.node = node, .halves = halves});
  };
  const NodeId other = first == self.node ? second : first;
  if (other != self.node) {
    add(first == self.node ? other : first, half_of_region(0));
    add(second == self.node ? other : second, half_of_region(1));
  }
  bool all_kept = true;
  for (Holder& holder : holders) {
    bool kept = false;
    for (const Holder& before : mine.holders) {
      if (before.node == holder.node && (before.halves & holder.halves) == holder.halves) {
        const Halves halves = holder.halves;
        holder = before;
        holder.halves = halves;
        kept = true;
      }
    }
    all_kept &= kept;
  }
  if (!all_kept) {
    cut_complete[torus.raw] = 0;  // until the new holder has its shard
    mine.held_from = mine.cut_taken;
  }
  mine.holders = std::move(holders);
}

bool BraidNode::Impl::cut_is_complete(TorusId torus) const {
  const HostedTorus& mine = *hosted[torus.raw];
  if (planted(Fault::kCutDurableEarly)) return mine.official && mine.restored;
  return mine.official && mine.persisted_cut && mine.restored &&
         std::all_of(mine.holders.begin(), mine.holders.end(),
                     [&](const Holder& holder) { return holder.acked >= mine.cut_taken; });
}

/// Whether a torus of the present view does not run yet, as far as this node has heard.
bool BraidNode::Impl::rebuilding() const {
  return !std::all_of(kTori.begin(), kTori.end(), [&](TorusId torus) {
    const NodeId host = view.hosts[torus.raw];
    if (host == self.node) {
      const HostedTorus* mine = hosted[torus.raw].get();
      return mine && mine->official && mine->restored && !mine->replaying;
    }
    const auto found = peers.find(host);
    if (found == peers.end() || !found->second.heartbeat) return false;
    const Heartbeat& beat = *found->second.heartbeat;
    return beat.view == view.number && (beat.ready >> torus.raw & 1) != 0;
  });
}

void BraidNode::Impl::ship(TorusId torus) {
  release_cut(torus);
  HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->official || !mine->restored || mine->cut_taken == 0) return;
  const auto newest = cuts[torus.raw].find(mine->cut_taken);
  if (newest == cuts[torus.raw].end()) return;
  // A view gives every torus new holders: their megabytes would be in the way of those that the rebuilt one waits for.
  if (elapsed(installed_at, now) < kRebuildPatience && rebuilding()) return;
  for (Holder& holder : mine->holders) {
    if (holder.acked >= mine->cut_taken) continue;
    if (holder.sent == mine->cut_taken && planted(Fault::kShardNotRepeated)) continue;
    if (holder.sent == mine->cut_taken && elapsed(holder.sent_at, now) < kShardRepeat) continue;
    if (route(holder.node).raw != 0 && !bulk_waits(holder.node, torus)) send_shard(torus, holder);
  }
}

void BraidNode::Impl::send_shard(TorusId torus, Holder& holder) {
  const CutNumber number = hosted[torus.raw]->cut_taken;
  const CutRegions& regions = cuts[torus.raw].at(number);
  const auto base = cuts[torus.raw].find(holder.acked);
  const bool differs = holder.acked != 0 && base != cuts[torus.raw].end() && holder.acked != number;
  holder.sent = number;
  holder.sent_at = now;
  std::vector<RegionPtr> changed;
  for (std::size_t r = 0; r < kRegionCount; ++r) {
    if ((half_of_region(r) & holder.halves) == 0) continue;
    const bool same = differs && base->second.digests.of[r] == regions.digests.of[r];
    if (same || (differs && planted(Fault::kWrongBase))) continue;
    changed.push_back(regions.regions[r]);
  }
  RegionSender sender(std::move(changed));
  for (std::uint32_t number_of_part = 0; number_of_part == 0 || !sender.done(); ++number_of_part) {
    ShardPart part;
    part.view = view.number;
    part.run = view.run;
    part.torus = torus;
    part.cut = number;
    part.base = differs ? holder.acked : 0;
    part.halves = holder.halves;
    part.part = number_of_part;
    if (number_of_part == 0) part.digests.assign(regions.digests.of.begin(), regions.digests.of.end());
    part.pieces = sender.next();
    part.last = sender.done();
    send(holder.node, std::move(part));
  }
}

void BraidNode::Impl::on_shard_part(NodeId from, const ShardPart& part) {
  const std::size_t t = part.torus.raw;
  if (t >= kTorusCount || part.run != view.run || view.hosts[t] != from ||
      part.view < view.hosted_since[t] || part.cut == 0 || part.halves == 0 || part.halves > kBothHalves) {
    return;
  }
  const auto refuse = [&] {
    assemblies.erase({from, part.torus});
    send(from, ShardAck{part.view, part.run, part.torus, part.cut, part.halves, false});
  };
  if (part.view > view.number) {
    // A view that we do not know yet may be a resumption, which would take this cut for one of the time before.
    if (part.last) refuse();
    return;
  }
  ShardAssembly& assembly = assemblies[{from, part.torus}];
  if (part.part == 0) {
    if (part.digests.size() != kRegionCount) return refuse();
    assembly = {};
    assembly.cut = part.cut;
    assembly.base = part.base;
    assembly.regions.halves = part.halves;
    assembly.regions.resumed = view.resumed;
    std::copy(part.digests.begin(), part.digests.end(), assembly.regions.digests.of.begin());
  } else if (assembly.cut != part.cut || assembly.next_part != part.part) {
    return;  // a part was lost: the host sends all of it again
  }
  assembly.next_part = part.part + 1;
  for (const RegionPiece& piece : part.pieces) {
    assembly.bytes += piece.bytes.bytes.size();
    const auto region = assembly.bytes <= kCutBytesMax ? assembly.builder.add(piece) : Error::kTooLarge;
    if (!region || (*region && digest_of((*region)->bytes) != assembly.regions.digests.of[(*region)->index])) {
      ++messages_refused;
      return refuse();
    }
    if (*region) assembly.regions.regions[(*region)->index] = *region;
  }
  if (!part.last) return;
  const auto base = cuts[t].find(assembly.base);
  for (std::size_t r = 0; r < kRegionCount; ++r) {
    if ((half_of_region(r) & assembly.regions.halves) == 0 || assembly.regions.regions[r]) continue;
    if (base == cuts[t].end() || !base->second.regions[r] ||
        (base->second.digests.of[r] != assembly.regions.digests.of[r] && !planted(Fault::kWrongBase))) {
      return refuse();
    }
    assembly.regions.regions[r] = base->second.regions[r];
  }
  CutRegions whole = std::move(assembly.regions);
  assemblies.erase({from, part.torus});
  PersistCut record{view.run, part.torus, part.cut, whole.halves, whole.digests, {}, view.resumed};
  for (const auto& region : whole.regions) {
    if (region && (half_of_region(region->index) & whole.halves) != 0) record.regions.push_back(region);
  }
  // A node that is getting ready for this torus may have the whole of the cut already: a copy of a half must not replace it.
  CutRegions& known = cuts[t][part.cut];
  if (known.digests == whole.digests) {
    whole.halves |= known.halves;
    for (std::size_t r = 0; r < kRegionCount; ++r) {
      if (!whole.regions[r]) whole.regions[r] = known.regions[r];
    }
  }
  known = std::move(whole);
  keep_needed_cuts(part.torus);
  persist_cut(std::move(record),
              [this, from, ack = ShardAck{part.view, part.run, part.torus, part.cut, part.halves, true}] { send(from, ack); });
}

void BraidNode::Impl::on_shard_ack(NodeId from, const ShardAck& ack) {
  if (ack.torus.raw >= kTorusCount || ack.run != view.run) return;
  HostedTorus* mine = hosted[ack.torus.raw].get();
  if (!mine || !mine->official || ack.view < mine->since) return;
  for (Holder& holder : mine->holders) {
    if (holder.node != from || (holder.halves & ack.halves) != holder.halves) continue;
    if (ack.held) {
      holder.acked = std::max(holder.acked, ack.cut);
    } else if (holder.acked != 0 && ack.cut > holder.acked) {
      holder.acked = holder.sent = 0;  // it lacks the base: all of it next time
    }  // Otherwise it was damaged on its way, or the refusal is late: a copy for each would breed more of them.
  }
}

/// The oldest epoch that an observer may still ask for; `oldest` when it is older, or when nobody observes. They take part in no
/// acknowledgement, and hear of epochs some milliseconds later: one that is away for longer misses some. One that a view has just
/// left out, as its link was taken for dead, joins again and goes on.
Epoch BraidNode::Impl::wanted_by_observers(TorusId torus, Epoch oldest) const {
  Epoch wanted = oldest;
  for (const auto& [node, state] : peers) {
    if (state.member.role != Role::kObserver || !state.heartbeat || state.heartbeat->run != view.run) continue;
    if (!view.find(node) && elapsed(state.heard, now) > kObserverAwayMax) continue;
    wanted = std::min(wanted, state.heartbeat->wanted[torus.raw]);
  }
  return std::max(wanted, Epoch{oldest.raw < kObserverEpochsMax ? 0 : oldest.raw - kObserverEpochsMax});
}

/// Whether the holders that the view counts on have every cut of which the hosts have all shards: however many of those are missing
/// as may be, so many hosts are among the rest as hold all of it between them.
bool BraidNode::Impl::holders_have_it() const {
  const auto elsewhere = static_cast<std::size_t>(
      std::count_if(view.holders.begin(), view.holders.end(), [&](NodeId holder) { return !is_host(holder); }));
  return view.holders_needed >= elsewhere + holders_needed_of(view.distinct_hosts().size());
}

/// The newest cut of which the hosts have all shards, whoever the holders are.
CutNumber BraidNode::Impl::cut_everywhere() const {
  return std::max(durable_cut, *std::min_element(cut_complete.begin(), cut_complete.end()));
}

/// A cut is durable once every host has announced its shards and the holders are such that they have it; then what is older may go.
void BraidNode::Impl::update_durable() {
  for (TorusId torus : kTori) {
    HostedTorus* mine = hosted[torus.raw].get();
    if (mine && settled_here(torus)) mine->settled_in = view.number;  // the first cut after the scenario changes nothing of it
    if (!mine || !mine->official || !cut_is_complete(torus)) continue;
    if (cut_complete[torus.raw] != mine->cut_taken) {
      if (cut_complete[torus.raw] == 0 && mine->held_from != 0) mine->held_from = mine->cut_taken;
      cut_complete[torus.raw] = mine->cut_taken;
      for (NodeId host : view.hosts) {
        if (host != self.node) owed_acks.insert(host);
      }
    }
  }
  const CutNumber durable = cut_everywhere();
  if (durable <= durable_cut || !holders_have_it()) return;
  // A resumption that this voter has accepted goes back to its own cut, and needs the seals since then.
  if (const auto next = undecided_view(); next && next->resumed == next->number) return;
  durable_cut = durable;
  event(BraidEvent::Kind::kCutDurable, "cut " + std::to_string(durable) + " is durable", self.node, {}, Epoch{durable});
  // What a machine that catches up here still needs stays, whatever the others may forget.
  std::uint64_t needed = durable;
  for (const auto& mine : hosted) {
    if (!mine || (mine->official && !mine->replaying)) continue;
    needed = mine->put_together ? std::min(needed, mine->last_sealed.raw) : 0;
  }
  for (TorusId torus : kTori) {
    const std::uint64_t kept = planted(Fault::kInputsForgotten) ? 0 : kOldBatch;
    logs[torus.raw].prune(wanted_by_observers(torus, Epoch{needed < kept ? 0 : needed - kept}));
    auto& known = cuts[torus.raw];
    known.erase(known.begin(), known.lower_bound(durable));
    auto& on_disk = cuts_on_disk[torus.raw];
    on_disk.erase(on_disk.begin(), on_disk.lower_bound(durable));
    auto& seals = fixed_seals[torus.raw];
    seals.erase(seals.begin(), seals.lower_bound(Epoch{durable < 3 ? 0 : durable - 3}));
  }
  persist(DropCuts{view.run, durable}, nullptr);
}

// --- Who holds everything. ---

/// Whether a torus that this node hosts runs and its present holders have all of a cut of it, the same as those of the other tori:
/// a resumption goes on from one cut. Stays so for the whole view.
bool BraidNode::Impl::settled_here(TorusId torus) const {
  const HostedTorus* mine = hosted[torus.raw].get();
  if (!mine || !mine->official || !mine->restored) return false;
  const CutNumber together = *std::min_element(cut_complete.begin(), cut_complete.end());
  // Whatever this host knew when the view came has to be with another host too, as what it promises from then on is.
  return mine->settled_in == view.number ||
         (!mine->replaying && (mine->cut_taken == 0 || cut_complete[torus.raw] != 0) && together >= mine->held_from &&
          (!options.durable || durable_through[torus.raw] >= mine->held_by_another) &&
          another_holds(torus, mine->held_by_another, options.durable));
}

bool BraidNode::Impl::all_settled() const {
  return std::all_of(kTori.begin(), kTori.end(), [&](TorusId torus) {
    const NodeId host = view.hosts[torus.raw];
    if (host == self.node) return settled_here(torus);
    const auto found = peers.find(host);
    if (found == peers.end() || !found->second.heartbeat) return false;
    // The last word of a host that has died since still counts: what it said was true in this view, and is held by others.
    const Heartbeat& beat = *found->second.heartbeat;
    return beat.view == view.number && beat.run == view.run && (beat.settled >> torus.raw & 1) != 0;
  });
}

/// Sets the holders of a view that follows this one: the present hosts if everything is where it belongs, else as before.
void BraidNode::Impl::settle_holders(View& next) const {
  if (!all_settled()) return;
  next.holders = view.distinct_hosts();
  next.holders_needed = holders_needed_of(next.holders.size());
}

/// Those that settle_holders() would name and that do not live on in the process that the view knows; empty while the rest
/// is enough.
std::vector<NodeId> BraidNode::Impl::missing_holders() const {
  const auto lives = [&](NodeId node) {
    if (node == self.node) return am_member() && !restarted;
    const Member* member = view.find(node);
    return member && !lost(*member);
  };
  if (std::all_of(view.hosts.begin(), view.hosts.end(), lives) &&
      std::all_of(view.holders.begin(), view.holders.end(), lives)) {
    return {};
  }
  View next;
  next.holders = view.holders;
  next.holders_needed = view.holders_needed;
  settle_holders(next);
  const std::size_t living = std::erase_if(next.holders, lives);
  if (living >= next.holders_needed) next.holders.clear();
  return std::move(next.holders);
}

/// Any one node may fail, its disk included: everything is where it belongs, and a view says so. What only heartbeats have said is
/// forgotten when those that heard them restart.
bool BraidNode::Impl::protected_now() const {
  const auto voters_left = std::count_if(view.voters.begin(), view.voters.end(), [&](NodeId voter) { return view.find(voter); });
  return next_view_is_open() && view.hosts_differ() && std::ranges::equal(view.holders, view.hosts) && all_settled() &&
         static_cast<std::size_t>(voters_left) > view.majority();
}

}  // namespace rse
