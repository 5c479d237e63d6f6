// PHOLD, the classic benchmark of event engines (Fujimoto 1990). An event that reaches a cell
// without a process is only counted there, so a scenario that shall keep its events puts a phold
// process in every cell, or in all cells of a range of indices (`low` to `high` - 1, the same in
// each torus) and says so to each: that leaves room for others. phold_tick.cc runs it without these virtual calls where
// it can.
#include "torus/engine/packed_event.h"
#include "torus/engine/phold.h"
#include "torus/engine/program_args.h"
#include "torus/engine/programs.h"

namespace rse {
namespace {

constexpr std::uint32_t kStartEventsMax = 65536;

std::uint32_t below(std::uint32_t bound, ProgramContext& context) {
  return static_cast<std::uint32_t>(((context.random() >> 32) * bound) >> 32);
}

std::uint32_t random_delay(const PholdState& state, ProgramContext& context) {
  return 1 + below(state.delay_max, context);
}

class Phold final : public Program {
 public:
  std::string_view name() const override { return "phold"; }
  std::size_t state_bytes() const override { return sizeof(PholdState); }

  Result<void> start(std::span<std::byte> bytes, std::string_view args,
                     ProgramContext& context) const override {
    PholdState state{.delay_max = 16, .remote_percent = 0, .low = 0, .high = kCellCount};
    std::uint64_t events = 1;
    ProgramArgs reader(args);
    while (const auto argument = reader.next()) {
      if (!argument->value) return Error::kBadArguments;
      const std::uint64_t value = *argument->value;
      if (argument->key == "max_delay" && value >= 1 && value <= 0xFFFFFFFF) {
        state.delay_max = static_cast<std::uint32_t>(value);
      } else if (argument->key == "remote" && value <= 100) {
        state.remote_percent = static_cast<std::uint32_t>(value);
      } else if (argument->key == "low" && value < kCellCount) {
        state.low = static_cast<std::uint32_t>(value);
      } else if (argument->key == "high" && value <= kCellCount) {
        state.high = static_cast<std::uint32_t>(value);
      } else if (argument->key == "events" && value <= kStartEventsMax) {
        events = value;
      } else {
        return Error::kBadArguments;
      }
    }
    if (reader.failed() || state.low >= state.high) return Error::kBadArguments;
    store_state(bytes, state);
    for (std::uint64_t i = 0; i < events;
         ++i) {  // to its own cell: no outbox is open when a scenario is loaded
      static_cast<void>(context.send(context.cell(), random_delay(state, context), 0));
    }
    return {};
  }

  void on_event(std::span<std::byte> bytes, const Event&, ProgramContext& context) const override {
    const auto send = phold_send(load_state<PholdState>(bytes), torus_of(context.cell()).raw,
                                 [&](std::uint32_t bound) { return below(bound, context); });
    // A refusal is counted; the event is gone.
    if (send) static_cast<void>(context.send(send->to, send->delay, 0));
  }

  std::int64_t value(std::span<const std::byte>) const override { return 0; }
};

constinit const Phold kPhold;

}  // namespace

const Program& phold_program() { return kPhold; }

}  // namespace rse
