#include "torus/watch/incident_teller.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

BraidEvent event(BraidEvent::Kind kind, std::optional<TorusId> torus = {}) {
  return {kind, Instant{5'000'000}, NodeId{7}, torus, Epoch{9}, "torus B runs here"};
}

}  // namespace

TEST_CASE("incident teller: what others need for the story of a death is told, with its age; what they see themselves is not") {
  const auto told = report_of(event(BraidEvent::Kind::kRebuilt, TorusId{1}), Instant{8'000'000});
  REQUIRE(told);
  CHECK(told->kind == static_cast<std::uint32_t>(BraidEvent::Kind::kRebuilt));
  CHECK(told->age == milliseconds(3));
  CHECK(told->node == NodeId{7});
  CHECK(told->torus == TorusId{1});
  CHECK(told->epoch == Epoch{9});
  CHECK(told->text == "torus B runs here");
  for (const auto kind : {BraidEvent::Kind::kCutDurable, BraidEvent::Kind::kPeerSuspected, BraidEvent::Kind::kPeerHeardAgain,
                          BraidEvent::Kind::kRunStarted})
    CHECK_FALSE(report_of(event(kind), Instant{8'000'000}));
}

TEST_CASE("incident teller: the first epoch of a torus that came from elsewhere is told once, and of no other") {
  FirstEpochs first;
  CHECK_FALSE(first.on_epoch(TorusId{1}, NodeId{7}, Epoch{10}));
  first.on_event(event(BraidEvent::Kind::kRebuilt, TorusId{1}), true);
  first.on_event(event(BraidEvent::Kind::kHandedOver, TorusId{2}), false);
  first.on_event(event(BraidEvent::Kind::kRebuildStarted, TorusId{0}), true);
  CHECK_FALSE(first.on_epoch(TorusId{0}, NodeId{7}, Epoch{10}));
  CHECK_FALSE(first.on_epoch(TorusId{2}, NodeId{7}, Epoch{10}));
  const auto told = first.on_epoch(TorusId{1}, NodeId{7}, Epoch{10});
  REQUIRE(told);
  CHECK(told->kind == kIncidentFirstEpoch);
  CHECK(told->torus == TorusId{1});
  CHECK(told->epoch == Epoch{10});
  CHECK_FALSE(first.on_epoch(TorusId{1}, NodeId{7}, Epoch{11}));
}
