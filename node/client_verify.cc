#include "node/client_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "node/client_record.h"
#include "node/client_words.h"
#include "node/rse_text.h"

namespace rse {
namespace {

constexpr std::uint64_t kSliceEpochs = 256;

VerifyReport report_of(const RecordConflict& conflict) {
  VerifyReport report;
  report.verdict = VerifyReport::Verdict::kDifferent;
  report.torus = conflict.torus;
  report.epoch = conflict.epoch;
  report.what = "record";
  report.cluster_value = hex16(conflict.of[1].event_digest);
  report.local_value = hex16(conflict.of[0].event_digest);
  report.sentence = fmt::format("DIFFERENT: nodes {} and {} have recorded different digests of torus {} at epoch {}: {} and {}",
                                conflict.of[0].node, conflict.of[1].node, letter_of(conflict.torus), conflict.epoch, report.local_value,
                                report.cluster_value);
  return report;
}

/// The three tori in this process, fed with the recorded seals and compared as they go.
class Replay {
 public:
  Replay(const RunRecord& record, const VerifyOptions& options, std::uint64_t end)
      : record_(record), options_(options), end_(end), again_(record) {
    again_.run().set_epoch_callback([this](Epoch epoch, const LocalRun::EpochPackets& packets) { compare(epoch, packets); });
  }

  bool load(ControlFailure& failure) { return again_.load(failure); }

  /// Stops where a whole state was fetched, and at the end. A difference found on the way ends it at the next such stop.
  void run() {
    std::vector<std::uint64_t> stops{end_};
    for (const auto& state : record_.states)
      if (state && state->cut <= end_) stops.push_back(state->cut);
    std::sort(stops.begin(), stops.end());
    for (const std::uint64_t stop : stops) {
      for (std::uint64_t slice = epochs_done_; slice < stop && !different();) {
        slice = std::min(slice + kSliceEpochs, stop);
        again_.run().run(Epoch{slice});
        epochs_done_ = slice;
        if (options_.progress) options_.progress(slice, end_);
      }
      if (different()) break;
      compare_states(stop);
    }
    report_.epochs_run = epochs_done_;
    report_.injections = again_.injections();
    if (const std::string alarm = again_.run().alarm(); !alarm.empty() && !different()) report_.alarm = alarm;
  }

  VerifyReport& report() { return report_; }

 private:
  bool different() const { return report_.verdict == VerifyReport::Verdict::kDifferent; }

  void compare(Epoch epoch, const LocalRun::EpochPackets& packets) {
    for (std::uint8_t torus = 0; torus < kTorusCount && !different(); ++torus) {
      const Projection& projection = packets[torus]->projection;
      report_.events += projection.load;
      const Agreement agreement = again_.compare(projection);
      if (agreement == Agreement::kNotRecorded) {
        ++report_.missing;
        continue;
      }
      ++report_.digests_compared;
      const RecordedEpoch& recorded = *again_.recorded(TorusId{torus});
      if (agreement == Agreement::kEventDigestDiffers)
        differ(torus, epoch.raw, "event digest", hex16(recorded.event_digest), hex16(projection.event_digest), recorded.node);
      else if (agreement == Agreement::kProjectionDiffers)
        differ(torus, epoch.raw, "projection", hex16(recorded.projection), hex16(short_digest(projection)), recorded.node);
    }
  }

  void compare_states(std::uint64_t cut) {
    for (std::uint8_t torus = 0; torus < kTorusCount && !different(); ++torus) {
      const std::optional<RecordedState>& state = record_.states[torus];
      if (!state || state->cut != cut) continue;
      TorusMachine& machine = again_.run().machine(TorusId{torus});
      if (machine.next_epoch().raw != cut) continue;
      const Digest256 digest = machine.region_digests().state_digest();
      const std::string_view local(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
      ++report_.states_compared;
      if (state->digest != local) differ(torus, cut, "state", hex_of(state->digest), hex_of(local), state->node);
    }
  }

  void differ(std::uint8_t torus, std::uint64_t epoch, const char* what, std::string cluster, std::string local,
              const std::string& node) {
    report_.verdict = VerifyReport::Verdict::kDifferent;
    report_.torus = TorusId{torus};
    report_.epoch = epoch;
    report_.what = what;
    report_.cluster_value = std::move(cluster);
    report_.local_value = std::move(local);
    report_.sentence = fmt::format("DIFFERENT: {} of torus {} at epoch {}: the cluster (node {}) has {}, a fresh run {}", what,
                                   letter_of({torus}), epoch, node, report_.cluster_value, report_.local_value);
  }

  const RunRecord& record_;
  const VerifyOptions& options_;
  std::uint64_t end_;
  RecordedRun again_;
  VerifyReport report_;
  std::uint64_t epochs_done_ = 0;
};

void conclude(VerifyReport& report, const RunRecord& record) {
  if (report.verdict == VerifyReport::Verdict::kDifferent) {
    if (report.missing == 0 && record.whole_seals) return;
    // Injections may be among what is missing: then a difference proves nothing.
    report.verdict = VerifyReport::Verdict::kIncomplete;
    report.sentence = fmt::format(
        "cannot tell: {} epochs are in no record within reach, and the replay differs at epoch {} of torus {}; name more "
        "nodes with --control",
        report.missing, report.epoch, letter_of(*report.torus));
    return;
  }
  if (report.digests_compared == 0) {
    report.sentence = "cannot tell: no epoch has been recorded yet";
    return;
  }
  report.verdict = VerifyReport::Verdict::kIdentical;
  report.sentence = fmt::format(
      "identical: {} epochs of three tori ({} digests and {} whole states compared), {} events, {} injections", report.epochs_run,
      report.digests_compared, report.states_compared, report.events, report.injections);
  if (!report.alarm.empty()) report.sentence += "; ALARM in both: " + report.alarm;
  if (report.missing > 0)
    report.sentence += fmt::format("; {} older digests are no longer kept (the later ones contain them)", report.missing);
}

}  // namespace

std::optional<VerifyReport> verify_cluster(const VerifyOptions& options, ControlFailure& failure) {
  const auto started = std::chrono::steady_clock::now();
  const std::optional<RunRecord> record = collect_record(options.control, failure);
  if (!record) return std::nullopt;
  if (record->conflict) return report_of(*record->conflict);
  std::uint64_t end = record->end();
  if (options.epochs_max != 0) end = std::min(end, options.epochs_max);

  Replay replay(*record, options, end);
  if (!replay.load(failure)) return std::nullopt;
  replay.report().run = record->run;
  replay.run();
  VerifyReport report = std::move(replay.report());
  conclude(report, *record);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return report;
}

std::string to_json(const VerifyReport& report) {
  const char* verdict = report.verdict == VerifyReport::Verdict::kIdentical   ? "identical"
                        : report.verdict == VerifyReport::Verdict::kDifferent ? "different"
                                                                              : "incomplete";
  std::string out = fmt::format(
      R"({{"verdict":"{}","run":{},"epochs":{},"digests_compared":{},"states_compared":{},"injections":{},"events":{},"missing":{},"seconds":{:.3f})",
      verdict, report.run, report.epochs_run, report.digests_compared, report.states_compared, report.injections,
      report.events, report.missing, report.seconds);
  if (report.torus)
    out += fmt::format(R"(,"torus":"{}","epoch":{},"what":"{}","cluster_value":"{}","local_value":"{}")",
                       letter_of(*report.torus), report.epoch, report.what, report.cluster_value, report.local_value);
  return out + fmt::format(R"(,"sentence":"{}"}})", json_escaped(report.sentence));
}

}  // namespace rse
