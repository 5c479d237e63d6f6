#include "tests/net/message_flood.h"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>

#include "transport/secure/trust_book.h"
#include "transport/udp/udp_transport.h"

namespace rse {
namespace {

constexpr std::size_t kNumberBytes = 8, kCheckBytes = 8;
constexpr std::chrono::milliseconds kAfterTheLast{200};  // a hundred round trips

std::chrono::milliseconds to_milliseconds(std::chrono::steady_clock::duration span) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(span);
}

/// Of 16 to 72 bytes; which ones follows from the number.
Bytes message_of(std::uint64_t number) {
  Bytes bytes(kNumberBytes + kCheckBytes + number % 57, static_cast<std::byte>(number));
  std::memcpy(bytes.data(), &number, kNumberBytes);
  const std::uint64_t check = (number + 1) * 0x9E3779B97F4A7C15;
  std::memcpy(bytes.data() + kNumberBytes, &check, kCheckBytes);
  return bytes;
}

std::string address_of(std::size_t host) { return "udp:" + TestNetwork::address(host) + ":7400"; }

/// One of the two processes: sends its messages, and tells through a pipe when all of the other's have come.
class End {
 public:
  End(std::size_t self, std::uint64_t messages, std::shared_ptr<const TrustBook> book, int report)
      : peer_{2 - self}, messages_(messages), report_(report) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello&) { send_more(); };
    callbacks.on_down = [this](NodeId, bool) { ++seen_.links_lost; };
    callbacks.on_message = [this](NodeId, std::span<const std::byte> message) { take(message); };
    callbacks.on_room = [this](NodeId) { send_more(); };
    callbacks.on_failure = [](const std::string&, const std::string&) {};
    std::string error;
    transport_ = make_udp_transport(loop_, {.listen = {address_of(self)}, .trust = std::move(book)}, std::move(callbacks), error);
    if (!transport_) return;
    Hello hello;
    hello.self.node = {self + 1};
    hello.self.incarnation = 1;
    transport_->set_hello(hello);
    if (self == 0) transport_->dial(address_of(1));
  }
  /// Until it is killed: the other may still lack what was lost.
  void run() { loop_.run(); }
  bool works() const { return transport_ != nullptr; }

 private:
  void send_more() {
    while (sent_ < messages_ && transport_->has_room(peer_)) {
      if (transport_->send(peer_, message_of(sent_)) != SendResult::kQueued) return;
      ++sent_;
    }
  }
  void take(std::span<const std::byte> message) {
    const Bytes expected = message_of(seen_.received);
    const bool right = std::equal(message.begin(), message.end(), expected.begin(), expected.end());
    if (seen_.wrong != 0) return;
    if (right) ++seen_.received;
    else seen_.wrong = 1;
    if (seen_.received == messages_ || !right) tell();
  }
  void tell() {
    seen_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    for (const LinkStats& link : transport_->stats()) {
      seen_.packets_sent = link.packets_sent;
      seen_.packets_lost = link.packets_lost;
    }
    [[maybe_unused]] const ssize_t written = ::write(report_, &seen_, sizeof seen_);
  }

  asio::io_context loop_;
  NodeId peer_;
  std::uint64_t messages_;
  int report_;
  std::unique_ptr<UdpTransport> transport_;
  std::uint64_t sent_ = 0;
  FloodEnd seen_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// A process and the pipe that it reports by.
struct Child {
  pid_t process = -1;
  int report = -1;
};

Child start(const TestNetwork& network, std::size_t self, std::uint64_t messages, const std::shared_ptr<const TrustBook>& book) {
  int ends[2] = {-1, -1};
  if (::pipe(ends) != 0) return {};
  const pid_t process = ::fork();
  if (process != 0) {
    ::close(ends[1]);
    return {process, ends[0]};
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (network.enter(self)) {
    End end(self, messages, book, ends[1]);
    if (end.works()) end.run();
  }
  std::_Exit(1);
}

std::string read_report(const Child& child, std::chrono::milliseconds limit, FloodEnd& end) {
  pollfd wait{child.report, POLLIN, 0};
  if (::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(limit.count(), 0))) <= 0) return "not all messages came in time";
  return ::read(child.report, &end, sizeof end) == sizeof end ? std::string() : "a process of the two has ended";
}

}  // namespace

bool FloodResult::whole(std::uint64_t messages) const {
  if (!failure.empty() || ends[0].received + ends[1].received != messages) return false;
  return ends[0].wrong + ends[1].wrong + ends[0].links_lost + ends[1].links_lost == 0;
}

FloodResult flood(const FloodOptions& options) {
  FloodResult result;
  TestNetwork network(2, options.seed);
  result.failure = network.failure();
  if (!result.failure.empty()) return result;
  network.set_all(options.faults);
  auto book = std::make_shared<TrustBook>(NodeKey::generate());  // both have one key, and are told apart by their ids
  book->trust.seed = random_secret().bytes;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(options.seconds_max);
  std::array<Child, 2> children;
  for (std::size_t self = 0; self < 2; ++self) children[self] = start(network, self, options.messages / 2, book);
  for (std::size_t self = 0; self < 2 && result.failure.empty(); ++self)
    result.failure = read_report(children[self], to_milliseconds(end - std::chrono::steady_clock::now()), result.ends[self]);
  // One that comes twice after the last would be told now.
  for (std::size_t self = 0; self < 2 && result.failure.empty(); ++self)
    (void)read_report(children[self], kAfterTheLast, result.ends[self]);
  result.network = network.counts();
  for (const Child& child : children) {
    ::kill(child.process, SIGKILL);
    ::waitpid(child.process, nullptr, 0);
    ::close(child.report);
  }
  return result;
}

}  // namespace rse
