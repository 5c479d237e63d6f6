// Events a second of the engine, in one run of some minutes:
//   bazel run -c opt //tests/bench:engine -- [--json] [--svg FILE] [SERIES...]
// pending: beside a binary heap with the same semantics and digest, on one core. far: delays up to a billion ticks.
// remote: PHOLD whose events go to other tori. lattice: six edges a cell. tori: one to three on threads of their own. checkpoints: with and without.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/engine_plot.h"
#include "tests/bench/engine_series.h"

namespace rse {
namespace {

constexpr std::uint32_t kCutEpochs = 16;  // as kGuestCutEpochs of deploy/virtual_machines.h; daemons let 256 pass

struct Options {
  bool json = false;
  const char* svg = nullptr;
  std::vector<std::string> series;
};

bool parse(int argc, char** argv, Options& options) {
  static constexpr const char* kSeries[] = {"pending", "far", "remote", "lattice", "tori", "checkpoints"};
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) {
      options.json = true;
    } else if (std::strcmp(argv[i], "--svg") == 0 && i + 1 < argc) {
      options.svg = argv[++i];
    } else if (std::any_of(std::begin(kSeries), std::end(kSeries),
                           [&](const char* name) { return std::strcmp(argv[i], name) == 0; })) {
      options.series.push_back(argv[i]);
    } else {
      return false;
    }
  }
  if (options.series.empty()) options.series.assign(std::begin(kSeries), std::end(kSeries));
  return true;
}

void print_table_row(const Row& row) {
  std::printf("%-12s %-18s %9u  %8.1f +-%6.1f", row.series.c_str(), row.model.c_str(), row.pending,
              row.engine.median() / 1e6, row.engine.spread() / 2e6);
  if (row.base) {
    std::printf("  %8.1f +-%6.1f  %6.2fx", row.base->median() / 1e6, row.base->spread() / 2e6,
                row.engine.median() / row.base->median());
  } else {
    std::printf("  %26s", "");
  }
  std::printf("  %7.2f ns", 1e9 / row.engine.median());
  if (row.instructions) std::printf("  %6.1f instructions", *row.instructions);
  if (row.bytes) std::printf("  %6.1f B", *row.bytes);
  std::printf("%s\n", row.same_digest ? "" : "  DIFFERENT DIGEST");
  std::fflush(stdout);
}

void print_json_row(const Row& row, bool first) {
  std::printf("%s\n  {\"series\": \"%s\", \"model\": \"%s\", \"pending\": %u, \"runs\": %d, \"events_per_second\": %.0f, "
              "\"spread\": %.0f, \"ns_per_event\": %.3f",
              first ? "" : ",", row.series.c_str(), row.model.c_str(), row.pending, kRuns, row.engine.median(),
              row.engine.spread(), 1e9 / row.engine.median());
  if (row.base) {
    std::printf(", \"base_events_per_second\": %.0f, \"base_spread\": %.0f, \"ratio\": %.3f", row.base->median(),
                row.base->spread(), row.engine.median() / row.base->median());
  }
  if (row.series == "pending") {
    if (row.instructions) std::printf(", \"instructions_per_event\": %.1f", *row.instructions);
    std::printf(", \"bytes_per_pending_event\": %.1f, \"same_digest\": %s", *row.bytes,
                row.same_digest ? "true" : "false");
  }
  std::printf("}");
  std::fflush(stdout);
}

void run_series(const std::string& name, const std::function<void(const Row&)>& add) {
  if (name == "pending") {
    for (const Model model : kModels) {
      for (const std::uint32_t pending : {1u, 10u, 32u, 100u, 1000u, 8000u, 32'768u, 100'000u, 1'000'000u, 10'000'000u}) {
        if (model != Model::kPhold || pending > kRingPendingMax) add(measure_pending(model, pending));
      }
    }
  } else if (name == "far") {
    for (const std::uint32_t delay_max : {16u, 1000u, 1'000'000u, 1'000'000'000u}) add(measure_far(delay_max));
  } else if (name == "remote") {
    for (const std::uint32_t percent : {0u, 10u, 50u}) add(measure_remote(percent));
  } else if (name == "lattice") {
    add(measure_lattice());
  } else if (name == "tori") {
    for (const Model model : kModels) {
      const Row one = measure_tori(model, 1, std::nullopt);
      add(one);
      for (const std::uint32_t count : {2u, 3u}) add(measure_tori(model, count, one.engine));
    }
  } else {
    for (const Model model : kModels) add(measure_checkpoints(model, 32'768, 1));
    for (const Model model : {Model::kMixed, Model::kPhold}) add(measure_checkpoints(model, 32'768, kCutEpochs));
  }
}

int run(const Options& options) {
  std::vector<Row> rows;
  const bool counts = InstructionCounter().read_count().has_value();
  if (options.json) {
    std::printf("{\"benchmark\": \"engine\", \"instruction_counter\": %s, \"rows\": [", counts ? "true" : "false");
  } else {
    std::printf("million events a second, median of %d runs and half the spread; base: heap, one torus, no checkpoints\n",
                kRuns);
    if (!counts) std::printf("instructions are not counted: this machine has no counter for them (perf_event_open)\n");
    std::printf("%-12s %-18s %9s  %18s  %18s  %7s\n", "series", "model", "pending", "engine", "base", "ratio");
  }
  for (const std::string& name : options.series) {
    run_series(name, [&](const Row& row) {
      if (options.json) {
        print_json_row(row, rows.empty());
      } else {
        print_table_row(row);
      }
      rows.push_back(row);
    });
  }
  if (options.json) std::printf("\n]}\n");
  if (options.svg != nullptr && !(std::ofstream(options.svg) << plot_cost(rows))) {
    std::fprintf(stderr, "cannot write %s: give a file in a directory that exists\n", options.svg);
    return 1;
  }
  return std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.same_digest; }) ? 0 : 1;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  rse::Options options;
  if (!rse::parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: engine [--json] [--svg FILE] [SERIES...]; series: pending far remote lattice tori checkpoints\n");
    return 2;
  }
  return rse::run(options);
}
