// Wrong flags, wrong files, wrong neighbours: each a message that names thing, cause and next step, the exit code that scripts
// rely on, and a running system that is unharmed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "tests/e2e/process.h"
#include "tests/e2e/stories.h"

namespace rse {
namespace {

std::string rse_binary() { return find_binary("rse"); }
std::string node_binary() { return find_binary("rse-node"); }

bool says(const Finished& finished, const std::string& words) { return finished.output.find(words) != std::string::npos; }

/// One founded node that runs until the object goes.
struct OneNode {
  explicit OneNode(const std::string& name) : cluster({.nodes = {{.name = name}}}) {}
  LocalCluster cluster;
};

TEST_CASE("usage: nothing to do, two things to do, unknown flags end with 2") {
  const TemporaryFolder folder;
  const Finished nothing = run_program({node_binary(), "--data-dir", folder.path("n"), "--listen", "127.0.0.1:7401"});
  CHECK(nothing.exit_code == 2);
  CHECK_MESSAGE(says(nothing, "holds no cluster yet"), nothing.output);
  const Finished any_port = run_program({node_binary(), "--found", "--listen", "udp:127.0.0.1:0"});
  CHECK(any_port.exit_code == 2);
  CHECK_MESSAGE(says(any_port, "udp:127.0.0.1:0 will not do"), any_port.output);
  CHECK(run_program({node_binary(), "--found", "--peer", "127.0.0.1:1", "--data-dir", folder.path("n")}).exit_code == 2);
  CHECK(run_program({node_binary(), "--no-such-flag"}).exit_code == 2);
  CHECK(run_program({rse_binary(), "status", "--no-such-flag"}).exit_code == 2);
  const Finished command = run_program({rse_binary(), "frobnicate"});
  CHECK(command.exit_code == 2);
  CHECK_MESSAGE(says(command, "no command \"frobnicate\""), command.output);
  const std::vector<std::pair<std::string, std::string>> overlapping{
      {":7401", "0.0.0.0:7401"}, {"[::]:7401", ":7401"}, {"0.0.0.0:7401", "10.0.0.7:7401"}, {"udp:[::1]:7401", "udp::7401"}, {":7401", ":7401"}};
  for (const auto& [first, second] : overlapping) {
    CAPTURE(first);
    const Finished twice = run_program({node_binary(), "--found", "--listen", first, "--listen", second});
    CHECK(twice.exit_code == 2);
    CHECK_MESSAGE(says(twice, "--listen " + first + " and --listen " + second + " are the same port of the same address"), twice.output);
  }
  for (const std::string everywhere : {":7401", "0.0.0.0:7401", "udp:[::]:7401"}) {
    CAPTURE(everywhere);
    for (const char* flag : {"--peer", "--advertise"}) {
      const Finished nowhere = run_program({node_binary(), flag, everywhere});
      CHECK(nowhere.exit_code == 2);
      CHECK_MESSAGE(says(nowhere, everywhere + " names no machine that could be dialled"), nowhere.output);
    }
  }
  for (const std::string name : {"\xFF", "\x1B[31mred", "two\nlines"}) {
    CAPTURE(name);
    const Finished named = run_program({node_binary(), "--found", "--name", name});
    CHECK(named.exit_code == 2);
    CHECK_MESSAGE(says(named, "it is not UTF-8 or has control characters"), named.output);
    CHECK_MESSAGE(!says(named, name), named.output);
  }
  const Finished peer = run_program({node_binary(), "--peer", "10.0.0.7:seven"});
  CHECK(peer.exit_code == 2);
  CHECK_MESSAGE(says(peer, "10.0.0.7:seven is no HOST:PORT"), peer.output);
  CHECK(run_program({rse_binary(), "inject", "--to", "D:1,2,3", "--control", folder.path("x")}).exit_code == 2);
}

TEST_CASE("a daemon that is not there: exit code 3, and where it was looked for") {
  const TemporaryFolder folder;
  const Finished status = run_program({rse_binary(), "status", "--control", folder.path("nobody.sock")});
  CHECK(status.exit_code == 3);
  CHECK_MESSAGE(says(status, "nobody.sock"), status.output);
}

TEST_CASE("a peer whose name does not resolve ends a joining node with the name in the message") {
  const TemporaryFolder folder;
  const Finished node = run_program({node_binary(), "--peer", "no-such-host.invalid", "--data-dir", folder.path("n"), "--listen",
                                     fmt::format("127.0.0.1:{}", free_port())});
  CHECK(node.exit_code == 1);
  CHECK_MESSAGE(says(node, "no-such-host.invalid"), node.output);
}

TEST_CASE("one founded node: port in use, founding twice, another cluster's data, bad scenarios; it runs on unharmed") {
  OneNode one("solo");
  OneNode other("other");
  REQUIRE_MESSAGE(one.cluster.start() == "", log_tails(one.cluster));
  REQUIRE_MESSAGE(other.cluster.start() == "", log_tails(other.cluster));
  const TemporaryFolder folder;
  const std::string control = one.cluster.control(0);

  const Finished port = run_program({node_binary(), "--found", "--data-dir", folder.path("p"), "--listen", one.cluster.address(0)});
  CHECK(port.exit_code == 1);
  CHECK_MESSAGE(says(port, "uses this port"), port.output);

  const Finished same = run_program({node_binary(), "--found", "--data-dir", one.cluster.directory() + "/solo", "--listen",
                                     fmt::format("127.0.0.1:{}", free_port())});
  CHECK(same.exit_code == 1);  // the running process holds it

  CHECK(other.cluster.terminate(0) == 0);
  const std::string data = other.cluster.directory() + "/other";
  const Finished twice = run_program({node_binary(), "--found", "--data-dir", data, "--listen", fmt::format("127.0.0.1:{}", free_port())});
  CHECK(twice.exit_code == 1);
  CHECK_MESSAGE(says(twice, "cluster"), twice.output);

  write_file(folder.path("delay0"), "edge { from { torus: A x: 0 } to { torus: A x: 1 } delay: 0 }\n");
  write_file(folder.path("torusD"), "inject { to { torus: D } }\n");
  write_file(folder.path("field"), "no_such_field: 1\n");
  for (const char* name : {"delay0", "torusD", "field"}) {
    const Finished load = run_program({rse_binary(), "load", folder.path(name), "--control", control});
    CAPTURE(name);
    CHECK(load.exit_code == 1);
    CHECK_MESSAGE(says(load, folder.path(name)), load.output);
  }
  const auto status = one.cluster.status();
  REQUIRE(status);
  CHECK(status->self().name() == "solo");
}

TEST_CASE("a node with another cluster's data directory is told so, and the cluster does not take it") {
  OneNode one("solo");
  OneNode other("other");
  REQUIRE_MESSAGE(one.cluster.start() == "", log_tails(one.cluster));
  REQUIRE_MESSAGE(other.cluster.start() == "", log_tails(other.cluster));
  CHECK(other.cluster.terminate(0) == 0);
  const Finished stray = run_program({node_binary(), "--peer", one.cluster.address(0), "--data-dir", other.cluster.directory() + "/other",
                                      "--listen", fmt::format("127.0.0.1:{}", free_port())},
                                     std::chrono::seconds(10));
  CHECK_MESSAGE(says(stray, "cluster"), stray.output);
  CHECK(stray.exit_code == 1);
  const auto status = one.cluster.status();
  REQUIRE(status);
  CHECK(status->view().members_size() == 1);
}

TEST_CASE("a corrupt data directory is refused, not repaired silently") {
  OneNode one("solo");
  REQUIRE_MESSAGE(one.cluster.start() == "", log_tails(one.cluster));
  CHECK(one.cluster.terminate(0) == 0);
  const std::string data = one.cluster.directory() + "/solo";
  int damaged = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data)) {
    if (!entry.is_regular_file() || entry.file_size() < 8 || entry.path().filename() == "record") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(0);
    for (int i = 0; i < 8; ++i) file.put('\x5A');
    ++damaged;
  }
  REQUIRE(damaged > 0);
  const Finished node = run_program({node_binary(), "--data-dir", data, "--listen", fmt::format("127.0.0.1:{}", free_port())},
                                    std::chrono::seconds(10));
  CHECK(node.exit_code == 1);
  CHECK_MESSAGE(says(node, data), node.output);
}

}  // namespace
}  // namespace rse
