// A population that uses everything a program may do, for tests of conservation, checkpoints and
// long runs: it neither explodes nor soon dies out where spawning is as likely as ending.
#include "torus/engine/packed_event.h"
#include "torus/engine/programs.h"

namespace rse {
namespace {

constexpr std::uint32_t kDelayMaximum = 64;

class Churn final : public Program {
 public:
  std::string_view name() const override { return "churn"; }
  std::size_t state_bytes() const override { return sizeof(std::uint64_t); }

  Result<void> start(std::span<std::byte>, std::string_view args,
                     ProgramContext& context) const override {
    if (args.find_first_not_of(' ') != std::string_view::npos) return Error::kBadArguments;
    send_to(context.cell(), context);
    return {};
  }

  void on_event(std::span<std::byte> bytes, const Event& event,
                ProgramContext& context) const override {
    const std::uint64_t count = load_state<std::uint64_t>(bytes) + 1;
    store_state(bytes, count);
    const std::uint64_t own = std::uint64_t{torus_of(context.cell()).raw} * kCellCount;
    const CellId near{static_cast<std::uint32_t>(own + context.random() % kCellCount)};
    const CellId any{static_cast<std::uint32_t>(context.random() % kGlobalCellCount)};
    switch (context.random() % 8) {
      case 0:
        static_cast<void>(
            context.spawn(context.random() % 2 == 0 ? context.cell() : near, "churn", ""));
        break;
      case 1:
        context.exit();
        return;
      case 2:
        static_cast<void>(context.connect(any, random_delay(context)));
        break;
      case 3:
        context.output(event.payload);
        break;
      case 4:
        send_to(any, context);
        break;
      default:
        break;
    }
    send_to(context.cell(), context);
  }

  std::int64_t value(std::span<const std::byte> bytes) const override {
    return static_cast<std::int64_t>(load_state<std::uint64_t>(bytes));
  }

 private:
  static std::uint32_t random_delay(ProgramContext& context) {
    return 1 + static_cast<std::uint32_t>(context.random() % kDelayMaximum);
  }
  static void send_to(CellId to, ProgramContext& context) {
    const std::uint32_t delay = random_delay(context);
    const auto payload = static_cast<std::int32_t>(context.random());
    static_cast<void>(context.send(to, delay, payload));
  }
};

constinit const Churn kChurn;

}  // namespace

const Program& churn_program() { return kChurn; }

}  // namespace rse
