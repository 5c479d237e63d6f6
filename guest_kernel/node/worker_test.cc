// Inside the guest only: two threads, and interrupts that take the processor from one of them wherever it is.
#include "guest_kernel/node/worker.h"

#include <memory>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/test/test.h"
#include "torus/braid/scenario.h"

namespace rse::kernel {
namespace {

Scenario relays() {
  Scenario scenario;
  scenario.epoch_ticks = 1000;
  for (std::uint32_t cell = 0; cell < 2000; ++cell) {
    scenario.edges.push_back({.from = {cell}, .to = {(cell * 7 + 1) % kCellCount}, .delay = 1 + cell % 5});
    scenario.injections.push_back({.time = {cell % 50}, .dst = {cell}, .src = {cell}, .payload = 1});
  }
  return scenario;
}

RunEpoch work_of(RunEpoch::Kind kind, TorusMachine& machine) {
  RunEpoch work;
  work.kind = kind;
  work.torus = machine.id();
  work.machine = &machine;
  return work;
}

}  // namespace

TEST_CASE("worker: epochs that a timer interrupts hundreds of times give what undisturbed ones give, and the first thread is never late") {
  const auto scenario = std::make_shared<const Scenario>(relays());
  const auto calm = std::make_unique<TorusMachine>(TorusId{0}, Capacity{}), disturbed = std::make_unique<TorusMachine>(TorusId{0}, Capacity{});
  REQUIRE(calm->load({1}, *scenario));
  static Worker worker;
  REQUIRE(worker.start());
  static volatile std::uint64_t alarms = 0;
  on_alarm([](Frame& frame, void*) { alarms = alarms + 1; worker.give_back(frame); }, nullptr);
  std::uint64_t turns = 0;
  const auto finish = [&turns](RunEpoch work) {
    for (worker.submit(std::move(work)); !worker.take_done(); ++turns) {
      disable_interrupts();
      set_alarm(now() + Duration{100'000});
      if (worker.busy()) worker.run_until_interrupt();
      enable_interrupts();
    }
  };
  // A fast machine is done before the timer has come often: it begins again.
  for (int round = 0; round < 1000 && (alarms <= 200 || turns <= 200); ++round) {
    RunEpoch load = work_of(RunEpoch::Kind::kLoad, *disturbed);
    load.run = {1};
    load.scenario = scenario;
    load.failure = std::make_shared<std::optional<Error>>();
    finish(std::move(load));
    for (int epoch = 0; epoch < 2; ++epoch) {  // those that need no other torus
      finish(work_of(RunEpoch::Kind::kRun, *disturbed));
      static_cast<void>(disturbed->seal({}));
    }
  }
  for (int epoch = 0; epoch < 2; ++epoch) {
    calm->run_epoch(nullptr, nullptr);
    static_cast<void>(calm->seal({}));
  }
  CHECK(alarms > 200);
  CHECK(turns > 200);
  CHECK_FALSE(worker.busy());
  CHECK(calm->torus().counters().events > 1000);
  CHECK(disturbed->torus().counters().events == calm->torus().counters().events);
  CHECK(disturbed->torus().event_digest() == calm->torus().event_digest());
}

}  // namespace rse::kernel
