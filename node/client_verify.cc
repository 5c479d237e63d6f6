#include "node/client_verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <thread>

#include "node/client_words.h"
#include "node/local_run.h"
#include "node/rse_text.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kCatchUpLimit{5};
constexpr std::chrono::milliseconds kCatchUpInterval{10};
constexpr std::uint64_t kSliceEpochs = 256;

struct Recorded {
  std::uint64_t event_digest = 0;
  std::uint64_t projection = 0;
  std::string node;
};

struct State {
  std::uint64_t cut = 0;
  std::string digest;  // 32 bytes
  std::string node;
};

/// What all nodes within reach know together.
struct Record {
  std::uint64_t run = 0;
  Bytes scenario;
  Capacity capacity;
  std::array<std::map<std::uint64_t, Recorded>, kTorusCount> digests;
  std::array<std::map<std::uint64_t, std::string>, kTorusCount> seals;
  std::array<std::optional<State>, kTorusCount> states;
  std::optional<VerifyReport> conflict;
  bool whole_seals = false;  // some node dropped none
};

class Collector {
 public:
  Collector(const VerifyOptions& options, ControlFailure& failure) : options_(options), failure_(failure) {}

  std::optional<Record> collect() {
    if (!connect() || !fetch_scenario()) return std::nullopt;
    // States first: the record that is fetched afterwards reaches at least as far.
    for (const auto& node : nodes_) fetch_states(node);
    const auto end = std::chrono::steady_clock::now() + kCatchUpLimit;
    for (;;) {
      for (Node& node : nodes_)
        for (std::uint8_t torus = 0; torus < kTorusCount; ++torus)
          if (!fetch_record(node, TorusId{torus})) return std::nullopt;
      // Tori run up to two epochs apart: wait until the slowest is where the states were taken.
      if (reaches_states() || std::chrono::steady_clock::now() > end) return std::move(record_);
      std::this_thread::sleep_for(kCatchUpInterval);
    }
  }

 private:
  struct Node {
    std::unique_ptr<ControlClient> client;
    v1::StatusReply status;
    std::array<std::uint64_t, kTorusCount> from{};  // the next epoch to ask for
  };

  bool reaches_states() const {
    std::uint64_t cut = 0;
    for (const auto& state : record_.states)
      if (state) cut = std::max(cut, state->cut);
    return std::all_of(record_.digests.begin(), record_.digests.end(), [&](const auto& digests) {
      return cut == 0 || (!digests.empty() && digests.rbegin()->first + 1 >= cut);
    });
  }

  bool connect() {
    for (const std::string& where : control_candidates(options_.control)) {
      auto client = ControlClient::connect(where, failure_);
      if (!client) continue;
      auto status = ask_status(*client, failure_);
      if (!status) continue;
      record_.run = std::max(record_.run, status->view().run());
      const v1::NodeInfo& node = status->self();
      if (node.torus_events() > 0)
        record_.capacity = {node.torus_events(), node.torus_edges(), node.torus_processes(), node.torus_outbox_events()};
      nodes_.push_back({std::move(client), std::move(*status), {}});
    }
    if (nodes_.empty() && failure_.text.empty()) connect_to_any(options_.control, failure_);
    return !nodes_.empty();
  }

  bool fetch_scenario() {
    for (const Node& node : nodes_) {
      v1::ControlRequest request;
      request.mutable_scenario();
      v1::ControlReply reply;
      if (!node.client->ask(request, reply, failure_)) continue;
      if (reply.scenario().run() != record_.run || reply.scenario().scenario().empty()) continue;
      const auto bytes = std::as_bytes(std::span(reply.scenario().scenario()));
      record_.scenario.assign(bytes.begin(), bytes.end());
      return true;
    }
    failure_ = {kExitFailed, "the cluster runs no scenario yet; load one with `rse load SCENARIO`"};
    return false;
  }

  void fetch_states(const Node& node) {
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      if (node.status.view().hosts_size() <= torus || node.status.view().hosts(torus) != node.status.self().node()) continue;
      v1::ControlRequest request;
      request.mutable_state()->set_torus(torus);
      v1::ControlReply reply;
      ControlFailure ignored;  // a torus that does not run now has no state to compare; its record still counts
      if (!node.client->ask(request, reply, ignored) || reply.state().run() != record_.run) continue;
      record_.states[torus] = State{reply.state().cut(), reply.state().state_digest(), node.status.self().name()};
    }
  }

  bool fetch_record(Node& node, TorusId torus) {
    std::uint64_t& from = node.from[torus.raw];
    for (bool more = true; more;) {
      v1::ControlRequest request;
      request.mutable_verify()->set_torus(torus.raw);
      request.mutable_verify()->set_from_epoch(from);
      v1::ControlReply reply;
      if (!node.client->ask(request, reply, failure_)) return false;
      const v1::VerifyReply& page = reply.verify();
      if (page.run() != record_.run) return true;  // this node has not seen the run
      if (!page.seals_dropped()) record_.whole_seals = true;
      for (int i = 0; i < page.epochs_size(); ++i) {
        if (i >= page.event_digests_size() || i >= page.projections_size()) break;
        add(torus, page.epochs(i), {page.event_digests(i), page.projections(i), node.status.self().name()});
        from = page.epochs(i) + 1;
      }
      for (const v1::VerifyReply::Seal& seal : page.seals()) record_.seals[torus.raw].emplace(seal.epoch(), seal.seal());
      more = page.more() && page.epochs_size() > 0;
    }
    return true;
  }

  void add(TorusId torus, std::uint64_t epoch, Recorded entry) {
    const auto [at, fresh] = record_.digests[torus.raw].emplace(epoch, entry);
    if (fresh || at->second.event_digest == entry.event_digest || record_.conflict) return;
    VerifyReport report;
    report.verdict = VerifyReport::Verdict::kDifferent;
    report.torus = torus;
    report.epoch = epoch;
    report.what = "record";
    report.cluster_value = hex16(entry.event_digest);
    report.local_value = hex16(at->second.event_digest);
    report.sentence = fmt::format("DIFFERENT: nodes {} and {} have recorded different digests of torus {} at epoch {}: {} and {}",
                                  at->second.node, entry.node, letter_of(torus), epoch, report.local_value,
                                  report.cluster_value);
    record_.conflict = std::move(report);
  }

  const VerifyOptions& options_;
  ControlFailure& failure_;
  std::vector<Node> nodes_;
  Record record_;
};

/// The three tori in this process, fed with the recorded seals and compared as they go.
class Replay {
 public:
  Replay(const Record& record, const VerifyOptions& options, std::uint64_t end)
      : record_(record), options_(options), end_(end), run_({.run = RunId{record.run}, .capacity = record.capacity}) {
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      digest_at_[torus] = record_.digests[torus].begin();
      seal_at_[torus] = record_.seals[torus].begin();
    }
    run_.set_seal_source([this](TorusId torus, Epoch epoch, bool must_be_empty) { return seal_of(torus, epoch, must_be_empty); });
    run_.set_epoch_callback([this](Epoch epoch, const LocalRun::EpochPackets& packets) { compare(epoch, packets); });
  }

  bool load(ControlFailure& failure) {
    Result<Scenario> scenario = decode_scenario(record_.scenario);
    std::string why = scenario ? "" : to_string(scenario.error());
    if (scenario && run_.load(*scenario, why)) return true;
    failure = {kExitFailed, fmt::format("the cluster's scenario does not load here: {}; are rse and rse-node of one version?", why)};
    return false;
  }

  /// Stops where a whole state was fetched, and at the end. A difference found on the way ends it at the next such stop.
  void run() {
    std::vector<std::uint64_t> stops{end_};
    for (const auto& state : record_.states)
      if (state && state->cut <= end_) stops.push_back(state->cut);
    std::sort(stops.begin(), stops.end());
    for (const std::uint64_t stop : stops) {
      for (std::uint64_t slice = epochs_done_; slice < stop && !different();) {
        slice = std::min(slice + kSliceEpochs, stop);
        run_.run(Epoch{slice});
        epochs_done_ = slice;
        if (options_.progress) options_.progress(slice, end_);
      }
      if (different()) break;
      compare_states(stop);
    }
    report_.epochs_run = epochs_done_;
    for (const std::uint64_t injections : injections_) report_.injections += injections;
    if (const std::string alarm = run_.alarm(); !alarm.empty() && !different()) report_.alarm = alarm;
  }

  VerifyReport& report() { return report_; }

 private:
  bool different() const { return report_.verdict == VerifyReport::Verdict::kDifferent; }

  Seal seal_of(TorusId torus, Epoch epoch, bool must_be_empty) {
    auto& at = seal_at_[torus.raw];
    const auto& seals = record_.seals[torus.raw];
    while (at != seals.end() && at->first < epoch.raw) ++at;
    if (at == seals.end() || at->first != epoch.raw) return {};
    ByteReader reader(std::as_bytes(std::span(at->second)));
    Result<Seal> seal = decode_seal(reader);
    // Otherwise the digests will differ, and that is reported. A seal that has to be empty may still say that more wait.
    if (!seal || (must_be_empty && !seal->injections.empty())) return {};
    injections_[torus.raw] += seal->injections.size();
    return std::move(*seal);
  }

  void compare(Epoch epoch, const LocalRun::EpochPackets& packets) {
    for (std::uint8_t torus = 0; torus < kTorusCount && !different(); ++torus) {
      const Projection& projection = packets[torus]->projection;
      report_.events += projection.load;
      auto& at = digest_at_[torus];
      while (at != record_.digests[torus].end() && at->first < epoch.raw) ++at;
      if (at == record_.digests[torus].end() || at->first != epoch.raw) {
        ++report_.missing;
        continue;
      }
      ++report_.digests_compared;
      const Recorded& recorded = at->second;
      std::uint64_t local = 0;
      const Digest256 digest = projection_digest(projection);
      std::memcpy(&local, digest.bytes.data(), sizeof local);
      if (recorded.event_digest != projection.event_digest)
        differ(torus, epoch.raw, "event digest", hex16(recorded.event_digest), hex16(projection.event_digest), recorded.node);
      else if (recorded.projection != local)
        differ(torus, epoch.raw, "projection", hex16(recorded.projection), hex16(local), recorded.node);
    }
  }

  void compare_states(std::uint64_t cut) {
    for (std::uint8_t torus = 0; torus < kTorusCount && !different(); ++torus) {
      const std::optional<State>& state = record_.states[torus];
      if (!state || state->cut != cut) continue;
      TorusMachine& machine = run_.machine(TorusId{torus});
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

  const Record& record_;
  const VerifyOptions& options_;
  std::uint64_t end_;
  LocalRun run_;
  VerifyReport report_;
  std::uint64_t epochs_done_ = 0;
  std::array<std::map<std::uint64_t, Recorded>::const_iterator, kTorusCount> digest_at_;
  std::array<std::map<std::uint64_t, std::string>::const_iterator, kTorusCount> seal_at_;
  std::array<std::uint64_t, kTorusCount> injections_{};  // each written by its torus's thread
};

void conclude(VerifyReport& report, const Record& record) {
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
  std::optional<Record> record = Collector(options, failure).collect();
  if (!record) return std::nullopt;
  if (record->conflict) return record->conflict;
  std::uint64_t end = ~std::uint64_t{0};  // one past the last epoch that all three records reach
  for (const auto& digests : record->digests) end = std::min(end, digests.empty() ? 0 : digests.rbegin()->first + 1);
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
