#include "node/config.h"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <cerrno>

#include "torus/base/cut_epochs.h"
#include "torus/braid/braid_node.h"

namespace rse {
namespace {

struct Case {
  std::vector<std::string> arguments;  // of the command line
  std::vector<std::string> environment;
  std::map<std::string, std::string> files;
};

std::optional<NodeConfig> load(const Case& given, std::string& failure) {
  CLI::App app;
  ConfigFlags flags;
  add_config_flags(app, flags);
  std::vector<std::string> reversed(given.arguments.rbegin(), given.arguments.rend());
  app.parse(reversed);
  ConfigSurroundings surroundings;
  surroundings.environment = given.environment;
  surroundings.read_file = [&](const std::string& path) -> std::optional<std::string> {
    const auto found = given.files.find(path);
    if (found == given.files.end()) errno = ENOENT;
    return found == given.files.end() ? std::nullopt : std::optional(found->second);
  };
  return load_config(flags, surroundings, failure);
}

std::string failure_of(const Case& given) {
  std::string failure;
  CHECK(!load(given, failure));
  return failure;
}

TEST_CASE("config: flag beats environment beats --config beats /etc, in all sixteen combinations") {
  for (unsigned present = 0; present < 16; ++present) {
    CAPTURE(present);
    const bool flag = (present & 1) != 0;
    const bool variable = (present & 2) != 0;
    const bool file = (present & 4) != 0;
    const bool system = (present & 8) != 0;
    Case given;
    const auto text = [](int n) {
      const std::string number = std::to_string(n);
      return "\n# a comment\nlisten = \"h" + number + "\"\npeer = [\"p" + number +
             "\"]\nheartbeat-ms = " + number + "\nfound = " + (n % 2 == 0 ? "true" : "false") +
             "\n";
    };
    if (flag)
      given.arguments = {"--listen", "h1", "--peer", "p1", "--heartbeat-ms", "1", "--no-found"};
    if (variable)
      given.environment = {"RSE_LISTEN=h2", "RSE_PEER=p2", "RSE_HEARTBEAT_MS=2", "RSE_FOUND=true",
                           "HOME=/"};
    if (file) {
      given.files["my.toml"] = text(3);
      given.arguments.insert(given.arguments.end(), {"--config", "my.toml"});
    }
    if (system) given.files["/etc/rse/rse.toml"] = text(4);
    std::string failure;
    const auto config = load(given, failure);
    REQUIRE_MESSAGE(config, failure);
    const int winner = flag ? 1 : variable ? 2 : file ? 3 : system ? 4 : 5;
    CHECK(config->listen ==
          std::vector<std::string>{winner == 5 ? ":7400" : "h" + std::to_string(winner)});
    CHECK(config->peers == (winner == 5 ? std::vector<std::string>{}
                                        : std::vector<std::string>{"p" + std::to_string(winner)}));
    CHECK(config->heartbeat_milliseconds == static_cast<std::uint32_t>(winner));
    CHECK(config->found == (winner == 2 || winner == 4));
    const char* const where[] = {"--listen", "RSE_LISTEN", "my.toml:3", "/etc/rse/rse.toml:3",
                                 "default"};
    CHECK(config->origins[1].key == "listen");
    CHECK(config->origins[1].where == where[winner - 1]);
    CHECK(config->origins[1].source == static_cast<ConfigSource>(5 - winner));
  }
}

TEST_CASE("config: what is printed says where each value comes from, and reads back as the same") {
  std::string failure;
  const auto config = load({{"--peer", "one", "--peer=two:7400", "--name", "a\"b\\c"},
                            {"RSE_LOG_FORMAT=json", "RSE_ADVERTISE=x,,y"},
                            {{"/etc/rse/rse.toml", "data-dir = '/var/lib/rse'"}}},
                           failure);
  REQUIRE_MESSAGE(config, failure);
  const std::string text = print_config(*config);
  CHECK(text.find("peer = [\"one\", \"two:7400\"]                # --peer\n") != std::string::npos);
  CHECK(text.find("data-dir = \"/var/lib/rse\"                 # /etc/rse/rse.toml:1\n") !=
        std::string::npos);
  CHECK(text.find("log-format = \"json\"                       # RSE_LOG_FORMAT\n") !=
        std::string::npos);
  CHECK(text.find("log = \"info\"                              # default\n") != std::string::npos);
  const auto again = load({{"--config", "printed"}, {}, {{"printed", text}}}, failure);
  REQUIRE_MESSAGE(again, failure);
  for (std::size_t i = 0; i < config->origins.size(); ++i)
    CHECK(again->origins[i].value == config->origins[i].value);
}

TEST_CASE("config: mistakes are named with their place and what to do") {
  const auto of_file = [](const std::string& text) {
    return failure_of({{}, {}, {{"/etc/rse/rse.toml", text}}});
  };
  CHECK(of_file("name = 'a'\nlisten_on = 'b'") ==
        "/etc/rse/rse.toml:2: unknown key \"listen_on\"; `rse-node --help` lists them");
  CHECK(of_file("data_dir = 'b'") ==
        "/etc/rse/rse.toml:1: unknown key \"data_dir\"; did you mean \"data-dir\"?");
  CHECK(of_file("\n\nheartbeat-ms = '5'") ==
        "/etc/rse/rse.toml:3: heartbeat-ms must be a whole number");
  CHECK(of_file("heartbeat-ms = 0") ==
        "/etc/rse/rse.toml:1: heartbeat-ms must be a whole number of 1..600000, not \"0\"");
  CHECK(of_file("peer = 5") == "/etc/rse/rse.toml:1: peer must be a list of strings");
  CHECK(of_file("peer = ['a', 5]") == "/etc/rse/rse.toml:1: peer must be a list of strings");
  CHECK(of_file("found = 'yes'") == "/etc/rse/rse.toml:1: found must be true or false");
  CHECK(of_file("name = 'a'\nname = 'b'").find("/etc/rse/rse.toml:2: not TOML: ") == 0);
  CHECK(of_file("[log]\nlevel = 1") == "/etc/rse/rse.toml:1: log must be a string");
  CHECK(failure_of({{}, {"RSE_LOG=loud"}, {}}) ==
        "RSE_LOG: log must be one of trace, debug, info, warning, error, off, not \"loud\"");
  CHECK(failure_of({{"--torus-events", "-1"}, {}, {}}) ==
        "--torus-events: torus-events must be a whole number of 1024..268435456, not \"-1\"");
  CHECK(failure_of({{"--config", "none.toml"}, {}, {}}) ==
        "cannot read none.toml: No such file or directory; give --config the path of a TOML file");
  CHECK(failure_of({{"--silence-floor-ms", "500"}, {}, {}}) ==
        "silence-ceiling-ms is below silence-floor-ms: raise the one or lower the other");
}

TEST_CASE("config: a mistake in a weaker source is still said") {
  CHECK(failure_of({{"--log", "debug"}, {"RSE_LOG=loud"}, {}}).find("RSE_LOG: ") == 0);
}

TEST_CASE("config: what cannot be read is no configuration, a directory included") {
  ConfigSurroundings real = real_surroundings();
  real.system_file = "/no/such/file";
  CHECK(!real.read_file("/"));
  CHECK(errno == EISDIR);
  CHECK(!real.read_file("/no/such/file"));
  CHECK(errno == ENOENT);
  std::string failure;
  CHECK(!load_config({{}, "/"}, real, failure));
  CHECK(failure == "cannot read /: Is a directory; give --config the path of a TOML file");
}

TEST_CASE("config: a variable that means nothing is a warning") {
  std::string failure;
  const auto config = load({{}, {"RSE_LISTN=a", "RSETTE=b"}, {}}, failure);
  REQUIRE(config);
  CHECK(config->warnings ==
        std::vector<std::string>{"RSE_LISTN is set, and means nothing to rse-node"});
}

TEST_CASE("config: the defaults are those of the braid and of the engine") {
  std::string failure;
  const auto config = load({}, failure);
  REQUIRE(config);
  const BraidNode::Options braid;
  CHECK(milliseconds(config->heartbeat_milliseconds) == braid.heartbeat);
  CHECK(milliseconds(config->early_silence_milliseconds) == braid.early_silence);
  CHECK(milliseconds(config->silence_floor_milliseconds) == braid.silence_floor);
  CHECK(milliseconds(config->silence_ceiling_milliseconds) == braid.silence_ceiling);
  CHECK(milliseconds(config->idle_epoch_milliseconds) == braid.idle_epoch);
  CHECK(config->cut_epochs == kCutEpochsMax);
  const Capacity capacity{config->torus_events, config->torus_edges, config->torus_processes,
                          config->torus_outbox_events};
  CHECK(capacity == Capacity{});
}

}  // namespace
}  // namespace rse
