// The settings of rse-node, by one name everywhere: key `data-dir` in TOML, `RSE_DATA_DIR` in the
// environment, `--data-dir` as a flag. Precedence: flag > environment > --config FILE >
// /etc/rse/rse.toml > default. Threads: none. Memory: small. Errors: a sentence that names file and
// line, variable or flag, the cause and the next step.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace rse {

inline constexpr char kSystemConfigFile[] = "/etc/rse/rse.toml";

enum class ConfigSource : std::uint8_t { kDefault, kSystemFile, kFile, kEnvironment, kFlag };

struct NodeConfig {
  std::string name;                    // empty: the host's name
  std::vector<std::string> listen;     // ADDRESS[:PORT], ivshmem:NAME
  std::vector<std::string> advertise;  // HOST[:PORT]; empty: found out
  std::vector<std::string> peers;      // HOST[:PORT], ivshmem:NAME
  std::string data_directory;          // empty: none
  std::string control;                 // path or HOST:PORT; empty: beside the data
  std::string http;                    // ADDRESS:PORT; empty: no page
  std::string http_token;              // secret; empty: one is made and kept in the data directory
  std::vector<std::string> http_allowed_hosts;
  bool found = false;
  bool insecure = false;
  std::string ticket;                  // secret; empty: none
  bool observer = false;
  bool beacon = false;
  std::string stun;                    // HOST[:PORT]; empty: none is asked
  std::string log_level;
  std::string log_format;
  std::uint32_t heartbeat_milliseconds = 0;
  std::uint32_t early_silence_milliseconds = 0;
  std::uint32_t silence_floor_milliseconds = 0;
  std::uint32_t silence_ceiling_milliseconds = 0;
  std::uint32_t idle_epoch_milliseconds = 0;
  std::uint32_t spin_microseconds = 0;
  std::uint32_t cut_epochs = 0;    // between two cuts at most
  std::uint32_t torus_events = 0;  // capacities of a torus, see torus/engine/torus.h
  std::uint32_t torus_edges = 0;
  std::uint32_t torus_processes = 0;
  std::uint32_t torus_outbox_events = 0;

  /// Where each value comes from, by key, in the order of `rse-node --help`.
  struct Origin {
    std::string key;
    std::string value;  // as TOML
    ConfigSource source = ConfigSource::kDefault;
    std::string where;  // "/etc/rse/rse.toml:3", "RSE_LISTEN", "--listen", "default"
  };
  std::vector<Origin> origins;
  /// E.g. a variable RSE_LISTN that means nothing.
  std::vector<std::string> warnings;
};

/// What was given on the command line, by key; a key that is not there was not given.
struct ConfigFlags {
  std::map<std::string, std::vector<std::string>> given;
  std::string config_file;  // --config; empty: none
};
/// Adds --config and a flag for each key to `app`; `flags` is filled while it parses and has to
/// outlive it.
void add_config_flags(CLI::App& app, ConfigFlags& flags);

/// What load_config() looks at besides the flags.
struct ConfigSurroundings {
  std::vector<std::string> environment;  // "NAME=value"
  std::string system_file = kSystemConfigFile;
  /// The text of a file; nullopt with errno.
  std::function<std::optional<std::string>(const std::string& path)> read_file;
};
ConfigSurroundings real_surroundings();

/// nullopt: `failure` says what is wrong. Unknown keys are errors. Every source is checked, also
/// where a stronger one wins.
std::optional<NodeConfig> load_config(const ConfigFlags& flags,
                                      const ConfigSurroundings& surroundings, std::string& failure);

/// One line a key, valid TOML: `listen = ":7400"  # default`.
std::string print_config(const NodeConfig& config);

}  // namespace rse
