// What rse-node was told: flags, environment, configuration file and defaults put together (node/config.h), and checked.
// Threads: none. Memory: small. Errors: printed, with exit code 2 for usage.
#pragma once

#include <spdlog/common.h>

#include <optional>
#include <string>
#include <vector>

#include "node/rse_log.h"
#include "torus/braid/braid_node.h"
#include "transport/secure/ticket.h"

namespace rse {

inline constexpr const char* kNodeVersion = "0.2.0";
inline constexpr const char* kDefaultPort = "7400";

struct NodeFlags {
  std::string name;
  std::vector<std::string> listen;     // ADDRESS:PORT, :PORT, ivshmem:NAME
  std::vector<std::string> advertise;  // HOST:PORT, ivshmem:PATH, how others reach this node
  bool advertise_given = false;        // else it was made of `listen` and this machine's addresses
  std::vector<std::string> peers;      // HOST:PORT, ivshmem:NAME
  std::string data_directory;          // empty: none
  Duration spin{};                     // how long a transport looks before it sleeps
  std::uint64_t cut_epochs = 0;        // between two cuts at most
  std::string control;                 // path or HOST:PORT
  std::string http;                    // ADDRESS:PORT; empty: no page
  std::string http_token;              // empty: made, where there is a data directory to keep it
  std::vector<std::string> http_allowed_hosts;
  bool found = false;
  bool insecure = false;               // an open cluster
  bool beacon = true;
  std::string stun;                    // HOST:PORT of a server; empty: none
  std::optional<Ticket> ticket;        // to join with
  spdlog::level::level_enum log_level = spdlog::level::info;
  LogFormat log_format = LogFormat::kText;
  BraidNode::Options braid;            // durations and capacities; who we are is filled in later
  std::vector<std::string> warnings;   // of the configuration
};

/// nullopt: the program ends with `exit_code` (help was asked for, or the flags are wrong; it has been said).
std::optional<NodeFlags> read_node_flags(int argc, char** argv, int& exit_code);

/// HOST, HOST:PORT, [V6] or [V6]:PORT with the default port added where it is missing; "tcp:" before it is taken off. An
/// address of another scheme stays as it is.
std::string with_default_port(const std::string& address);

}  // namespace rse
