#include "torus/braid/view_agreement.h"

#include <algorithm>

#include "torus/base/assert.h"
#include "torus/braid/planted_fault.h"

namespace rse {

void ViewAgreement::start(ViewNumber number, std::vector<NodeId> voters, NodeId self) {
  number_ = number;
  voters_ = std::move(voters);
  self_ = self;
  acceptor_ = Acceptor{.number = number};
  phase_ = Phase::kIdle;
  ballot_ = ballot_seen_ = 0;
}

bool ViewAgreement::is_voter(NodeId node) const {
  return std::find(voters_.begin(), voters_.end(), node) != voters_.end();
}

ViewAgreement::Reply ViewAgreement::on_prepare(const Prepare& prepare) {
  ballot_seen_ = std::max(ballot_seen_, prepare.ballot);
  if (prepare.ballot < acceptor_.promised) {
    return {Reject{number_, prepare.ballot, acceptor_.promised}};
  }
  const bool changed = prepare.ballot != acceptor_.promised;
  acceptor_.promised = prepare.ballot;
  return {Promise{number_, prepare.ballot, acceptor_.accepted_ballot, acceptor_.accepted}, changed};
}

ViewAgreement::Reply ViewAgreement::on_accept(const Accept& accept) {
  ballot_seen_ = std::max(ballot_seen_, accept.ballot);
  if (accept.ballot < acceptor_.promised && !planted(Fault::kLowBallotAccepted)) {
    return {Reject{number_, accept.ballot, acceptor_.promised}};
  }
  const bool changed = accept.ballot != acceptor_.accepted_ballot;
  acceptor_.promised = accept.ballot;
  acceptor_.accepted_ballot = accept.ballot;
  acceptor_.accepted = accept.view;
  return {Accepted{number_, accept.ballot}, changed};
}

NodeId ViewAgreement::promised_to() const {
  const std::uint64_t rank = acceptor_.promised & 0xFFFF;
  return acceptor_.promised != 0 && rank < voters_.size() ? voters_[rank] : NodeId{};
}

Prepare ViewAgreement::prepare() {
  const auto rank = static_cast<std::uint64_t>(
      std::find(voters_.begin(), voters_.end(), self_) - voters_.begin());
  RSE_ASSERT(rank < voters_.size(), "only voters propose");
  const std::uint64_t seen = std::max(ballot_seen_, acceptor_.promised);
  ballot_ = (((seen >> 16) + 1) << 16) | rank;
  has_value_ = false;
  value_.clear();
  value_ballot_ = 0;
  answers_.clear();
  phase_ = Phase::kPreparing;
  return {number_, ballot_};
}

std::variant<Prepare, Accept> ViewAgreement::propose(Bytes value) {
  // What others have promised meanwhile they will say; what we have promised to another we know.
  if (idle() || acceptor_.promised > ballot_) prepare();
  has_value_ = true;
  if (value_ballot_ == 0) value_ = std::move(value);
  if (phase_ == Phase::kPrepared) return accept();
  return Prepare{number_, ballot_};
}

Accept ViewAgreement::accept() {
  answers_.clear();
  phase_ = Phase::kAccepting;
  return {number_, ballot_, value_};
}

std::optional<Accept> ViewAgreement::on_promise(NodeId from, const Promise& promise) {
  if (phase_ != Phase::kPreparing || promise.ballot != ballot_ || !is_voter(from)) return {};
  answers_[from] = true;
  if (promise.accepted_ballot > value_ballot_ && !planted(Fault::kAcceptedValueIgnored)) {
    value_ballot_ = promise.accepted_ballot;
    value_ = promise.accepted;
  }
  // Our own promise has to be on disk before anybody may accept: a next life of this node would use the ballot again, for
  // another value, and Accepted does not name the value.
  if (answers_.size() < majority() || !answers_.contains(self_)) return {};
  phase_ = Phase::kPrepared;
  if (!has_value_) return {};
  return accept();
}

std::optional<Bytes> ViewAgreement::on_accepted(NodeId from, const Accepted& accepted) {
  if (phase_ != Phase::kAccepting || accepted.ballot != ballot_ || !is_voter(from)) return {};
  answers_[from] = true;
  if (answers_.size() < majority() && !planted(Fault::kMajorityOfOne)) return {};
  phase_ = Phase::kIdle;
  return value_;
}

void ViewAgreement::on_reject(const Reject& reject) {
  ballot_seen_ = std::max(ballot_seen_, reject.promised);
  if (reject.ballot == ballot_) phase_ = Phase::kIdle;
}

}  // namespace rse
