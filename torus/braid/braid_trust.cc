// Who may become a member, and what operators want of tickets and keys: wishes that the next view fulfils.
#include "torus/braid/braid_state.h"

namespace rse {
namespace {

constexpr std::size_t kTrustWishesMax = 16;
constexpr Duration kWishMemory = milliseconds(1000);     // of a voter; the asker repeats
constexpr Duration kWishRepeated = milliseconds(100);
constexpr Duration kTrustWishLimit = milliseconds(5000);

}  // namespace

/// A newcomer with a ticket may only ask to be admitted; it is no member's business to act on more.
bool BraidNode::Impl::is_newcomer(NodeId node) const {
  const auto found = peers.find(node);
  return found != peers.end() && found->second.ticket != 0 && !view.trust.is_admitted(found->second.key);
}

/// A forgotten voter keeps its place until another takes it, but not its vote.
bool BraidNode::Impl::may_vote(NodeId node) const {
  return node == self.node || view.trust.open() || view.trust.key_of(node);
}

/// The cluster key in a view is for those whom it admits, and for no other on the way to them.
bool BraidNode::Impl::may_see(NodeId to, const View& carried) const {
  if (to == self.node || !carried.trust.has_seed()) return true;
  const auto admits = [&](NodeId node) {
    const PublicKey* pinned = carried.trust.key_of(node);
    const auto found = peers.find(node);
    return pinned && (found == peers.end() || !found->second.linked || found->second.key == *pinned);
  };
  return admits(to) && admits(route(to));
}

/// A vote that carries a view which is not decided yet: one that forgets a node is nothing for that node.
void BraidNode::Impl::send_view(NodeId to, const Message& message, const Bytes& carried) {
  ByteReader reader(carried);
  const auto read = carried.empty() ? Result<View>(View{}) : decode_view(reader);
  if (read && may_see(to, *read)) send(to, message);
}

/// Who is not admitted learns that it is not, and nothing secret.
void BraidNode::Impl::send_decided(NodeId to, const View& decided) {
  Decided message;
  if (may_see(to, decided)) {
    encode_view(decided, message.view);
  } else if (decided.trust.key_of(to) == nullptr || route(to) == to) {
    View told = decided;
    told.trust.seed = {};
    encode_view(told, message.view);
  } else {
    return;  // it may have it, but not the node by way of which it is reached
  }
  send(to, std::move(message));
}

void BraidNode::Impl::on_join(NodeId from, Join join) {
  const NodeId node = join.joiner.node;
  if (view.number.raw == 0 || node.raw == 0 || node == self.node) return;
  if (view.is_member(node, join.joiner.incarnation)) return;
  // It has to know that it is out before it can be let in: only then does it forget what it held when it was a member.
  if (join.view != view.number) return;
  if (!view.trust.open()) {
    const auto link = peers.find(from);
    if (from == node) {  // its own word: what counts is what its link with us has proved
      if (link == peers.end() || !link->second.linked) return;
      join.key = link->second.key;
      join.ticket = link->second.ticket;
    } else if (!view.find(from)) {
      return;
    }
    if (!view.trust.may_admit(node, join.key, join.ticket)) return;
  }
  if (joiners.size() >= kMembersMax && !joiners.contains(node)) return;
  auto& known = joiners[node];
  if (known.first.joiner.incarnation <= join.joiner.incarnation) known = {join, now};
  if (!am_voter() && am_member()) {
    for (NodeId voter : view.voters) {
      if (voter != node) send(voter, join);
    }
  }
}

void BraidNode::Impl::on_trust_wish(NodeId from, const TrustChange& change) {
  if (!am_voter() || !view.find(from) || view.trust.holds(change)) return;
  for (auto& [known, heard] : trust_wishes) {
    if (known == change) {
      heard = now;
      return;
    }
  }
  if (trust_wishes.size() < kTrustWishesMax) trust_wishes.emplace_back(change, now);
}

Result<void> BraidNode::Impl::ask_trust_change(const TrustChange& change) {
  if (!am_member()) return Error::kNotFound;
  if (view.trust.open() || change.forget.node == self.node) return Error::kMalformed;
  if (own_wishes.size() >= kTrustWishesMax) return Error::kTooLarge;
  own_wishes.push_back({change, now, {}});
  repeat_trust_wishes();
  return {};
}

void BraidNode::Impl::repeat_trust_wishes() {
  std::erase_if(own_wishes, [&](const OwnWish& wish) {
    return view.trust.holds(wish.change) || elapsed(wish.asked, now) > kTrustWishLimit;
  });
  for (OwnWish& wish : own_wishes) {
    if (wish.sent.raw != 0 && elapsed(wish.sent, now) < kWishRepeated) continue;
    wish.sent = now;
    for (const NodeId voter : view.voters) {
      const NodeId forgotten = wish.change.forget.node;  // not for its ears; 0: nobody
      const bool heard = forgotten.raw != 0 && (voter == forgotten || route(voter) == forgotten);
      if (voter == self.node || !heard) send(voter, TrustWish{wish.change});
    }
  }
}

/// Of nodes that came once and have neither a part nor a vote any more, the one that was admitted first is no longer known: it needs a
/// new ticket. False: there is none such.
bool BraidNode::Impl::make_room_to_admit(View& next) const {
  auto& admitted = next.trust.admitted;
  if (admitted.size() < kAdmittedMax) return true;
  const auto idle = std::find_if(admitted.begin(), admitted.end(), [&](const Admitted& one) {
    return !next.find(one.node) && !next.is_voter(one.node) && std::count(next.holders.begin(), next.holders.end(), one.node) == 0;
  });
  if (idle == admitted.end()) return false;
  admitted.erase(idle);
  return true;
}

/// A member goes like one that has died: only while enough holders and voters are left without it, and one at a time.
bool BraidNode::Impl::may_forget(const View& next, NodeId node, bool others_are_lost) const {
  if (node == self.node) return false;
  if (!next.find(node)) return true;
  const auto voting = static_cast<std::size_t>(
      std::count_if(view.voters.begin(), view.voters.end(), [&](NodeId voter) { return voter != node && next.find(voter); }));
  if (voting < view.majority()) return false;
  const auto held_by_others = static_cast<std::size_t>(
      std::count_if(next.holders.begin(), next.holders.end(), [&](NodeId holder) { return holder != node && next.find(holder); }));
  return !others_are_lost && next.members.size() > 1 && held_by_others >= next.holders_needed;
}

/// Puts what is wished into `next`. True: something has changed.
bool BraidNode::Impl::apply_trust_wishes(View& next, bool others_are_lost) {
  std::erase_if(trust_wishes, [&](const auto& wish) {
    return elapsed(wish.second, now) > kWishMemory || view.trust.holds(wish.first);
  });
  bool changed = false;
  for (const auto& [change, heard] : trust_wishes) {
    const NodeId forgotten = change.kind == TrustChange::Kind::kForget ? change.forget.node : NodeId{};
    if (!may_forget(next, forgotten, others_are_lost) || !next.trust.apply(change)) continue;
    changed = true;
    others_are_lost |= std::erase_if(next.members, [&](const Member& member) { return member.node == forgotten; }) > 0;
  }
  return changed;
}

}  // namespace rse
