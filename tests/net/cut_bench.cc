// A cable pulled from around a node for two seconds, measured: milliseconds from the cut until the torus of the node that is cut off runs on a
// survivor, over network namespaces; beside etcd with a heartbeat of 10 ms and elections after 50 ms in the same namespaces,
// where it is installed: until a write is accepted again after its leader was cut off.
//   bazel run -c opt //tests/net:cut_bench -- --trials 20 [--transport udp]
// Or no cable at all, and how often a node that lives is removed, on a machine that has other things to do:
//   bazel run -c opt //tests/net:cut_bench -- --steady-minutes 60
#include <arpa/inet.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DOCTEST_CONFIG_IMPLEMENT  // the stories that are shared with tests refer to it
#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <map>

#include "node/client_failover.h"
#include "tests/e2e/stories.h"
#include "tests/net/test_network.h"
#include "transport/monotonic_clock.h"

namespace rse {
namespace {

constexpr std::size_t kHosts = 3;
constexpr std::chrono::seconds kPulled{2};  // a cable is out for so long, whatever happens meanwhile
constexpr double kSlow = 60;  // milliseconds: of a slower one the story is told
constexpr const char* kEtcd = "/usr/bin/etcd";

struct Phases {
  std::vector<double> lost, view, first_epoch;
};

double since(Instant start, std::uint64_t at) { return (static_cast<double>(at) - static_cast<double>(start.raw)) / 1e6; }

void print_row(const char* what, const std::vector<double>& values) {
  fmt::print("{:<34} {:>6} {:>8.1f} {:>8.1f} {:>8.1f}\n", what, values.size(), quantile(values, 0.5), quantile(values, 0),
             quantile(values, 1));
}

std::vector<std::string> addresses(const std::string& transport) {
  std::vector<std::string> all;
  for (std::size_t host = 0; host < kHosts; ++host)
    all.push_back(fmt::format("{}{}:7400", transport == "udp" ? "udp:" : "", TestNetwork::address(host)));
  return all;
}

/// Takes the earliest of each incident of the survivors since the cut.
void look(const v1::StatusReply& status, Instant cut, std::uint32_t torus, double& lost, double& view, double& first_epoch) {
  const auto earliest = [&](double& value, std::uint64_t at) {
    if (value < 0 || since(cut, at) < value) value = since(cut, at);
  };
  for (const v1::IncidentRecord& incident : status.incidents()) {
    if (incident.at_nanoseconds() < cut.raw) continue;
    if (incident.kind() == v1::IncidentRecord::PEER_LOST) earliest(lost, incident.at_nanoseconds());
    if (incident.kind() == v1::IncidentRecord::VIEW_INSTALLED) earliest(view, incident.at_nanoseconds());
    if (incident.kind() == v1::IncidentRecord::FIRST_EPOCH && incident.has_torus() && incident.torus() == torus)
      earliest(first_epoch, incident.at_nanoseconds());
  }
}

/// What a survivor says of a slow one, in its own words.
void tell(LocalCluster& cluster, std::size_t node, Instant cut) {
  const auto status = cluster.status_of(node);
  if (!status) return;
  fmt::print(stderr, "    {}: {}\n", cluster.name(node), status->verdict());
  for (const v1::PeerStatus& peer : status->peers())
    fmt::print(stderr, "    {}: {} {}, silent for {:.1f} ms{}\n", cluster.name(node), peer.name(), peer.linked() ? "linked" : "not linked",
               static_cast<double>(peer.silence_nanoseconds()) / 1e6, peer.via() != 0 ? ", by way of another" : "");
  for (const v1::IncidentRecord& incident : status->incidents())
    if (since(cut, incident.at_nanoseconds()) > -1000)
      fmt::print(stderr, "    {} {:8.1f} ms: {}\n", cluster.name(node), since(cut, incident.at_nanoseconds()), incident.text());
}

/// Empty: done.
std::string measure_rse(const std::string& transport, int trials, Phases& phases) {
  TestNetwork network(kHosts, 1);
  if (!network.failure().empty()) return network.failure();
  LocalCluster cluster({.addresses = addresses(transport), .enter = [&](std::size_t node) { return network.enter(node); }});
  if (std::string failure = start_busy(cluster); !failure.empty()) return failure;
  for (int trial = 0; trial < trials; ++trial) {
    if (!cluster.wait_for(healthy_on_three, kStoryLimit) || !run_on(cluster, 200)) return "not whole again\n" + log_tails(cluster);
    const std::size_t lone = static_cast<std::size_t>(trial) % kHosts;
    const auto before = cluster.status_of(lone);
    if (!before) return "a node does not answer";
    std::uint32_t torus = 0;
    while (torus < kTorusCount && before->view().hosts(static_cast<int>(torus)) != before->self().node()) ++torus;
    const Instant cut = network.cut_off(lone);
    const auto plugged_in = std::chrono::steady_clock::now() + kPulled;
    double lost = -1, view = -1, first_epoch = -1;
    const auto end = std::chrono::steady_clock::now() + kStoryLimit;
    while (first_epoch < 0 && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // incidents carry their time
      for (std::size_t node = 0; node < kHosts; ++node)
        if (const auto status = node == lone ? std::nullopt : cluster.status_of(node)) look(*status, cut, torus, lost, view, first_epoch);
    }
    if (first_epoch < 0) return "the torus did not run again\n" + log_tails(cluster);
    fmt::print(stderr, "cut {}/{} around {}: lost {:.1f}, view {:.1f}, first epoch {:.1f} ms\n", trial + 1, trials, cluster.name(lone),
               lost, view, first_epoch);
    if (first_epoch > kSlow)
      for (std::size_t node = 0; node < kHosts; ++node)
        if (node != lone) tell(cluster, node, cut);
    phases.lost.push_back(lost);
    phases.view.push_back(view);
    phases.first_epoch.push_back(first_epoch);
    std::this_thread::sleep_until(plugged_in);
    network.join_up(lone);
  }
  if (!cluster.wait_for(healthy_on_three, kStoryLimit)) return "not whole again\n" + log_tails(cluster);
  if (::getenv("TELL")) fmt::print(stderr, "{}", log_tails(cluster));
  const std::string sentence = verdict(cluster);
  fmt::print("{}\n", sentence);
  return sentence.starts_with("identical") ? std::string() : sentence;
}

// --- No cut at all. ---

/// How often a node that lives is removed while this machine does whatever else it has to do. Prints a line a minute.
std::string measure_steady(const std::string& transport, int minutes) {
  TestNetwork network(kHosts, 1);
  if (!network.failure().empty()) return network.failure();
  LocalCluster cluster({.addresses = addresses(transport), .enter = [&](std::size_t node) { return network.enter(node); }});
  if (std::string failure = start_busy(cluster); !failure.empty()) return failure;
  const auto begin = cluster.wait_for(healthy_on_three, kStoryLimit);
  if (!begin) return "not healthy\n" + log_tails(cluster);
  const std::uint64_t first_view = begin->view().number();
  const Instant from = network.set_all({});
  std::map<std::uint64_t, std::string> removed;  // by time: what a node said
  double load_sum = 0;
  for (int minute = 1; minute <= minutes; ++minute) {
    for (int second = 0; second < 60; ++second) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      for (std::size_t node = 0; node < kHosts; ++node)
        if (const auto status = cluster.status_of(node))
          for (const v1::IncidentRecord& incident : status->incidents())
            if (incident.kind() == v1::IncidentRecord::PEER_LOST && incident.at_nanoseconds() > from.raw)
              removed.emplace(incident.at_nanoseconds(), fmt::format("{} says: {}", cluster.name(node), incident.text()));
    }
    double load = 0;
    ::getloadavg(&load, 1);
    load_sum += load;
    const auto status = cluster.status_of(0);
    fmt::print(stderr, "minute {}: load {:.1f}, epoch {}, {} suspicions, view {} (at first {})\n", minute, load,
               status ? slowest_epoch(*status) : 0, removed.size(), status ? status->view().number() : 0, first_view);
  }
  for (const auto& [at, what] : removed) fmt::print(stderr, "    {}\n", what);
  const auto end = cluster.wait_for(healthy_on_three, kStoryLimit);
  if (!end) return "not healthy at the end\n" + log_tails(cluster);
  const std::string sentence = verdict(cluster);
  fmt::print("{} minutes without a cut, over {}, mean load {:.1f}: silent beyond a limit {} times, {} views; {}, {}\n{}\n", minutes, transport,
             load_sum / minutes, removed.size(), end->view().number() - first_view, machine_text(), date_text(), sentence);
  return sentence.starts_with("identical") ? std::string() : sentence;
}

// --- etcd. ---

/// Three etcd, a host each; they die with this process.
class Etcd {
 public:
  explicit Etcd(TestNetwork& network) : network_(network) {
    std::string pattern = "/tmp/rse-etcd-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) folder_ = pattern;
    std::string all;
    for (std::size_t host = 0; host < kHosts; ++host)
      all += fmt::format("{}n{}=http://{}:2380", host == 0 ? "" : ",", host, TestNetwork::address(host));
    for (std::size_t host = 0; host < kHosts; ++host) {
      const std::string peer = fmt::format("http://{}:2380", TestNetwork::address(host));
      const std::string client = fmt::format("http://{}:2379", TestNetwork::address(host));
      start(host, {kEtcd, "--name", fmt::format("n{}", host), "--data-dir", fmt::format("{}/n{}", folder_, host),
                   "--initial-advertise-peer-urls", peer, "--listen-peer-urls", peer, "--advertise-client-urls", client,
                   "--listen-client-urls", client, "--initial-cluster", all, "--heartbeat-interval", "10", "--election-timeout", "50"});
    }
  }
  ~Etcd() {
    for (const pid_t child : children_) ::kill(child, SIGKILL);
    for (const pid_t child : children_) ::waitpid(child, nullptr, 0);
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  /// The JSON answer of `host` to a request of its gateway; empty: none within `limit`.
  std::string ask(std::size_t host, const std::string& path, const std::string& body, std::chrono::milliseconds limit) const {
    std::string answer;
    std::thread([&] {
      if (!network_.enter(host)) return;
      const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const timeval patience{limit.count() / 1000, limit.count() % 1000 * 1000};
      ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_port = htons(2379);
      ::inet_pton(AF_INET, TestNetwork::address(host).c_str(), &name.sin_addr);
      if (::connect(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0) {
        const std::string request = fmt::format("POST {} HTTP/1.0\r\nContent-Length: {}\r\n\r\n{}", path, body.size(), body);
        [[maybe_unused]] const ssize_t sent = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
        char bytes[4096];
        for (ssize_t got = 0; (got = ::recv(fd, bytes, sizeof bytes, 0)) > 0;) answer.append(bytes, static_cast<std::size_t>(got));
      }
      ::close(fd);
    }).join();
    return answer;
  }
  bool writes(std::size_t host, std::chrono::milliseconds limit) const {
    return ask(host, "/v3/kv/put", R"({"key":"YQ==","value":"YQ=="})", limit).find("revision") != std::string::npos;
  }
  /// kHosts: none answers for one.
  std::size_t leader() const {
    for (std::size_t host = 0; host < kHosts; ++host) {
      const std::string status = ask(host, "/v3/maintenance/status", "{}", std::chrono::milliseconds(500));
      const auto field = [&](const std::string& name) {
        const std::size_t at = status.find("\"" + name + "\":\"");
        return at == std::string::npos ? std::string() : status.substr(at + name.size() + 4, status.find('"', at + name.size() + 4) - at - name.size() - 4);
      };
      if (!field("leader").empty() && field("leader") == field("member_id")) return host;
    }
    return kHosts;
  }

 private:
  void start(std::size_t host, const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (!network_.enter(host) || std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(126);
      ::execv(kEtcd, arguments.data());
      ::_exit(127);
    }
    children_.push_back(child);
  }
  TestNetwork& network_;
  std::string folder_;
  std::vector<pid_t> children_;
};

std::string measure_etcd(int trials, std::vector<double>& again) {
  TestNetwork network(kHosts, 1);
  if (!network.failure().empty()) return network.failure();
  const Etcd etcd(network);
  for (int trial = 0; trial < trials; ++trial) {
    const auto end = std::chrono::steady_clock::now() + kStoryLimit;
    std::size_t leader = kHosts;
    const auto all_write = [&] {
      for (std::size_t host = 0; host < kHosts; ++host)
        if (!etcd.writes(host, std::chrono::milliseconds(500))) return false;
      leader = etcd.leader();
      return leader < kHosts;
    };
    while (!all_write())
      if (std::chrono::steady_clock::now() > end) return "etcd does not come up";
    const std::size_t survivor = (leader + 1) % kHosts;
    const Instant cut = network.cut_off(leader);
    const auto plugged_in = std::chrono::steady_clock::now() + kPulled;
    while (!etcd.writes(survivor, std::chrono::milliseconds(20)))
      if (std::chrono::steady_clock::now() > end) return "etcd does not write again";
    again.push_back(since(cut, monotonic_now().raw));
    fmt::print(stderr, "etcd {}/{}: a write again after {:.1f} ms\n", trial + 1, trials, again.back());
    std::this_thread::sleep_until(plugged_in);
    network.join_up(leader);
  }
  return {};
}

int run(int trials, int steady_minutes, const std::string& transport) {
  if (const std::string why = TestNetwork::unavailable(); !why.empty()) {
    fmt::print(stderr, "cut_bench: {}\n", why);
    return 1;
  }
  Phases phases;
  std::vector<double> etcd;
  if (steady_minutes > 0) {
    const std::string failure = measure_steady(transport, steady_minutes);
    if (!failure.empty()) fmt::print(stderr, "cut_bench: {}\n", failure);
    return failure.empty() ? 0 : 1;
  }
  std::string failure = measure_rse(transport, trials, phases);
  if (failure.empty() && ::access(kEtcd, X_OK) == 0) failure = measure_etcd(trials, etcd);
  if (!failure.empty()) {
    fmt::print(stderr, "cut_bench: {}\n", failure);
    return 1;
  }
  fmt::print("milliseconds from the cut around a node, over {}; {}, {}\n", transport, machine_text(), date_text());
  fmt::print("{:<34} {:>6} {:>8} {:>8} {:>8}\n", "", "cuts", "median", "min", "max");
  print_row("rse: silent beyond its limit", phases.lost);
  print_row("rse: view without it", phases.view);
  print_row("rse: its torus runs on a survivor", phases.first_epoch);
  if (etcd.empty()) fmt::print("etcd is not installed (etcd-server)\n");
  else print_row("etcd 10/50: a write again", etcd);
  return 0;
}

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  CLI::App app("A node is cut off again and again: how long its torus stands still");
  int trials = 20;
  std::string transport = "tcp";
  app.add_option("--trials", trials, "how many (20)")->check(CLI::Range(1, 1000));
  int steady_minutes = 0;
  app.add_option("--steady-minutes", steady_minutes, "no cut, for so long: how often is a node removed that lives?")->check(CLI::Range(1, 1000));
  app.add_option("--transport", transport, "tcp or udp (tcp)")->check(CLI::IsMember({"tcp", "udp"}));
  CLI11_PARSE(app, argc, argv);
  return rse::run(trials, steady_minutes, transport);
}
