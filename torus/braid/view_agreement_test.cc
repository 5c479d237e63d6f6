// Stories of one view number that the model in tests/model has found; there all stories within its bounds are checked.
#include "torus/braid/view_agreement.h"

#include <doctest/doctest.h>

#include <optional>

using namespace rse;

namespace {

constexpr ViewNumber kNumber{2};
const std::vector<NodeId> kVoters = {{1}, {2}, {3}};
const Bytes kOne = {std::byte{1}}, kTwo = {std::byte{2}};

struct Voter {
  explicit Voter(NodeId id) { agreement.start(kNumber, kVoters, id); }
  ViewAgreement agreement;
  Promise promise(const Prepare& prepare) { return std::get<Promise>(agreement.on_prepare(prepare).message); }
  Accepted accept(const Accept& accept) { return std::get<Accepted>(agreement.on_accept(accept).message); }
};

}  // namespace

TEST_CASE("view agreement: two promises that are not the proposer's own let nobody accept") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare prepare = a.agreement.propose(kOne);
  CHECK_FALSE(a.agreement.on_promise({2}, b.promise(prepare)));
  CHECK_FALSE(a.agreement.on_promise({3}, c.promise(prepare)));
  CHECK(a.agreement.on_promise({1}, a.promise(prepare)));
}

TEST_CASE("view agreement: a proposer that dies before its own promise is on disk never has two values under one ballot") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare before = a.agreement.propose(kOne);
  (void)a.agreement.on_promise({2}, b.promise(before));
  const auto sent = a.agreement.on_promise({3}, c.promise(before));
  // It restarts with an empty disk; the ballot is the same one.
  Voter again{{1}};
  const Prepare after = again.agreement.propose(kTwo);
  REQUIRE(after.ballot == before.ballot);
  std::optional<Accepted> word;
  if (sent) word = c.accept(*sent);  // on its way when the next life begins
  CHECK_FALSE(again.agreement.on_promise({2}, b.promise(after)));
  const auto accept = again.agreement.on_promise({1}, again.promise(after));
  REQUIRE(accept);
  if (!word) word = c.accept(*accept);
  (void)again.agreement.on_accepted({3}, *word);
  const auto decided = again.agreement.on_accepted({1}, again.accept(*accept));
  REQUIRE(decided);
  const Prepare later = c.agreement.propose(kOne);
  (void)c.agreement.on_promise({2}, b.promise(later));
  const auto found = c.agreement.on_promise({3}, c.promise(later));
  REQUIRE(found);
  CHECK(found->view == *decided);
}

TEST_CASE("view agreement: of several accepted values the one with the highest ballot is proposed again") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare first = a.agreement.propose(kOne);
  (void)a.agreement.on_promise({1}, a.promise(first));
  a.accept(*a.agreement.on_promise({2}, b.promise(first)));  // only A hears it
  const Prepare second = b.agreement.propose(kTwo);
  (void)b.agreement.on_promise({2}, b.promise(second));
  const auto accept = b.agreement.on_promise({3}, c.promise(second));
  b.accept(*accept);
  (void)c.promise(second);
  const Prepare third = c.agreement.propose(kOne);
  (void)c.agreement.on_promise({1}, a.promise(third));
  (void)c.agreement.on_promise({2}, b.promise(third));
  const auto found = c.agreement.on_promise({3}, c.promise(third));
  REQUIRE(found);
  CHECK(found->view == kTwo);
}
