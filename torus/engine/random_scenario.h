// Random small scenarios for tests: a few cells, awkward delays, times, payloads and capacities,
// all from one seed. Threads: none. Memory: a few kilobytes. Invariant: the same seed gives the
// same scenario.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <vector>

#include "torus/engine/torus.h"

namespace rse {

class RandomScenario {
 public:
  explicit RandomScenario(std::uint64_t seed);

  TorusId torus() const { return torus_; }
  const Capacity& capacity() const { return capacity_; }

  /// Relays, edges, processes and first events; calls go to each of `engines`.
  template <class... Engines>
  void build(Engines&... engines);
  /// Begins the next epoch, delivers to it and runs it.
  template <class... Engines>
  void run_epoch(Engines&... engines);

 private:
  CellId local_cell() { return {torus_.raw * kCellCount + cells_[random_.below(cell_count_)]}; }
  CellId any_cell() {
    const auto other =
        static_cast<std::uint32_t>(random_.below(8) == 0 ? random_.below(3) : torus_.raw);
    return {other * kCellCount + cells_[random_.below(cell_count_)]};
  }
  template <class Engine, class... Others>
  static Engine& first(Engine& engine, Others&...) {
    return engine;
  }
  std::uint64_t delay();
  std::int32_t payload();
  std::uint64_t time_from(std::uint64_t start);
  bool chance(std::uint32_t percent) { return random_.below(100) < percent; }

  static constexpr std::uint32_t kHugeDelays = 4;

  Random random_;
  TorusId torus_;
  Capacity capacity_;
  std::vector<std::uint32_t> cells_;
  std::uint32_t cell_count_ = 0;
  std::uint64_t start_ = 0;
  std::uint64_t epoch_ticks_ = 0;
  std::uint32_t delay_style_ = 0;
  std::uint32_t burst_ = 0;  // events of one tick, at start
};

template <class... Engines>
void RandomScenario::build(Engines&... engines) {
  for (std::uint32_t i = random_.below(3); i > 0; --i) {
    const CellId cell = local_cell();
    const std::int32_t limit = payload();
    (engines.set_relay(cell, limit), ...);
  }
  const std::uint32_t edges = random_.below(3 * cell_count_) + 1;
  for (std::uint32_t i = 0; i < edges; ++i) {
    const CellId from = local_cell();
    const CellId to = any_cell();
    const std::uint64_t ticks = delay();
    (static_cast<void>(engines.connect(from, to, ticks)), ...);
  }
  struct Choice {
    const char* program;
    const char* args;
  };
  static constexpr Choice kPholds[] = {{"phold", "max_delay=3 events=20"},
                                       {"phold", "max_delay=2 remote=60 events=9"},
                                       {"phold", "max_delay=70 remote=20 low=5 high=6"}};
  static constexpr Choice kPrograms[] =
      {
          // the first four make no events with delays of their own
          {"relay", ""},           {"nothing", ""},
          {"counter", ""},         {"wave", "delay_from_edges"},
          {"churn", ""},           {"churn", ""},
          {"phold", "remote=101"}, {"phold", "max_delay=9 remote=30 events=2"}};
  const std::uint32_t processes = chance(50) ? random_.below(8) : 0;
  const bool phold_only = delay_style_ != kHugeDelays && chance(30);
  for (std::uint32_t i = 0; i < processes; ++i) {
    const auto& choice =
        phold_only ? kPholds[random_.below(static_cast<std::uint32_t>(std::size(kPholds)))]
                   : kPrograms[random_.below(
                         delay_style_ == kHugeDelays ? 4 : static_cast<std::uint32_t>(std::size(kPrograms)))];
    const CellId cell = local_cell();
    (static_cast<void>(engines.spawn(cell, choice.program, choice.args, Tick{start_})), ...);
  }
  const std::uint32_t events = 1 + random_.below(12) + burst_;
  for (std::uint32_t i = 0; i < events; ++i) {
    const std::uint64_t time = i < burst_ ? start_ + 1 : time_from(start_);
    const Event event{Tick{time}, local_cell(), any_cell(), payload()};
    (static_cast<void>(engines.insert(event)), ...);
  }
}

template <class... Engines>
void RandomScenario::run_epoch(Engines&... engines) {
  const std::uint64_t room = ~std::uint64_t{0} - start_;
  const std::uint64_t ticks =
      std::min<std::uint64_t>(room, 1 + random_.below(static_cast<std::uint32_t>(epoch_ticks_)));
  if (ticks == 0) return;
  (engines.begin_epoch(Tick{start_}, Tick{start_ + ticks}), ...);
  for (std::uint32_t i = random_.below(5); i > 0; --i) {
    const bool injected = chance(30);
    const TorusId source = chance(50) ? next_torus(torus_) : previous_torus(torus_);
    const std::uint64_t time = chance(50) ? 0 : time_from(start_);
    const Event event{Tick{time}, local_cell(), any_cell(), payload()};
    (engines.deliver(event, injected ? std::nullopt : std::optional(source)), ...);
  }
  for (std::uint32_t i = chance(40) ? random_.below(6) : 0; i > 0; --i) {
    const CellId dst = local_cell();
    const CellId src = any_cell();
    const auto correction = static_cast<std::int32_t>(random_.below(17)) - 8;
    (engines.deliver_corrective(dst, src, correction), ...);
  }
  (engines.run_epoch(), ...);
  start_ += ticks;
  const std::optional<Tick> next = first(engines...).next_event_time();
  if (chance(10) && next && next->raw > start_) {  // a leap, as far as nothing is due
    start_ += std::min(next->raw - start_, random_.next() >> random_.below(64));
  }
}

}  // namespace rse
