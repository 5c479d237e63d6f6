#include "node/config.h"

#include <toml++/toml.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "node/config_keys.h"

namespace rse {

namespace {
using Failure = std::optional<std::string>;

Failure set_from(NodeConfig& config, const ConfigKey& key, const std::vector<std::string>& values,
                 ConfigSource source, const std::string& where) {
  if (const std::string wrong = set_config_value(config, key, values); !wrong.empty()) {
    return where + ": " + std::string(key.name) + " " + wrong;
  }
  for (NodeConfig::Origin& origin : config.origins) {
    if (origin.key != key.name) continue;
    origin.source = source;
    origin.where = where;
  }
  return std::nullopt;
}

/// A comma-separated list in the environment; empty parts are nothing.
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

bool is_list(const ConfigKey& key) { return std::holds_alternative<ConfigKey::List>(key.field); }

std::optional<std::string> scalar(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* on = node.as_boolean()) return on->get() ? "true" : "false";
  return std::nullopt;
}

/// A value of the kind that the key wants: the environment knows text only, TOML does not take "5"
/// for 5.
std::optional<std::vector<std::string>> values_of(const toml::node& node, const ConfigKey& key) {
  if (is_list(key)) {
    std::vector<std::string> values;
    if (const auto* text = node.as_string()) return std::vector{text->get()};
    const toml::array* array = node.as_array();
    if (array == nullptr) return std::nullopt;
    for (const toml::node& element : *array) {
      if (!element.is_string()) return std::nullopt;
      values.push_back(element.as_string()->get());
    }
    return values;
  }
  const bool fits = std::holds_alternative<ConfigKey::Text>(key.field)     ? node.is_string()
                    : std::holds_alternative<ConfigKey::Number>(key.field) ? node.is_integer()
                                                                           : node.is_boolean();
  const std::optional<std::string> value = scalar(node);
  if (!fits || !value) return std::nullopt;
  return std::vector{*value};
}

const char* kind_of(const ConfigKey& key) {
  if (is_list(key)) return "a list of strings";
  if (std::holds_alternative<ConfigKey::Text>(key.field)) return "a string";
  return std::holds_alternative<ConfigKey::Number>(key.field) ? "a whole number" : "true or false";
}

Failure unknown_key(const std::string& where, std::string_view name) {
  const std::string_view near = nearest_config_key(name);
  return where + ": unknown key \"" + std::string(name) + "\"; " +
         (near.empty() ? "`rse-node --help` lists them"
                       : "did you mean \"" + std::string(near) + "\"?");
}

Failure apply_file(NodeConfig& config, const std::string& path, const std::string& text,
                   ConfigSource source) {
  const toml::parse_result parsed = toml::parse(text, path);
  const auto at = [&](const toml::source_region& region) {
    return path + ":" + std::to_string(region.begin.line);
  };
  if (!parsed)
    return at(parsed.error().source()) + ": not TOML: " + std::string(parsed.error().description());
  for (const auto& [name, node] : parsed.table()) {
    const ConfigKey* key = find_config_key(name.str());
    if (key == nullptr) return unknown_key(at(name.source()), name.str());
    const auto values = values_of(node, *key);
    if (!values)
      return at(name.source()) + ": " + std::string(name.str()) + " must be " + kind_of(*key);
    if (auto failure = set_from(config, *key, *values, source, at(name.source()))) return failure;
  }
  return std::nullopt;
}

Failure apply_environment(NodeConfig& config, const std::vector<std::string>& environment) {
  for (const std::string& variable : environment) {
    const std::size_t equals = variable.find('=');
    if (!variable.starts_with("RSE_") || equals == std::string::npos) continue;
    const std::string name = variable.substr(0, equals);
    const std::string value = variable.substr(equals + 1);
    const auto keys = config_keys();
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const ConfigKey& candidate) {
      return environment_name(candidate.name) == name;
    });
    if (key == keys.end()) {
      config.warnings.push_back(name + " is set, and means nothing to rse-node");
      continue;
    }
    const std::vector<std::string> values = is_list(*key) ? split(value) : std::vector{value};
    if (auto failure = set_from(config, *key, values, ConfigSource::kEnvironment, name))
      return failure;
  }
  return std::nullopt;
}

Failure apply_files(NodeConfig& config, const ConfigFlags& flags,
                    const ConfigSurroundings& surroundings) {
  const auto read = [&](const std::string& path) {
    errno = 0;
    return surroundings.read_file(path);
  };
  if (const auto text = read(surroundings.system_file)) {
    if (auto failure =
            apply_file(config, surroundings.system_file, *text, ConfigSource::kSystemFile))
      return failure;
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return "cannot read " + surroundings.system_file + ": " + std::strerror(errno) +
           "; make it readable, or remove it";
  }
  if (flags.config_file.empty()) return std::nullopt;
  const auto text = read(flags.config_file);
  if (!text) {
    return "cannot read " + flags.config_file + ": " + std::strerror(errno) +
           "; give --config the path of a TOML file";
  }
  return apply_file(config, flags.config_file, *text, ConfigSource::kFile);
}

Failure apply_flags(NodeConfig& config, const ConfigFlags& flags) {
  for (const auto& [name, values] : flags.given) {
    const ConfigKey* key = find_config_key(name);
    if (key == nullptr) return unknown_key("--" + name, name);
    if (auto failure = set_from(config, *key, values, ConfigSource::kFlag, "--" + name))
      return failure;
  }
  return std::nullopt;
}

/// What no single value shows.
Failure check_together(const NodeConfig& config) {
  if (config.early_silence_milliseconds < config.heartbeat_milliseconds) {
    return std::string(
        "early-silence-ms is below heartbeat-ms: every pause between heartbeats would count as "
        "silence; raise it");
  }
  if (config.silence_ceiling_milliseconds < config.silence_floor_milliseconds) {
    return std::string(
        "silence-ceiling-ms is below silence-floor-ms: raise the one or lower the other");
  }
  return std::nullopt;
}
}  // namespace

void add_config_flags(CLI::App& app, ConfigFlags& flags) {
  app.add_option(
      "--config", flags.config_file,
      std::string("a TOML file of these settings (also read: ") + kSystemConfigFile + ")");
  for (const ConfigKey& key : config_keys()) {
    const std::string name(key.name);
    std::string help(key.help);
    if (!key.default_value.empty()) help += " [" + std::string(key.default_value) + "]";
    CLI::Option* option = nullptr;
    if (std::holds_alternative<ConfigKey::Switch>(key.field)) {
      option = app.add_flag_function(
          "--" + name + ",!--no-" + name,
          [&flags, name](std::int64_t count) {
            flags.given[name] = {count > 0 ? "true" : "false"};
          },
          help);
    } else {
      option = app.add_option_function<std::vector<std::string>>(
          "--" + name,
          [&flags, name](const std::vector<std::string>& values) { flags.given[name] = values; },
          help);
      option->take_all()->allow_extra_args(false)->type_size(1);
      if (!is_list(key)) option->take_last();
    }
    option->type_name(environment_name(name));
  }
}

ConfigSurroundings real_surroundings() {
  ConfigSurroundings surroundings;
  for (char** variable = environ; *variable != nullptr; ++variable)
    surroundings.environment.emplace_back(*variable);
  surroundings.read_file = [](const std::string& path) -> std::optional<std::string> {
    // stdio, because a stream over a directory throws.
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return std::nullopt;
    std::string text;
    std::array<char, 4096> part;
    while (std::feof(file) == 0 && std::ferror(file) == 0) {
      text.append(part.data(), std::fread(part.data(), 1, part.size(), file));
    }
    const bool whole = std::ferror(file) == 0;
    const int error = errno;
    std::fclose(file);
    errno = error;
    return whole ? std::optional(std::move(text)) : std::nullopt;
  };
  return surroundings;
}

std::optional<NodeConfig> load_config(const ConfigFlags& flags,
                                      const ConfigSurroundings& surroundings,
                                      std::string& failure) {
  NodeConfig config;
  for (const ConfigKey& key : config_keys()) {
    const std::string value(key.default_value);
    const std::string wrong =
        set_config_value(config, key, is_list(key) ? split(value) : std::vector{value});
    if (!wrong.empty()) failure = "default of " + std::string(key.name) + " " + wrong;
    config.origins.push_back({std::string(key.name), "", ConfigSource::kDefault, "default"});
  }
  Failure wrong = apply_files(config, flags, surroundings);
  if (!wrong) wrong = apply_environment(config, surroundings.environment);
  if (!wrong) wrong = apply_flags(config, flags);
  if (!wrong) wrong = check_together(config);
  if (wrong) {
    failure = *wrong;
    return std::nullopt;
  }
  for (NodeConfig::Origin& origin : config.origins) {
    origin.value = config_value_text(config, *find_config_key(origin.key));
  }
  return config;
}

std::string print_config(const NodeConfig& config) {
  std::string text;
  for (const NodeConfig::Origin& origin : config.origins) {
    std::string line = origin.key + " = " + origin.value;
    if (line.size() < 40) line.resize(40, ' ');
    text += line + "  # " + origin.where + "\n";
  }
  return text;
}

}  // namespace rse
