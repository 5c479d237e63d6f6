// Calm: nearly always there is nothing to decide about views, and nothing to get ready for. Then nothing is asked again until time
// or an input may have changed that: a message comes every few hundred microseconds, and each asked for all of it.
#include "torus/braid/braid_state.h"

namespace rse {

/// Whether a message says nothing that views and staging depend on while the node is calm: what a heartbeat tells counts only once
/// somebody is silent or wants something.
bool BraidNode::Impl::is_routine(const Message& message) {
  return std::holds_alternative<Heartbeat>(message) || std::holds_alternative<PacketMessage>(message) ||
         std::holds_alternative<ShardPart>(message) || std::holds_alternative<ShardAck>(message) ||
         std::holds_alternative<InjectRequest>(message) || std::holds_alternative<InjectAnswer>(message);
}

/// No voter is missing, and no member could become one more.
bool BraidNode::Impl::voters_are_settled() const {
  const auto is_member = [&](NodeId voter) { return view.find(voter) != nullptr; };
  const bool enough = view.voters.size() == 5 || (view.voters.size() == 3 && view.host_count() < 5);
  return enough && std::all_of(view.voters.begin(), view.voters.end(), is_member);
}

/// Every torus is at home, on a host of its own, and these are the holders: no plan moves anything, and nobody gets ready.
bool BraidNode::Impl::tori_are_settled() const {
  if (!view.hosts_differ() || !std::ranges::equal(view.holders, view.hosts)) return false;
  return std::all_of(kTori.begin(), kTori.end(), [&](TorusId torus) {
    const HostedTorus* const mine = hosted[torus.raw].get();
    const bool staged = mine && mine->since.raw == 0;
    return !staged && (view.homes[torus.raw] == view.hosts[torus.raw] || !view.find(view.homes[torus.raw]));
  });
}

/// Until when consider_views() and consider_staging() will do nothing, if attend() is not called before; 0: they may do something.
Instant BraidNode::Impl::calm_limit() const {
  const bool nothing_wanted = joiners.empty() && trust_wishes.empty() && take_overs.empty() && !offered && !desired_since;
  if (!nothing_wanted || view.number.raw == 0 || restarted || !am_member()) return {};
  if (agreement.proposing() || agreement.acceptor().accepted_ballot != 0) return {};
  if (!tori_are_settled() || !voters_are_settled()) return {};
  const bool may_ask_ahead = agreement.idle() && view.voters.front() == self.node && !view.find(agreement.promised_to());
  if (may_ask_ahead) return {};
  Instant limit{~0ull};
  for (const Member& member : view.members) {
    if (member.node == self.node) continue;
    const auto found = peers.find(member.node);
    if (found == peers.end() || found->second.member.incarnation != member.incarnation) return {};
    const PeerState& state = found->second;
    if (state.said_suspected || state.said_lost || suspected_early(member, state)) return {};
    limit = std::min(limit, state.heard + rest(state) + std::min(early_silence(state), options.silence_floor));
  }
  return limit < now ? Instant{} : limit;
}

}  // namespace rse
