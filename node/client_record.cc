#include "node/client_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>

namespace rse {
namespace {

constexpr std::chrono::seconds kCatchUpLimit{5};
constexpr std::chrono::milliseconds kCatchUpInterval{10};

class Collector {
 public:
  Collector(const std::vector<std::string>& control, ControlFailure& failure) : control_(control), failure_(failure) {}

  std::optional<RunRecord> collect() {
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
    return std::all_of(record_.epochs.begin(), record_.epochs.end(), [&](const auto& epochs) {
      return cut == 0 || (!epochs.empty() && epochs.rbegin()->first + 1 >= cut);
    });
  }

  bool connect() {
    for (const std::string& where : control_candidates(control_)) {
      auto client = ControlClient::connect(where, failure_);
      if (!client) continue;
      auto status = ask_status(*client, failure_);
      if (!status) continue;
      record_.run = std::max(record_.run, status->view().run());
      const v1::NodeInfo& node = status->self();
      if (node.torus_events() > 0)
        record_.capacity = {node.torus_events(), node.torus_edges(), node.torus_processes(), node.torus_outbox_events()};
      if (node.cut_epochs() > 0) record_.cut_epochs = node.cut_epochs();
      nodes_.push_back({std::move(client), std::move(*status), {}});
    }
    if (nodes_.empty() && failure_.text.empty()) connect_to_any(control_, failure_);
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
      record_.states[torus] = RecordedState{reply.state().cut(), reply.state().state_digest(), node.status.self().name()};
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

  void add(TorusId torus, std::uint64_t epoch, RecordedEpoch entry) {
    const auto [at, fresh] = record_.epochs[torus.raw].emplace(epoch, entry);
    if (fresh || at->second.event_digest == entry.event_digest || record_.conflict) return;
    record_.conflict = RecordConflict{torus, epoch, {at->second, std::move(entry)}};
  }

  const std::vector<std::string>& control_;
  ControlFailure& failure_;
  std::vector<Node> nodes_;
  RunRecord record_;
};

}  // namespace

std::uint64_t RunRecord::end() const {
  std::uint64_t end = ~std::uint64_t{0};
  for (const auto& of_torus : epochs) end = std::min(end, of_torus.empty() ? 0 : of_torus.rbegin()->first + 1);
  return end;
}

std::optional<RunRecord> collect_record(const std::vector<std::string>& control, ControlFailure& failure) {
  return Collector(control, failure).collect();
}

std::uint64_t short_digest(const Projection& projection) {
  std::uint64_t value = 0;
  const Digest256 digest = projection_digest(projection);
  std::memcpy(&value, digest.bytes.data(), sizeof value);
  return value;
}

RecordedRun::RecordedRun(const RunRecord& record) : record_(record), run_({.run = RunId{record.run}, .capacity = record.capacity, .cut_epochs = record.cut_epochs}) {
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    epoch_at_[torus] = record_.epochs[torus].begin();
    seal_at_[torus] = record_.seals[torus].begin();
  }
  run_.set_seal_source([this](TorusId torus, Epoch epoch, bool must_be_empty) { return seal_of(torus, epoch, must_be_empty); });
}

bool RecordedRun::load(ControlFailure& failure) {
  Result<Scenario> scenario = decode_scenario(record_.scenario);
  std::string why = scenario ? "" : to_string(scenario.error());
  if (scenario && run_.load(*scenario, why)) return true;
  failure = {kExitFailed, fmt::format("the cluster's scenario does not load here: {}; are rse and rse-node of one version?", why)};
  return false;
}

Seal RecordedRun::seal_of(TorusId torus, Epoch epoch, bool must_be_empty) {
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

Agreement RecordedRun::compare(const Projection& projection) {
  const std::size_t torus = projection.torus.raw;
  auto& at = epoch_at_[torus];
  while (at != record_.epochs[torus].end() && at->first < projection.epoch.raw) ++at;
  found_[torus] = nullptr;
  if (at == record_.epochs[torus].end() || at->first != projection.epoch.raw) return Agreement::kNotRecorded;
  found_[torus] = &at->second;
  if (at->second.event_digest != projection.event_digest) return Agreement::kEventDigestDiffers;
  return at->second.projection == short_digest(projection) ? Agreement::kSame : Agreement::kProjectionDiffers;
}

std::uint64_t RecordedRun::injections() const { return std::accumulate(injections_.begin(), injections_.end(), std::uint64_t{0}); }

}  // namespace rse
