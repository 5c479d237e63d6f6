#include "tests/sim/duel.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "torus/base/random.h"
#include "torus/braid/view_agreement.h"

namespace rse::sim {
namespace {

constexpr ViewNumber kNumber{7};
constexpr int kMovesMax = 400;

struct Letter {
  NodeId from, to;
  Message message;
};

class Duel {
 public:
  explicit Duel(std::uint64_t seed) : random_(seed) {
    const std::uint64_t count = random_.below(2) == 0 ? 3 : 5;
    for (std::uint64_t i = 1; i <= count; ++i) voters_.push_back(NodeId{i});
    agreements_.resize(count);
    for (const NodeId voter : voters_) of(voter).start(kNumber, voters_, voter);
  }

  std::string fight() {
    for (int move = 0; move < kMovesMax && broken_.empty(); ++move) {
      const NodeId voter = voters_[random_.below(static_cast<std::uint32_t>(voters_.size()))];
      switch (random_.below(12)) {
        case 0: propose(voter); break;
        case 1: restart(voter); break;
        case 2: of(voter).abandon(); break;
        case 3: prepare(voter); break;
        default: deliver(); break;
      }
    }
    return broken_;
  }

 private:
  ViewAgreement& of(NodeId voter) { return agreements_[voter.raw - 1]; }
  void send(NodeId from, NodeId to, Message message) { post_.push_back({from, to, std::move(message)}); }
  void to_all(NodeId from, const Message& message) {
    for (const NodeId voter : voters_) send(from, voter, message);
  }

  void propose(NodeId voter) {
    if (of(voter).proposing()) return;
    std::visit([&](const auto& first) { to_all(voter, first); }, of(voter).propose(Bytes(1, static_cast<std::byte>(++values_))));
  }
  void prepare(NodeId voter) {
    if (of(voter).idle()) to_all(voter, of(voter).prepare());
  }
  /// What it has answered was on its disk before; what it proposed is forgotten.
  void restart(NodeId voter) {
    ViewAgreement::Acceptor acceptor = of(voter).acceptor();
    of(voter).start(kNumber, voters_, voter);
    of(voter).restore(std::move(acceptor));
  }
  void deliver() {
    if (post_.empty()) return;
    const std::size_t at = random_.below(static_cast<std::uint32_t>(post_.size()));
    const Letter letter = post_[at];
    if (random_.below(4) != 0) post_.erase(post_.begin() + static_cast<std::ptrdiff_t>(at));  // else it comes again, some day
    if (random_.below(12) == 0) return;
    ViewAgreement& voter = of(letter.to);
    if (const auto* prepare = std::get_if<Prepare>(&letter.message)) {
      send(letter.to, letter.from, voter.on_prepare(*prepare).message);
    } else if (const auto* accept = std::get_if<Accept>(&letter.message)) {
      send(letter.to, letter.from, voter.on_accept(*accept).message);
    } else if (const auto* promise = std::get_if<Promise>(&letter.message)) {
      if (const auto next = voter.on_promise(letter.from, *promise)) to_all(letter.to, *next);
    } else if (const auto* accepted = std::get_if<Accepted>(&letter.message)) {
      if (const auto value = voter.on_accepted(letter.from, *accepted)) note_decided(*value);
    } else if (const auto* reject = std::get_if<Reject>(&letter.message)) {
      voter.on_reject(*reject);
    }
  }
  void note_decided(const Bytes& value) {
    if (!decided_) decided_ = value;
    if (*decided_ == value) return;
    broken_ = "value " + std::to_string(static_cast<int>(value[0])) + " was decided, and value " +
              std::to_string(static_cast<int>((*decided_)[0])) + " before it";
  }

  Random random_;
  std::vector<NodeId> voters_;
  std::vector<ViewAgreement> agreements_;
  std::vector<Letter> post_;
  int values_ = 0;
  std::optional<Bytes> decided_;
  std::string broken_;
};

}  // namespace

std::string duel(std::uint64_t seed) { return Duel(seed).fight(); }

}  // namespace rse::sim
