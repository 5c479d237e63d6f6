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
  Prepare propose(const Bytes& value) { return std::get<Prepare>(agreement.propose(value)); }
  Promise promise(const Prepare& prepare) { return std::get<Promise>(agreement.on_prepare(prepare).message); }
  Accepted accept(const Accept& accept) { return std::get<Accepted>(agreement.on_accept(accept).message); }
};

}  // namespace

TEST_CASE("view agreement: two promises that are not the proposer's own let nobody accept") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare prepare = a.propose(kOne);
  CHECK_FALSE(a.agreement.on_promise({2}, b.promise(prepare)));
  CHECK_FALSE(a.agreement.on_promise({3}, c.promise(prepare)));
  CHECK(a.agreement.on_promise({1}, a.promise(prepare)));
}

TEST_CASE("view agreement: a proposer that dies before its own promise is on disk never has two values under one ballot") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare before = a.propose(kOne);
  (void)a.agreement.on_promise({2}, b.promise(before));
  const auto sent = a.agreement.on_promise({3}, c.promise(before));
  // It restarts with an empty disk; the ballot is the same one.
  Voter again{{1}};
  const Prepare after = again.propose(kTwo);
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
  const Prepare later = c.propose(kOne);
  (void)c.agreement.on_promise({2}, b.promise(later));
  const auto found = c.agreement.on_promise({3}, c.promise(later));
  REQUIRE(found);
  CHECK(found->view == *decided);
}

TEST_CASE("view agreement: of several accepted values the one with the highest ballot is proposed again") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare first = a.propose(kOne);
  (void)a.agreement.on_promise({1}, a.promise(first));
  a.accept(*a.agreement.on_promise({2}, b.promise(first)));  // only A hears it
  const Prepare second = b.propose(kTwo);
  (void)b.agreement.on_promise({2}, b.promise(second));
  const auto accept = b.agreement.on_promise({3}, c.promise(second));
  b.accept(*accept);
  (void)c.promise(second);
  const Prepare third = c.propose(kOne);
  (void)c.agreement.on_promise({1}, a.promise(third));
  (void)c.agreement.on_promise({2}, b.promise(third));
  const auto found = c.agreement.on_promise({3}, c.promise(third));
  REQUIRE(found);
  CHECK(found->view == kTwo);
}

TEST_CASE("view agreement: with promises asked for ahead a value takes one round") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare ahead = a.agreement.prepare();
  CHECK_FALSE(a.agreement.on_promise({1}, a.promise(ahead)));
  CHECK_FALSE(a.agreement.on_promise({2}, b.promise(ahead)));
  CHECK_FALSE(a.agreement.proposing());
  const auto accept = std::get<Accept>(a.agreement.propose(kOne));
  CHECK(a.agreement.proposing());
  (void)a.agreement.on_accepted({1}, a.accept(accept));
  const auto decided = a.agreement.on_accepted({3}, c.accept(accept));
  REQUIRE(decided);
  CHECK(*decided == kOne);
}

TEST_CASE("view agreement: a value that comes before the promises waits for them") {
  Voter a{{1}}, b{{2}};
  const Prepare ahead = a.agreement.prepare();
  CHECK_FALSE(a.agreement.on_promise({1}, a.promise(ahead)));
  CHECK(a.propose(kOne).ballot == ahead.ballot);
  const auto accept = a.agreement.on_promise({2}, b.promise(ahead));
  REQUIRE(accept);
  CHECK(accept->view == kOne);
}

TEST_CASE("view agreement: promises asked for ahead count no more once another has outbid them") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare ahead = a.agreement.prepare();
  CHECK(a.agreement.promised_to() == NodeId{});
  (void)a.agreement.on_promise({1}, a.promise(ahead));
  (void)a.agreement.on_promise({2}, b.promise(ahead));
  CHECK(a.agreement.promised_to() == NodeId{1});
  SUBCASE("as the proposer knows: it asks again") {
    (void)c.promise(ahead);
    const Prepare second = c.propose(kTwo);
    (void)a.promise(second);
    CHECK(a.agreement.promised_to() == NodeId{3});
    CHECK(a.propose(kOne).ballot > second.ballot);
  }
  SUBCASE("as only the others know: they refuse") {
    (void)c.promise(ahead);
    (void)b.promise(c.propose(kTwo));
    const auto accept = std::get<Accept>(a.agreement.propose(kOne));
    const auto refused = b.agreement.on_accept(accept);
    REQUIRE(std::holds_alternative<Reject>(refused.message));
    a.agreement.on_reject(std::get<Reject>(refused.message));
    CHECK(a.agreement.idle());
  }
}

TEST_CASE("view agreement: what was accepted before promises were asked for ahead is proposed, whatever the proposer would like") {
  Voter a{{1}}, b{{2}}, c{{3}};
  const Prepare first = c.propose(kTwo);
  (void)c.agreement.on_promise({3}, c.promise(first));
  b.accept(*c.agreement.on_promise({2}, b.promise(first)));
  Prepare ahead = a.agreement.prepare();
  const auto refused = b.agreement.on_prepare(ahead);  // C's ballot is above A's, of which A does not know
  a.agreement.on_reject(std::get<Reject>(refused.message));
  ahead = a.agreement.prepare();
  (void)a.agreement.on_promise({1}, a.promise(ahead));
  (void)a.agreement.on_promise({2}, b.promise(ahead));
  CHECK(std::get<Accept>(a.agreement.propose(kOne)).view == kTwo);
}
