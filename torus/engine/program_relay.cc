#include "torus/engine/engine.h"
#include "torus/engine/programs.h"

namespace rse {
namespace {

class Relay final : public Program {
 public:
  std::string_view name() const override { return "relay"; }
  std::size_t state_bytes() const override { return 0; }

  Result<void> start(std::span<std::byte>, std::string_view args, ProgramContext&) const override {
    if (args.find_first_not_of(' ') != std::string_view::npos) return Error::kBadArguments;
    return {};
  }

  void on_event(std::span<std::byte>, const Event& event, ProgramContext& context) const override {
    const auto limit = context.max_payload();
    if (limit && event.payload >= *limit) return;
    for (std::size_t i = 0; i < context.edge_count(); ++i) {
      const CellId target = context.edge_target(i);
      const std::uint32_t delay = adapted_delay(context.edge_delay(i), event.payload);
      const auto changed = context.connect(target, delay);
      RSE_ASSERT(changed.ok(), "an edge that exists can be given any delay in range");
      static_cast<void>(
          context.send(target, delay, next_payload(event.payload)));  // refusal: counted
    }
  }

  std::int64_t value(std::span<const std::byte>) const override { return 0; }
};

constinit const Relay kRelay;

}  // namespace

const Program& relay_program() { return kRelay; }

}  // namespace rse
