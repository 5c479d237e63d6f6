#include "tests/sim/stories.h"

#include "tests/sim/schedule.h"

namespace rse::sim {
namespace {

constexpr Duration kPatience = milliseconds(15'000);  // simulated
constexpr std::size_t kNodes = 3;

SimOptions small_cluster(std::uint64_t seed) {
  SimOptions options;
  options.seed = seed;
  options.nodes = kNodes;
  options.capacity = {.events = 1u << 10, .edges = 1u << 9, .processes = 128, .outbox_events = 1u << 9};
  options.cut_epochs_max = 8;
  return options;
}

/// Three nodes with a torus each, some epochs on; false: they do not come that far.
bool bring_up(Simulation& sim, std::uint64_t seed, std::uint64_t epochs) {
  sim.start(0);
  if (!sim.run_until([&] { return sim.node(0).is_member(); }, kPatience)) return false;
  for (std::size_t node = 1; node < kNodes; ++node) sim.start(node);
  const auto formed = [&] { return sim.newest_view()->members.size() == kNodes && sim.healthy(); };
  if (!sim.run_until(formed, kPatience)) return false;
  sim.load(small_scenario(seed));
  return sim.run_until([&] { return sim.history().newest_run().raw >= 1 && sim.epoch().raw >= epochs; }, kPatience);
}

/// The node that hosts `torus` in the newest view.
std::size_t host_of(const Simulation& sim, TorusId torus) {
  for (std::size_t node = 0; node < sim.size(); ++node) {
    if (sim.alive(node) && sim.node(node).machine(torus) && sim.newest_view()->hosts[torus.raw] == sim.id(node)) return node;
  }
  return sim.size();
}

/// Mends and starts everything; what is broken then.
std::string end(Simulation& sim) {
  for (std::size_t node = 0; node < sim.size(); ++node) sim.start(node);
  const auto whole = [&] { return sim.newest_view() && sim.newest_view()->members.size() == sim.size() && sim.healthy(); };
  const bool healthy = sim.run_until(whole, kPatience);
  if (!healthy && sim.history().broken().empty()) sim.history().fail("not healthy again: " + sim.why_not_healthy());
  const std::uint64_t epoch = sim.epoch().raw + 4;
  sim.run_until([&] { return sim.epoch().raw >= epoch; }, kPatience);
  return sim.verify();
}

}  // namespace

std::string blackout(std::uint64_t seed) {
  Random random(seed);
  SimOptions options = small_cluster(seed);
  options.durable = true;
  options.epoch_work_max = milliseconds(1);
  options.disk_wait_max = milliseconds(20);  // the longer, the more there is that only memory knows
  Simulation sim(options);
  if (!bring_up(sim, seed, 4 + random.below(12))) return "the cluster does not form: " + sim.why_not_healthy();
  bool answered = false;
  sim.on_answer = [&](const InjectAnswer& answer) { answered |= answer.status == InjectStatus::kAccepted; };
  const std::uint32_t answers = 1 + random.below(3);
  for (std::uint32_t i = 0; i < answers; ++i) {
    answered = false;
    const TorusId torus{static_cast<std::uint8_t>(random.below(kTorusCount))};
    sim.inject(random.below(kNodes), cell_at(torus, 5, 5, 5), 7);
    for (int action = 0; action < 100'000 && !answered; ++action) sim.step();
  }
  for (std::size_t node = 0; node < kNodes; ++node) sim.kill(node, Death::kMachine, UnsyncedFate::kLost);
  return end(sim);
}

std::string latecomers(std::uint64_t seed) {
  Random random(seed);
  SimOptions options = small_cluster(seed);
  options.epoch_work_max = milliseconds(20);  // a successor takes its time, during which they arrive
  Simulation sim(options);
  if (!bring_up(sim, seed, 4 + random.below(12))) return "the cluster does not form: " + sim.why_not_healthy();
  const TorusId torus{static_cast<std::uint8_t>(random.below(kTorusCount))};
  if (!sim.run_until([&] { return host_of(sim, torus) < kNodes; }, kPatience)) return "a torus has no host";
  const std::size_t host = host_of(sim, torus);
  for (std::size_t to = 0; to < kNodes; ++to) {
    sim.link(host, to).delay = milliseconds(120);
    sim.link(host, to).reorder_percent = 100;
  }
  sim.inject(host, cell_at(torus, 5, 5, 5), 7);  // only its own seals have it
  sim.run_for(milliseconds(5 + random.below(30)));
  if (!sim.may_lose(host)) return "";
  sim.kill(host);
  sim.run_for(milliseconds(150));
  for (std::size_t to = 0; to < kNodes; ++to) sim.link(host, to) = Link{};
  return end(sim);
}

}  // namespace rse::sim
