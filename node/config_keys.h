// The table of keys that config.cc reads, checks, prints and offers as flags. Threads, memory,
// errors: none.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "node/config.h"

namespace rse {

struct ConfigKey {
  using Text = std::string NodeConfig::*;
  using List = std::vector<std::string> NodeConfig::*;
  using Switch = bool NodeConfig::*;
  using Number = std::uint32_t NodeConfig::*;

  std::string_view name;
  std::variant<Text, List, Switch, Number> field;
  std::string_view default_value;  // as in the environment
  std::string_view help;
  std::vector<std::string_view> choices = {};  // of a Text; empty: any
  std::uint32_t minimum = 0;                   // of a Number
  std::uint32_t maximum = ~0u;
};

std::span<const ConfigKey> config_keys();
/// nullptr: no such key.
const ConfigKey* find_config_key(std::string_view name);
/// `data-dir` as `RSE_DATA_DIR`.
std::string environment_name(std::string_view key);
/// The key that someone may have meant; empty: none is near.
std::string_view nearest_config_key(std::string_view name);

/// Sets the field. Empty, or what is wrong with the values: "must be 1..60000, not \"fast\"".
std::string set_config_value(NodeConfig& config, const ConfigKey& key,
                             const std::vector<std::string>& values);
/// As TOML.
std::string config_value_text(const NodeConfig& config, const ConfigKey& key);

}  // namespace rse
