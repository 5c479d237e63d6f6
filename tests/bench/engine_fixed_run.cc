// A fixed run of the engine, for counting instructions and for comparing digests between machines:
//   engine_fixed_run MODEL PENDING
// prints the events that it measured and the event digest at the end. Only what rse_measured_run() calls is measured.
#include <charconv>
#include <cstdio>
#include <cstring>

#include "tests/bench/engine_workload.h"

namespace rse {
namespace {
constexpr std::uint64_t kEventsMeasured = 200'000;
constexpr std::uint64_t kEventsWarmUp = 50'000;  // delays settle, lists come into use
}  // namespace
}  // namespace rse

extern "C" [[gnu::noinline]] void rse_measured_run(rse::Torus& torus) { torus.run_epoch(); }

int main(int argc, char** argv) {
  using namespace rse;
  const auto model = argc == 3 ? find_model(argv[1]) : std::nullopt;
  std::uint32_t pending = 0;
  if (argc == 3) std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), pending);
  if (!model || pending == 0 || pending > Capacity{}.events) {
    std::fprintf(stderr, "usage: engine_fixed_run delay-1|mixed|phold PENDING; PENDING at most %u\n",
                 Capacity{}.events);
    return 2;
  }
  Torus torus({0}, Capacity{});
  fill(torus, make_workload(*model, pending));
  const std::uint64_t warm_up = 1 + kEventsWarmUp * mean_delay(*model) / pending;
  const std::uint64_t end = warm_up + 1 + kEventsMeasured * mean_delay(*model) / pending;
  torus.begin_epoch({0}, {warm_up});
  torus.run_epoch();
  torus.begin_epoch({warm_up}, {end});
  rse_measured_run(torus);
  std::printf("%llu %016llx\n", static_cast<unsigned long long>(torus.epoch_events()),
              static_cast<unsigned long long>(torus.event_digest()));
}
