#include "node/client_local_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <thread>

#include "node/client_cluster_access.h"

namespace rse {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::seconds kTerminateLimit{10};
constexpr std::uint64_t kTicketSeconds = 24 * 3600;
constexpr std::uint32_t kTicketUses = 32;
constexpr std::chrono::minutes kStaleAge{1};

bool all_hosted(const v1::StatusReply& status, std::size_t nodes) {
  if (status.view().hosts_size() != 3 || status.tori_size() != 3) return false;
  std::vector<std::uint64_t> hosts(status.view().hosts().begin(), status.view().hosts().end());
  std::sort(hosts.begin(), hosts.end());
  const auto distinct = static_cast<std::size_t>(std::unique(hosts.begin(), hosts.end()) - hosts.begin());
  if (distinct != std::min<std::size_t>(nodes, 3)) return false;
  if (nodes >= 3) return status.health() == v1::StatusReply::HEALTHY;
  return std::all_of(status.tori().begin(), status.tori().end(), [](const auto& torus) { return torus.running(); });
}

/// What daemons that were killed have left of their shared memory.
void remove_memory(const std::string& path) {
  ::unlink(path.c_str());
  for (int slot = 0; slot < 8; ++slot) ::unlink(fmt::format("{}.bell.{}", path, slot).c_str());
}

/// Removes the memories of clusters whose launcher and guardian were both killed: nobody has locked a slot of them, and they are
/// not so young that somebody may be about to.
void sweep_memories() {
  std::error_code error;
  std::vector<std::string> stale;
  for (const auto& entry : fs::directory_iterator("/dev/shm", error)) {
    const std::string name = entry.path().filename().string();
    const bool ours = name.size() == 20 && name.starts_with("rse-") && name.find_first_not_of("0123456789abcdef", 4) == std::string::npos;
    if (!ours || fs::file_time_type::clock::now() - entry.last_write_time(error) < kStaleAge) continue;
    const int file = ::open(entry.path().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    if (file >= 0 && ::fcntl(file, F_OFD_GETLK, &whole) == 0 && whole.l_type == F_UNLCK) stale.push_back(entry.path());
    if (file >= 0) ::close(file);
  }
  for (const std::string& path : stale) remove_memory(path);
}

/// Waits for the parent to go, then removes what it has made. Runs in a process of its own.
[[noreturn]] void guard(int pipe, const std::string& directory, const std::string& memory) {
  ::setsid();
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  char byte = 0;
  while (::read(pipe, &byte, 1) < 0 && errno == EINTR) {
  }
  for (int attempt = 0; attempt < 100; ++attempt) {  // a dying child may still write
    std::error_code error;
    fs::remove_all(directory, error);
    if (!fs::exists(directory, error)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  remove_memory(memory);
  ::_exit(0);
}

}  // namespace

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&name), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
  ::close(fd);
  return bound ? ntohs(name.sin_port) : 0;
}

std::string find_runfile(const std::string& path) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> candidates;
  for (const char* variable : {"RUNFILES_DIR", "TEST_SRCDIR"})
    if (const char* folder = std::getenv(variable)) candidates.push_back(fs::path(folder) / "rse" / path);
  candidates.push_back(fs::path(self.string() + ".runfiles") / "rse" / path);
  for (const fs::path& candidate : candidates)
    if (fs::exists(candidate, error)) return fs::absolute(candidate, error).lexically_normal().string();
  return {};
}

std::string find_binary(const std::string& name) {
  if (const char* given = std::getenv("RSE_NODE_BINARY"); given != nullptr && name == "rse-node") return given;
  if (std::string found = find_runfile("node/" + name); !found.empty()) return found;
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& path : {folder / name, folder / "../node" / name, fs::path("/usr/bin") / name})
    if (fs::exists(path, error)) return fs::absolute(path, error).lexically_normal().string();
  return {};
}

LocalCluster::LocalCluster(Options options) : options_(std::move(options)) {}

LocalCluster::~LocalCluster() { stop(); }

void LocalCluster::start_guardian() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  guardian_ = ::fork();
  if (guardian_ == 0) {
    ::close(ends[1]);
    const int null = ::open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
    guard(ends[0], directory_, memory_path());
  }
  ::close(ends[0]);
  guardian_pipe_ = ends[1];
}

std::string LocalCluster::make_directory() {
  directory_ = options_.directory;
  std::error_code error;
  if (!directory_.empty()) {
    if (!fs::create_directories(directory_, error) && error) return fmt::format("cannot make {}: {}", directory_, error.message());
    return {};
  }
  const char* base = std::getenv("TEST_TMPDIR");
  std::string pattern = fmt::format("{}/rse-XXXXXX", base != nullptr && std::strlen(base) < 60 ? base : "/tmp");
  if (::mkdtemp(pattern.data()) == nullptr) return fmt::format("cannot make {}: {}", pattern, std::strerror(errno));
  directory_ = pattern;
  start_guardian();
  return {};
}

void LocalCluster::add_nodes() {
  for (std::size_t i = 0; i < options_.nodes.size(); ++i) {
    const Plan& plan = options_.nodes[i];
    Node node;
    node.directory = directory_ + "/" + plan.name;
    if (!plan.guest) {
      node.control = node.directory + ".sock";
      choose_addresses(node, i);
    }
    nodes_.push_back(std::move(node));
  }
}

void LocalCluster::choose_addresses(Node& node, std::size_t index) const {
  const std::string memory = "ivshmem:" + memory_path();
  const std::string tcp = fmt::format("127.0.0.1:{}", free_port());
  const std::string udp = "udp:" + tcp;
  if (!plan(index).listen.empty()) {
    node.listen = plan(index).listen;
    // Whoever is in the memory is found there. Advertised, it would be dialled by nodes that are to do without it.
    for (const std::string& address : node.listen)
      if (!address.starts_with("ivshmem:")) node.advertise.push_back(address);
  } else if (options_.transport == "mixed") {
    // The memory is not advertised, or the third node would dial it too.
    if (index == 0) node.listen = {tcp, memory};
    if (index == 1) node.listen = {udp, memory};
    if (index >= 2) node.listen = {tcp};
    node.advertise = {node.listen.front()};
  } else if (options_.transport == "ivshmem") {
    node.listen = {memory};
  } else if (index < options_.addresses.size()) {
    node.listen = {options_.addresses[index]};
  } else {
    node.listen = {options_.transport == "udp" ? udp : tcp};
  }
  node.address = node.listen.front();
}

std::string LocalCluster::start() {
  if (options_.binary.empty()) options_.binary = find_binary("rse-node");
  if (options_.binary.empty()) return "cannot find rse-node; build it (bazel build //node:rse-node) or set RSE_NODE_BINARY";
  if (std::string failure = make_directory(); !failure.empty()) return failure;
  sweep_memories();
  if (options_.prepare)
    if (std::string failure = options_.prepare(*this); !failure.empty()) return failure;
  add_nodes();
  std::error_code error;
  const bool fresh = std::none_of(nodes_.begin(), nodes_.end(), [&](const Node& node) { return fs::exists(node.directory, error); });
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    // Over kept data their ports are new, so that all but one are told where that one is.
    if (std::string failure = launch(i, fresh && i == 0, i == 0 ? "" : peer_of(i)); !failure.empty()) return failure;
    if (std::string failure = wait_until_answers(i); !failure.empty()) return failure;
    if (fresh && i == 0 && nodes_.size() > 1)
      if (std::string failure = take_ticket(); !failure.empty()) return failure;
  }
  return wait_until_settled();
}

/// Each node that can be asked has to say so itself: one that has not heard of the view yet would refuse a scenario.
std::string LocalCluster::wait_until_settled() {
  const auto end = std::chrono::steady_clock::now() + options_.start_limit;
  std::string last = "none answers";
  for (const std::size_t asked : in_order_of_asking()) {
    for (;;) {
      // A guest that cannot take part ends, and tells it to its log alone.
      for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (!running(i)) return fmt::format("node {} has ended: {}", name(i), fmt::join(last_words(i, 3), " / "));
      const auto status = status_of(asked);
      if (status && all_hosted(*status, host_count())) break;
      if (status) last = status->verdict();
      if (std::chrono::steady_clock::now() > end)
        return fmt::format("the nodes did not become one healthy cluster within {} s: {}; their logs are {}/*.log",
                           options_.start_limit.count(), last, directory_);
      wait_a_little();
    }
  }
  return {};
}

std::string LocalCluster::peer_of(std::size_t node) const {
  // Whoever listens as `node` does: a daemon without the shared memory cannot reach a guest.
  if (node > 0 && options_.nodes[node].listen.empty()) return address(0);
  const auto scheme = [](const std::string& address) { return address.starts_with("ivshmem:"); };
  const std::vector<std::string>& own = nodes_[node].listen;
  for (std::size_t other = 0; other < nodes_.size(); ++other) {
    if (other == node) continue;
    for (const std::string& address : nodes_[other].listen)
      for (const std::string& mine : own)
        if (scheme(address) == scheme(mine)) return address;
  }
  return own.empty() ? "" : own.front();  // of a memory in which guests are
}

/// One for each directory: two clusters on a machine must not meet.
std::string LocalCluster::memory_path() const {
  if (!options_.memory_path.empty()) return options_.memory_path;
  return fmt::format("/dev/shm/rse-{:016x}", std::hash<std::string>{}(directory_));
}

std::vector<std::string> LocalCluster::daemon_words(std::size_t index, bool founds, const std::string& peer) const {
  const Node& node = nodes_[index];
  const Plan& of = plan(index);
  std::vector<std::string> words{options_.binary, "--name", of.name, "--control", node.control};
  for (const std::string& address : node.listen) words.insert(words.end(), {"--listen", address});
  for (const std::string& address : node.advertise) words.insert(words.end(), {"--advertise", address});
  if (of.durable) words.insert(words.end(), {"--data-dir", node.directory});
  if (of.observer) words.push_back("--observer");
  if (founds) words.push_back("--found");
  if (!peer.empty()) words.insert(words.end(), {"--peer", peer});
  words.insert(words.end(), options_.flags.begin(), options_.flags.end());
  words.insert(words.end(), plan(index).flags.begin(), plan(index).flags.end());
  return words;
}

bool LocalCluster::open() const {
  return std::count(options_.flags.begin(), options_.flags.end(), "--insecure") != 0;
}

/// For as many nodes as a ticket may let in, so that one whose disk is lost can join again.
std::string LocalCluster::take_ticket() {
  if (open()) return {};
  v1::ControlRequest request;
  request.mutable_ticket_create()->set_ttl_seconds(kTicketSeconds);
  request.mutable_ticket_create()->set_uses(kTicketUses);
  v1::ControlReply reply;
  ControlFailure failure;
  if (!nodes_[0].client->ask(request, reply, failure)) return fmt::format("node {} makes no ticket: {}", name(0), failure.text);
  ticket_ = reply.ticket_create().ticket();
  return {};
}

std::string LocalCluster::launch(std::size_t index, bool founds, const std::string& peer) {
  const Plan& of = plan(index);
  Machine::Command command{.words = of.guest ? of.guest(founds) : daemon_words(index, founds, peer),
                           .log = log(index),
                           .environment = {{"RSE_RUNTIME_DIR", directory_}}};
  if (!ticket_.empty()) command.environment.emplace_back("RSE_TICKET", ticket_);
  if (options_.enter) command.enter = [this, index] { return options_.enter(index); };
  return nodes_[index].machine.start(command);
}

std::vector<std::string> LocalCluster::last_words(std::size_t node, std::size_t count) const {
  std::ifstream file(log(node));
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) last.push_back(line);
    if (last.size() > count) last.pop_front();
  }
  return {last.begin(), last.end()};
}

/// A guest answers nobody: whether it takes part, the others will say.
std::string LocalCluster::wait_until_answers(std::size_t index) {
  if (plan(index).guest) return {};
  const auto end = std::chrono::steady_clock::now() + options_.start_limit;
  const auto said = [&] {
    const auto words = last_words(index, 1);
    return words.empty() ? std::string("it said nothing") : words.front();
  };
  do {
    if (status_of(index)) return {};
    if (!running(index)) return fmt::format("node {} ended at once: {}", name(index), said());
    wait_a_little();
  } while (std::chrono::steady_clock::now() < end);
  return fmt::format("node {} does not answer within {} s: {}", name(index), options_.start_limit.count(), said());
}

bool LocalCluster::running(std::size_t index) {
  if (nodes_[index].machine.running()) return true;
  nodes_[index].client.reset();
  return false;
}

std::uint64_t LocalCluster::kill(std::size_t index) {
  nodes_[index].client.reset();
  return nodes_[index].machine.kill();
}

int LocalCluster::terminate(std::size_t index) {
  nodes_[index].client.reset();
  nodes_[index].machine.ask_to_end();
  return nodes_[index].machine.wait_for_end(kTerminateLimit);
}

std::string LocalCluster::restart(std::size_t index) {
  if (running(index)) return fmt::format("node {} runs already", name(index));
  // What has data knows its cluster; what has none joins it like a new node.
  const std::string peer = plan(index).durable && !plan(index).guest ? "" : peer_of(index);
  if (std::string failure = launch(index, false, peer); !failure.empty()) return failure;
  return wait_until_answers(index);
}

void LocalCluster::stop() {
  for (Node& node : nodes_) node.machine.ask_to_end();
  for (std::size_t i = 0; i < nodes_.size(); ++i) terminate(i);
  if (guardian_ > 0) {
    ::close(guardian_pipe_);
    ::waitpid(guardian_, nullptr, 0);
    guardian_ = -1;
  }
  remove_memory(memory_path());
}

std::optional<std::size_t> LocalCluster::find(const std::string& name) const {
  for (std::size_t i = 0; i < options_.nodes.size(); ++i)
    if (options_.nodes[i].name == name) return i;
  return std::nullopt;
}

std::size_t LocalCluster::host_count() const {
  return static_cast<std::size_t>(
      std::count_if(options_.nodes.begin(), options_.nodes.end(), [](const Plan& plan) { return !plan.observer; }));
}

std::vector<std::size_t> LocalCluster::in_order_of_asking() const {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (plan(i).observer) order.push_back(i);
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (!plan(i).observer && !nodes_[i].control.empty()) order.push_back(i);
  return order;
}

std::vector<std::string> LocalCluster::controls() const {
  std::vector<std::string> controls;
  for (const std::size_t node : in_order_of_asking()) controls.push_back(nodes_[node].control);
  return controls;
}

std::vector<std::string> LocalCluster::running_controls() {
  std::vector<std::string> controls;
  for (const std::size_t node : in_order_of_asking())
    if (running(node) && !paused(node)) controls.push_back(nodes_[node].control);
  return controls;
}

std::optional<v1::StatusReply> LocalCluster::status_of(std::size_t index) {
  Node& node = nodes_[index];
  if (node.control.empty() || node.machine.process() < 0 || node.machine.paused()) return std::nullopt;
  ControlFailure failure;
  if (!node.client) node.client = ControlClient::connect(node.control, failure);
  if (!node.client) return std::nullopt;
  node.client->set_limit(std::chrono::seconds(5));
  std::optional<v1::StatusReply> status = ask_status(*node.client, failure);
  if (!status) node.client.reset();
  return status;
}

std::optional<v1::StatusReply> LocalCluster::status() {
  for (const std::size_t node : in_order_of_asking())
    if (auto status = status_of(node)) return status;
  return std::nullopt;
}

}  // namespace rse
