// rse-node: the daemon. Reads its settings, opens the data directory, offers the control API, then runs the shell's loop
// until SIGTERM or SIGINT (exit 0) or until it cannot go on (exit 1, with the reason as the last line).
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

#include "node/control_address.h"
#include "node/control_server.h"
#include "node/http/access_file.h"
#include "node/http/gateway.h"
#include "node/node_key.h"
#include "node/rse_node_flags.h"
#include "node/shell.h"
#include "node/thread_urgency.h"
#include "torus/base/keep_freed_memory.h"
#include "transport/ivshmem/ivshmem_address.h"
#include "transport/ivshmem/ivshmem_transport.h"
#include "transport/mux/mux_transport.h"
#include "transport/stun/stun_ask.h"
#include "transport/tcp/address.h"
#include "transport/tcp/tcp_transport.h"
#include "transport/udp/udp_transport.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kStunLimit{4000};  // for three questions

std::uint64_t random_id() {
  std::uint64_t id = 0;
  while (id == 0)
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  return id;
}

int fail(const std::string& why, int code = 1) {
  std::fflush(stdout);
  fmt::print(stderr, "rse-node: {}\n", why);
  return code;
}

/// Empty, or why `peer` cannot be dialled. Asks the resolver, so only before the loop runs.
std::string resolve(const std::string& peer) {
  if (peer.starts_with("udp:")) return resolve(peer.substr(4));
  if (!scheme_of(peer).empty()) return {};
  const std::size_t colon = peer.rfind(':');
  std::string host = peer.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (found != nullptr) ::freeaddrinfo(found);
  if (error == 0) return {};
  return fmt::format("cannot resolve peer {}: {}; check the name, or give its address", host, ::gai_strerror(error));
}

class Daemon {
 public:
  explicit Daemon(NodeFlags flags) : flags_(std::move(flags)), log_(flags_.log_level, flags_.log_format) {}

  int run() {
    if (std::string failure = open_directory(); !failure.empty()) return fail(failure);
    if (std::string failure = decide_start(); !failure.empty()) return fail(failure, usage_ ? 2 : 1);
    if (std::string failure = decide_trust(); !failure.empty()) return fail(failure, usage_ ? 2 : 1);
    if (!flags_.advertise_given) options_.found_addresses = flags_.advertise;
    learn_public_address();
    make_self();
    if (flags_.found && directory_)
      if (auto error = directory_->set_cluster(options_.cluster)) return fail(error->text);
    for (const std::string& warning : flags_.warnings) log_.write(spdlog::level::warn, "configuration", {{"text", warning}});
    asio::signal_set signals(loop_, SIGTERM, SIGINT);
    signals.async_wait([this](const std::error_code& error, int signal) {
      if (error) return;
      log_.write(spdlog::level::info, "leaving", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
      leave();
    });
    become_real_time(kLoopPriority);  // heartbeats before everything else on this machine; the loop waits for nothing
    make_shell();
    if (std::string failure = start(); !failure.empty()) return fail(failure);
    loop_.run();
    leave();
    if (!fatal_.empty()) return fail(fatal_);
    return 0;
  }

 private:
  std::string open_directory() {
    if (flags_.data_directory.empty()) return {};
    StorageError error;
    directory_ = DataDirectory::open(flags_.data_directory, error);
    if (!directory_) return error.text;
    identity_ = directory_->identity();
    for (const std::string& warning : directory_->warnings())
      log_.write(spdlog::level::warn, "data_directory", {{"text", warning}});
    return {};
  }

  /// A cluster is founded, joined or continued; exactly one of them (founding by accident is how clusters fall apart).
  std::string decide_start() {
    if (flags_.found && identity_.cluster)
      return fmt::format("cannot found a cluster in {}: it holds node data of cluster {:016x}; start without --found to "
                         "continue, or use an empty --data-dir",
                         flags_.data_directory, identity_.cluster->raw);
    if (!flags_.found && !identity_.cluster && flags_.peers.empty() && !looks_around()) {
      usage_ = true;
      return flags_.data_directory.empty()
                 ? "nothing to do: --found makes a new cluster, --peer HOST[:PORT] joins one, --data-dir of a node continues"
                 : fmt::format("{} holds no cluster yet: --found makes a new one, --peer HOST[:PORT] joins one",
                               flags_.data_directory);
    }
    std::string failure;
    std::size_t resolved = 0;
    for (const std::string& peer : flags_.peers) {
      std::string why = resolve(peer);
      if (why.empty()) {
        ++resolved;
        continue;
      }
      failure = std::move(why);
      log_.write(spdlog::level::warn, "peer_unresolvable", {{"peer", peer}, {"text", failure}});
    }
    // A member finds the others by the view; whoever joins has nothing but its peers.
    if (!flags_.peers.empty() && resolved == 0 && !identity_.cluster && !looks_around()) return failure;
    return {};
  }

  /// A ticket says whose beacons to believe.
  bool looks_around() const { return flags_.beacon && flags_.ticket.has_value(); }

  /// An encrypted cluster, by the key that is in the data directory or is made now; or an open one.
  std::string decide_trust() {
    std::string failure;
    if (directory_) options_.key = read_node_key(flags_.data_directory, failure);
    if (!failure.empty()) return failure;
    if (flags_.insecure) {
      if (!options_.key) return {};
      return fmt::format("cannot run {} with --insecure: it is of an encrypted cluster (it has a key); leave --insecure out, or use an "
                         "empty --data-dir",
                         flags_.data_directory);
    }
    if (!options_.key && identity_.cluster) {
      return fmt::format("cannot go on with {}: it has no key, so its cluster is an open one (or the file key was lost); give --insecure to "
                         "go on unencrypted, or use an empty --data-dir",
                         flags_.data_directory);
    }
    if (flags_.ticket && identity_.cluster && flags_.ticket->cluster != *identity_.cluster) {
      return fmt::format("the ticket is of cluster {:016x}, and {} of {:016x}; leave the ticket out, or use an empty --data-dir",
                         flags_.ticket->cluster.raw, flags_.data_directory, identity_.cluster->raw);
    }
    if (!flags_.ticket && !flags_.found && !identity_.cluster) {
      usage_ = true;
      return "joining takes a ticket: run `rse ticket create` on a member, then start this node with RSE_TICKET=... in its environment, or "
             "--ticket; only an open cluster takes none (--insecure)";
    }
    if (!options_.key) options_.key = directory_ ? make_node_key(flags_.data_directory, failure) : NodeKey::generate();
    options_.ticket = flags_.ticket;
    return failure;
  }

  /// Before the loop runs: what a node says of itself is the same for its whole life.
  void learn_public_address() {
    if (flags_.stun.empty()) return;
    const auto listen = std::find_if(flags_.listen.begin(), flags_.listen.end(), [](const std::string& address) { return scheme_of(address) == kUdpScheme; });
    PublicAddress found;
    if (const std::string why = ask_stun(*listen, flags_.stun, kStunLimit, found); !why.empty())
      return log_.write(spdlog::level::warn, "public_address_unknown", {{"text", why}});
    stun_server_ = found.server;
    const std::string address = "udp:" + to_text(asio::ip::tcp::endpoint(found.mapped.address(), found.mapped.port()));
    log_.write(spdlog::level::info, "public_address", {{"address", address}, {"by", flags_.stun}});
    if (std::find(flags_.advertise.begin(), flags_.advertise.end(), address) != flags_.advertise.end()) return;
    // First: the others are worth something in its own network only.
    flags_.advertise.insert(flags_.advertise.begin(), address);
    if (flags_.advertise.size() > kAddressesMax) flags_.advertise.resize(kAddressesMax);
  }

  void make_self() {
    options_.braid = flags_.braid;
    options_.cut_epochs = flags_.cut_epochs;
    Member& self = options_.braid.self;
    self.node = directory_ ? identity_.node : NodeId{random_id()};
    self.incarnation = directory_ ? identity_.incarnation : 1;
    self.name = flags_.name;
    self.addresses = flags_.advertise;
    options_.peers = flags_.peers;
    options_.listen = flags_.listen;
    options_.beacon = flags_.beacon;
    options_.data_directory = flags_.data_directory;
    options_.braid.seed = random_id();
    if (identity_.cluster) options_.cluster = *identity_.cluster;
    if (flags_.found) {
      options_.cluster = ClusterId{random_id()};
      options_.braid.found = options_.cluster;
      if (options_.key) {
        options_.braid.found_trust.seed = random_secret().bytes;
        options_.braid.found_trust.admitted = {{self.node, options_.key->shared()}};
      }
    }
  }

  void make_shell() {
    NodeShell::Hooks hooks;
    hooks.make_transport = [this](const Hello& hello, std::shared_ptr<const TrustBook> book, TransportCallbacks callbacks) {
      return open_transport(hello, std::move(book), std::move(callbacks));
    };
    hooks.on_fatal = [this](const std::string& why) {
      fatal_ = why;
      asio::post(loop_, [this] { leave(); });
    };
    hooks.on_incident = [this](const Incident& incident) {
      if (control_) control_->on_incident(incident);
    };
    hooks.on_cluster = [this](ClusterId cluster) {
      log_.write(spdlog::level::info, "member_of", {{"cluster", fmt::format("{:016x}", cluster.raw)}});
    };
    shell_ = std::make_unique<NodeShell>(loop_, options_, std::move(directory_), log_, std::move(hooks));
    control_ = std::make_unique<ControlServer>(loop_, *shell_, kNodeVersion, [this] {
      log_.write(spdlog::level::info, "leaving", {{"asked_by", "control"}});
      leave();
    });
  }

  std::unique_ptr<Transport> open_transport(const Hello& hello, std::shared_ptr<const TrustBook> book, TransportCallbacks callbacks) {
    // The fastest first: it is used where a peer is linked in several ways.
    auto transport = std::make_unique<MuxTransport>(std::move(callbacks));
    TcpOptions tcp;
    UdpOptions udp;
    IvshmemOptions shared;
    tcp.trust = udp.trust = shared.trust = std::move(book);
    udp.stun = stun_server_;
    tcp.spin = udp.spin = shared.spin = flags_.spin;
    for (const std::string& address : flags_.listen) {
      if (is_ivshmem_address(address)) shared.listen = address;
      else if (scheme_of(address) == kUdpScheme) udp.listen.push_back(address);
      else tcp.listen.push_back(address);
    }
    std::string failure = transport->add("ivshmem", [&](TransportCallbacks own, std::string& error) {
      return make_ivshmem_transport(loop_, shared, std::move(own), error);
    });
    if (failure.empty()) {
      failure = transport->add(kUdpScheme, [&](TransportCallbacks own, std::string& error) -> std::unique_ptr<Transport> {
        return make_udp_transport(loop_, udp, std::move(own), error);
      });
    }
    if (failure.empty()) {
      failure = transport->add("", [&](TransportCallbacks own, std::string& error) -> std::unique_ptr<Transport> {
        return make_tcp_transport(loop_, tcp, std::move(own), error);
      });
    }
    if (!failure.empty()) throw std::runtime_error(failure);
    first_lines();
    transport->set_hello(hello);
    return transport;
  }

  void keep_history() {
    if (flags_.data_directory.empty()) return;
    const auto warn = [this](const std::string& why) { log_.write(spdlog::level::warn, "history", {{"text", why}}); };
    std::string warning;
    std::string failure;
    auto store = HistoryStore::open(flags_.data_directory + kHistoryFile, {}, warning, failure);
    if (!warning.empty()) warn(warning);
    if (store) control_->keep_history(std::move(store), warn);
    else warn(failure + "; this node keeps none");
  }

  std::string start() {
    if (std::string failure = control_->listen(flags_.control); !failure.empty()) return failure;
    serve_dashboard();
    try {
      shell_->start();
    } catch (const std::exception& error) {
      control_->stop();
      return error.what();
    }
    keep_history();
    publish_control(flags_.name, flags_.control);
    return {};
  }

  /// Of all nodes of this user on this machine: the page goes on as long as this node does, whichever of the others dies. The
  /// node does without it where, say, the port is taken.
  void serve_dashboard() {
    std::string token = flags_.http_token;
    std::string warning;
    if (!flags_.data_directory.empty()) {
      const std::string kept = take_dashboard_token(flags_.data_directory, warning);
      if (token.empty()) token = kept.empty() ? random_token() : kept;
    }
    if (!warning.empty()) log_.write(spdlog::level::warn, "dashboard_token", {{"text", warning}});
    if (flags_.http.empty()) return;
    Gateway::Options options;
    options.listen = flags_.http;
    options.allowed_hosts = flags_.http_allowed_hosts;
    options.token = token;
    options.controls = [own = flags_.control] {
      std::vector<std::string> controls{own};
      for (PublishedControl& control : published_controls())
        if (control.where != own) controls.push_back(std::move(control.where));
      return controls;
    };
    gateway_ = std::make_unique<Gateway>(std::move(options));
    const std::string failure = gateway_->start();
    if (failure.empty()) {
      log_.write(spdlog::level::info, "dashboard", {{"url", fmt::format("http://{}/", flags_.http)}});
      if (flags_.data_directory.empty()) return;
      const std::string unwritten = write_dashboard_url(flags_.data_directory, gateway_->url());
      if (!unwritten.empty()) log_.write(spdlog::level::warn, "dashboard_token", {{"text", unwritten}});
      return;
    }
    gateway_.reset();
    log_.write(spdlog::level::warn, "no_dashboard", {{"text", failure}});
  }

  void first_lines() {
    const std::string& reached = flags_.advertise.empty() ? flags_.listen.front() : flags_.advertise.front();
    const std::string cluster =
        options_.cluster.raw != 0 ? fmt::format("{:016x}{}", options_.cluster.raw, flags_.found ? " (founded now)" : "")
        : flags_.peers.empty()    ? std::string("joining: looks for its members on the local network")
                                  : fmt::format("joining by way of {}", flags_.peers.front());
    const std::string add = options_.key ? "rse ticket create; then, on the new machine, RSE_TICKET=... rse-node --peer " + reached
                                         : "rse-node --insecure --peer " + reached;
    fmt::print("rse-node {}\nnode      {} ({:016x})\ncluster   {}\ndata      {}\nlistens   {}{}\nlinks     {}\ncontrol   {}\n"
               "dashboard {}\nadd       {}\nlog       stderr\n",
               kNodeVersion, flags_.name, options_.braid.self.node.raw, cluster,
               flags_.data_directory.empty() ? "none: this node forgets everything when it ends" : flags_.data_directory,
               fmt::join(flags_.listen, ", "),
               flags_.advertise == flags_.listen ? "" : fmt::format(", for others {}", fmt::join(flags_.advertise, ", ")),
               options_.key ? "encrypted, but in shared memory" : "NOT ENCRYPTED (--insecure): whoever connects may join", flags_.control,
               flags_.http.empty()             ? std::string("none: --http 127.0.0.1:7480 makes one")
               : flags_.data_directory.empty() ? fmt::format("http://{}/", flags_.http)
                                               : fmt::format("http://{}/ to look; rse dashboard prints the address with the right to change", flags_.http),
               add);
    std::fflush(stdout);
    if (!options_.key) log_.write(spdlog::level::critical, "not_encrypted", {{"text", "--insecure: whoever connects may join"}});
  }

  void leave() {
    if (std::exchange(left_, true)) return;
    withdraw_control(flags_.name, flags_.control);
    if (control_) control_->stop();  // first: the dashboard may be waiting for its answer
    if (gateway_) gateway_->stop();
    if (shell_) shell_->stop();
    log_.flush();
    loop_.stop();
  }

  NodeFlags flags_;
  Log log_;
  asio::io_context loop_{1};
  Identity identity_;
  std::optional<asio::ip::udp::endpoint> stun_server_;  // none: there is no public address to keep
  std::unique_ptr<DataDirectory> directory_;
  NodeShell::Options options_;
  std::unique_ptr<NodeShell> shell_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<Gateway> gateway_;
  std::string fatal_;
  bool usage_ = false;
  bool left_ = false;
};

}  // namespace
}  // namespace rse

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  rse::keep_freed_memory();
  int exit_code = 0;
  const std::optional<rse::NodeFlags> flags = rse::read_node_flags(argc, argv, exit_code);
  if (!flags) return exit_code;
  try {
    return rse::Daemon(*flags).run();
  } catch (const std::exception& error) {
    return rse::fail(fmt::format("stopped: {}", error.what()));
  }
}
