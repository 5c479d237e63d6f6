// Suspicion and views: who is lost, and what the next view should be.
#include "torus/braid/braid_state.h"

#include "torus/braid/planted_fault.h"

namespace rse {

// --- Suspicion. ---

Duration BraidNode::Impl::silence_limit(const PeerState& state) const {
  if (state.watched) return options.silence_ceiling;  // it lives: a node that stands still is given time
  return {std::clamp(4 * state.gap_max, options.silence_floor.raw, options.silence_ceiling.raw)};
}

/// From here on what a removal would need is got ready, which costs a machine that is short of time a little more of it.
Duration BraidNode::Impl::early_silence(const PeerState& state) const {
  return state.watched ? Duration{options.silence_ceiling.raw / 4} : options.early_silence;
}

bool BraidNode::Impl::suspected_early(const Member& member) const {
  const auto found = peers.find(member.node);
  if (member.node == self.node || found == peers.end()) return false;
  return suspected_early(member, found->second);
}

bool BraidNode::Impl::suspected_early(const Member& member, const PeerState& state) const {
  // A link that has closed says something, until its end is heard by way of another.
  const bool closed = !state.linked && state.heard <= state.closed_at;
  return lost(member, state) || closed || silence(state) > early_silence(state);
}

bool BraidNode::Impl::lost(const Member& member) const {
  if (member.node == self.node) return false;
  const auto found = peers.find(member.node);
  return found != peers.end() && lost(member, found->second);
}

bool BraidNode::Impl::lost(const Member& member, const PeerState& state) const {
  if (state.member.incarnation > member.incarnation) return true;  // a new life: the old one is over
  if (state.dead) return true;
  return silence(state) > silence_limit(state);
}

bool BraidNode::Impl::majority_agrees_lost(const Member& member) const {
  std::size_t agreeing = 0;
  for (NodeId voter : view.voters) {
    if (voter == self.node) {
      ++agreeing;
      continue;
    }
    const auto found = peers.find(voter);
    if (voter == member.node || found == peers.end() || !found->second.heartbeat) continue;
    const Heartbeat& beat = *found->second.heartbeat;
    const Member* as_member = view.find(voter);
    if (!as_member || lost(*as_member) || beat.view != view.number) continue;
    if (std::find(beat.suspects.begin(), beat.suspects.end(), member.node) != beat.suspects.end()) {
      ++agreeing;
    }
  }
  return agreeing >= view.majority();
}

bool BraidNode::Impl::majority_of_voters_heard() const {
  std::size_t heard = 0;
  for (NodeId voter : view.voters) {
    const auto found = peers.find(voter);
    if (voter == self.node ||
        (found != peers.end() && !found->second.dead && found->second.heard.raw != 0 &&
         silence(found->second) <= options.silence_ceiling)) {
      ++heard;
    }
  }
  return heard >= view.majority();
}

// --- The next view. ---

/// Gives every torus whose host is no member a new one: a spare first, else the next in the cycle that is alive.
bool BraidNode::Impl::place_tori(View& next) const {
  for (TorusId torus : kTori) {
    if (next.find(next.hosts[torus.raw])) continue;
    NodeId chosen;
    for (const Member& member : next.members) {
      const Member* before = view.find(member.node);
      if (before && before->incarnation == member.incarnation &&
          next.hosted_count(member.node) == 0 && member.role == Role::kHost) {
        chosen = member.node;
        next.homes[torus.raw] = chosen;  // a spare takes the dead node's place for good
        break;
      }
    }
    for (TorusId other = next_torus(torus); chosen.raw == 0 && other != torus; other = next_torus(other)) {
      const NodeId candidate = next.hosts[other.raw];
      const Member* member = next.find(candidate);
      const Member* before = view.find(candidate);
      if (member && before && before->incarnation == member->incarnation) chosen = candidate;
    }
    if (chosen.raw == 0) return false;
    next.hosts[torus.raw] = chosen;
    next.hosted_since[torus.raw] = next.number;
  }
  return true;
}

/// Voters are 1, 3 or 5: three once three nodes host; a dead voter's place goes to a member that has none.
void BraidNode::Impl::settle_voters(View& next) const {
  // A vote goes to nobody of whom nothing has been heard in the present view: it may have died before it came to be a member.
  const auto heard_here = [&](NodeId node) {
    const Member* before = view.find(node);
    const Member* after = next.find(node);
    if (!before || !after || before->incarnation != after->incarnation) return false;
    if (node == self.node) return true;
    const auto found = peers.find(node);
    return found != peers.end() && found->second.heartbeat && found->second.heartbeat->view == view.number && !lost(*before);
  };
  std::vector<NodeId> free;
  for (TorusId torus : kTori) {  // hosts first, then spares
    const NodeId host = next.hosts[torus.raw];
    if (!next.is_voter(host) && heard_here(host) && std::find(free.begin(), free.end(), host) == free.end()) {
      free.push_back(host);
    }
  }
  if (next.voters.size() == 1 && next.hosts_differ() && free.size() >= 2) {
    next.voters.push_back(free[0]);
    next.voters.push_back(free[1]);
    return;
  }
  for (const Member& member : next.members) {
    if (!next.is_voter(member.node) && heard_here(member.node) && member.role == Role::kHost &&
        std::find(free.begin(), free.end(), member.node) == free.end()) {
      free.push_back(member.node);
    }
  }
  if (next.voters.size() == 1) return;
  std::size_t used = 0;
  for (NodeId& voter : next.voters) {
    if (!next.find(voter) && used < free.size()) voter = free[used++];
  }
  if (next.voters.size() == 3 && free.size() - used >= 2) {
    next.voters.push_back(free[used]);
    next.voters.push_back(free[used + 1]);
  }
  // Five of which only three live would not bear another death; three of those who live do.
  const auto gone = [&](NodeId voter) { return !next.find(voter); };
  if (next.voters.size() == 5 && std::count_if(next.voters.begin(), next.voters.end(), gone) == 2) {
    std::erase_if(next.voters, gone);
  }
}

std::optional<View> BraidNode::Impl::desired_view() {
  if (!am_member() || restarted || !majority_of_voters_heard()) return {};
  View next = view;
  next.number = view.number.raw + 1 == 0 ? view.number : ViewNumber{view.number.raw + 1};
  settle_holders(next);
  bool changed = next.holders != view.holders;
  const std::size_t removed = std::erase_if(next.members, [&](const Member& member) {
    return lost(member) && majority_agrees_lost(member);
  });
  const std::size_t members_left = next.members.size();
  changed |= apply_trust_wishes(next, removed > 0);
  const bool removal = removed > 0 || next.members.size() < members_left;
  changed |= removal;
  // Who has gone stays a holder, so that it may come back with what it holds, until others have all of it, or unless too few
  // others would be left to acknowledge anything.
  const auto is_gone = [&](NodeId holder) { return !next.find(holder); };
  const auto gone = static_cast<std::size_t>(std::count_if(next.holders.begin(), next.holders.end(), is_gone));
  if (gone >= next.holders_needed) std::erase_if(next.holders, is_gone);
  for (auto it = joiners.begin(); it != joiners.end();) {
    const Join& asked = it->second.first;
    const Member& joiner = asked.joiner;
    if (elapsed(it->second.second, now) > milliseconds(1000) ||
        view.is_member(joiner.node, joiner.incarnation)) {
      it = joiners.erase(it);
      continue;
    }
    if (joiner.role == Role::kObserver && next.is_voter(joiner.node)) {
      ++it;
      continue;  // a voter's disk in an observer's hands: its vote would count and could never be given
    }
    // As an ordinary member it would forget what a holder has to keep.
    const bool holds = std::count(next.holders.begin(), next.holders.end(), joiner.node) != 0;
    if (!next.find(joiner.node) && next.members.size() < kMembersMax && !removal && !holds && make_room_to_admit(next) &&
        next.trust.admit(joiner.node, asked.key, asked.ticket)) {
      next.members.push_back(joiner);
      changed = true;
    }
    ++it;
  }
  if (!place_tori(next)) return {};
  for (auto it = take_overs.begin(); it != take_overs.end();) {
    const TakeOver& wish = it->second.first;
    const bool stale = elapsed(it->second.second, now) > milliseconds(300) ||
                       wish.view != view.number || view.hosts[wish.torus.raw] == it->first;
    if (!stale && !removal && next.find(it->first)) {
      next.hosts[wish.torus.raw] = it->first;
      next.hosted_since[wish.torus.raw] = next.number;
      next.homes[wish.torus.raw] = it->first;
      changed = true;
    }
    it = stale ? take_overs.erase(it) : std::next(it);
  }
  if (offered && *offered != Digest256{}) {
    const ScenarioBlob& blob = scenarios[*offered];
    bool all_hold = blob.held;
    for (NodeId host : next.hosts) all_hold &= host == self.node || blob.holders.contains(host);
    if (all_hold) {
      next.run = RunId{view.run.raw + 1};
      next.scenario = *offered;
      next.run_since = next.number;
      next.resume_cut = 0;
      next.resumed = next.resume_cut_since = {};
      next.hosted_since.fill(next.number);
      next.holders = next.distinct_hosts();
      next.holders_needed = holders_needed_of(next.holders.size());
      changed = true;
    }
  }
  settle_voters(next);
  if (!changed && next.voters == view.voters) return {};
  return next;
}

/// Whether so few of the voters or of the holders live on in the process that the view knows that nobody can rebuild from
/// memory alone: then a view has to fix a cut from which all go on.
bool BraidNode::Impl::needs_resumption() const {
  if (view.number.raw == 0) return false;
  if (!missing_holders().empty()) return true;
  std::size_t running = 0;
  for (NodeId voter : view.voters) {
    const Member* member = view.find(voter);
    if (!member) continue;
    if (voter == self.node ? am_member() && !restarted : peers.contains(voter) && !lost(*member)) {
      ++running;
    }
  }
  return running < view.majority();
}

Holdings BraidNode::Impl::make_holdings() const {
  Holdings mine;
  mine.view = view.number;
  mine.run = view.run;
  mine.self = self;
  mine.running = am_member() && !restarted;
  const auto scenario = scenarios.find(view.scenario);
  mine.durable_cut = durable_cut;
  mine.has_scenario = scenario != scenarios.end() && scenario->second.whole;
  for (TorusId torus : kTori) {
    std::vector<Holdings::Cut> lasting;
    for (const auto& [cut, regions] : cuts[torus.raw]) {
      const Halves halves = lasting_halves(torus, cut);  // a run that goes on from what memories alone hold could end with them
      if (halves != 0) lasting.push_back({torus, cut, halves});
    }
    // The first is the one that all holders have, the last ones those of which the hosts have all.
    if (lasting.size() > kHoldingsMax) lasting.erase(lasting.begin() + 1, lasting.end() - (kHoldingsMax - 1));
    mine.cuts.insert(mine.cuts.end(), lasting.begin(), lasting.end());
  }
  return mine;
}

namespace {

/// The halves of a cut of the three tori, a bit each.
std::uint32_t halves_of(const Holdings& held, CutNumber cut) {
  std::uint32_t halves = 0;
  for (const Holdings::Cut& each : held.cuts) {
    if (each.cut == cut && each.torus.raw < kTorusCount) halves |= std::uint32_t{each.halves} << 2 * each.torus.raw;
  }
  return halves;
}

}  // namespace

/// The newest cut that the holders named in `next` still have when as many of them are missing as may be. If there is none, the
/// newest that can be put together from those present; then the fewest that have all of it between them are the holders.
std::optional<CutNumber> BraidNode::Impl::cut_to_resume_from(const std::vector<Holdings>& present, View& next) const {
  if (planted(Fault::kResumedFromScenario)) return 0;
  constexpr std::uint32_t kAll = (1u << 2 * kTorusCount) - 1;
  const auto holds = [&](NodeId node) { return std::count(next.holders.begin(), next.holders.end(), node) != 0; };
  bool scenario_present = false;
  CutNumber oldest = 0;  // of earlier ones, seals may be gone
  std::set<CutNumber> known;
  for (const Holdings& held : present) {
    scenario_present |= held.has_scenario;
    oldest = std::max(oldest, held.durable_cut);
    for (const Holdings::Cut& cut : held.cuts) known.insert(cut.cut);
  }
  std::optional<CutNumber> best, barely;
  if (scenario_present && oldest == 0) best = 0;
  for (const CutNumber cut : known) {
    std::array<std::size_t, 2 * kTorusCount> copies{};
    std::uint32_t here = 0;
    for (const Holdings& held : present) {
      const std::uint32_t halves = halves_of(held, cut);
      here |= halves;
      for (std::size_t half = 0; half < copies.size(); ++half) copies[half] += halves >> half & 1 & (holds(held.self.node) ? 1 : 0);
    }
    if (cut < oldest || here != kAll) continue;
    const bool enough = *std::min_element(copies.begin(), copies.end()) > next.holders.size() - next.holders_needed;
    (enough ? best : barely) = cut;
  }
  if (best || !barely) return best;
  // So many of the holders as know every seal, and whoever has what is missing then. All of them are needed: no more than that, and
  // rather those that run than those that have come back, and these rather than those that the view has given up.
  std::vector<const Holdings*> order;
  for (const Holdings& held : present) order.push_back(&held);
  std::stable_sort(order.begin(), order.end(), [&](const Holdings* a, const Holdings* b) {
    return std::pair(!a->running, !view.find(a->self.node)) < std::pair(!b->running, !view.find(b->self.node));
  });
  std::vector<NodeId> chosen;
  std::uint32_t have = 0;
  for (const bool for_seals : {true, false}) {
    for (const Holdings* held : order) {
      const std::uint32_t halves = halves_of(*held, *barely);
      const bool wanted = for_seals ? holds(held->self.node) && chosen.size() < next.holders_needed : (halves & ~have) != 0;
      if (!wanted) continue;
      have |= halves;
      chosen.push_back(held->self.node);
    }
  }
  next.holders = std::move(chosen);
  next.holders_needed = static_cast<std::uint32_t>(next.holders.size());
  return barely;
}

std::optional<View> BraidNode::Impl::resumption_view() {
  std::vector<Holdings> present = {make_holdings()};
  for (const auto& [node, state] : peers) {
    // One that has fallen silent since may have lost what it told of: it is waited for, as one that is back or as one that is not.
    if (state.holdings && elapsed(state.holdings_at, now) < milliseconds(300) && !lost(state.holdings->self) &&
        silence(state) <= options.early_silence &&
        state.holdings->view == view.number && state.holdings->run == view.run &&
        state.holdings->self.node == node && state.holdings->self.role == Role::kHost &&
        (view.trust.open() || view.trust.key_of(node))) {
      present.push_back(*state.holdings);
    }
  }
  const auto is_present = [&](NodeId node) {
    return std::any_of(present.begin(), present.end(),
                       [&](const Holdings& held) { return held.self.node == node; });
  };
  const auto voters_present = static_cast<std::size_t>(
      std::count_if(view.voters.begin(), view.voters.end(), is_present));
  View next = view;
  settle_holders(next);
  std::erase_if(next.holders, [&](NodeId holder) { return !is_present(holder); });
  if (overridden) {
    // What only the absent have acknowledged is lost: that is what the operator has been told.
    if (next.holders.empty()) next.holders = {self.node};
    next.holders_needed = static_cast<std::uint32_t>(next.holders.size());
  } else if (voters_present < view.majority() || next.holders.size() < next.holders_needed) {
    return {};
  }
  // Those that are starting up too are given a moment: fewer tori have to move.
  const bool all_hosts = std::all_of(view.hosts.begin(), view.hosts.end(), is_present);
  if (!desired_since) desired_since = now;
  if (!all_hosts && !overridden && elapsed(*desired_since, now) < milliseconds(1500)) return {};

  const std::optional<CutNumber> best = cut_to_resume_from(present, next);
  if (!best) {
    if (elapsed(alarms_said["resume"], now) > milliseconds(5000)) {
      alarms_said["resume"] = now;
      event(BraidEvent::Kind::kStopped,
            "a majority is here, but no cut can be put together from their disks; waiting for the other nodes");
    }
    return {};
  }
  next.number = ViewNumber{view.number.raw + 1};
  if (*best != view.resume_cut) next.resume_cut_since = view.resumed;
  next.resume_cut = *best;
  next.resumed = next.number;
  next.members.clear();
  for (const Holdings& held : present) next.members.push_back(held.self);
  std::sort(next.members.begin(), next.members.end(),
            [](const Member& a, const Member& b) { return a.node < b.node; });
  for (TorusId torus : kTori) {
    NodeId& host = next.hosts[torus.raw];
    next.hosted_since[torus.raw] = next.number;
    if (is_present(host)) continue;
    host = NodeId{};
    const Member* fewest = &next.members.front();
    for (const Member& member : next.members) {
      if (next.hosted_count(member.node) < next.hosted_count(fewest->node)) fewest = &member;
    }
    host = fewest->node;
  }
  return next;
}

Result<void> BraidNode::Impl::override_majority() {
  if (view.number.raw == 0) return Error::kNotFound;
  overridden = true;
  auto next = resumption_view();
  overridden = false;
  if (!next) return Error::kNotFound;
  // Far above what the lost voters can have decided among themselves; from here on this node alone votes.
  next->number = next->resumed = ViewNumber{view.number.raw + 1000};
  next->hosted_since.fill(next->number);
  next->voters = {self.node};
  for (const auto& [node, state] : peers) send_decided(node, *next);
  install(std::move(*next));
  return {};
}

}  // namespace rse
