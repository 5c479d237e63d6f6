#include "node/client_local_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "node/client_cluster_access.h"

namespace rse {
namespace {

namespace fs = std::filesystem;
constexpr std::chrono::milliseconds kPollInterval{2};
constexpr std::chrono::seconds kTerminateLimit{10};
constexpr std::uint64_t kTicketSeconds = 24 * 3600;
constexpr std::uint32_t kTicketUses = 32;

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

void wait_a_little() { std::this_thread::sleep_for(kPollInterval); }

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

std::string find_binary(const std::string& name) {
  if (const char* given = std::getenv("RSE_NODE_BINARY"); given != nullptr && name == "rse-node") return given;
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  std::vector<fs::path> candidates;
  for (const char* variable : {"RUNFILES_DIR", "TEST_SRCDIR"})
    if (const char* folder = std::getenv(variable)) candidates.push_back(fs::path(folder) / "rse/node" / name);
  candidates.push_back(fs::path(self.string() + ".runfiles") / "rse/node" / name);
  candidates.push_back(self.parent_path() / name);
  candidates.push_back(self.parent_path() / "../node" / name);
  candidates.push_back(fs::path("/usr/bin") / name);
  for (const fs::path& path : candidates)
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

std::string LocalCluster::start() {
  if (options_.binary.empty()) options_.binary = find_binary("rse-node");
  if (options_.binary.empty()) return "cannot find rse-node; build it (bazel build //node:rse-node) or set RSE_NODE_BINARY";
  directory_ = options_.directory;
  std::error_code error;
  if (directory_.empty()) {
    const char* base = std::getenv("TEST_TMPDIR");
    std::string pattern = fmt::format("{}/rse-XXXXXX", base != nullptr && std::strlen(base) < 60 ? base : "/tmp");
    if (::mkdtemp(pattern.data()) == nullptr) return fmt::format("cannot make {}: {}", pattern, std::strerror(errno));
    directory_ = pattern;
    temporary_ = true;
    start_guardian();
  } else if (!fs::create_directories(directory_, error) && error) {
    return fmt::format("cannot make {}: {}", directory_, error.message());
  }
  bool fresh = true;
  for (const std::string& name : options_.names) {
    Node node;
    node.name = name;
    node.directory = directory_ + "/" + name;
    node.control = directory_ + "/" + name + ".sock";
    choose_addresses(node, nodes_.size());
    fresh = fresh && !fs::exists(node.directory, error);
    nodes_.push_back(std::move(node));
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<std::string> flags;
    if (fresh && i == 0) flags = {"--found"};
    if (fresh && i > 0) flags = {"--peer", address(0)};
    if (!fresh && i > 0) flags = {"--peer", address(0)};  // their ports are new
    if (std::string failure = launch(nodes_[i], flags); !failure.empty()) return failure;
    if (std::string failure = wait_until_answers(nodes_[i]); !failure.empty()) return failure;
    if (fresh && i == 0 && nodes_.size() > 1)
      if (std::string failure = take_ticket(); !failure.empty()) return failure;
  }
  const auto settled = wait_for([&](const v1::StatusReply& status) { return all_hosted(status, nodes_.size()); },
                                options_.start_limit);
  if (settled) return {};
  const auto last = status();
  return fmt::format("the nodes did not become one healthy cluster within {} s: {}; their logs are {}/*.log",
                     options_.start_limit.count(), last ? last->verdict() : "none answers", directory_);
}

/// For as many nodes as a ticket may let in, so that one whose disk is lost can join again.
std::string LocalCluster::take_ticket() {
  if (std::count(options_.flags.begin(), options_.flags.end(), "--insecure") != 0) return {};
  v1::ControlRequest request;
  request.mutable_ticket_create()->set_ttl_seconds(kTicketSeconds);
  request.mutable_ticket_create()->set_uses(kTicketUses);
  v1::ControlReply reply;
  ControlFailure failure;
  if (!nodes_[0].client->ask(request, reply, failure)) return fmt::format("node {} makes no ticket: {}", nodes_[0].name, failure.text);
  ticket_ = reply.ticket_create().ticket();
  return {};
}

/// One for each directory: two clusters on a machine must not meet.
std::string LocalCluster::memory_path() const {
  return fmt::format("/dev/shm/rse-{:016x}", std::hash<std::string>{}(directory_));
}

void LocalCluster::choose_addresses(Node& node, std::size_t index) const {
  const std::string memory = "ivshmem:" + memory_path();
  const std::string tcp = fmt::format("127.0.0.1:{}", free_port());
  const std::string udp = "udp:" + tcp;
  if (options_.transport == "mixed") {
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

std::string LocalCluster::launch(Node& node, const std::vector<std::string>& flags) {
  std::vector<std::string> words{options_.binary, "--name", node.name, "--data-dir", node.directory, "--control", node.control};
  for (const std::string& address : node.listen) words.insert(words.end(), {"--listen", address});
  for (const std::string& address : node.advertise) words.insert(words.end(), {"--advertise", address});
  words.insert(words.end(), flags.begin(), flags.end());
  words.insert(words.end(), options_.flags.begin(), options_.flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string log = node.directory + ".log";
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return fmt::format("cannot start {}: {}", options_.binary, std::strerror(errno));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);  // it died before the line above
    ::setpgid(0, 0);                          // a Ctrl-C is for the launcher, which ends its children in order
    if (options_.enter && !options_.enter(static_cast<std::size_t>(&node - nodes_.data()))) ::_exit(126);
    ::setenv("RSE_RUNTIME_DIR", directory_.c_str(), 1);
    if (!ticket_.empty()) ::setenv("RSE_TICKET", ticket_.c_str(), 1);
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, STDIN_FILENO);
    ::execv(options_.binary.c_str(), arguments.data());
    ::_exit(127);
  }
  node.process = child;
  return {};
}

std::string LocalCluster::last_words(const Node& node) const {
  std::ifstream file(node.directory + ".log");
  std::string line;
  std::string last;
  while (std::getline(file, line))
    if (!line.empty()) last = line;
  return last;
}

std::string LocalCluster::wait_until_answers(Node& node) {
  const auto end = std::chrono::steady_clock::now() + options_.start_limit;
  const std::size_t index = static_cast<std::size_t>(&node - nodes_.data());
  do {
    if (status_of(index)) return {};
    if (!running(index)) return fmt::format("node {} ended at once: {}", node.name, last_words(node));
    wait_a_little();
  } while (std::chrono::steady_clock::now() < end);
  return fmt::format("node {} does not answer within {} s: {}", node.name, options_.start_limit.count(), last_words(node));
}

bool LocalCluster::running(std::size_t index) {
  Node& node = nodes_[index];
  if (node.process < 0) return false;
  if (::waitpid(node.process, nullptr, WNOHANG) == 0) return true;
  node.process = -1;
  node.client.reset();
  return false;
}

std::uint64_t LocalCluster::kill(std::size_t index) {
  Node& node = nodes_[index];
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  if (node.process > 0) {
    ::kill(node.process, SIGKILL);
    ::waitpid(node.process, nullptr, 0);
  }
  node.process = -1;
  node.client.reset();
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

int LocalCluster::terminate(std::size_t index) {
  Node& node = nodes_[index];
  if (!running(index)) return -1;
  ::kill(node.process, SIGTERM);
  const auto end = std::chrono::steady_clock::now() + kTerminateLimit;
  int status = 0;
  while (::waitpid(node.process, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(index);
      return -1;
    }
    wait_a_little();
  }
  node.process = -1;
  node.client.reset();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string LocalCluster::restart(std::size_t index) {
  Node& node = nodes_[index];
  if (running(index)) return fmt::format("node {} runs already", node.name);
  if (std::string failure = launch(node, {}); !failure.empty()) return failure;
  return wait_until_answers(node);
}

void LocalCluster::stop() {
  for (Node& node : nodes_)
    if (node.process > 0) ::kill(node.process, SIGTERM);
  for (std::size_t i = 0; i < nodes_.size(); ++i) terminate(i);
  if (guardian_ > 0) {
    ::close(guardian_pipe_);
    ::waitpid(guardian_, nullptr, 0);
    guardian_ = -1;
  }
  remove_memory(memory_path());
}

std::optional<std::size_t> LocalCluster::find(const std::string& name) const {
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (nodes_[i].name == name) return i;
  return std::nullopt;
}

std::vector<std::string> LocalCluster::controls() const {
  std::vector<std::string> controls;
  for (const Node& node : nodes_) controls.push_back(node.control);
  return controls;
}

std::vector<std::string> LocalCluster::running_controls() {
  std::vector<std::string> controls;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (running(i)) controls.push_back(nodes_[i].control);
  return controls;
}

std::optional<v1::StatusReply> LocalCluster::status_of(std::size_t index) {
  Node& node = nodes_[index];
  if (node.process < 0) return std::nullopt;
  ControlFailure failure;
  if (!node.client) node.client = ControlClient::connect(node.control, failure);
  if (!node.client) return std::nullopt;
  node.client->set_limit(std::chrono::seconds(5));
  std::optional<v1::StatusReply> status = ask_status(*node.client, failure);
  if (!status) node.client.reset();
  return status;
}

std::optional<v1::StatusReply> LocalCluster::status() {
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (auto status = status_of(i)) return status;
  return std::nullopt;
}

}  // namespace rse
