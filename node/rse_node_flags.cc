#include "node/rse_node_flags.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "node/config.h"
#include "node/control_address.h"
#include "node/own_addresses.h"
#include "torus/base/sentence.h"
#include "torus/braid/view.h"
#include "transport/ivshmem/ivshmem_address.h"
#include "transport/machine_addresses.h"
#include "transport/mux/mux_transport.h"
#include "transport/stun/stun.h"
#include "transport/tcp/address.h"

namespace rse {
namespace {

constexpr std::size_t kSocketPathBytesMax = 107;

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "node";
  return std::string(name).substr(0, kNodeNameBytesMax);
}

/// A socket in the data directory when its path fits one, else in the folder of this user's daemons.
std::string default_control(const NodeFlags& flags) {
  if (!flags.data_directory.empty()) {
    std::error_code ignored;
    const std::string path = std::filesystem::absolute(flags.data_directory, ignored).lexically_normal() / "control.sock";
    if (path.size() <= kSocketPathBytesMax) return path;
  }
  const std::string folder = runtime_directory();
  return (folder.empty() ? "/tmp" : folder) + "/" + flags.name + "-" + std::to_string(::getpid()) + ".sock";
}

std::string with_port(const std::string& given, const std::string& port) {
  if (given.starts_with("udp:")) return "udp:" + with_port(given.substr(4), port);
  if (!scheme_of(given).empty()) return given;
  const std::string address = given.starts_with("tcp:") ? given.substr(4) : given;
  const bool bracketed = !address.empty() && address.front() == '[';
  const std::size_t colon = bracketed ? address.find("]:") : address.rfind(':');
  if (colon != std::string::npos && (bracketed || address.find(':') == colon)) return address;
  if (!bracketed && colon != std::string::npos) return "[" + address + "]:" + port;  // a bare IPv6 address
  return address + ":" + port;
}

bool is_udp_address(const std::string& address) { return address.starts_with("udp:"); }

NodeFlags from_config(const NodeConfig& config) {
  NodeFlags flags;
  flags.name = config.name.empty() ? host_name() : config.name;
  for (const std::string& address : config.listen) flags.listen.push_back(with_default_port(address));
  for (const std::string& peer : config.peers) flags.peers.push_back(with_default_port(peer));
  for (const std::string& address : config.advertise) flags.advertise.push_back(with_default_port(address));
  flags.advertise_given = !flags.advertise.empty();
  if (!flags.advertise_given) flags.advertise = own_addresses(flags.listen, machine_addresses());
  flags.data_directory = config.data_directory;
  flags.control = config.control;
  flags.http = config.http;
  flags.http_token = config.http_token;
  flags.http_allowed_hosts = config.http_allowed_hosts;
  flags.found = config.found;
  flags.insecure = config.insecure;
  flags.beacon = config.beacon;
  flags.stun = config.stun.empty() ? "" : with_port(config.stun, std::to_string(kStunPort));
  flags.braid.self.role = config.observer ? Role::kObserver : Role::kHost;
  flags.log_level = spdlog::level::from_str(config.log_level);
  flags.log_format = config.log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  flags.braid.heartbeat = milliseconds(config.heartbeat_milliseconds);
  flags.braid.early_silence = milliseconds(config.early_silence_milliseconds);
  flags.braid.silence_floor = milliseconds(config.silence_floor_milliseconds);
  flags.braid.silence_ceiling = milliseconds(config.silence_ceiling_milliseconds);
  flags.braid.idle_epoch = milliseconds(config.idle_epoch_milliseconds);
  flags.spin = {config.spin_microseconds * 1'000ull};
  flags.cut_epochs = config.cut_epochs;
  flags.braid.capacity = {config.torus_events, config.torus_edges, config.torus_processes, config.torus_outbox_events};
  for (const std::string& warning : config.warnings)
    // Ours, but not settings of the daemon: where `rse` and the launchers look for it.
    if (warning.find("RSE_RUNTIME_DIR") == std::string::npos && warning.find("RSE_NODE_BINARY") == std::string::npos)
      flags.warnings.push_back(warning);
  return flags;
}

/// Whether only processes of this machine can reach what listens there.
bool stays_here(const std::string& address) {
  if (is_ivshmem_address(address)) return true;
  const auto parsed = parse_network_address(address);
  if (!parsed) return false;
  const auto endpoint = numeric_endpoint(*parsed);
  return endpoint ? endpoint->address().is_loopback() : parsed->host == "localhost";
}

/// Empty, or what is wrong.
std::string use_ticket(NodeFlags& flags, const std::string& text) {
  if (text.empty()) return {};
  if (flags.insecure) return "--ticket is for encrypted clusters and --insecure for open ones: give one of them";
  std::string wrong;
  flags.ticket = read_ticket(text, wrong);
  if (!flags.ticket) return wrong;
  if (!flags.found && flags.peers.empty()) flags.peers = flags.ticket->addresses;
  return {};
}

/// Whether the two would want the same port of the same address.
bool overlap(const std::string& a, const std::string& b) {
  const auto parse = [](const std::string& address) {
    return is_ivshmem_address(address) ? std::nullopt : parse_network_address(address);
  };
  const auto first = parse(a), second = parse(b);
  if (!first || !second || first->port != second->port || is_udp_address(a) != is_udp_address(b)) return false;
  if (first->host == second->host) return true;
  const auto one = numeric_endpoint(*first), other = numeric_endpoint(*second);
  if ((!one && !first->host.empty()) || (!other && !second->host.empty())) return false;  // a name
  if (!one || !other) return true;
  const bool any = one->address().is_unspecified() || other->address().is_unspecified();
  return one->address().is_v4() == other->address().is_v4() && any;
}

/// Whether others could dial it: not a place to listen on.
bool names_a_host(const std::string& address) {
  if (is_ivshmem_address(address)) return true;
  const auto parsed = parse_network_address(address);
  if (!parsed) return true;  // said elsewhere
  const auto endpoint = numeric_endpoint(*parsed);
  return endpoint ? !endpoint->address().is_unspecified() : !parsed->host.empty();
}

std::string check(const NodeFlags& flags) {
  if (flags.insecure) {
    for (const std::string& address : flags.listen)
      if (!stays_here(address))
        return fmt::format("--insecure encrypts nothing and lets everyone join, so {} will not do: listen on 127.0.0.1 or ivshmem:NAME, "
                           "or leave --insecure out",
                           address);
  }
  if (flags.found && !flags.peers.empty())
    return "--found makes a new cluster and --peer joins one: give one of them";
  if (flags.braid.self.role == Role::kObserver && (flags.found || !flags.data_directory.empty()))
    return fmt::format("--observer joins a cluster and keeps nothing: leave {} out", flags.found ? "--found" : "--data-dir");
  for (const auto* texts : {&flags.listen, &flags.advertise, &flags.peers}) {
    for (const std::string& text : *texts) {
      if (!is_sentence(text)) return fmt::format("an address will not do: {:?} is not UTF-8 or has control characters", text);
    }
  }
  if (!is_sentence(flags.name))
    return fmt::format("the name {:?} will not do: it is not UTF-8 or has control characters, which no other node would take", flags.name);
  if (flags.name.empty() || flags.name.size() > kNodeNameBytesMax || flags.name.find_first_of("/ ") != std::string::npos)
    return fmt::format("the name \"{}\" will not do: 1 to {} bytes without slashes and spaces", flags.name, kNodeNameBytesMax);
  if (flags.advertise.size() > kAddressesMax)
    return fmt::format("{} addresses to advertise; at most {}", flags.advertise.size(), kAddressesMax);
  if (flags.listen.empty()) return "listen is empty, so no other node could reach this one; leave it out for :7400";
  std::string wrong;
  for (const auto* addresses : {&flags.listen, &flags.peers}) {
    for (const std::string& address : *addresses) {
      if (is_ivshmem_address(address) && !parse_ivshmem_address(address, wrong)) return wrong;
      const bool udp = address.starts_with("udp:");
      if (!udp && !scheme_of(address).empty()) continue;
      const auto parsed = parse_host_port(udp ? address.substr(4) : address);
      if (!parsed) return fmt::format("{} is no HOST:PORT; write for example 10.0.0.7:7400 or [::1]:7400", address);
      if (parsed->port == 0)
        return fmt::format("{} will not do: others keep a node's address and dial it again, so it needs a port of its own, "
                           "for example 7400",
                           address);
    }
  }
  for (std::size_t i = 0; i < flags.listen.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(flags.listen[j], flags.listen[i]))
        return fmt::format("--listen {} and --listen {} are the same port of the same address: leave one of them out", flags.listen[j], flags.listen[i]);
  for (const auto* addresses : {&flags.advertise, &flags.peers})
    for (const std::string& address : *addresses)
      if (!names_a_host(address)) return fmt::format("{} names no machine that could be dialled; write for example 10.0.0.7:7400 or [2001:db8::7]:7400", address);
  if (!flags.stun.empty() && std::none_of(flags.listen.begin(), flags.listen.end(), is_udp_address))
    return "--stun asks for the public address of a UDP socket, and this node has none: add --listen udp::7400";
  if (std::count_if(flags.listen.begin(), flags.listen.end(), is_ivshmem_address) > 1)
    return "--listen names several shared memories; a node takes part in one";
  return {};
}

}  // namespace

std::string with_default_port(const std::string& given) { return with_port(given, kDefaultPort); }

std::optional<NodeFlags> read_node_flags(int argc, char** argv, int& exit_code) {
  CLI::App app{"rse-node: one node of a computer made of several, that does not stop when one of them dies"};
  ConfigFlags given;
  add_config_flags(app, given);
  bool version = false;
  bool print = false;
  app.add_flag("--version", version, "says which version this is");
  app.add_flag("--print-config", print, "says each setting and where it comes from, and ends");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : 2;
    return std::nullopt;
  }
  const auto refuse = [&](const std::string& why) -> std::optional<NodeFlags> {
    fmt::print(stderr, "rse-node: {}\n", why);
    exit_code = 2;
    return std::nullopt;
  };
  exit_code = 0;
  if (version) {
    fmt::print("rse-node {}\n", kNodeVersion);
    return std::nullopt;
  }
  std::string failure;
  const std::optional<NodeConfig> config = load_config(given, real_surroundings(), failure);
  if (!config) return refuse(failure);
  if (print) {
    fmt::print("{}", print_config(*config));
    return std::nullopt;
  }
  NodeFlags flags = from_config(*config);
  if (const std::string wrong = use_ticket(flags, config->ticket); !wrong.empty()) return refuse(wrong);
  if (const std::string wrong = check(flags); !wrong.empty()) return refuse(wrong);
  if (flags.control.empty()) flags.control = default_control(flags);
  return flags;
}

}  // namespace rse
