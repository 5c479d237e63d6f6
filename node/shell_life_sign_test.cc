#include "node/shell_life_sign.h"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <random>

namespace rse {
namespace {

NodeId random_node() {
  std::random_device random;
  return {std::uint64_t{random()} << 32 | random()};
}

bool has_page(NodeId node) {
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
    char id[32];
    std::snprintf(id, sizeof(id), "-%016llx-", static_cast<unsigned long long>(node.raw));
    if (entry.path().filename().string().find(id) != std::string::npos) return true;
  }
  return false;
}

/// A process that holds a life sign until it is killed.
pid_t begin_life(NodeId node) {
  int held[2];
  REQUIRE(::pipe(held) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    asio::io_context loop;
    LifeSign life(loop, [](NodeId, std::uint64_t) {});
    life.hold(node, 1);
    if (::write(held[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(held[0], &byte, 1) == 1);
  ::close(held[0]);
  ::close(held[1]);
  return child;
}

void end_life(pid_t process) {
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
}

TEST_CASE("life sign: who watches a life is told of its end") {
  const NodeId node = random_node();
  const pid_t process = begin_life(node);
  asio::io_context loop;
  bool told = false;
  LifeSign watcher(loop, [&](NodeId dead, std::uint64_t incarnation) { told = dead == node && incarnation == 1; });
  watcher.watch(node, 1);
  end_life(process);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!told && std::chrono::steady_clock::now() < end) {
    loop.restart();
    loop.run_for(std::chrono::milliseconds(1));
  }
  CHECK(told);
}

TEST_CASE("life sign: the next life on the machine removes what ended unwatched, and nothing of the living") {
  const NodeId dead = random_node(), living = random_node(), next = random_node();
  end_life(begin_life(dead));
  const pid_t process = begin_life(living);
  CHECK(!has_page(dead));  // the living one has found it
  const NodeId dead_too = random_node();
  end_life(begin_life(dead_too));
  {
    asio::io_context loop;
    LifeSign life(loop, [](NodeId, std::uint64_t) {});
    life.hold(next, 1);
    CHECK(!has_page(dead_too));
    CHECK(has_page(living));
    CHECK(has_page(next));
  }
  CHECK(!has_page(next));
  end_life(process);
  asio::io_context loop;
  LifeSign life(loop, [](NodeId, std::uint64_t) {});
  life.hold(next, 2);
  CHECK(!has_page(living));
}

}  // namespace
}  // namespace rse
