#include "torus/engine/programs.h"

namespace rse {
namespace {

class Counter final : public Program {
 public:
  std::string_view name() const override { return "counter"; }
  std::size_t state_bytes() const override { return sizeof(std::uint64_t); }

  Result<void> start(std::span<std::byte>, std::string_view args, ProgramContext&) const override {
    if (args.find_first_not_of(' ') != std::string_view::npos) return Error::kBadArguments;
    return {};
  }

  void on_event(std::span<std::byte> bytes, const Event& event, ProgramContext&) const override {
    const auto sum = load_state<std::uint64_t>(bytes);  // unsigned: wraps instead of overflowing
    store_state(bytes, sum + static_cast<std::uint64_t>(std::int64_t{event.payload}));
  }

  bool takes_batches() const override { return true; }

  void on_events(std::span<std::byte> bytes, std::span<const Event> events) const override {
    auto sum = load_state<std::uint64_t>(bytes);
    for (const Event& event : events) sum += static_cast<std::uint64_t>(std::int64_t{event.payload});
    store_state(bytes, sum);
  }

  std::int64_t value(std::span<const std::byte> bytes) const override {
    return static_cast<std::int64_t>(load_state<std::uint64_t>(bytes));
  }
};

constinit const Counter kCounter;

}  // namespace

const Program& counter_program() { return kCounter; }

}  // namespace rse
