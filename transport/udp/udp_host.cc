#include "transport/udp/udp_host.h"

#include <asio/error.hpp>
#include <asio/post.hpp>

#include <chrono>

#include "transport/monotonic_clock.h"
#include "transport/tcp/address.h"

namespace rse {

using asio::ip::udp;

namespace {

const std::string kPrefix = kUdpPrefix;

std::optional<HostPort> parse_udp(const std::string& address) {
  if (!address.starts_with(kPrefix)) return {};
  return parse_host_port(address.substr(kPrefix.size()));
}

std::optional<udp::endpoint> numeric_udp(const HostPort& parsed) {
  const auto numeric = numeric_endpoint(parsed);
  if (!numeric) return {};
  return udp::endpoint(numeric->address(), numeric->port());
}

std::string text_of(const udp::endpoint& endpoint) { return to_text(asio::ip::tcp::endpoint(endpoint.address(), endpoint.port())); }

}  // namespace

UdpHost::UdpHost(asio::io_context& loop, const UdpOptions& options, TransportCallbacks callbacks)
    : loop_(loop),
      spin_(options.spin),
      timer_(loop),
      on_public_address_(callbacks.on_public_address),
      core_(*this,
            {.handshake_limit = {static_cast<std::uint64_t>(std::chrono::nanoseconds(options.handshake_limit).count())},
             .trust = options.trust},
            std::move(callbacks)) {
  if (options.stun) stun_server_ = to_udp(*options.stun);
}

// --- Sockets. ---

std::shared_ptr<UdpSocket> UdpHost::make_socket() {
  UdpSocket::Hooks hooks;  // a socket is closed before the host goes
  hooks.arrived = [this](UdpSocket& socket, const UdpEndpoint& from, Instant now, std::span<const std::byte> datagram) {
    const auto keep = shared_from_this();
    if (stun_ && from == *stun_server_) return stun_->on_datagram(datagram);
    core_.on_datagram(socket, from, now, datagram);
  };
  hooks.refused = [this](std::span<const std::byte> datagram) {
    const auto keep = shared_from_this();
    core_.on_refused(datagram);
  };
  hooks.batch_ended = [this] {
    const auto keep = shared_from_this();
    core_.on_batch_end();
  };
  return std::make_shared<UdpSocket>(loop_, spin_, std::move(hooks));
}

std::string UdpHost::listen(const std::vector<std::string>& addresses) {
  const OpenListener open = [this](asio::ip::tcp::endpoint& own) {
    udp::endpoint bound(own.address(), own.port());
    const std::error_code error = listen_on(bound);
    own.port(bound.port());
    return error;
  };
  for (const std::string& address : addresses) {
    if (std::string failure = listen_on_each(loop_, kPrefix, address.substr(kPrefix.size()), open); !failure.empty()) return failure;
  }
  return {};
}

std::error_code UdpHost::listen_on(udp::endpoint& own) {
  auto socket = make_socket();
  if (const std::error_code error = socket->open(own)) return error;
  own = socket->own();
  sockets_.push_back({std::move(socket), true});
  return {};
}

/// Where we listen, so that both ends of a link dial from where they are dialled.
std::shared_ptr<UdpPort> UdpHost::port_to(const UdpEndpoint& endpoint) {
  const udp::endpoint to = to_asio(endpoint);
  for (const Listener& listener : sockets_) {
    const auto own = listener.socket->own().address();
    if (own.is_v4() != to.address().is_v4()) continue;
    if (!own.is_unspecified() && own.is_loopback() != to.address().is_loopback()) continue;
    return listener.socket;
  }
  auto socket = make_socket();
  if (socket->open(udp::endpoint(to.address().is_v4() ? udp::v4() : udp::v6(), 0))) return nullptr;
  socket->start();
  sockets_.push_back({socket, false});
  return socket;
}

std::vector<std::uint16_t> UdpHost::bound_ports() const {
  std::vector<std::uint16_t> ports;
  for (const Listener& listener : sockets_) {
    if (listener.asked_for) ports.push_back(listener.socket->own().port());
  }
  return ports;
}

void UdpHost::flush() {
  for (const Listener& listener : sockets_) listener.socket->flush();
}

void UdpHost::set_hello(const Hello& hello) {
  core_.set_hello(hello);
  if (core_.stopped() || std::exchange(started_, true)) return;
  for (const Listener& listener : sockets_) {
    if (listener.asked_for) listener.socket->start();
  }
  if (stun_server_) keep_public_address();
}

void UdpHost::keep_public_address() {
  StunKeeper::Hooks hooks;  // it is stopped before the host goes
  hooks.send = [this](std::span<const std::byte> question) {
    const auto port = port_to(*stun_server_);
    if (!port) return;
    port->send(*stun_server_, question);
    flush();
  };
  hooks.changed = [this](const udp::endpoint& before, const udp::endpoint& after) {
    const auto keep = shared_from_this();
    if (on_public_address_) on_public_address_(kPrefix + text_of(before), kPrefix + text_of(after));
  };
  stun_ = std::make_shared<StunKeeper>(loop_, std::move(hooks));
  stun_->start();
}

void UdpHost::stop() {
  if (core_.stopped()) return;
  core_.stop();
  for (const Listener& listener : sockets_) listener.socket->close();
  for (const auto& [attempt, resolver] : resolvers_) resolver->cancel();
  timer_.cancel();
  if (stun_) stun_->stop();
}

// --- What the core is told. ---

Instant UdpHost::now() const { return monotonic_now(); }

void UdpHost::call_soon() {
  asio::post(loop_, [self = shared_from_this()] { self->core_.on_soon(); });
}

void UdpHost::call_at(Instant when) {
  timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::nanoseconds(static_cast<std::int64_t>(when.raw))));
  timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled) self->core_.on_timer();
  });
}

void UdpHost::resolve(const std::string& address, std::uint64_t attempt) {
  const auto parsed = parse_udp(address);
  if (!parsed) return core_.on_resolved(address, attempt, {}, resolve_failure_text("cannot reach", address.substr(kPrefix.size()), {}));
  if (const auto endpoint = numeric_udp(*parsed)) return core_.on_resolved(address, attempt, to_udp(*endpoint), {});
  const auto resolver = std::make_shared<udp::resolver>(loop_);
  resolvers_[attempt] = resolver;
  resolver->async_resolve(
      parsed->host, std::to_string(parsed->port),
      [self = shared_from_this(), address, attempt](const std::error_code& error, const udp::resolver::results_type& found) {
        self->resolvers_.erase(attempt);
        if (error || found.empty()) {
          const std::string why = resolve_failure_text("cannot reach", address.substr(kPrefix.size()), error);
          return self->core_.on_resolved(address, attempt, {}, why);
        }
        auto entry = found.begin();
        std::advance(entry, attempt % found.size());
        self->core_.on_resolved(address, attempt, to_udp(entry->endpoint()), {});
      });
}

std::string UdpHost::text(const UdpEndpoint& endpoint) const { return text_of(to_asio(endpoint)); }

std::string UdpHost::host(const UdpEndpoint& endpoint) const { return host_of(to_asio(endpoint).address()); }

}  // namespace rse
