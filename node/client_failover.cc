#include "node/client_failover.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/client_verify.h"
#include "torus/base/random.h"
#include "torus/braid/torus_machine.h"

namespace rse {
namespace {

constexpr std::uint32_t kMaxDelay = 2'000'000;      // ticks; a thousandth of the events is due in an epoch
constexpr double kBytesPerProcess = 38;
constexpr double kBytesPerEvent = 20;               // alone in its tick, in a checkpoint
constexpr double kBytesPerEdge = 8.2;
constexpr double kEventsMax = 900'000;
constexpr std::chrono::seconds kHealLimit{60};
constexpr std::chrono::seconds kRebuildLimit{30};

double checkpoint_megabytes(const Scenario& scenario) {
  TorusMachine machine(TorusId{0}, Capacity{});
  if (!machine.load(RunId{1}, scenario)) return 0;
  std::size_t size = 0;
  Bytes bytes;
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    bytes.clear();
    machine.write_region(region, bytes);
    size += bytes.size();
  }
  return static_cast<double>(size) / 1e6;
}

double resident_megabytes(pid_t process) {
  std::ifstream file(fmt::format("/proc/{}/statm", process));
  double size = 0;
  double resident = 0;
  file >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

double since(std::uint64_t killed_at, std::uint64_t at) {
  return (static_cast<double>(at) - static_cast<double>(killed_at)) / 1e6;
}

class Measurement {
 public:
  explicit Measurement(const FailoverOptions& options)
      : options_(options), random_(options.seed), cluster_({.binary = options.binary, .directory = options.directory}) {}

  FailoverReport run() {
    report_.failure = prepare();
    for (int kill = 0; report_.failure.empty() && kill < options_.kills; ++kill) {
      report_.failure = trial();
      if (report_.failure.empty() && options_.progress) {
        const FailoverTrial& t = report_.trials.back();
        options_.progress(fmt::format("kill {}/{}: node {} (torus {}): lost {:.1f}, view {:.1f}, replaying {:.1f}, rebuilt "
                                      "{:.1f}, first epoch {:.1f} ms",
                                      kill + 1, options_.kills, t.killed, t.tori, t.lost, t.view, t.replaying, t.rebuilt,
                                      t.first_epoch));
      }
    }
    if (report_.failure.empty()) verify();
    cluster_.stop();
    return std::move(report_);
  }

 private:
  std::string prepare() {
    if (options_.progress) options_.progress("starting three nodes");
    if (std::string failure = cluster_.start(); !failure.empty()) return failure;
    const Scenario scenario = failover_scenario(options_.state_megabytes);
    report_.state_megabytes = checkpoint_megabytes(scenario);
    if (options_.progress)
      options_.progress(fmt::format("loading a scenario of {:.1f} MB of state a torus", report_.state_megabytes));
    ControlFailure failure;
    std::uint64_t run = 0;
    if (!load_scenario(cluster_.controls(), encode_scenario(scenario), kHealLimit, run, failure)) return failure.text;
    return {};
  }

  /// Healthy, every torus at home on a node of its own and with a durable cut of this phase.
  std::optional<v1::StatusReply> wait_until_whole(std::string& failure) {
    auto whole = cluster_.wait_for(
        [&](const v1::StatusReply& status) {
          if (status.health() != v1::StatusReply::HEALTHY || status.tori_size() != 3) return false;
          std::vector<std::uint64_t> hosts;
          for (const v1::TorusStatus& torus : status.tori()) {
            if (torus.cut_durable() == 0 || !torus.running()) return false;
            hosts.push_back(torus.host());
          }
          std::sort(hosts.begin(), hosts.end());
          return std::unique(hosts.begin(), hosts.end()) == hosts.end();
        },
        kHealLimit);
    if (!whole) {
      const auto last = cluster_.status();
      failure = fmt::format("the cluster was not whole again within {} s: {}", kHealLimit.count(),
                            last ? last->verdict() : "no node answers");
    }
    return whole;
  }

  std::string trial() {
    std::string failure;
    const auto whole = wait_until_whole(failure);
    if (!whole) return failure;
    // A moment of its own between two cuts, not always the same.
    std::this_thread::sleep_for(std::chrono::microseconds(random_.below(200'000)));
    const std::size_t victim = random_.below(static_cast<std::uint32_t>(cluster_.size()));
    const auto last = cluster_.status_of(victim);
    if (!last) return fmt::format("node {} does not answer", cluster_.name(victim));
    std::vector<std::uint32_t> tori;
    FailoverTrial trial;
    for (std::size_t node = 0; node < cluster_.size(); ++node)
      trial.memory_megabytes = std::max(trial.memory_megabytes, resident_megabytes(cluster_.process(node)));
    trial.killed = cluster_.name(victim);
    for (int torus = 0; torus < last->view().hosts_size(); ++torus) {
      if (last->view().hosts(torus) != last->self().node()) continue;
      tori.push_back(static_cast<std::uint32_t>(torus));
      trial.tori += static_cast<char>('A' + torus);
    }
    const std::uint64_t killed_at = cluster_.kill(victim);
    const auto end = std::chrono::steady_clock::now() + kRebuildLimit;
    while (trial.first_epoch < 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the incidents carry their time
      for (std::size_t node = 0; node < cluster_.size(); ++node)
        if (const auto status = cluster_.status_of(node)) look(*status, killed_at, tori, trial);
    }
    if (trial.first_epoch < 0)
      return fmt::format("torus {} did not run again within {} s of the kill of {}", trial.tori, kRebuildLimit.count(),
                         trial.killed);
    report_.trials.push_back(trial);
    return cluster_.restart(victim);
  }

  static void look(const v1::StatusReply& status, std::uint64_t killed_at, const std::vector<std::uint32_t>& tori,
                   FailoverTrial& trial) {
    const auto earliest = [&](double& value, std::uint64_t at) {
      const double ms = since(killed_at, at);
      if (ms >= 0 && (value < 0 || ms < value)) value = ms;
    };
    for (const v1::IncidentRecord& incident : status.incidents()) {
      if (incident.at_nanoseconds() < killed_at) continue;
      const bool ours = std::find(tori.begin(), tori.end(), incident.torus()) != tori.end();
      if (incident.kind() == v1::IncidentRecord::PEER_LOST) earliest(trial.lost, incident.at_nanoseconds());
      if (incident.kind() == v1::IncidentRecord::VIEW_INSTALLED) earliest(trial.view, incident.at_nanoseconds());
      if (!incident.has_torus() || !ours) continue;
      if (incident.kind() == v1::IncidentRecord::REBUILD_REPLAYING) earliest(trial.replaying, incident.at_nanoseconds());
      if (incident.kind() == v1::IncidentRecord::REBUILT) earliest(trial.rebuilt, incident.at_nanoseconds());
      if (incident.kind() == v1::IncidentRecord::FIRST_EPOCH) earliest(trial.first_epoch, incident.at_nanoseconds());
    }
  }

  void verify() {
    if (options_.progress) options_.progress("verifying against a run in which nothing died");
    ControlFailure failure;
    const auto verified = verify_cluster({.control = cluster_.running_controls(), .epochs_max = 0, .progress = {}}, failure);
    report_.verdict = verified ? verified->sentence : failure.text;
    report_.verified = verified && verified->verdict == VerifyReport::Verdict::kIdentical;
  }

  const FailoverOptions& options_;
  Random random_;
  LocalCluster cluster_;
  FailoverReport report_;
};

}  // namespace

FailoverReport measure_failover(const FailoverOptions& options) { return Measurement(options).run(); }

Scenario failover_scenario(double state_megabytes) {
  Scenario scenario;
  const double bytes = std::max(state_megabytes * 1e6 - kCellCount * kBytesPerProcess, 0.0);
  const double events = std::min(bytes / 2 / kBytesPerEvent, kEventsMax);
  const double edges = std::max(bytes - events * kBytesPerEvent, 0.0) / kBytesPerEdge;
  const int events_per_cell = std::max(1, static_cast<int>(std::lround(events / kCellCount)));
  const int edges_per_cell = std::min(32, static_cast<int>(std::lround(edges / kCellCount)));
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    for (std::uint32_t cell = 0; cell < kCellCount; ++cell) {
      const CellId at{torus * kCellCount + cell};
      scenario.processes.push_back(
          {at, "phold", fmt::format("max_delay={} remote=5 events={}", kMaxDelay, events_per_cell)});
      for (int edge = 0; edge < edges_per_cell; ++edge)
        scenario.edges.push_back({at, CellId{torus * kCellCount + (cell + 1 + static_cast<std::uint32_t>(edge)) % kCellCount}, 5});
    }
  }
  return scenario;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<std::size_t>(rank, 1, values.size()) - 1];
}

std::string machine_text() {
  std::string processor = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    processor = line.substr(std::min(line.find(':') + 2, line.size()));
    break;
  }
  utsname system{};
  ::uname(&system);
  return fmt::format("{}, {} cores, {} {}", processor, ::sysconf(_SC_NPROCESSORS_ONLN), system.sysname, system.release);
}

std::string date_text() {
  const time_t now = ::time(nullptr);
  tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

}  // namespace rse
