// Agreeing on the next view, and installing it: the moment at which a removed host is fenced.
#include "torus/braid/braid_state.h"

#include "torus/braid/planted_fault.h"

namespace rse {
namespace {

constexpr Duration kProposerPatience = milliseconds(100);

}  // namespace

// --- Agreement. ---

void BraidNode::Impl::start_agreement() {
  agreement.start(ViewNumber{view.number.raw + 1}, view.voters, self.node);
}

/// What this voter has accepted, if that has not come to anything yet: somebody has to finish it.
std::optional<View> BraidNode::Impl::undecided_view() const {
  if (agreement.acceptor().accepted_ballot == 0) return {};
  ByteReader reader(agreement.acceptor().accepted);
  auto accepted = decode_view(reader);
  RSE_ASSERT(accepted, "on_accept() refuses what is no view");
  return std::move(*accepted);
}

/// Whether no voter has accepted a next view: one that has may bring it about later, with removals that were true once.
bool BraidNode::Impl::next_view_is_open() const {
  return std::all_of(view.voters.begin(), view.voters.end(), [&](NodeId voter) {
    if (voter == self.node) return agreement.acceptor().accepted_ballot == 0;
    const auto found = peers.find(voter);
    if (found == peers.end() || !found->second.heartbeat) return !view.find(voter);
    const Heartbeat& beat = *found->second.heartbeat;
    return !view.find(voter) || (beat.view == view.number && !beat.undecided);
  });
}

void BraidNode::Impl::persist_vote(std::function<void()> then) {
  if (planted(Fault::kVoteNotPersisted)) {
    if (then) then();
    return;
  }
  PersistVote vote;
  encode_view(view, vote.record);
  ByteWriter writer(vote.record);
  const ViewAgreement::Acceptor& acceptor = agreement.acceptor();
  writer.put(acceptor.number);
  writer.put(acceptor.promised);
  writer.put(acceptor.accepted_ballot);
  writer.put_sized(acceptor.accepted);
  persist(std::move(vote), std::move(then));
}

void BraidNode::Impl::to_voters(const Message& message) {
  for (NodeId voter : view.voters) send(voter, message);
}

void BraidNode::Impl::consider_views() {
  if (view.number.raw == 0) return;
  for (const Member& member : view.members) {
    if (member.node == self.node) continue;
    PeerState& state = peer(member.node);
    if (state.member.node.raw == 0) {
      state.member = member;
      state.heard = now;
    }
    const bool early = suspected_early(member, state), gone = lost(member, state);
    if (gone && !state.said_lost) {
      event(BraidEvent::Kind::kPeerLost, name_of(member.node) + (state.dead ? " has died" : " is silent beyond its limit"), member.node);
    } else if (early && !state.said_suspected) {
      event(BraidEvent::Kind::kPeerSuspected, name_of(member.node) + " is silent", member.node);
    } else if (!early && state.said_suspected) {
      event(BraidEvent::Kind::kPeerHeardAgain, name_of(member.node) + " is heard again", member.node);
    }
    if (gone && !state.said_lost) next_heartbeat = now;  // the others wait for our word
    state.said_suspected = early;
    state.said_lost = gone;
  }
  if (!am_voter()) return;
  if (agreement.proposing()) {
    if (now < propose_deadline) return;
    agreement.abandon();
    propose_not_before = now + Duration{milliseconds(10).raw + random.below(50) * 1'000'000ull};
  }
  if (now < propose_not_before) return;
  const bool resumption = needs_resumption();
  std::optional<View> desired = resumption ? resumption_view() : std::nullopt;
  if (!desired) desired = desired_view();
  if (resumption && desired && desired->resumed != desired->number && desired->run == view.run) {
    desired.reset();  // without what the silent ones hold only a new run can begin
  }
  if (!desired && majority_of_voters_heard()) desired = undecided_view();
  if (!desired) {
    if (!resumption) {
      desired_since.reset();
      prepare_ahead();
    }
    return;
  }
  if (!desired_since) desired_since = now;
  // The first voter that lives proposes at once, the others in turn if nothing comes of it.
  std::uint64_t rank = 0;
  for (NodeId voter : view.voters) {
    if (voter == self.node) break;
    const auto found = peers.find(voter);
    if (found != peers.end() && !found->second.dead && found->second.linked &&
        silence(found->second) < options.silence_floor) {
      ++rank;
    }
  }
  if (elapsed(*desired_since, now) < milliseconds(25 * rank)) return;
  Bytes value;
  encode_view(*desired, value);
  propose_deadline = now + milliseconds(150);
  const auto first = agreement.propose(std::move(value));
  if (const auto* accept = std::get_if<Accept>(&first)) return ask_to_accept(*accept);
  to_voters(std::get<Prepare>(first));
}

/// Asks for promises while there is nothing to propose, so that a removal takes one round of votes: the first voter that is heard
/// does, unless another that is heard has them.
void BraidNode::Impl::prepare_ahead() {
  if (!agreement.idle() || !am_member() || restarted || !majority_of_voters_heard()) return;
  const auto heard = [&](NodeId voter) {
    const Member* member = view.find(voter);
    return member && !suspected_early(*member);
  };
  if (*std::find_if(view.voters.begin(), view.voters.end(), heard) != self.node) return;
  const NodeId has_them = agreement.promised_to();
  if (has_them == self.node || heard(has_them)) return;
  to_voters(agreement.prepare());
}

void BraidNode::Impl::ask_to_accept(const Accept& accept) {
  for (const NodeId voter : view.voters) send_view(voter, accept, accept.view);
}

void BraidNode::Impl::on_prepare(NodeId from, const Prepare& prepare) {
  if (!am_voter() || prepare.number != agreement.number()) return;
  // A promise would tell it of a view that it is not to see: silence is always allowed.
  if (const auto accepted = undecided_view(); accepted && !may_see(from, *accepted)) return;
  auto reply = agreement.on_prepare(prepare);
  const bool urgent = desired_since || std::any_of(view.members.begin(), view.members.end(), [&](const Member& member) {
    return suspected_early(member);
  });
  if (from != self.node && urgent) {
    // Somebody else is at it: two that outbid each other would take longer than one.
    propose_not_before = std::max(propose_not_before, now + kProposerPatience);
  }
  persist_vote([this, from, message = std::move(reply.message)] {
    const auto* promise = std::get_if<Promise>(&message);
    send_view(from, message, promise ? promise->accepted : Bytes{});
  });
}

void BraidNode::Impl::on_accept(NodeId from, const Accept& accept) {
  if (!am_voter() || accept.number != agreement.number()) return;
  ByteReader reader(accept.view);
  if (auto proposed = decode_view(reader); !proposed || proposed->number != accept.number ||
                                           proposed->cluster != view.cluster) {
    ++messages_refused;
    return;
  } else if (proposed->resumed == proposed->number && proposed->run == view.run && proposed->resume_cut < durable_cut) {
    return;  // proposed before the run went on after all: the seals between are gone here
  }
  auto reply = agreement.on_accept(accept);
  persist_vote([this, from, message = std::move(reply.message)] { send(from, message); });
}

void BraidNode::Impl::on_promise(NodeId from, const Promise& promise) {
  if (promise.number != agreement.number()) return;
  if (const auto accept = agreement.on_promise(from, promise)) ask_to_accept(*accept);
}

void BraidNode::Impl::on_reject(NodeId, const Reject& reject) {
  if (reject.number != agreement.number()) return;
  agreement.on_reject(reject);
  propose_not_before = now + Duration{milliseconds(10).raw + random.below(50) * 1'000'000ull};
}

void BraidNode::Impl::on_accepted(NodeId from, const Accepted& accepted) {
  if (accepted.number != agreement.number()) return;
  auto decided = agreement.on_accepted(from, accepted);
  if (!decided) return;
  ByteReader reader(*decided);
  const auto next = decode_view(reader);
  RSE_ASSERT(next, "on_accept() refuses what is no view");
  std::set<NodeId> to(view.voters.begin(), view.voters.end());
  for (const Member& member : view.members) to.insert(member.node);
  for (const auto& [node, joiner] : joiners) to.insert(node);
  to.erase(self.node);
  for (NodeId node : to) send_decided(node, *next);
  on_decided(*decided);
}

void BraidNode::Impl::on_decided(const Bytes& bytes) {
  ByteReader reader(bytes);
  auto decided = decode_view(reader);
  if (!decided || !reader.finished()) {
    ++messages_refused;
    return;
  }
  if (decided->number <= view.number) return;
  // Open and encrypted clusters never mix; a member is never told a view without its cluster key.
  const bool other = view.number.raw != 0 && (decided->cluster != view.cluster || decided->trust.open() != view.trust.open());
  const bool bare = !decided->trust.open() && !decided->trust.has_seed() && decided->trust.key_of(self.node);
  if (other || bare) {
    ++messages_refused;
    return;
  }
  install(std::move(*decided));
}

void BraidNode::Impl::install(View next) {
  const View before = std::move(view);
  view = std::move(next);
  const bool new_run = before.number.raw == 0 || before.run != view.run;
  const bool resumed = view.resumed > before.number;  // perhaps in a view that we missed
  const bool none_missed = before.number.raw + 1 == view.number.raw && !resumed && !new_run;
  hosted_since_before = none_missed ? before.hosted_since : view.hosted_since;
  start_agreement();
  desired_since.reset();
  installed_at = now;
  take_overs.clear();
  joiners.clear();
  next_join = now;
  overridden = false;
  for (const Member& member : view.members) {
    if (member.node == self.node) continue;
    PeerState& state = peer(member.node);
    if (state.member.incarnation < member.incarnation) {
      PeerState next_life;
      next_life.linked = state.linked;
      next_life.key = state.key;
      next_life.ticket = state.ticket;
      state = std::move(next_life);
    }
    if (state.member.node.raw == 0) {
      state.member = member;
      state.heard = now;
    }
    // Who comes back as a member has forgotten what it said before. After views that we missed, anyone may have.
    if (before.number.raw + 1 != view.number.raw || !before.is_member(member.node, member.incarnation)) {
      state.member_since = view.number;
    }
  }
  const bool admitted = am_member() && (restarted || !before.is_member(self.node, self.incarnation));
  if (new_run || resumed || admitted) {
    for (TorusId torus : kTori) {
      if (resumed && !new_run) {
        for (const PacketPtr& packet : logs[torus.raw].from({})) {
          SealedEpoch& known = fixed_seals[torus.raw][packet->epoch];
          if (known.view <= logs_as_of) known = {packet->epoch, logs_as_of, packet->seal};
        }
      } else {
        fixed_seals[torus.raw].clear();
      }
      logs[torus.raw].clear();
      cut_complete[torus.raw] = 0;
      durable_through[torus.raw] = {};
      auto& known = cuts[torus.raw];
      if (new_run || (admitted && !resumed)) {
        known.clear();
        cuts_on_disk[torus.raw].clear();
      }
      std::erase_if(known, [&](const auto& cut) { return !view.counts(cut.first, cut.second.resumed); });
      drop_hosted(torus);
      sealed_recorded[torus.raw] = {};
    }
    seals_to_persist.clear();
    durable_cut = resumed ? view.resume_cut : 0;
    assemblies.clear();
  }
  if (am_member()) logs_as_of = view.number;
  const bool was_asked = std::count(before.hosts.begin(), before.hosts.end(), self.node) != 0 ||
                         std::count(before.holders.begin(), before.holders.end(), self.node) != 0;
  for (TorusId torus : kTori) {
    // Nobody asks a node that neither hosts nor holds anything what it has got ready: what it has of a torus that goes
    // elsewhere may not count.
    if (was_asked || view.hosted_since[torus.raw] == before.hosted_since[torus.raw]) continue;
    if (view.hosts[torus.raw] == self.node && none_missed) continue;
    for (TorusId each : kTori) {
      drop_hosted(each);
      logs[each.raw].clear();
    }
  }
  if (admitted) {
    restarted = false;
    event(BraidEvent::Kind::kJoined, "this node is a member", self.node);
  }
  if (new_run) {
    scenario_parsed.reset();
    if (offered && *offered == view.scenario) offered.reset();
    std::erase_if(scenarios, [&](const auto& entry) {
      return entry.first != view.scenario && (!offered || entry.first != *offered);
    });
    for (auto& [hash, blob] : scenarios) blob.holders.clear();  // others have put away what they held, too
    // What a node was asked before it knew of any run is for the one that it now learns of: that has not ended.
    if (before.number.raw != 0) {
      for (auto& [key, request] : requests) answers_out.push_back({key.first, key.second, InjectStatus::kRunEnded, {}});
      requests.clear();
    }
    if (view.run.raw != 0) event(BraidEvent::Kind::kRunStarted, "run " + std::to_string(view.run.raw) + " starts");
  }
  persist_vote(nullptr);
  std::string text = "view " + std::to_string(view.number.raw) + ":";
  for (TorusId torus : kTori) {
    text += std::string(" ") + letter_of(torus) + " on " + name_of(view.hosts[torus.raw]);
  }
  event(BraidEvent::Kind::kViewInstalled, text, self.node);
  if (view.resumed == view.number) {
    event(BraidEvent::Kind::kResumed, "the run resumes from cut " + std::to_string(view.resume_cut), self.node, {},
          Epoch{view.resume_cut});
  }
  for (TorusId torus : kTori) {
    const bool ours = am_member() && view.hosts[torus.raw] == self.node;
    if (!ours && before.hosts[torus.raw] != view.hosts[torus.raw]) cut_complete[torus.raw] = 0;
    if (!ours) {
      HostedTorus* mine = hosted[torus.raw].get();
      if (mine && (mine->official || mine->since.raw != 0) && !planted(Fault::kViewWithoutFencing)) {
        drop_hosted(torus);
        event(BraidEvent::Kind::kHandedOver,
              std::string("torus ") + letter_of(torus) + " handed over to " + name_of(view.hosts[torus.raw]),
              view.hosts[torus.raw], torus);
      }
      continue;
    }
    HostedTorus* mine = hosted[torus.raw].get();
    if (!mine || mine->since != view.hosted_since[torus.raw]) {
      begin_hosting(torus);
    } else if (!mine->official) {
      gather_officially(torus);  // the sources may be others now
    } else {
      mine->held_by_another = logs[torus.raw].wanted();
      assign_holders(torus);
    }
  }
  for (auto& [key, request] : requests) request.sent_to = {};
  const Heartbeat beat = make_heartbeat();
  for (const auto& [node, state] : peers) {
    if (state.linked) heartbeat_to(node, beat);
  }
  forward_requests();
}

}  // namespace rse
