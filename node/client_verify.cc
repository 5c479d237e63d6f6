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
#include "node/rse_text.h"
#include "torus/braid/torus_machine.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kCatchUpLimit{5};
constexpr std::chrono::milliseconds kCatchUpInterval{10};

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

/// The three tori in this process, epoch by epoch, in step.
class Replay {
 public:
  explicit Replay(const Record& record) : record_(record) {}

  bool load(ControlFailure& failure) {
    Result<Scenario> scenario = decode_scenario(record_.scenario);
    if (!scenario) {
      failure = {kExitFailed, fmt::format("the cluster's scenario cannot be read: {}; are rse and rse-node of one version?",
                                          to_string(scenario.error()))};
      return false;
    }
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      machines_[torus] = std::make_unique<TorusMachine>(TorusId{torus}, Capacity{});
      if (Result<void> loaded = machines_[torus]->load(RunId{record_.run}, *scenario); !loaded) {
        failure = {kExitFailed, fmt::format("the cluster's scenario does not load here: {}", to_string(loaded.error()))};
        return false;
      }
    }
    return true;
  }

  std::uint64_t next_epoch() const { return machines_[0]->next_epoch().raw; }

  bool compare_states(VerifyReport& report) {
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      const std::optional<State>& state = record_.states[torus];
      if (!state || state->cut != machines_[torus]->next_epoch().raw) continue;
      const Digest256 digest = machines_[torus]->region_digests().state_digest();
      const std::string_view local(reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size());
      ++report.states_compared;
      if (state->digest == local) continue;
      differ(report, torus, state->cut, "state", hex_of(state->digest), hex_of(local), state->node);
      return false;
    }
    return true;
  }

  /// One epoch of all three. False: a difference, or a seal that cannot be read.
  bool step(VerifyReport& report) {
    const std::uint64_t epoch = next_epoch();
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      TorusMachine& machine = *machines_[torus];
      const Epoch input = machine.input_epoch();
      const bool inputs = machine.needs_inputs();
      machine.run_epoch(inputs ? machines_[next_torus({torus}).raw]->own_packet(input) : nullptr,
                        inputs ? machines_[previous_torus({torus}).raw]->own_packet(input) : nullptr);
    }
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      std::optional<Seal> seal = seal_of(torus, epoch, report);
      if (!seal) return false;
      report.injections += seal->injections.size();
      const Packet& packet = machines_[torus]->seal(std::move(*seal));
      report.events += packet.projection.load;
      if (!compare(torus, epoch, packet.projection, report)) return false;
    }
    return true;
  }

 private:
  std::optional<Seal> seal_of(std::uint8_t torus, std::uint64_t epoch, VerifyReport& report) {
    const auto at = record_.seals[torus].find(epoch);
    if (at == record_.seals[torus].end()) return Seal{};
    ByteReader reader(std::as_bytes(std::span(at->second)));
    Result<Seal> seal = decode_seal(reader);
    if (seal) return std::move(*seal);
    differ(report, torus, epoch, "record", "a seal that cannot be read", to_string(seal.error()), "?");
    return std::nullopt;
  }

  bool compare(std::uint8_t torus, std::uint64_t epoch, const Projection& projection, VerifyReport& report) {
    const auto at = record_.digests[torus].find(epoch);
    if (at == record_.digests[torus].end()) {
      ++report.missing;
      return true;
    }
    ++report.digests_compared;
    if (at->second.event_digest != projection.event_digest) {
      differ(report, torus, epoch, "event digest", hex16(at->second.event_digest), hex16(projection.event_digest),
             at->second.node);
      return false;
    }
    const Digest256 digest = projection_digest(projection);
    std::uint64_t local = 0;
    std::memcpy(&local, digest.bytes.data(), sizeof local);
    if (at->second.projection == local) return true;
    differ(report, torus, epoch, "projection", hex16(at->second.projection), hex16(local), at->second.node);
    return false;
  }

  void differ(VerifyReport& report, std::uint8_t torus, std::uint64_t epoch, const char* what, std::string cluster,
              std::string local, const std::string& node) {
    report.verdict = VerifyReport::Verdict::kDifferent;
    report.torus = TorusId{torus};
    report.epoch = epoch;
    report.what = what;
    report.cluster_value = std::move(cluster);
    report.local_value = std::move(local);
    report.sentence =
        fmt::format("DIFFERENT: {} of torus {} at epoch {}: the cluster (node {}) has {}, a fresh run {}", what,
                    letter_of({torus}), epoch, node, report.cluster_value, report.local_value);
  }

  const Record& record_;
  std::array<std::unique_ptr<TorusMachine>, kTorusCount> machines_;
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

  VerifyReport report;
  report.run = record->run;
  Replay replay(*record);
  if (!replay.load(failure)) return std::nullopt;
  bool same = true;
  while (same && replay.next_epoch() < end) {
    same = replay.compare_states(report) && replay.step(report);
    ++report.epochs_run;
    if (options.progress && report.epochs_run % 64 == 0) options.progress(replay.next_epoch(), end);
  }
  if (same) replay.compare_states(report);
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
