// Our rings and transports as channels.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include <asio/io_context.hpp>

#include <cerrno>
#include <optional>
#include <utility>

#include "node/config.h"
#include "tests/bench/channel.h"
#include "torus/base/bytes.h"
#include "transport/ivshmem/ivshmem_transport.h"
#include "transport/ivshmem/participant.h"
#include "transport/secure/trust_book.h"
#include "transport/tcp/tcp_transport.h"
#include "transport/udp/udp_transport.h"

namespace rse::bench {
namespace {

constexpr std::size_t kMemoryBytes = 64u << 20;
constexpr std::uint16_t kPortBase = 23'000;
constexpr Duration kSpin = milliseconds(10);

/// As long as rse-node looks where nobody says otherwise.
Duration node_spin() {
  ConfigSurroundings nothing_set;
  nothing_set.read_file = [](const std::string&) -> std::optional<std::string> {
    errno = ENOENT;
    return {};
  };
  std::string failure;
  const auto defaults = load_config({}, nothing_set, failure);
  if (!defaults) give_up(failure);
  return {defaults->spin_microseconds * 1'000ull};
}

/// The core of the ivshmem transport alone, as the guest kernel uses it when it spins.
class RingChannel final : public Channel {
 public:
  RingChannel(Side side, unsigned run) : own_(side == Side::kClient ? 0 : 1) {
    const int file = ::open(shared_name(run).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ::ftruncate(file, kMemoryBytes) != 0) give_up("shared memory");
    auto* const memory = static_cast<std::byte*>(::mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    ::close(file);
    const auto region = RingRegion::over({memory, kMemoryBytes});
    if (!region) give_up("region");
    RingRegion shared = *region;
    if (side == Side::kClient) shared.format(1);
    while (!shared.formatted()) _mm_pause();
    self_.emplace(shared, Participant::Options{.slot = own_});
    while (!self_->is_open(1 - own_)) {
      if (self_->poll().kind == Participant::Event::Kind::kAppeared) self_->open(1 - own_);
    }
  }
  bool send(std::span<const std::byte> message) override {
    done_ = self_->put(1 - own_, message, done_);
    (void)self_->take_bells();
    if (done_ < message.size()) return false;
    done_ = 0;
    return true;
  }
  void pump(const OnMessage& on_message) override {
    const Participant::Event event = self_->poll();
    if (event.kind == Participant::Event::Kind::kMessage) return on_message(event.message);
    (void)self_->take_writable();
    if (event.kind == Participant::Event::Kind::kNothing) _mm_pause();
  }

 private:
  std::uint32_t own_;
  std::optional<Participant> self_;
  std::size_t done_ = 0;
};

class TransportChannel final : public Channel {
 public:
  using Make = std::function<std::unique_ptr<Transport>(asio::io_context&, TransportCallbacks)>;
  TransportChannel(Side side, const Make& make, const std::string& dials) {
    TransportCallbacks callbacks;
    callbacks.on_up = [this](const Hello& peer) { peer_ = peer.self.node; };
    callbacks.on_down = [](NodeId, bool) {};
    callbacks.on_failure = [](const std::string&, const std::string&) {};
    callbacks.on_message = [this](NodeId, std::span<const std::byte> message) {
      if (on_message_ != nullptr) return (*on_message_)(message);
      early_.emplace_back(message.begin(), message.end());
    };
    transport_ = make(loop_, std::move(callbacks));
    Hello hello;
    hello.self.node = {side == Side::kClient ? 1ul : 2ul};
    hello.self.incarnation = 1;
    transport_->set_hello(hello);
    if (!dials.empty()) transport_->dial(dials);
    while (peer_.raw == 0) loop_.run_one();
  }
  ~TransportChannel() override { transport_->stop(); }
  bool send(std::span<const std::byte> message) override { return transport_->send(peer_, message) == SendResult::kQueued; }
  void pump(const OnMessage& on_message) override {
    for (const Bytes& message : std::exchange(early_, {})) on_message(message);
    on_message_ = &on_message;
    loop_.run_one();
    on_message_ = nullptr;
  }

 private:
  asio::io_context loop_{1};  // as rse-node has it
  std::unique_ptr<Transport> transport_;
  NodeId peer_{};
  std::vector<Bytes> early_;  // came with what brought the link up
  const OnMessage* on_message_ = nullptr;
};

std::unique_ptr<Channel> make_ivshmem(Side side, unsigned run, Duration spin) {
  const std::string address = "ivshmem:" + shared_name(run);
  return std::make_unique<TransportChannel>(
      side,
      [&](asio::io_context& loop, TransportCallbacks callbacks) {
        std::string error;
        auto transport = make_ivshmem_transport(loop, {.listen = address, .spin = spin}, std::move(callbacks), error);
        if (!transport) give_up(error);
        return transport;
      },
      "");
}

enum class Encryption : unsigned char { kNone, kOurs };

/// Both ends are members of one cluster, whose seed is made before the fork.
std::shared_ptr<const TrustBook> book_for(Encryption encryption) {
  static const SecretKey seed = random_secret();
  if (encryption == Encryption::kNone) return nullptr;
  auto book = std::make_shared<TrustBook>(NodeKey::generate());
  book->trust.seed = seed.bytes;
  return book;
}

/// TcpOptions or UdpOptions. The server listens and the client dials.
template <class Options, class MakeTransport>
std::unique_ptr<Channel> make_network(Side side, const std::string& address, Encryption encryption, Duration spin, MakeTransport make_transport) {
  return std::make_unique<TransportChannel>(
      side,
      [&](asio::io_context& loop, TransportCallbacks callbacks) -> std::unique_ptr<Transport> {
        std::string error;
        Options options;
        options.trust = book_for(encryption);
        options.spin = spin;
        if (side == Side::kServer) options.listen.push_back(address);
        auto transport = make_transport(loop, options, std::move(callbacks), error);
        if (!transport) give_up(error);
        return transport;
      },
      side == Side::kClient ? address : "");
}

std::unique_ptr<Channel> make_tcp(Side side, unsigned run, Encryption encryption, Duration spin) {
  return make_network<TcpOptions>(side, "127.0.0.1:" + std::to_string(kPortBase + run), encryption, spin, make_tcp_transport);
}

std::unique_ptr<Channel> make_udp(Side side, unsigned run, Encryption encryption, Duration spin) {
  return make_network<UdpOptions>(side, "udp:127.0.0.1:" + std::to_string(kPortBase + run), encryption, spin, make_udp_transport);
}

using MakeChannel = std::unique_ptr<Channel> (*)(Side side, unsigned run, Encryption encryption, Duration spin);

Candidate network(const char* name, const char* raw, MakeChannel make, Encryption encryption, Duration spin) {
  return {name, raw, 1000, [=](Side side, std::size_t, unsigned run) { return make(side, run, encryption, spin); }};
}

}  // namespace

std::vector<Candidate> own_candidates() {
  const Duration node = node_spin();
  return {
      {"ring alone, spinning", "raw ring, spinning", 0,
       [](Side side, std::size_t, unsigned run) -> std::unique_ptr<Channel> { return std::make_unique<RingChannel>(side, run); }},
      {"ivshmem, spinning", "raw ring, spinning", 1000,
       [](Side side, std::size_t, unsigned run) { return make_ivshmem(side, run, kSpin); }},
      {"ivshmem, sleeping", "raw ring, futex", 1000,
       [](Side side, std::size_t, unsigned run) { return make_ivshmem(side, run, {}); }},
      {"ivshmem, as a node", "raw ring, futex", 1000,
       [node](Side side, std::size_t, unsigned run) { return make_ivshmem(side, run, node); }},
      network("udp, spinning", "raw UDP, spinning", make_udp, Encryption::kNone, kSpin),
      network("udp, sleeping", "raw UDP, blocking", make_udp, Encryption::kNone, {}),
      network("udp, as a node", "raw UDP, blocking", make_udp, Encryption::kNone, node),
      network("udp, encrypted", "udp, sleeping", make_udp, Encryption::kOurs, {}),
      network("tcp, spinning", "raw TCP, spinning", make_tcp, Encryption::kNone, kSpin),
      network("tcp, sleeping", "raw TCP, blocking", make_tcp, Encryption::kNone, {}),
      network("tcp, as a node", "raw TCP, blocking", make_tcp, Encryption::kNone, node),
      network("tcp, encrypted", "tcp, sleeping", make_tcp, Encryption::kOurs, {}),
  };
}

}  // namespace rse::bench
