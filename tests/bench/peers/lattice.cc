// The engine's side of the comparison with simulators of others (./run):
//   lattice write MODEL PENDING EVENTS FILE   the workload, and what this engine has done after runs of EVENTS or more
//   lattice run FILE                          the same in this engine, checked and measured as theirs
// The first run is warm-up too, beside that of the engine's benchmark: it is the one that touches fresh memory.
#include "tests/bench/peers/lattice.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/engine_workload.h"
#include "torus/engine/torus.h"

namespace rse {
namespace {

constexpr int kMeasuredRuns = 3;

/// Runs `torus` up to `end` in the slices of the engine's benchmark.
void run_until(Torus& torus, std::uint64_t& now, std::uint64_t end, std::uint64_t slice) {
  while (now < end) {
    const std::uint64_t next = std::min(end, now + slice);
    torus.begin_epoch({now}, {next});
    torus.run_epoch();
    now = next;
  }
}

lattice_mark mark_of(const Torus& torus, std::uint64_t now) {
  return {now, torus.counters().events, torus.event_digest()};
}

std::vector<lattice_mark> marks_of(const Workload& workload, std::uint64_t events_per_run) {
  const auto pending = static_cast<std::uint32_t>(workload.events.size());
  const std::uint64_t slice = slice_ticks(workload.model, pending);
  Torus torus({0}, capacity_for(pending));
  fill(torus, workload);
  std::uint64_t now = 0;
  run_until(torus, now, warm_up_ticks(workload.model, pending), slice);
  std::vector<lattice_mark> marks;
  for (int run = 0; run <= kMeasuredRuns; ++run) {
    const std::uint64_t before = torus.counters().events;
    while (torus.counters().events - before < events_per_run) {
      run_until(torus, now, now + slice, slice);
    }
    marks.push_back(mark_of(torus, now));
  }
  return marks;
}

int write(const char* model_name, const char* pending_text, const char* events_text, const char* path) {
  const auto model = find_model(model_name);
  std::uint32_t pending = 0;
  std::uint64_t events = 0;
  std::from_chars(pending_text, pending_text + std::strlen(pending_text), pending);
  std::from_chars(events_text, events_text + std::strlen(events_text), events);
  if (!model || *model == Model::kPhold || pending == 0 || events == 0) return 2;

  Workload workload = make_workload(*model, pending);
  const std::vector<lattice_mark> marks = marks_of(workload, events);
  std::stable_sort(workload.events.begin(), workload.events.end(),
                   [](const Event& a, const Event& b) { return a.dst < b.dst; });
  std::ofstream file(path);
  file << to_string(*model) << ' ' << pending << ' ' << marks.size() << '\n';
  for (std::uint32_t i = 0; i < kCellCount; ++i) file << workload.target[i] << ' ' << workload.delay[i] << '\n';
  for (const Event& event : workload.events) {
    file << event.time.raw << ' ' << event.dst.raw << ' ' << event.payload << '\n';
  }
  for (const lattice_mark& mark : marks) {
    file << std::dec << mark.tick << ' ' << mark.events << ' ' << std::hex << mark.digest << '\n';
  }
  if (file.flush()) return 0;
  std::fprintf(stderr, "cannot write %s: give a file in a directory that exists and has room\n", path);
  return 1;
}

int run(const char* path) {
  const lattice* const read = lattice_read(path);
  lattice_meter meter = lattice_meter_of(read);
  Torus torus({0}, capacity_for(read->event_count));
  torus.reset({0});
  bool ok = true;
  for (std::uint32_t i = 0; i < kCellCount; ++i) {
    ok = ok && torus.connect({i}, {read->cells[i].target}, read->cells[i].delay).ok();
  }
  for (std::uint32_t i = 0; i < read->event_count; ++i) {
    const lattice_event& event = read->events[i];
    ok = ok && torus.insert({{event.tick}, {event.cell}, {event.cell}, event.payload}).ok();
  }
  RSE_ASSERT(ok, "a workload that the engine wrote fits in it");
  const std::uint64_t slice = slice_ticks(*find_model(read->model), read->event_count);
  std::uint64_t now = 0;
  for (; meter.mark < read->mark_count; ++meter.mark) {
    run_until(torus, now, read->marks[meter.mark].tick, slice);
    meter.clocks[meter.mark] = clock();
    meter.reached[meter.mark] = mark_of(torus, now);
  }
  return lattice_print(&meter) != 0 ? 0 : 1;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "";
  int status = 2;
  if (verb == "write" && argc == 6) status = rse::write(argv[2], argv[3], argv[4], argv[5]);
  if (verb == "run" && argc == 3) status = rse::run(argv[2]);
  if (status == 2) std::fprintf(stderr, "usage: lattice write delay-1|mixed PENDING EVENTS FILE | lattice run FILE\n");
  return status;
}
