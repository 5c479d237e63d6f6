// Single-decree Paxos for one view number at a time: acceptor and proposer of one voter (DESIGN 3.3; Lamport, "Paxos Made
// Simple", 2001). Says what to persist and what to send; the owner does both, in that order.
// Threads: none. Memory: a few views. Invariant: for a number, at most one value is ever chosen, whatever the timing, as long
// as what is persisted stays persisted.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "torus/braid/messages.h"

namespace rse {

class ViewAgreement {
 public:
  /// The acceptor's durable state for view number `number`.
  struct Acceptor {
    ViewNumber number;
    std::uint64_t promised = 0;
    std::uint64_t accepted_ballot = 0;
    Bytes accepted;  // encode_view()
  };

  /// Begins deciding `number` among `voters`; forgets the number before.
  void start(ViewNumber number, std::vector<NodeId> voters, NodeId self);
  void restore(Acceptor acceptor) { acceptor_ = std::move(acceptor); }
  const Acceptor& acceptor() const { return acceptor_; }
  ViewNumber number() const { return number_; }

  // --- Acceptor. A reply may leave only after acceptor() has been persisted. ---
  struct Reply {
    Message message;
    bool changed = false;  // persist first
  };
  Reply on_prepare(const Prepare& prepare);
  Reply on_accept(const Accept& accept);

  // --- Proposer. ---
  bool idle() const { return phase_ == Phase::kIdle; }
  bool proposing() const { return has_value_ && !idle(); }
  /// To whom this voter has promised last; 0: to nobody.
  NodeId promised_to() const;
  /// Asks for promises before there is a value, with a ballot above all that were seen: if nobody outbids it meanwhile, the next
  /// propose() is left with one round. Send the result to every voter, self included; so with all below.
  Prepare prepare();
  /// Proposes `value`: Accept where promises are at hand from prepare(), else Prepare.
  std::variant<Prepare, Accept> propose(Bytes value);
  void abandon() { phase_ = Phase::kIdle; }
  /// A majority has promised a value: what to send next.
  std::optional<Accept> on_promise(NodeId from, const Promise& promise);
  /// A majority has accepted: the decided value.
  std::optional<Bytes> on_accepted(NodeId from, const Accepted& accepted);
  void on_reject(const Reject& reject);

 private:
  enum class Phase : std::uint8_t { kIdle, kPreparing, kPrepared, kAccepting };
  Accept accept();
  bool is_voter(NodeId node) const;
  std::size_t majority() const { return voters_.size() / 2 + 1; }

  ViewNumber number_;
  std::vector<NodeId> voters_;
  NodeId self_;
  Acceptor acceptor_;
  Phase phase_ = Phase::kIdle;
  std::uint64_t ballot_ = 0;
  std::uint64_t ballot_seen_ = 0;
  bool has_value_ = false;          // false: asks ahead
  Bytes value_;
  std::uint64_t value_ballot_ = 0;  // of the accepted value adopted from a promise
  std::map<NodeId, bool> answers_;
};

}  // namespace rse
