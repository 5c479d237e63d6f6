// bazel run //deploy:three_vm with real guests: three emulated machines with our kernel, killed, paused, started again, and with
// memory that somebody writes over. `--verify` compares every epoch's digest with a run in which nothing of this happened.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <set>

#include "node/client_local_cluster.h"
#include "node/client_machine.h"
#include "tests/e2e/http_connection.h"
#include "tests/e2e/process.h"
#include "torus/base/strong.h"
#include "transport/ivshmem/layout.h"

namespace rse {
namespace {

/// A loaded machine takes its time to emulate three others.
constexpr std::chrono::seconds kStoryLimit{280};

std::vector<std::string> words_of(std::vector<std::string> flags) {
  flags.insert(flags.begin(), find_runfile("deploy/three_vm"));
  flags.insert(flags.end(), {"--limit", "240", "--verify", "--json"});
  return flags;
}

void check_identical(const std::vector<std::string>& flags) {
  const Finished done = run_program(words_of(flags), kStoryLimit);
  CHECK_MESSAGE(done.exit_code == 0, done.output);  // with the last lines of each guest's serial line
  CHECK_MESSAGE(done.output.find(R"("verdict":"identical")") != std::string::npos, done.output);
}

TEST_CASE("three guests: each is killed and started again, and all that they compute is what a run without kills computes") {
  check_identical({"--kill", "a,b,c", "--restart", "--after-epochs", "30", "--epochs", "250"});
}

TEST_CASE("three guests: each is paused for longer than silence may last, and comes back") {
  check_identical({"--pause", "a,b,c", "--pause-ms", "1500", "--after-epochs", "30", "--epochs", "250"});
}

TEST_CASE("three guests: one guest, one daemon on its memory and one over TCP: each is killed, and any kind rebuilds any other") {
  check_identical({"--mixed", "--kill", "a,b,c", "--restart", "--after-epochs", "30", "--epochs", "250"});
}

TEST_CASE("three guests: one guest behind a network card, one daemon over UDP and one over TCP: the same") {
  check_identical({"--mixed=udp", "--kill", "a,b,c", "--restart", "--after-epochs", "30", "--epochs", "250"});
}

/// A QEMU that does this with the guest that tries KVM, and emulates all others, whatever it is asked for.
std::string pretended_qemu(const std::string& when_tried) {
  return "#!/bin/sh\ncase \"$*\" in *'-accel kvm'*'-m 64 '*) " + when_tried +
         ";; esac\nfor word; do shift; [ \"$word\" = kvm ] && word=tcg; set -- \"$@\" \"$word\"; done\n"
         "exec /usr/bin/qemu-system-x86_64 \"$@\"\n";
}

TEST_CASE("three guests: KVM is used where a guest that was tried ran to its end, and nowhere else; which and why is said") {
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    MESSAGE("no /dev/kvm that may be opened: nothing is tried here");
    return;
  }
  struct Trial {
    const char* when_tried;
    const char* said;
  };
  for (const Trial& trial : {Trial{"exit 33", "machines  kvm (KVM: a guest that was tried ran to its end)"},
                             {"exit 35", "machines  tcg (emulated: with /dev/kvm QEMU ended with status 35)"},
                             {"echo KVM internal error. Suberror: 1 >&2; exec sleep 60",
                              "machines  tcg (emulated: a guest that was tried with /dev/kvm ended with \"KVM internal error\")"},
                             {"exec sleep 60", "machines  tcg (emulated: with /dev/kvm a guest that was tried did not end within 1500 ms)"}}) {
    CAPTURE(trial.when_tried);
    const TemporaryFolder folder;
    const std::string qemu = folder.path("qemu-system-x86_64");
    write_file(qemu, pretended_qemu(trial.when_tried));
    REQUIRE(::chmod(qemu.c_str(), 0700) == 0);
    const Finished done = run_program({"/usr/bin/env", "PATH=" + folder.root() + ":/usr/bin:/bin", find_runfile("deploy/three_vm"),
                                       "--nodes", "vm,memory,memory", "--script", "--epochs", "20"},
                                      kStoryLimit);
    CHECK_MESSAGE(done.exit_code == 0, done.output);
    CHECK_MESSAGE(done.output.find(trial.said) != std::string::npos, done.output);
  }
}

constexpr std::size_t kEndBytes = 2000;  // of a launcher's log, in a failure

/// On each torus one event that goes around a row of eight cells for ever: y = 0, z = 0, x = 0 to 7.
std::string rings() {
  std::string text;
  for (const char torus : {'A', 'B', 'C'}) {
    const auto cell = [torus](int x) { return fmt::format("{{ torus: {} x: {} y: 0 z: 0 }}", torus, x % 8); };
    for (int x = 0; x < 8; ++x) text += fmt::format("edge {{ from {} to {} delay: 3 }}\n", cell(x), cell(x + 1));
    text += fmt::format("inject {{ to {} time: 1 payload: 1 }}\n", cell(0));
  }
  return text;
}

/// The x of the cells of rings() that the dashboard shows as busy; -1 for any other cell.
std::set<int> busy_cells(int port, int torus) {
  const std::string levels = http_body(http_ask(port, fmt::format("GET /api/v1/cells?torus={}", torus)));
  std::set<int> busy;
  if (levels.size() < kCellCount) return busy;
  for (std::size_t index = 0; index < kCellCount; ++index)
    if (levels[index] != 0) busy.insert(index % 1024 == 0 && index / 1024 < 8 ? static_cast<int>(index / 1024) : -1);
  return busy;
}

TEST_CASE("three guests: the launcher's dashboard shows which cells of a torus in a guest are busy, and no others") {
  const std::set<int> all{0, 1, 2, 3, 4, 5, 6, 7};
  const TemporaryFolder folder;
  const std::string log = folder.path("log"), scenario = folder.path("rings.textproto");
  write_file(scenario, rings());
  const std::uint16_t port = free_port();
  Machine launcher;
  REQUIRE(launcher.start({.words = {find_runfile("deploy/three_vm"), "--script", "--epochs", "1000000000", "--injections", "0",
                                    "--scenario", scenario, "--http", fmt::format("127.0.0.1:{}", port)},
                          .log = log}) == "");
  const auto end = std::chrono::steady_clock::now() + kStoryLimit;
  for (const int torus : {0, 1, 2}) {
    CAPTURE(torus);
    std::set<int> busy;
    while (busy.size() < all.size() && launcher.running() && std::chrono::steady_clock::now() < end) {
      wait_a_little();
      busy.merge(busy_cells(port, torus));
    }
    const std::string said = read_file(log);
    REQUIRE_MESSAGE(busy == all, said.substr(said.size() - std::min(said.size(), kEndBytes)));
  }
  const std::string state = http_body(http_ask(port, "GET /api/v1/state"));
  CHECK_MESSAGE(state.find(R"("name":"observer")") != std::string::npos, state);
}

TEST_CASE("three guests: the launcher's page knows the phases of a failover on a guest, which nobody can ask, from what the guest tells") {
  const TemporaryFolder folder;
  const std::string log = folder.path("log");
  const std::uint16_t port = free_port();
  Machine launcher;
  REQUIRE(launcher.start({.words = {find_runfile("deploy/three_vm"), "--script", "--kill", "b", "--after-epochs", "30", "--epochs",
                                    "1000000000", "--http", fmt::format("127.0.0.1:{}", port)},
                          .log = log}) == "");
  const auto end = std::chrono::steady_clock::now() + kStoryLimit;
  std::string state;
  const auto told = [&] {  // in this order; tori that moved as nodes joined were told before
    std::size_t at = 0;
    for (const char* words : {"b has died", " is put together here", " has run its first epoch here"}) {
      at = state.find(words, at);
      if (at == std::string::npos) return false;
    }
    return true;
  };
  while (!told() && launcher.running() && std::chrono::steady_clock::now() < end) {
    wait_a_little();
    state = http_body(http_ask(port, "GET /api/v1/state"));
  }
  CHECK_MESSAGE(told(), state);
}

/// The memory that a launcher has named in its first lines, mapped.
class Scribbler {
 public:
  explicit Scribbler(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct stat info {};
    REQUIRE(::fstat(file, &info) == 0);
    size_ = static_cast<std::size_t>(info.st_size);
    memory_ = static_cast<std::byte*>(::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    ::close(file);
    REQUIRE(memory_ != MAP_FAILED);
  }
  ~Scribbler() { ::munmap(memory_, size_); }
  Scribbler(const Scribbler&) = delete;
  Scribbler& operator=(const Scribbler&) = delete;

  /// Some bytes of who is there, of the rings' counters and of the rings' beginnings, where messages are.
  void scribble(std::mt19937_64& random) {
    write(random, kPresenceOffset, sizeof(Presence), 1);
    write(random, kRingsOffset, kRingCount * sizeof(RingControl), 8);
    const std::size_t ring = (size_ - kDataOffset) / kRingCount;
    for (std::size_t i = 0; i < kRingCount; ++i) write(random, kDataOffset + i * ring, 64u << 10, 4);
  }

 private:
  void write(std::mt19937_64& random, std::size_t from, std::size_t span, int bytes) {
    for (int i = 0; i < bytes; ++i) memory_[from + random() % span] = static_cast<std::byte>(random());
  }
  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
};

TEST_CASE("three guests: a program that writes over their shared memory costs time and nothing else") {
  const std::uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const TemporaryFolder folder;
  const std::string log = folder.path("log");
  Machine launcher;
  REQUIRE(launcher.start({.words = words_of({"--after-epochs", "30", "--epochs", "250"}), .log = log}) == "");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (read_file(log).find("kill one") == std::string::npos && std::chrono::steady_clock::now() < end) wait_a_little();
  const std::string said = read_file(log);
  const std::size_t begin = said.find("/dev/shm/rse-");
  REQUIRE_MESSAGE(begin != std::string::npos, said);
  {
    Scribbler scribbler(said.substr(begin, std::strlen("/dev/shm/rse-0123456789abcdef")));
    for (int round = 0; round < 40 && read_file(log).find("verdict") == std::string::npos; ++round) {
      scribbler.scribble(random);
      for (int i = 0; i < 10; ++i) wait_a_little();
    }
  }
  CHECK_MESSAGE(launcher.wait_for_end(kStoryLimit) == 0, read_file(log));
  CHECK_MESSAGE(read_file(log).find(R"("verdict":"identical")") != std::string::npos, read_file(log));
}

}  // namespace
}  // namespace rse
