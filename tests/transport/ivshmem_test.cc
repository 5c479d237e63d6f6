// Shared-memory transports in this process and in others: links, queues, deaths, and what people are told.
#include <doctest/doctest.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "tests/transport/ivshmem_node.h"
#include "torus/base/random.h"
#include "torus/braid/messages.h"

using namespace rse;
using testing::IvshmemNode;
using testing::MemoryName;
using testing::run_until;

namespace {

Bytes bytes_of(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.next());
  return bytes;
}

bool exists(const std::string& path) { return std::ifstream(path).good(); }

/// A process that runs `story` on a loop of its own; it dies with the test.
pid_t in_child(asio::io_context& loop, const std::function<void(asio::io_context&)>& story) {
  loop.notify_fork(asio::io_context::fork_prepare);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    asio::io_context child_loop;
    story(child_loop);
    ::_exit(0);
  }
  loop.notify_fork(asio::io_context::fork_parent);
  return child;
}

/// Sends to its peer as fast as there is room, numbered; its message is a number and noise that follows from it.
void send_for_ever(asio::io_context& loop, const std::string& address, std::uint64_t id, std::uint64_t incarnation) {
  IvshmemNode node(loop, address, id, incarnation);
  std::uint64_t number = 0;
  Random random(incarnation);
  for (;;) {
    while (node.linked(1) && number < node.message_count * 64 + 64) {
      Bytes message = bytes_of(8 + random.below(number % 50 == 0 ? 300'000 : 3000), number);
      std::memcpy(message.data(), &number, sizeof number);
      if (node.transport->send({1}, message) != SendResult::kQueued) break;
      ++number;
    }
    loop.restart();
    loop.run_one_for(std::chrono::milliseconds(10));
    loop.poll();
  }
}

}  // namespace

TEST_CASE("ivshmem: messages of every size arrive whole and in order, both ways; the last one out removes the memory") {
  MemoryName memory;
  {
    asio::io_context loop;
    IvshmemNode a(loop, memory.address(), 1), b(loop, memory.address(), 2);
    REQUIRE_MESSAGE(b.error.empty(), b.error);
    REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
    std::size_t sent = 0;
    for (std::size_t size : {1ul, 2ul, 31ul, 32ul, 33ul, 4700ul, 65'536ul, 1ul << 20, kMessageBytesMax, 7ul}) {
      CHECK(a.transport->send({2}, bytes_of(size, size)) == SendResult::kQueued);
      CHECK(b.transport->send({1}, bytes_of(size, size + 1)) == SendResult::kQueued);
      ++sent;
    }
    CHECK(a.transport->send({2}, Bytes(kMessageBytesMax + 1)) == SendResult::kTooLarge);
    CHECK(a.transport->send({3}, Bytes(1)) == SendResult::kNoLink);
    REQUIRE(run_until(loop, [&] { return a.messages.size() == sent && b.messages.size() == sent; }));
    for (std::size_t i = 0; i < sent; ++i) {
      const Bytes& bytes = b.messages[i].second;
      CHECK(bytes == bytes_of(bytes.size(), bytes.size()));
      CHECK(a.messages[i].second == bytes_of(bytes.size(), bytes.size() + 1));
    }
    CHECK(a.transport->stats().front().messages_sent == sent);
    CHECK(b.transport->stats().front().messages_received == sent);
    CHECK(a.failures.empty());
    a.transport->stop();
    CHECK(exists(memory.path()));
  }
  CHECK_FALSE(exists(memory.path()));
  CHECK_FALSE(exists(memory.path() + ".bell.0"));
}

TEST_CASE("ivshmem: a link tells for how long it has heard nothing") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1), b(loop, memory.address(), 2);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  const auto silence = [&] { return std::chrono::nanoseconds(a.transport->stats().front().silence_nanoseconds); };
  CHECK(run_until(loop, [&] { return silence() >= std::chrono::milliseconds(200); }));
  CHECK(run_until(loop, [&] {
    b.transport->send({1}, bytes_of(10, 1));
    return silence() < std::chrono::milliseconds(100);
  }));
}

TEST_CASE("ivshmem: eight are all linked with all, the ninth is told why not") {
  MemoryName memory;
  asio::io_context loop;
  std::vector<std::unique_ptr<IvshmemNode>> all;
  for (std::uint64_t id = 1; id <= 8; ++id) all.push_back(std::make_unique<IvshmemNode>(loop, memory.address(), id));
  REQUIRE(run_until(loop, [&] {
    for (const auto& one : all) {
      if (one->ups.size() != 7) return false;
    }
    return true;
  }));
  for (const auto& one : all) {
    for (std::uint64_t id = 1; id <= 8; ++id) {
      if (id != one->hello.self.node.raw) CHECK(one->transport->send({id}, bytes_of(100, id)) == SendResult::kQueued);
    }
  }
  REQUIRE(run_until(loop, [&] {
    for (const auto& one : all) {
      if (one->messages.size() != 7) return false;
    }
    return true;
  }));
  IvshmemNode ninth(loop, memory.address(), 9);
  CHECK(ninth.error.find("has its 8 participants already") != std::string::npos);
  all.resize(7);
  IvshmemNode again(loop, memory.address(), 9);
  REQUIRE_MESSAGE(again.transport, again.error);
  CHECK(run_until(loop, [&] { return again.ups.size() == 7; }));
}

TEST_CASE("ivshmem: who is refused is told the cause, and nobody else is disturbed") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1, 1, 7), b(loop, memory.address(), 2, 1, 7), c(loop, memory.address(), 3, 1, 8);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && c.failed_with("it runs cluster 0000000000000007"); }));
  CHECK(run_until(loop, [&] { return a.failed_with("cannot join " + memory.path() + " slot 2: it runs cluster 0000000000000008"); }));
  CHECK(a.ups.size() == 1);
  CHECK(a.downs.empty());
}

TEST_CASE("ivshmem: a closed link comes back by itself, whoever closed it") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1), b(loop, memory.address(), 2);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  for (std::size_t round = 1; round <= 6; ++round) {
    CAPTURE(round);
    (round % 2 == 0 ? a : b).transport->disconnect({round % 2 == 0 ? 2ul : 1ul});
    REQUIRE(run_until(loop, [&] { return a.ups.size() == round + 1 && b.ups.size() == round + 1; }));
    const std::size_t before = b.messages.size();
    REQUIRE(a.transport->send({2}, Bytes(3)) == SendResult::kQueued);
    REQUIRE(run_until(loop, [&] { return b.messages.size() > before; }));
  }
  for (const auto& [peer, proof] : a.downs) CHECK_FALSE(proof);
  CHECK(a.downs.size() == 6);
}

TEST_CASE("ivshmem: a memory that is dialled before it is there is found when it comes, another machine's is left alone") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, "", 1), c(loop, "", 3);
  c.transport->dial("ivshmem:" + memory.path() + "?machine=00000000000000ff");
  a.transport->dial(memory.address());
  REQUIRE(run_until(loop, [&] { return a.failed_with("there is no such memory"); }));
  IvshmemNode b(loop, memory.address(), 2);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  CHECK(c.failures.empty());
  CHECK(c.ups.empty());
  a.transport->dial("ivshmem:something-else");
  CHECK(run_until(loop, [&] { return a.failed_with("one memory is the limit"); }));
}

TEST_CASE("ivshmem: a later life of a node takes the place of the earlier one, which may not come back") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 2), first(loop, memory.address(), 3, 4);
  REQUIRE(run_until(loop, [&] { return a.linked(3); }));
  IvshmemNode second(loop, memory.address(), 3, 5);
  REQUIRE(run_until(loop, [&] { return a.ups.size() == 2; }));
  CHECK(a.downs.back() == std::pair{NodeId{3}, true});
  CHECK(run_until(loop, [&] { return a.failed_with("older life (4)"); }));
  CHECK(a.linked(3));
}

TEST_CASE("ivshmem: who stops is gone for certain; who is only slow is not") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1), b(loop, memory.address(), 2);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  b.transport->stop();
  REQUIRE(run_until(loop, [&] { return a.downs.size() == 2; }));
  CHECK(a.downs[0] == std::pair{NodeId{2}, false});
  CHECK(a.downs[1] == std::pair{NodeId{2}, true});
}

TEST_CASE("ivshmem: memory that is written over breaks links, which come back; it proves no death") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1), b(loop, memory.address(), 2);
  REQUIRE(run_until(loop, [&] { return a.linked(2) && b.linked(1); }));
  const int file = ::open(memory.path().c_str(), O_RDWR);
  REQUIRE(file >= 0);
  auto* const bytes = static_cast<std::byte*>(::mmap(nullptr, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  REQUIRE(bytes != MAP_FAILED);
  ::close(file);
  for (std::size_t round = 1; round <= 4; ++round) {
    CAPTURE(round);
    Random random(round);
    const std::size_t ups = a.ups.size();
    for (std::size_t at = 128; at < 20'480; ++at) bytes[at] = static_cast<std::byte>(random.next());
    REQUIRE(run_until(loop, [&] { return a.ups.size() > ups && a.linked(2) && b.linked(1); }));
    const std::size_t before = b.messages.size();
    REQUIRE(run_until(loop, [&] {
      a.transport->send({2}, bytes_of(100, round));
      return b.messages.size() > before;
    }));
  }
  ::munmap(bytes, 4 << 20);
  for (const auto& [peer, proof] : a.downs) CHECK_FALSE(proof);
}

TEST_CASE("ivshmem: a name that will not do is told clearly") {
  asio::io_context loop;
  const auto error_of = [&](const std::string& address) { return IvshmemNode(loop, address, 1).error; };
  CHECK(error_of("ivshmem:").find("the name is missing") != std::string::npos);
  CHECK(error_of("ivshmem:a?slot=8").find("slot is 0 to 7") != std::string::npos);
  CHECK(error_of("ivshmem:a?size-mb=3").find("power of two") != std::string::npos);
  CHECK(error_of("ivshmem:a?colour=red").find("there is no option \"colour\"") != std::string::npos);
  CHECK(error_of("ivshmem:a/b").find("a path has to begin with /") != std::string::npos);
  CHECK(error_of("ivshmem:/no/such/folder/x").find("No such file or directory") != std::string::npos);
  CHECK(error_of("ivshmem:/dev").find("cannot open the shared memory /dev") != std::string::npos);
  MemoryName memory;
  std::ofstream(memory.path()) << std::string(1 << 20, 'x');
  CHECK(error_of(memory.address()).find("it is no memory of this version of RSE") != std::string::npos);
  std::ofstream(memory.path(), std::ios::trunc) << "short";
  CHECK(error_of(memory.address()).find("it is too small") != std::string::npos);
  IvshmemNode holder(loop, "ivshmem:" + memory.path().substr(9) + "-b?slot=3&size-mb=4", 1);
  CHECK(error_of("ivshmem:" + memory.path().substr(9) + "-b?slot=3").find("slot 3 of") != std::string::npos);
}

TEST_CASE("ivshmem: a process that is killed at a random moment, 40 times; nothing torn arrives, and its next life is linked") {
  MemoryName memory;
  asio::io_context loop;
  IvshmemNode a(loop, memory.address(), 1);
  std::uint64_t wrong = 0, received = 0, expected = 0;
  a.on_message = [&](NodeId peer, std::span<const std::byte> message) {
    std::uint64_t number = 0;
    std::memcpy(&number, message.data(), sizeof number);
    Bytes right = bytes_of(message.size(), number);
    std::memcpy(right.data(), &number, sizeof number);
    if (number != expected++ || !std::equal(right.begin(), right.end(), message.begin())) ++wrong;
    ++received;
    if (received % 32 == 0) a.transport->send(peer, Bytes(1));
  };
  std::chrono::duration<double, std::milli> slowest{};
  for (std::uint64_t life = 1; life <= 40; ++life) {
    CAPTURE(life);
    Random random(life);
    expected = 0;
    const std::uint64_t before = received;
    const std::size_t downs = a.downs.size();
    const pid_t child = in_child(loop, [&](asio::io_context& child_loop) { send_for_ever(child_loop, memory.address(), 2, life); });
    REQUIRE(run_until(loop, [&] { return received >= before + 1 + random.below(200); }));
    const auto killed = std::chrono::steady_clock::now();
    ::kill(child, SIGKILL);
    REQUIRE(run_until(loop, [&] { return a.downs.size() >= downs + 2; }));
    slowest = std::max<std::chrono::duration<double, std::milli>>(slowest, std::chrono::steady_clock::now() - killed);
    CHECK(a.downs[downs] == std::pair{NodeId{2}, false});
    CHECK(a.downs[downs + 1] == std::pair{NodeId{2}, true});
    ::waitpid(child, nullptr, 0);
    REQUIRE(wrong == 0);
  }
  MESSAGE("slowest proof of death: ", slowest.count(), " ms; messages: ", received);
}
