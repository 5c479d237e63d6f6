// The doorbell server and clients that speak QEMU's side of the protocol, one of them with a participant like a guest's.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <map>
#include <optional>

#include "tests/transport/ivshmem_node.h"
#include "transport/ivshmem/doorbell_server.h"
#include "transport/ivshmem/participant.h"

using namespace rse;
using testing::IvshmemNode;
using testing::MemoryName;
using testing::run_until;

namespace {

/// What QEMU's device does with its server.
class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  }
  ~Client() {
    ::close(socket_);
    if (memory_ >= 0) ::close(memory_);
    for (const auto& [peer, event] : events) ::close(event);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Takes what the server has sent; true once the set-up is complete: its own eventfd came.
  bool receive() {
    std::int64_t number = 0;
    while (const auto descriptor = receive_one(number)) {
      switch (received++) {
        case 0: CHECK(number == 0); break;
        case 1: id = static_cast<std::uint32_t>(number); break;
        case 2:
          CHECK(number == -1);
          memory_ = *descriptor;
          break;
        default: on_peer(static_cast<std::uint32_t>(number), *descriptor); break;
      }
    }
    return events.contains(id) && received > 3;
  }
  std::span<std::byte> map() {
    struct stat info {};
    REQUIRE(::fstat(memory_, &info) == 0);
    const auto size = static_cast<std::size_t>(info.st_size);
    return {static_cast<std::byte*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory_, 0)), size};
  }
  void ring(std::uint32_t peer) {
    const std::uint64_t one = 1;
    CHECK(::write(events.at(peer), &one, sizeof one) == sizeof one);
  }
  bool rung() {
    std::uint64_t count = 0;
    return ::read(events.at(id), &count, sizeof count) == sizeof count;
  }
  void say_something() { CHECK(::send(socket_, "x", 1, 0) == 1); }
  bool closed() {
    std::int64_t number = 0;
    while (receive_one(number)) {
    }
    return ended_;
  }

  std::uint32_t id = 99;
  std::map<std::uint32_t, int> events;
  int received = 0;  // messages

 private:
  std::optional<int> receive_one(std::int64_t& number) {
    iovec bytes{&number, sizeof number};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(socket_, &message, MSG_CMSG_CLOEXEC);
    if (size == 0) ended_ = true;
    if (size != sizeof number) return std::nullopt;
    int descriptor = -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message)) std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    return descriptor;
  }
  void on_peer(std::uint32_t peer, int descriptor) {
    CHECK(descriptor >= 0);
    CHECK(events.emplace(peer, descriptor).second);
  }

  int socket_;
  int memory_ = -1;
  bool ended_ = false;
};

/// A QEMU whose guest does not run: its device has taken what the server sent when it greets on its control channel.
class Qemu {
 public:
  explicit Qemu(const std::string& socket) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const std::string chardev = "socket,path=" + socket + ",id=c";
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(ends[1], STDOUT_FILENO);
      ::execlp("qemu-system-x86_64", "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-nodefaults", "-display", "none", "-S",
               "-chardev", chardev.c_str(), "-device", "ivshmem-doorbell,chardev=c,vectors=1", "-qmp", "stdio", nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
    ::fcntl(output_, F_SETFL, O_NONBLOCK);
  }
  ~Qemu() {
    kill();
    ::close(output_);
  }
  Qemu(const Qemu&) = delete;
  Qemu& operator=(const Qemu&) = delete;
  bool greeted() {
    char part[512];
    for (ssize_t size = 0; (size = ::read(output_, part, sizeof part)) > 0;) said_.append(part, static_cast<std::size_t>(size));
    return said_.find("\"QMP\"") != std::string::npos;
  }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(std::exchange(child_, -1), nullptr, 0);
  }

 private:
  pid_t child_ = -1;
  int output_ = -1;
  std::string said_;
};

struct Fixture {
  Fixture() : socket(memory.path() + ".socket") {
    server = DoorbellServer::start(loop,
                                   {.memory = memory.address(), .socket = socket,
                                    .on_guest = [this](std::uint32_t slot, bool here) { guests.push_back({slot, here}); }},
                                   error);
    REQUIRE_MESSAGE(server, error);
  }
  MemoryName memory;
  std::string socket, error;
  asio::io_context loop;
  std::vector<std::pair<std::uint32_t, bool>> guests;
  std::unique_ptr<DoorbellServer> server;
};

}  // namespace

TEST_CASE("doorbell server: clients get memory, a slot and all bells, and nothing more whoever goes and comes") {
  Fixture fixture;
  Client a(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return a.receive(); }));
  CHECK(a.id == 0);
  CHECK(a.events.size() == 8);  // host processes may be behind the others
  auto b = std::make_unique<Client>(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return b->receive(); }));
  CHECK(b->id == 1);
  a.ring(1);
  CHECK(run_until(fixture.loop, [&] { return b->rung(); }));
  b->ring(0);
  CHECK(run_until(fixture.loop, [&] { return a.rung(); }));
  b.reset();
  REQUIRE(run_until(fixture.loop, [&] { return fixture.guests.size() == 3; }));
  CHECK(fixture.guests == std::vector<std::pair<std::uint32_t, bool>>{{0, true}, {1, true}, {1, false}});
  Client c(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return c.receive(); }));
  CHECK(c.id == 1);
  a.receive();
  CHECK(a.received == 3 + 8);  // QEMU would not survive to hear twice of a peer (doorbell_server.cc)
  a.ring(1);
  CHECK(run_until(fixture.loop, [&] { return c.rung(); }));
  c.say_something();
  CHECK(run_until(fixture.loop, [&] { return c.closed(); }));
}

TEST_CASE("doorbell server: a guest and a host process exchange messages and bells; the guest's death is proven") {
  Fixture fixture;
  IvshmemNode host(fixture.loop, fixture.memory.address(), 1);
  REQUIRE_MESSAGE(host.transport, host.error);
  auto client = std::make_unique<Client>(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return client->receive(); }));
  CHECK(client->id == 1);  // the host process has slot 0
  const auto region = RingRegion::over(client->map());
  REQUIRE(region);
  REQUIRE(region->formatted());
  Participant guest(*region, {.slot = client->id, .bell = BellKind::kDoorbell});
  // The host sleeps between bells: it hears of us through the server.
  REQUIRE(run_until(fixture.loop, [&] {
    if (guest.take_bells() != 0) client->ring(0);
    return guest.poll().kind == Participant::Event::Kind::kMessage;  // the host's hello
  }));
  while (guest.poll().kind != Participant::Event::Kind::kNothing) {
  }
  client->rung();
  REQUIRE(guest.try_sleep());
  // A hello that is none: the host refuses and closes, and rings us for it.
  guest.wake();
  const Bytes nonsense(10);
  CHECK(guest.put(0, nonsense, 0) == 10);
  REQUIRE(guest.try_sleep());
  CHECK(guest.take_bells() == 1);
  client->ring(0);
  CHECK(run_until(fixture.loop, [&] { return client->rung(); }));
  CHECK(host.failed_with("it sent what is no handshake of ours"));
  client.reset();
  CHECK(run_until(fixture.loop, [&] { return fixture.guests.size() == 2; }));
  CHECK((load_relaxed(region->presence(1)) & 1) == 0);
}

TEST_CASE("doorbell server: QEMU's device takes what it sends, a second one too, and the death of a QEMU is noticed") {
  Fixture fixture;
  IvshmemNode host(fixture.loop, fixture.memory.address(), 1);
  Qemu first(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return first.greeted(); }, std::chrono::seconds(60)));
  Qemu second(fixture.socket);
  REQUIRE(run_until(fixture.loop, [&] { return second.greeted(); }, std::chrono::seconds(60)));
  CHECK(fixture.guests == std::vector<std::pair<std::uint32_t, bool>>{{1, true}, {2, true}});
  first.kill();
  CHECK(run_until(fixture.loop, [&] { return fixture.guests.size() == 3; }));
  CHECK(fixture.guests.back() == std::pair<std::uint32_t, bool>{1, false});
}

TEST_CASE("doorbell server: a socket in use and a path that will not do are told") {
  Fixture fixture;
  std::string error;
  CHECK_FALSE(DoorbellServer::start(fixture.loop, {.memory = fixture.memory.address(), .socket = fixture.socket}, error));
  CHECK(error.find("another doorbell server uses it") != std::string::npos);
  CHECK_FALSE(DoorbellServer::start(fixture.loop, {.memory = fixture.memory.address(), .socket = "/no/such/folder/s"}, error));
  CHECK(error.find("cannot listen on /no/such/folder/s") != std::string::npos);
  CHECK_FALSE(DoorbellServer::start(fixture.loop, {.memory = "tcp:x", .socket = fixture.socket}, error));
  CHECK(error.find("no address of shared memory") != std::string::npos);
}
