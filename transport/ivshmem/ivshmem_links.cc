// How a session becomes the link with a peer, and what its end means.
#include <asio/post.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "transport/codec/codec.h"
#include "transport/ivshmem/ivshmem_core.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kOfferWaitStart{20};
constexpr std::chrono::milliseconds kOfferWaitMax{1000};
/// Peers remembered, linked or not: forgetting one that is down costs its statistics and the proof of its death.
constexpr std::size_t kPeersMax = 64;

}  // namespace

void IvshmemCore::on_event(const Participant::Event& event) {
  const std::uint32_t index = event.peer;
  switch (event.kind) {
    case Participant::Event::Kind::kNothing:
    case Participant::Event::Kind::kWorked: return;
    case Participant::Event::Kind::kAppeared:
      slots_[index] = Slot{};
      watch_process(index);
      return offer(index);
    case Participant::Event::Kind::kLeft:
      slots_[index] = Slot{};
      return report_deaths();
    case Participant::Event::Kind::kOpened: return on_opened(index);
    case Participant::Event::Kind::kClosed: return on_ended(index, false);
    case Participant::Event::Kind::kDamaged: return on_ended(index, true);
    case Participant::Event::Kind::kDisplaced:
      // We hold the slot's lock: nobody has taken it, the memory was written over.
      self_->announce();
      for (std::uint32_t peer = 0; peer < kParticipantsMax; ++peer) {
        if (peer != self_->slot()) on_ended(peer, true);
        if (stopped_) return;
      }
      return;
    case Participant::Event::Kind::kMessage: break;
  }
  Slot& slot = slots_[index];
  switch (slot.phase) {
    case Phase::kNone: return;  // refused; the session is being closed
    case Phase::kHello: return on_hello(index, event.message);
    case Phase::kUp: break;
  }
  // A second hello says why the peer does not want the link, which we have taken for one.
  if (is_hello(event.message)) return on_hello(index, event.message);
  const NodeId node = slot.hello.self.node;
  LinkStats& stats = peers_[node].stats;
  ++stats.messages_received;
  stats.bytes_received += event.message.size();
  callbacks_.on_message(node, event.message);
}

void IvshmemCore::offer(std::uint32_t index) {
  if (!self_->opens(index)) return;
  slots_[index].phase = Phase::kNone;
  slots_[index].next_offer = Clock::now() + handshake_limit_;
  self_->open(index);
}

/// Waits longer each time, until a link has come up.
void IvshmemCore::offer_later(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.next_offer = Clock::now() + slot.wait;
  slot.wait = std::clamp(2 * slot.wait, kOfferWaitStart, kOfferWaitMax);
}

void IvshmemCore::on_opened(std::uint32_t index) {
  Slot& slot = slots_[index];
  slot.phase = Phase::kHello;
  slot.queue.clear();
  slot.queued_bytes = slot.done = 0;
  slot.next_offer = Clock::now() + handshake_limit_;
  say_hello(index, {});
}

void IvshmemCore::say_hello(std::uint32_t index, const std::string& refusal) {
  Hello hello = hello_;
  if (trust_) show(*trust_, hello);
  hello.refusal = refusal;
  Bytes bytes;
  encode_hello(hello, bytes);
  enqueue(index, bytes);
}

/// Empty: the peer is trusted.
std::string IvshmemCore::judge(Hello& hello, const std::string& where) const {
  if (!trust_) {
    if (hello.key.is_none()) return {};
    return "cannot talk to " + where + ": it is of an encrypted cluster, and this node runs with --insecure; start both in the same way";
  }
  if (hello.key.is_none()) {
    return "cannot talk to " + where + ": it shows no key, so it is of an open cluster (--insecure), and this node is not; start both in "
           "the same way";
  }
  std::string why = judge_node(*trust_, hello.self.node, hello.key, where);
  if (!why.empty()) return why;
  Verdict verdict = judge_peer(*trust_, shown_by(*trust_, hello), where, unix_seconds());
  hello.ticket = verdict.ticket;
  return verdict.refusal;
}

void IvshmemCore::set_trust(std::shared_ptr<const TrustBook> book) {
  if (stopped_ || !trust_) return;
  trust_ = std::move(book);
  std::vector<NodeId> strange;
  for (const auto& [node, peer] : peers_) {
    if (peer.slot && !still_trusted(*trust_, shown_by(*trust_, slots_[*peer.slot].hello))) strange.push_back(node);
  }
  for (const NodeId node : strange) disconnect(node);
}

/// The session is over, whoever ended it.
void IvshmemCore::on_ended(std::uint32_t index, bool damaged) {
  Slot& slot = slots_[index];
  const Phase before = std::exchange(slot.phase, Phase::kNone);
  slot.queue.clear();
  slot.queued_bytes = slot.done = 0;
  offer_later(index);
  if (before != Phase::kUp) return;
  const NodeId node = slot.hello.self.node;
  const std::string name = slot.hello.self.name.empty() ? hex_id(node.raw) : slot.hello.self.name;
  peers_[node].slot.reset();
  callbacks_.on_down(node, false);
  if (!damaged || stopped_) return;
  report_failure(address_text_, "closed the link with " + name + " at " + slot_text(index) +
                                    ": the shared memory did not hold what it should; a program writes to it that should not");
}

void IvshmemCore::report_deaths() {
  std::vector<NodeId> dead;
  for (auto& [node, peer] : peers_) {
    if (!peer.met || peer.slot || peer.death_reported || peer.down_unreported || !is_gone(peer)) continue;
    peer.death_reported = true;
    dead.push_back(node);
  }
  for (const NodeId node : dead) {
    if (!stopped_) callbacks_.on_down(node, true);
  }
}

/// A presence that has changed is no proof: memory can be damaged. The lock is with the kernel. A guest has only its word.
bool IvshmemCore::is_gone(const Peer& peer) const {
  if (peer.process == 0) return !self_->present(peer.last_slot);
  if (!file_->held(peer.last_slot)) return true;
  const bool taken_over = self_->process_of(peer.last_slot) != peer.process;
  return taken_over && ::kill(static_cast<pid_t>(peer.process), 0) != 0 && errno == ESRCH;
}

void IvshmemCore::on_hello(std::uint32_t index, std::span<const std::byte> frame) {
  const std::string where = slot_text(index);
  auto hello = decode_hello(frame);
  if (hello && !hello->refusal.empty()) {
    on_ended(index, false);
    if (!stopped_) report_failure(address_text_, told_text(where, hello->refusal));
    return;
  }
  if (!hello || slots_[index].phase == Phase::kUp) {
    return refuse(index, Refusal::kOurs, "cannot talk to " + where + ": it sent what is no handshake of ours; is it an rse-node?");
  }
  std::string why;
  switch (judge_hello(hello_, *hello, where, why)) {
    case HelloVerdict::kOurselves: return refuse(index, Refusal::kMutual, {});
    case HelloVerdict::kRefused: return refuse(index, Refusal::kMutual, why);
    case HelloVerdict::kWelcome: break;
  }
  const bool both_join = hello_.cluster.raw == 0 && hello->cluster.raw == 0;  // neither can vouch for the other yet
  if (trust_ && both_join) return refuse(index, Refusal::kMutual, {});
  why = judge(*hello, where);
  if (!why.empty()) return refuse(index, Refusal::kTold, why);
  const auto known = peers_.find(hello->self.node);
  if (known != peers_.end() && hello->self.incarnation < known->second.incarnation) {
    return refuse(index, Refusal::kOurs, old_life_text(*hello, where, known->second.incarnation));
  }
  const bool twice = known != peers_.end() && known->second.slot && known->second.incarnation == hello->self.incarnation;
  if (twice) return refuse(index, Refusal::kOurs, {});  // the same life in two slots: the first counts
  if (known == peers_.end() && peers_.size() >= kPeersMax) {
    std::erase_if(peers_, [](const auto& entry) { return !entry.second.slot && !entry.second.down_unreported; });
  }
  bring_up(index, *hello);
}

/// From here on this session is the link. The callbacks come last: they may do anything.
void IvshmemCore::bring_up(std::uint32_t index, const Hello& hello) {
  const NodeId node = hello.self.node;
  Peer& peer = peers_[node];
  const bool new_life = peer.incarnation != hello.self.incarnation;
  const bool old_life_ends = new_life && (peer.slot || (peer.met && !peer.death_reported));
  if (peer.slot) {
    slots_[*peer.slot].phase = Phase::kNone;
    self_->close(*peer.slot);
  }
  if (peer.met) ++peer.stats.reconnects;
  Slot& slot = slots_[index];
  slot.phase = Phase::kUp;
  slot.hello = hello;
  slot.wait = {};
  peer.slot = peer.last_slot = index;
  peer.process = self_->process_of(index);
  peer.incarnation = hello.self.incarnation;
  peer.met = true;
  peer.death_reported = false;
  peer.stats.address = slot_text(index);
  const bool down_unreported = std::exchange(peer.down_unreported, false);
  if (old_life_ends) {
    callbacks_.on_down(node, true);
  } else if (down_unreported) {
    callbacks_.on_down(node, false);
  }
  if (!stopped_ && slots_[index].phase == Phase::kUp) callbacks_.on_up(hello);
}

/// A session that both refuse stays open until the next offer, so that the other side reads what we have said and knows why.
void IvshmemCore::refuse(std::uint32_t index, Refusal refusal, const std::string& why) {
  if (refusal == Refusal::kTold) say_hello(index, why);
  if (refusal == Refusal::kOurs) self_->close(index);
  slots_[index].phase = Phase::kNone;
  offer_later(index);
  if (!why.empty()) report_failure(address_text_, why);
}

void IvshmemCore::disconnect(NodeId node) {
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.slot) return;
  const std::uint32_t index = *std::exchange(found->second.slot, std::nullopt);
  slots_[index].phase = Phase::kNone;
  slots_[index].queue.clear();
  slots_[index].queued_bytes = slots_[index].done = 0;
  self_->close(index);
  ring_bells();
  offer_later(index);
  found->second.down_unreported = true;
  asio::post(loop_, [self = shared_from_this(), node] {
    const auto again = self->peers_.find(node);
    if (self->stopped_ || again == self->peers_.end() || !std::exchange(again->second.down_unreported, false)) return;
    self->callbacks_.on_down(node, false);
  });
}

std::vector<LinkStats> IvshmemCore::stats() const {
  std::vector<LinkStats> all;
  for (const auto& [node, peer] : peers_) {
    LinkStats& stats = all.emplace_back(peer.stats);
    stats.peer = node;
    stats.transport = "ivshmem";
    stats.connected = peer.slot.has_value();
    if (peer.slot) stats.queued_bytes = slots_[*peer.slot].queued_bytes;
  }
  return all;
}

std::string IvshmemCore::slot_text(std::uint32_t index) const {
  return address_->path + " slot " + std::to_string(index);
}

void IvshmemCore::report_failure(const std::string& address, const std::string& why) {
  if (!stopped_) callbacks_.on_failure(address, why);
}

}  // namespace rse
