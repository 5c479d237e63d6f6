#include "torus/watch/lattice_watch.h"

#include <doctest/doctest.h>

#include <vector>

using namespace rse;

namespace {

constexpr NodeId kHost{1}, kAsker{2}, kStranger{3};
constexpr TorusId kA{0};
constexpr std::uint32_t kBusyCell = 99;

View some_view() {
  View view;
  view.members = {Member{kHost, 1, "host", {}}, Member{kAsker, 1, "asker", {}}};
  view.hosts = {kHost, kHost, kAsker};
  return view;
}

/// A node that runs epochs of torus A, in which an event waits for long in one cell.
struct Host {
  Torus torus{kA, {.events = 1000, .edges = 1000, .processes = 10, .outbox_events = 1000}};
  LatticeWatch watch{kHost};
  std::uint64_t epoch = 0;

  Host() { REQUIRE(torus.insert({{1'000'000'000}, {kBusyCell}, {kBusyCell}, 1}).ok()); }
  void run_epoch(Instant now) {
    torus.begin_epoch({epoch * 1000}, {epoch * 1000 + 1000});
    torus.run_epoch();
    ++epoch;
    watch.on_boundary(now, torus);
  }
  std::optional<LatticeSight> ask(Instant now, NodeId from = kAsker) { return watch.on_sight(now, from, {kA, 0, {}}, some_view()); }
};

constexpr Instant at(std::uint64_t count) { return Instant{} + milliseconds(count); }

}  // namespace

TEST_CASE("watch: a host that is asked looks at its torus, and what it answers shows where events are") {
  Host host;
  LatticeWatch asker{kAsker};
  CHECK_FALSE(host.ask(at(0)));  // not looked yet
  for (std::uint64_t now = 0; now <= 300; now += 10) host.run_epoch(at(now));
  auto answer = host.ask(at(310));
  REQUIRE(answer);
  REQUIRE(answer->levels.size() == kSightBytes);
  CHECK_FALSE(asker.on_sight(at(311), kHost, *answer, some_view()));
  const auto seen = asker.look(at(320), kA, some_view());
  REQUIRE(seen);
  CHECK(sight_level(*seen, kBusyCell) == kSightLevelMax);
  for (std::uint32_t cell = 0; cell < kCellCount; ++cell)
    if (cell != kBusyCell) REQUIRE(sight_level(*seen, cell) == 0);
  CHECK_FALSE(asker.look(at(311) + kSightFresh, kA, some_view()));  // it would be a picture of the past
}

TEST_CASE("watch: a torus at which nobody looks any more is left alone") {
  Host host;
  CHECK_FALSE(host.ask(at(0)));
  for (std::uint64_t now = 0; now <= 10'000; now += 10) host.run_epoch(at(now));
  CHECK_FALSE(host.ask(at(10'010)));  // what was counted long ago is not told
}

TEST_CASE("watch: the same answers whoever asks are no more than one each kAnswerGap") {
  Host host;
  static_cast<void>(host.ask(at(0)));
  int answers = 0;
  for (std::uint64_t now = 0; now < 1000; ++now) {
    host.run_epoch(at(now));
    for (int asker = 0; asker < 10; ++asker) answers += host.ask(at(now)).has_value();
  }
  CHECK(answers > 10);
  CHECK(answers <= 20);
}

TEST_CASE("watch: strangers get no answer, and only a torus's host is believed about it") {
  Host host;
  static_cast<void>(host.ask(at(0)));
  for (std::uint64_t now = 0; now <= 300; now += 10) host.run_epoch(at(now));
  CHECK_FALSE(host.ask(at(310), kStranger));
  const auto answer = host.ask(at(310));
  REQUIRE(answer);
  LatticeWatch asker{kAsker};
  CHECK_FALSE(asker.on_sight(at(320), kStranger, *answer, some_view()));
  CHECK_FALSE(asker.look(at(330), kA, some_view()));
  View moved = some_view();
  moved.hosts[kA.raw] = kAsker;
  CHECK_FALSE(asker.on_sight(at(320), kHost, *answer, moved));
  CHECK_FALSE(asker.on_sight(at(320), kHost, *answer, some_view()));
  CHECK(asker.look(at(330), kA, some_view()));
  moved.hosts[kA.raw] = kStranger;
  CHECK_FALSE(asker.look(at(330), kA, moved));  // whoever said it hosts it no more
}

TEST_CASE("watch: questions go to other hosts only, and at most one each kQuestionGap") {
  LatticeWatch asker{kAsker};
  CHECK_FALSE(asker.question(at(0), {2}, some_view()));  // its own
  int questions = 0;
  for (std::uint64_t now = 0; now < 1000; ++now) {
    const auto question = asker.question(at(now), kA, some_view());
    if (!question) continue;
    ++questions;
    CHECK(question->levels.empty());
    CHECK(question->torus == kA);
  }
  CHECK(questions == 4);
}
