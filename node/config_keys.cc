#include "node/config_keys.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "torus/base/cut_epochs.h"

namespace rse {

namespace {
constexpr std::uint32_t kMillisecondsMax = 600'000;
constexpr std::uint32_t kSpinMicrosecondsMax = 10'000;

const std::vector<ConfigKey>& keys() {
  static const std::vector<ConfigKey> table{
      {"name", &NodeConfig::name, "", "for people (else the host's name)"},
      {"listen", &NodeConfig::listen, ":7400",
       "ADDRESS[:PORT] for other nodes over TCP, udp:ADDRESS[:PORT] over UDP, or ivshmem:NAME for those on this machine; :PORT is every "
       "address of this machine, 0.0.0.0 every IPv4 one, [::] every IPv6 one; repeatable"},
      {"advertise", &NodeConfig::advertise, "",
       "HOST[:PORT] by which others reach this node (else its addresses, also when they change); repeatable"},
      {"peer", &NodeConfig::peers, "", "joins the cluster of this node, HOST[:PORT] or ivshmem:NAME; repeatable"},
      {"found", &NodeConfig::found, "false", "makes a new cluster with this node alone"},
      {"ticket", &NodeConfig::ticket, "",
       "what `rse ticket create` printed: lets this node join; better given in the environment, where other users do not see it"},
      {"insecure", &NodeConfig::insecure, "false",
       "an open cluster: nothing is encrypted and whoever connects may join; only on loopback and in shared memory"},
      {"observer", &NodeConfig::observer, "false", "joins without hosting, holding or voting: for commands, and to relay"},
      {"beacon", &NodeConfig::beacon, "true",
       "says to the local network, on the interfaces listened on, where this node is, and looks there for its cluster; signed"},
      {"stun", &NodeConfig::stun, "",
       "HOST[:PORT] of a STUN server that says what public address this node has behind a NAT; it has to listen on UDP"},
      {"data-dir", &NodeConfig::data_directory, "",
       "where the node keeps what has to survive; without it, nothing does"},
      {"control", &NodeConfig::control, "",
       "PATH or HOST:PORT for `rse` (else in the data directory)"},
      {"http", &NodeConfig::http, "", "ADDRESS:PORT of this machine for the dashboard, for example 127.0.0.1:7480 (else none)"},
      {"http-token", &NodeConfig::http_token, "",
       "lets the dashboard change something, not only look (else one is made, see rse dashboard; without a data directory, none); "
       "better given in the environment, where other users do not see it"},
      {"http-allow-host", &NodeConfig::http_allowed_hosts, "",
       "NAME by which browsers may ask for the dashboard, beside those of this machine: of a tunnel or a proxy; repeatable"},
      {"log",
       &NodeConfig::log_level,
       "info",
       "how much is logged",
       {"trace", "debug", "info", "warning", "error", "off"}},
      {"log-format", &NodeConfig::log_format, "text", "how", {"text", "json"}},
      {"heartbeat-ms",
       &NodeConfig::heartbeat_milliseconds,
       "5",
       "between heartbeats on an idle link",
       {},
       1,
       kMillisecondsMax},
      {"early-silence-ms",
       &NodeConfig::early_silence_milliseconds,
       "12",
       "silence after which rebuilding is prepared",
       {},
       1,
       kMillisecondsMax},
      {"silence-floor-ms",
       &NodeConfig::silence_floor_milliseconds,
       "25",
       "a node is never lost after a shorter silence",
       {},
       1,
       kMillisecondsMax},
      {"silence-ceiling-ms",
       &NodeConfig::silence_ceiling_milliseconds,
       "300",
       "a node is lost after this silence, however slow the link",
       {},
       1,
       kMillisecondsMax},
      {"idle-epoch-ms",
       &NodeConfig::idle_epoch_milliseconds,
       "50",
       "how long a torus without events waits before its next epoch",
       {},
       0,
       kMillisecondsMax},
      {"spin-us",
       &NodeConfig::spin_microseconds,
       "50",
       "how long at most to look for the next message before sleeping, where that has paid off lately",
       {},
       0,
       kSpinMicrosecondsMax},
      {"cut-epochs",
       &NodeConfig::cut_epochs,
       "256",
       "a cut after so many epochs at the latest: fewer make replays shorter; the same for all nodes",
       {},
       kCutEpochsMin,
       kCutEpochsMax},
      {"torus-events",
       &NodeConfig::torus_events,
       "1048576",
       "pending events that a torus can hold",
       {},
       1024,
       1u << 28},
      {"torus-edges",
       &NodeConfig::torus_edges,
       "1048576",
       "edges that a torus can hold",
       {},
       1024,
       1u << 28},
      {"torus-processes",
       &NodeConfig::torus_processes,
       "32768",
       "processes that a torus can hold",
       {},
       1,
       1u << 24},
      {"torus-outbox-events",
       &NodeConfig::torus_outbox_events,
       "262144",
       "events that a torus can send to another in one epoch",
       {},
       1024,
       1u << 18},
  };
  return table;
}

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + "\"";
}

std::string set_number(std::uint32_t& field, const ConfigKey& key, const std::string& value) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size() || number < key.minimum ||
      number > key.maximum) {
    return "must be a whole number of " + std::to_string(key.minimum) + ".." +
           std::to_string(key.maximum) + ", not " + quoted(value);
  }
  field = number;
  return {};
}

std::string set_switch(bool& field, const std::string& value) {
  const bool on = value == "true" || value == "1" || value == "yes" || value == "on";
  const bool off = value == "false" || value == "0" || value == "no" || value == "off";
  if (!on && !off) return "must be true or false, not " + quoted(value);
  field = on;
  return {};
}

std::string set_text(std::string& field, const ConfigKey& key, const std::string& value) {
  if (!key.choices.empty() &&
      std::find(key.choices.begin(), key.choices.end(), value) == key.choices.end()) {
    std::string choices;
    for (const std::string_view choice : key.choices)
      choices += (choices.empty() ? "" : ", ") + std::string(choice);
    return "must be one of " + choices + ", not " + quoted(value);
  }
  field = value;
  return {};
}

/// Levenshtein.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}
}  // namespace

std::span<const ConfigKey> config_keys() { return keys(); }

const ConfigKey* find_config_key(std::string_view name) {
  for (const ConfigKey& key : keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::string environment_name(std::string_view key) {
  std::string name = "RSE_";
  for (const char c : key)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

std::string_view nearest_config_key(std::string_view name) {
  std::string_view nearest;
  std::size_t best = 3;  // more than two typing errors is another word
  for (const ConfigKey& key : keys()) {
    if (const std::size_t away = distance(name, key.name); away < best) {
      best = away;
      nearest = key.name;
    }
  }
  return nearest;
}

std::string set_config_value(NodeConfig& config, const ConfigKey& key,
                             const std::vector<std::string>& values) {
  if (const auto* list = std::get_if<ConfigKey::List>(&key.field)) {
    config.** list = values;
    return {};
  }
  if (values.size() != 1) return "must be one value, not " + std::to_string(values.size());
  if (const auto* text = std::get_if<ConfigKey::Text>(&key.field))
    return set_text(config.**text, key, values[0]);
  if (const auto* number = std::get_if<ConfigKey::Number>(&key.field)) {
    return set_number(config.**number, key, values[0]);
  }
  return set_switch(config.*std::get<ConfigKey::Switch>(key.field), values[0]);
}

std::string config_value_text(const NodeConfig& config, const ConfigKey& key) {
  if ((key.name == "ticket" && !config.ticket.empty()) || (key.name == "http-token" && !config.http_token.empty()))
    return quoted("(secret)");
  if (const auto* text = std::get_if<ConfigKey::Text>(&key.field)) return quoted(config.**text);
  if (const auto* number = std::get_if<ConfigKey::Number>(&key.field))
    return std::to_string(config.**number);
  if (const auto* on = std::get_if<ConfigKey::Switch>(&key.field))
    return config.**on ? "true" : "false";
  std::string list;
  for (const std::string& value : config.*std::get<ConfigKey::List>(key.field)) {
    list += (list.empty() ? "" : ", ") + quoted(value);
  }
  return "[" + list + "]";
}

}  // namespace rse
