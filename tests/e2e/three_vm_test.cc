// bazel run //deploy:three_vm as a user or a script calls it, with daemons in the place of guests: what its nodes are makes no
// difference to the story.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>

#include "node/client_machine.h"
#include "node/client_local_cluster.h"
#include "tests/e2e/process.h"

namespace rse {
namespace {

namespace fs = std::filesystem;

const std::string& three_vm() {
  static const std::string path = find_runfile("deploy/three_vm");
  return path;
}

bool says(const Finished& finished, const std::string& words) { return finished.output.find(words) != std::string::npos; }

/// Files of a launcher's shared memory.
std::size_t memory_files() {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/dev/shm"))
    count += entry.path().filename().string().starts_with("rse-") ? 1u : 0u;
  return count;
}

Finished story(std::vector<std::string> words) {
  words.insert(words.begin(), three_vm());
  return run_program(words, std::chrono::seconds(100));
}

TEST_CASE("three_vm: daemons on shared memory and over TCP, relayed by an observer: each is killed and comes back, identical") {
  // Not all four in one story: nobody would be left who has heard the first injections.
  for (const char* killed : {"a,b,c", "observer,c"}) {
    const Finished done = story({"--nodes", "memory,memory,tcp", "--kill", killed, "--after-epochs", "60", "--restart", "--epochs", "400",
                                 "--verify"});
    CHECK_MESSAGE(done.exit_code == 0, done.output);
    CHECK_MESSAGE(says(done, "identical: "), done.output);
  }
}

TEST_CASE("three_vm: a node that is paused for longer than silence may last comes back, identical") {
  const Finished done = story({"--nodes", "memory,tcp,memory", "--pause", "a,b", "--pause-ms", "900", "--after-epochs", "50", "--epochs",
                               "300", "--verify", "--json"});
  CHECK_MESSAGE(done.exit_code == 0, done.output);
  CHECK_MESSAGE(says(done, R"("verdict":"identical")"), done.output);
}

TEST_CASE("three_vm: what is wrong with the command line is said, with exit code 2") {
  const Finished option = story({"--no-such-option"});
  CHECK(option.exit_code == 2);
  CHECK_MESSAGE(says(option, "no-such-option"), option.output);
  CHECK(story({"--nodes", "vm,vm"}).exit_code == 2);
  CHECK(story({"--nodes", "vm,vm,cloud"}).exit_code == 2);
  CHECK(story({"--mixed", "--nodes", "vm,vm,vm"}).exit_code == 2);
  const Finished name = story({"--nodes", "memory,memory,memory", "--kill", "d"});
  CHECK(name.exit_code == 2);
  CHECK_MESSAGE(says(name, "there is no node \"d\": they are a, b, c and observer"), name.output);
}

TEST_CASE("three_vm: a scenario that is not there ends it with the file's name, and nothing is left behind") {
  const std::size_t before = memory_files();
  const Finished done = story({"--nodes", "memory,memory,memory", "--scenario", "/no/such/file.textproto", "--script"});
  CHECK(done.exit_code == 1);
  CHECK_MESSAGE(says(done, "/no/such/file.textproto"), done.output);
  CHECK(memory_files() <= before);
}

TEST_CASE("three_vm: without QEMU it says what to install") {
  const Finished done = run_program({"/usr/bin/env", "PATH=/nowhere", three_vm(), "--script"});
  CHECK(done.exit_code == 1);
  CHECK_MESSAGE(says(done, "cannot find qemu-system-x86_64"), done.output);
  CHECK_MESSAGE(says(done, "deploy/setup"), done.output);
}

TEST_CASE("three_vm: a memory that a killed launcher has left is swept away, one that is in use is not") {
  const std::string stale = "/dev/shm/rse-00000000deadbeef", young = "/dev/shm/rse-00000000deadbeee";
  write_file(stale, "");
  write_file(young, "");
  fs::last_write_time(stale, fs::file_time_type::clock::now() - std::chrono::hours(1));
  CHECK(story({"--nodes", "memory,memory,memory", "--scenario", "/no/such/file.textproto", "--script"}).exit_code == 1);
  CHECK_FALSE(fs::exists(stale));
  CHECK(fs::exists(young));
  fs::remove(young);
}

/// Processes whose command line has `words`.
std::size_t processes_with(const std::string& words) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::error_code error;
    if (entry.path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    std::string line = read_file(entry.path() / "cmdline");
    count += line.find(words) != std::string::npos ? 1u : 0u;
  }
  return count;
}

/// A memory and its bells.
std::size_t files_of(const std::string& memory) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator("/dev/shm")) count += entry.path().string().starts_with(memory) ? 1u : 0u;
  return count;
}

TEST_CASE("three_vm: however it ends, no process, socket or memory is left behind") {
  for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    const TemporaryFolder folder;
    const std::string log = folder.path("log");
    Machine launcher;
    REQUIRE(launcher.start({.words = {three_vm(), "--nodes", "memory,memory,memory", "--script", "--epochs", "1000000000"}, .log = log}) == "");
    const auto until = [](const auto& done) {
      const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (!done() && std::chrono::steady_clock::now() < end) wait_a_little();
      return done();
    };
    REQUIRE_MESSAGE(until([&] { return read_file(log).find("kill one") != std::string::npos; }), read_file(log));
    const std::string said = read_file(log);
    const std::size_t begin = said.find("/dev/shm/rse-");
    REQUIRE(begin != std::string::npos);
    const std::string memory = said.substr(begin, std::string("/dev/shm/rse-0123456789abcdef").size());
    const std::size_t data = said.find("\ndata      ") + 11;
    const std::string directory = said.substr(data, said.find(' ', data) - data);
    CHECK(processes_with(memory) >= 4);
    CHECK(fs::exists(memory));
    CHECK(fs::exists(directory));
    ::kill(launcher.process(), signal);
    CHECK(until([&] { return !launcher.running(); }));
    CHECK(until([&] { return processes_with(memory) == 0; }));
    CHECK_MESSAGE(until([&] { return files_of(memory) == 0; }), memory);  // the bells beside it, too
    CHECK_MESSAGE(until([&] { return !fs::exists(directory); }), directory);
  }
}

}  // namespace
}  // namespace rse
