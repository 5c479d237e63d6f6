// rse trace: what each torus received, sent and decided, epoch by epoch. rse replay: runs the recorded epochs again here, up to the
// first difference or to an event that somebody looks for.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <memory>

#include "node/client_record.h"
#include "node/client_trace.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

constexpr std::uint64_t kSliceEpochs = 64;

struct TraceFlags {
  std::vector<std::string> control;
  std::string epochs;
  std::string to, from;
  std::optional<std::int32_t> payload;
  std::uint64_t count = 0;  // 0: as far as the record goes
  bool violation = false;
  bool json = false;
};

struct EpochRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

/// "120..130", or "120".
std::optional<EpochRange> parse_range(std::string_view text) {
  EpochRange range;
  const auto read = [](std::string_view digits, std::uint64_t& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  const std::size_t dots = text.find("..");
  if (!read(text.substr(0, dots), range.first)) return std::nullopt;
  range.last = range.first;
  if (dots != std::string_view::npos && !read(text.substr(dots + 2), range.last)) return std::nullopt;
  return range.first <= range.last ? std::optional(range) : std::nullopt;
}

std::string difference_text(const EpochTrace& trace, const RecordedRun& run, TorusId torus, Agreement agreement) {
  const RecordedEpoch& recorded = *run.recorded(torus);
  return fmt::format("DIFFERENT: {} of torus {} at epoch {}: node {} has {}, this run {}",
                     agreement == Agreement::kEventDigestDiffers ? "event digest" : "projection", letter_of(torus), trace.epoch, recorded.node,
                     hex16(agreement == Agreement::kEventDigestDiffers ? recorded.event_digest : recorded.projection),
                     agreement == Agreement::kEventDigestDiffers ? hex16(trace.tori[torus.raw].event_digest) : "another");
}

/// Epochs one by one, with what the record says about them. `on_epoch` says whether to go on.
class Execution {
 public:
  using OnEpoch = std::function<bool(const EpochTrace&, const LocalRun::EpochPackets&, const std::string& difference)>;
  Execution(const RunRecord& record, OnEpoch on_epoch) : run_(record), on_epoch_(std::move(on_epoch)) {
    run_.run().set_epoch_callback([this](Epoch epoch, const LocalRun::EpochPackets& packets) { look(epoch, packets); });
  }
  bool load(ControlFailure& failure) { return run_.load(failure); }
  void run(std::uint64_t end) {
    const bool shown = ::isatty(STDERR_FILENO) == 1;
    for (std::uint64_t slice = 0; slice < end && going_;) {
      slice = std::min(slice + kSliceEpochs, end);
      run_.run().run(Epoch{slice});
      if (shown) fmt::print(stderr, "\r{} of {} epochs\x1b[K", slice, end);
    }
    if (shown) fmt::print(stderr, "\r\x1b[K");
  }
  std::uint64_t compared() const { return compared_; }

 private:
  void look(Epoch epoch, const LocalRun::EpochPackets& packets) {
    if (!going_) return;  // the rest of the slice
    const EpochTrace trace = tracer_.take(epoch, packets);
    std::string difference;
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      const Agreement agreement = run_.compare(packets[torus]->projection);
      if (agreement != Agreement::kNotRecorded) ++compared_;
      const bool differs = agreement == Agreement::kEventDigestDiffers || agreement == Agreement::kProjectionDiffers;
      if (differs && difference.empty()) difference = difference_text(trace, run_, {torus}, agreement);
    }
    going_ = on_epoch_(trace, packets, difference);
  }

  RecordedRun run_;
  OnEpoch on_epoch_;
  Tracer tracer_;
  std::uint64_t compared_ = 0;
  bool going_ = true;
};

/// Empty, or why the record cannot be run again from its start.
std::string gap_in(const RunRecord& record) {
  if (record.whole_seals) return {};
  return "the nodes within reach have dropped old seals, so the run cannot be executed again from its start; name more nodes with --control";
}

int trace(const TraceFlags& flags) {
  const std::optional<EpochRange> range = parse_range(flags.epochs);
  if (!range) return report({kExitUsage, fmt::format("\"{}\" is no range of epochs: write A..B, for example 120..130", flags.epochs)});
  ControlFailure failure;
  const auto record = collect_record(flags.control, failure);
  if (!record) return report(failure);
  if (const std::string gap = gap_in(*record); !gap.empty()) return report({kExitFailed, gap});
  if (range->first >= record->end())
    return report({kExitFailed, fmt::format("epoch {} is not recorded yet by all tori; the record ends before epoch {}", range->first, record->end())});
  bool different = false;
  Execution execution(*record, [&](const EpochTrace& trace, const LocalRun::EpochPackets&, const std::string& difference) {
    if (!difference.empty() && !std::exchange(different, true)) fmt::print(stderr, "{}\n", difference);
    if (trace.epoch >= range->first && trace.epoch <= range->last) fmt::print("{}", flags.json ? trace_json(trace) + "\n" : trace_text(trace));
    return trace.epoch < range->last;
  });
  if (!execution.load(failure)) return report(failure);
  execution.run(std::min(range->last + 1, record->end()));
  return different ? kExitFailed : kExitDone;
}

bool read_filter(const TraceFlags& flags, EventFilter& filter, std::string& failure) {
  filter.payload = flags.payload;
  for (const auto& [text, cell] : {std::pair(&flags.to, &filter.to), std::pair(&flags.from, &filter.from)}) {
    if (text->empty()) continue;
    *cell = parse_cell(*text);
    if (!*cell) failure = fmt::format("\"{}\" is no cell: write A:1,2,3", *text);
  }
  return failure.empty();
}

int replay(const TraceFlags& flags) {
  EventFilter filter;
  ControlFailure failure;
  if (!read_filter(flags, filter, failure.text)) return report({kExitUsage, failure.text});
  const auto record = collect_record(flags.control, failure);
  if (!record) return report(failure);
  if (const std::string gap = gap_in(*record); !gap.empty()) return report({kExitFailed, gap});
  bool different = false;
  bool found = false;
  Execution execution(*record, [&](const EpochTrace& trace, const LocalRun::EpochPackets& packets, const std::string& difference) {
    different = !difference.empty();
    std::optional<std::string> event;
    if (!filter.empty()) event = find_event(filter, packets);
    for (std::uint8_t torus = 0; torus < kTorusCount && flags.violation && !event; ++torus)
      if (trace.tori[torus].violations > 0) event = fmt::format("epoch {}: torus {} violates its boundary", trace.epoch, letter_of({torus}));
    found = event.has_value();
    if (found) fmt::print("{}\n", *event);
    if (different) fmt::print("{}\n", difference);
    if (found || different) fmt::print("{}", trace_text(trace));
    return !found && !different;
  });
  if (!execution.load(failure)) return report(failure);
  const std::uint64_t end = flags.count == 0 ? record->end() : std::min(flags.count, record->end());
  execution.run(end);
  if (different) return kExitFailed;
  if (found) return kExitDone;
  fmt::print("identical: {} epochs, {} digests compared\n", end, execution.compared());
  if (filter.empty() && !flags.violation) return kExitDone;
  fmt::print("no such event; only injections and events from torus to torus are looked at\n");
  return kExitFailed;
}

}  // namespace

void add_trace_commands(CLI::App& app, int& exit_code) {
  auto traced = std::make_shared<TraceFlags>();
  CLI::App* command = app.add_subcommand("trace", "what each torus received, ran, sent and decided, epoch by epoch; the recorded run is executed here");
  command->add_option("--control", traced->control, "control address of a daemon; repeatable: records are put together");
  command->add_option("--epochs", traced->epochs, "A..B, or one epoch")->required();
  command->add_flag("--json", traced->json, "one object an epoch");
  command->callback([traced, &exit_code] { exit_code = trace(*traced); });

  auto replayed = std::make_shared<TraceFlags>();
  command = app.add_subcommand("replay", "executes the recorded epochs here; stops at the first difference, or at an event that matches");
  command->add_option("--control", replayed->control, "control address of a daemon; repeatable: records are put together");
  command->add_option("--epochs", replayed->count, "only the first N (0: all)");
  command->add_option("--to", replayed->to, "stops at an injection or an event between tori to this cell, for example A:1,2,3");
  command->add_option("--from", replayed->from, "... from this cell");
  command->add_option("--payload", replayed->payload, "... with this payload");
  command->add_flag("--violation", replayed->violation, "stops at the first violation of a boundary");
  command->callback([replayed, &exit_code] { exit_code = replay(*replayed); });
}

}  // namespace rse
