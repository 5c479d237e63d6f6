// What a person sees: the verdict first, then nodes and tori, each with the age of its last proof of life.
#include "torus/braid/braid_state.h"

namespace rse {
namespace {

void show_rebuilding(const HostedTorus& mine, const PacketLog& log, TorusStatus& row) {
  row.regions_to_restore = kRegionCount;
  if (mine.restored) row.regions_restored = kRegionCount;
  else if (mine.restoring) row.regions_restored = static_cast<std::uint32_t>(mine.restoring->given.count());
  const std::uint64_t until = std::max(mine.replay_until, log.wanted()).raw;
  if (until > mine.cut_taken) row.epochs_to_replay = until - mine.cut_taken;
  if (mine.restored && mine.last_sealed.raw >= mine.cut_taken)
    row.epochs_replayed = std::min(mine.last_sealed.raw + 1 - mine.cut_taken, row.epochs_to_replay);
}

}  // namespace

/// Two nodes that count and reach each other by way of one third alone, that may fail too; empty: there are none.
std::string BraidNode::Impl::hanging_on_one() const {
  const auto hears = [&](NodeId a, NodeId b) {
    const auto found = peers.find(a == self.node ? b : a);
    if (found == peers.end()) return false;
    if (a == self.node) return link_works(found->second);
    if (!found->second.heartbeat || found->second.heartbeat->view != view.number) return true;  // it has not said yet
    const auto& heard = found->second.heartbeat->hears;
    return std::find(heard.begin(), heard.end(), b) != heard.end();
  };
  const auto linked = [&](NodeId a, NodeId b) { return hears(a, b) && hears(b, a); };
  std::vector<NodeId> count;
  for (const Member& member : view.members) {
    if (is_host(member.node) || view.is_voter(member.node)) count.push_back(member.node);
  }
  for (const NodeId a : count) {
    for (const NodeId b : count) {
      if (!(a < b) || linked(a, b)) continue;
      std::vector<const Member*> relays;
      for (const Member& member : view.members) {
        if (member.node != a && member.node != b && linked(a, member.node) && linked(member.node, b)) relays.push_back(&member);
      }
      if (relays.size() != 1 || relays.front()->role != Role::kHost) continue;
      return name_of(a) + " and " + name_of(b) + " reach each other only by way of " + name_of(relays.front()->node);
    }
  }
  return {};
}

BraidStatus BraidNode::Impl::status(Instant at) const {
  BraidStatus out;
  out.view = view;
  out.messages_refused = messages_refused;
  std::size_t alive = 0;
  bool all_running = true;
  std::string silent;
  for (const Member& member : view.members) {
    PeerStatus row{.node = member.node, .name = name_of(member.node), .member = true};
    row.voter = view.is_voter(member.node);
    if (member.node == self.node) {
      row.linked = true;
    } else if (const auto found = peers.find(member.node); found != peers.end()) {
      row.linked = found->second.linked;
      row.silence = elapsed(found->second.heard, at);
      row.suspected = suspected_early(member);
      const NodeId hop = route(member.node);
      row.via = hop == member.node ? NodeId{} : hop;
    }
    const bool counts = member.role == Role::kHost;
    if (row.suspected && counts) silent += (silent.empty() ? "" : ", ") + row.name + " silent for " + std::to_string(row.silence.raw / 1'000'000) + " ms";
    alive += counts && !row.suspected;
    out.peers.push_back(std::move(row));
  }
  for (const auto& [node, state] : peers) {
    if (view.find(node) || state.member.node.raw == 0) continue;
    out.peers.push_back({.node = node, .name = name_of(node), .voter = view.is_voter(node),
                         .linked = state.linked, .silence = elapsed(state.heard, at)});
  }
  std::string stuck;
  for (TorusId torus : kTori) {
    const std::size_t t = torus.raw;
    TorusStatus& row = out.tori[t];
    row.host = view.hosts[t];
    row.cut_durable = durable_cut;
    out.retained_bytes += logs[t].bytes();
    if (const PacketPtr last = logs[t].last()) {
      row.epoch = last->epoch;
      row.end_tick = last->projection.end_tick;
      row.events = last->projection.events;
      row.pending = last->projection.pending;
      row.refused = last->projection.refused;
      row.processes = last->projection.processes;
      row.event_digest = last->projection.event_digest;
    }
    if (const HostedTorus* mine = hosted[t].get(); mine && mine->since.raw != 0) {
      row.hosted_here = true;
      row.running = mine->official && mine->restored && !mine->replaying;
      if (mine->working && mine->machine) row.progress = mine->machine->progress();
      if (!row.running) show_rebuilding(*mine, logs[t], row);
    } else if (const auto found = peers.find(row.host);
               found != peers.end() && found->second.heartbeat && found->second.heartbeat->view == view.number) {
      row.running = (found->second.heartbeat->ready >> t & 1) != 0;
      row.progress = found->second.heartbeat->progress[t];
    }
    if (!row.running) stuck += std::string(stuck.empty() ? "torus " : ", torus ") + letter_of(torus);
    all_running &= row.running;
  }
  if (view.number.raw == 0 || !am_member()) {
    out.health = Health::kJoining;
    out.verdict = restarted ? "restarted: waiting for a view that admits this node" : "joining: not a member yet";
  } else if (const auto missing = missing_holders(); !missing.empty() && majority_of_voters_heard()) {
    std::string names;
    for (NodeId node : missing) names += (names.empty() ? "" : " and ") + name_of(node);
    out.health = Health::kStopped;
    out.verdict = "stopped: what a torus needs is with " + names + " alone; the run goes on when " +
                  (missing.size() > 1 ? "one of them" : "it") + " returns with its data, or load a scenario to begin the next run";
  } else if (!majority_of_voters_heard() || needs_resumption()) {
    out.health = Health::kStopped;
    out.verdict = "stopped: fewer than a majority of the " + std::to_string(view.voters.size()) +
                  " voters answer; everything resumes when they return" + (silent.empty() ? "" : " (" + silent + ")");
  } else if (!all_running) {
    out.health = Health::kRebuilding;
    out.verdict = "degraded: " + stuck + " is being rebuilt" + (silent.empty() ? "" : "; " + silent);
  } else if (!protected_now() || alive < 3 || !silent.empty()) {
    out.health = Health::kUnprotected;
    if (view.host_count() == 1) {
      out.verdict = "unprotected: this node is alone; add two with rse-node --peer";
    } else if (view.voters.size() == 1) {
      out.verdict = "unprotected: two nodes; add a third with rse-node --peer";
    } else {
      out.verdict = "degraded: one failure already used; " +
                    (silent.empty() ? std::to_string(view.host_count()) + " of 3 nodes hold the tori" : silent);
    }
  } else if (const std::string hanging = hanging_on_one(); !hanging.empty()) {
    out.health = Health::kUnprotected;
    out.verdict = "degraded: one failure already used; " + hanging + ": mend the link between them";
  } else {
    out.health = Health::kHealthy;
    out.verdict = "healthy: " + std::to_string(alive) + " of " + std::to_string(view.host_count()) +
                  " nodes; any one may fail";
  }
  return out;
}

const char* to_string(BraidEvent::Kind kind) {
  switch (kind) {
    case BraidEvent::Kind::kPeerSuspected: return "peer_suspected";
    case BraidEvent::Kind::kPeerHeardAgain: return "peer_heard_again";
    case BraidEvent::Kind::kPeerLost: return "peer_lost";
    case BraidEvent::Kind::kViewInstalled: return "view_installed";
    case BraidEvent::Kind::kRebuildStarted: return "rebuild_started";
    case BraidEvent::Kind::kRebuildReplaying: return "rebuild_replaying";
    case BraidEvent::Kind::kRebuilt: return "rebuilt";
    case BraidEvent::Kind::kHandedOver: return "handed_over";
    case BraidEvent::Kind::kCutDurable: return "cut_durable";
    case BraidEvent::Kind::kRunStarted: return "run_started";
    case BraidEvent::Kind::kStopped: return "stopped";
    case BraidEvent::Kind::kResumed: return "resumed";
    case BraidEvent::Kind::kAlarm: return "alarm";
    case BraidEvent::Kind::kJoined: return "joined";
  }
  return "unknown";
}

}  // namespace rse
