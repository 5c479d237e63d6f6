#include "node/client_trace.h"

#include <doctest/doctest.h>

#include <vector>

using namespace rse;

namespace {

constexpr std::uint32_t kB = kCellCount;

/// A sends two events on to B for each that comes back from there.
Scenario ping() {
  Scenario scenario;
  scenario.edges.push_back({CellId{0}, CellId{kB}, 100});
  scenario.edges.push_back({CellId{0}, CellId{kB + 1}, 100});
  scenario.edges.push_back({CellId{kB}, CellId{0}, 100});
  scenario.injections.push_back({Tick{10}, CellId{0}, CellId{0}, 1});
  return scenario;
}

struct Run {
  std::vector<EpochTrace> traces;
  std::vector<std::string> found;

  explicit Run(const EventFilter& filter = {}) {
    LocalRun run({.threads = RunThreads::kOne, .leaps = Leaps::kNever});
    std::string failure;
    REQUIRE_MESSAGE(run.load(ping(), failure), failure);
    run.set_seal_source([](TorusId torus, Epoch epoch, bool) {
      Seal seal;
      // A quiet torus has to say first that something waits.
      seal.waiting = torus.raw == 2 && epoch.raw == 5;
      if (torus.raw == 2 && epoch.raw == 6) seal.injections.push_back({.dst = CellId{2 * kCellCount + 7}, .src = CellId{2 * kCellCount + 7}, .payload = 9});
      return seal;
    });
    Tracer tracer;
    run.set_epoch_callback([&](Epoch epoch, const LocalRun::EpochPackets& packets) {
      traces.push_back(tracer.take(epoch, packets));
      if (const auto event = find_event(filter, packets)) found.push_back(*event);
    });
    run.run(Epoch{20});
  }
};

}  // namespace

TEST_CASE("trace: what a torus receives is what the others sent it two epochs before, and injections likewise") {
  const Run run;
  REQUIRE(run.traces.size() == 20);
  std::uint64_t crossed = 0;
  for (std::size_t epoch = 2; epoch < run.traces.size(); ++epoch) {
    CAPTURE(epoch);
    const auto& now = run.traces[epoch].tori;
    const auto& before = run.traces[epoch - 2].tori;
    CHECK(now[1].received[1] == before[0].sent[0]);  // B from A, its previous
    CHECK(now[0].received[0] == before[1].sent[1]);  // A from B, its next
    CHECK(now[2].injected == before[2].sealed);
    crossed += now[1].received[1];
  }
  CHECK(crossed >= 6);
  CHECK(run.traces[0].tori[0].sent[0] == 2);
  CHECK(run.traces[8].tori[2].injected == 1);
  CHECK(run.traces[8].tori[2].events == 1);
  const std::string text = trace_text(run.traces[2]);
  CHECK_MESSAGE(text.find("  B  received  0 from C, 2 from A") != std::string::npos, text);
  const std::string json = trace_json(run.traces[2]);
  CHECK_MESSAGE(json.find(R"("torus":"B","received":{"C":0,"A":2},"injected":0)") != std::string::npos, json);
}

TEST_CASE("trace: an event is found by where it goes, where it comes from and what it carries") {
  CHECK(Run({.to = CellId{kB + 1}}).found.front() ==
        "epoch 0: A:0,0,0 sends B:0,0,1 an event for tick 109 with payload 2, delivered in epoch 2");
  CHECK(Run({.from = CellId{kB}}).found.front().find("epoch 2: B:0,0,0 sends A:0,0,0") == 0);
  CHECK(Run({.payload = 9}).found.front().find("epoch 6: injection into C:0,0,7 with payload 9") == 0);
  CHECK(Run({.to = CellId{kB}, .payload = 9}).found.empty());
}
