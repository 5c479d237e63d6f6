#include <algorithm>
#include <array>
#include <limits>

#include "torus/engine/program_args.h"
#include "torus/engine/programs.h"

namespace rse {
namespace {

constexpr std::size_t kWavesMax =
    8;  // a wave that comes back after eight others counts as a new one

struct State {
  std::uint64_t count;  // waves seen; the next one goes to count % kWavesMax
  std::array<std::uint64_t, kWavesMax> reached;
  std::array<std::int32_t, kWavesMax> wave;
};

class Wave final : public Program {
 public:
  std::string_view name() const override { return "wave"; }
  std::size_t state_bytes() const override { return sizeof(State); }

  Result<void> start(std::span<std::byte>, std::string_view args, ProgramContext&) const override {
    ProgramArgs reader(args);
    while (const auto argument = reader.next()) {
      if (argument->key != "delay_from_edges" || argument->value) return Error::kBadArguments;
    }
    if (reader.failed()) return Error::kBadArguments;
    return {};
  }

  void on_event(std::span<std::byte> bytes, const Event& event,
                ProgramContext& context) const override {
    auto state = load_state<State>(bytes);
    const std::size_t known = std::min<std::uint64_t>(state.count, kWavesMax);
    const auto end = state.wave.begin() + static_cast<std::ptrdiff_t>(known);
    if (std::find(state.wave.begin(), end, event.payload) != end) return;
    state.wave[state.count % kWavesMax] = event.payload;
    state.reached[state.count % kWavesMax] = context.now().raw;
    ++state.count;
    store_state(bytes, state);
    for (std::size_t i = 0; i < context.edge_count(); ++i) {
      const auto sent = context.send(context.edge_target(i), context.edge_delay(i), event.payload);
      static_cast<void>(sent);  // a refusal is counted; the wave has a hole there
    }
  }

  std::int64_t value(std::span<const std::byte> bytes) const override {
    const auto state = load_state<State>(bytes);
    if (state.count == 0) return -1;
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(state.reached[(state.count - 1) % kWavesMax], kMax));
  }
};

constinit const Wave kWave;

}  // namespace

const Program& wave_program() { return kWave; }

}  // namespace rse
