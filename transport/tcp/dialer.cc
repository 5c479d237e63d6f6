#include "transport/tcp/dialer.h"

#include <asio/error.hpp>

#include <algorithm>
#include <optional>

#include "transport/tcp/address.h"
#include "transport/tcp/connection.h"

namespace rse {

using asio::ip::tcp;

namespace {

/// A connection being made and its limit, whichever ends first.
struct Connecting : std::enable_shared_from_this<Connecting> {
  Connecting(asio::io_context& loop, ConnectDone done) : socket(loop), timer(loop), done(std::move(done)) {}
  void finish(const std::error_code& error) {
    if (!done) return;
    timer.cancel();
    const ConnectDone call = std::move(done);
    done = nullptr;
    call(error, std::move(socket));
  }
  tcp::socket socket;
  asio::steady_timer timer;
  ConnectDone done;
};

}  // namespace

void connect(asio::io_context& loop, const tcp::endpoint& endpoint, ConnectDone done) {
  auto connecting = std::make_shared<Connecting>(loop, std::move(done));
  std::error_code error;
  connecting->socket.open(endpoint.protocol(), error);
  if (!error) set_close_on_exec(connecting->socket.native_handle());
  connecting->timer.expires_after(kConnectLimit);
  connecting->timer.async_wait([connecting](const std::error_code& cancelled) {
    if (cancelled || !connecting->done) return;
    std::error_code ignored;
    connecting->socket.close(ignored);
    connecting->finish(asio::error::timed_out);
  });
  connecting->socket.async_connect(
      endpoint, [connecting](std::error_code failure) {
        auto& socket = connecting->socket;
        if (!failure) {
          std::error_code broken;
          const auto remote = socket.remote_endpoint(broken);
          // Where nothing listens, the kernel may pick the port dialled as our own and connect the socket with itself.
          const bool with_itself = !broken && remote == socket.local_endpoint(broken);
          if (broken) failure = asio::error::connection_reset;  // gone again already
          if (with_itself) failure = asio::error::connection_refused;
          std::error_code ignored;
          if (failure) socket.close(ignored);
        }
        connecting->finish(failure);
      });
}

Dialer::Dialer(asio::io_context& loop, std::string address, std::uint64_t seed, Hooks hooks)
    : loop_(loop), address_(std::move(address)), hooks_(std::move(hooks)), random_(seed), timer_(loop), resolver_(loop) {}

void Dialer::start() {
  if (stopped_ || under_way_) return;
  timer_.cancel();
  attempt();
}

void Dialer::retry() {
  if (stopped_) return;
  under_way_ = false;
  const auto half = static_cast<std::uint64_t>(wait_.count() / 2);
  const std::chrono::nanoseconds wait(half + random_.below(static_cast<std::uint32_t>(half)));
  wait_ = std::min<std::chrono::nanoseconds>(wait_ * 2, kBackOffMax);
  timer_.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(wait));
  timer_.async_wait([self = shared_from_this()](const std::error_code& cancelled) {
    if (!cancelled && !self->stopped_ && !self->under_way_) self->attempt();
  });
}

void Dialer::succeeded(NodeId node) {
  node_ = node;
  wait_ = kBackOffStart;
  under_way_ = false;
  ++attempt_;
  timer_.cancel();
}

void Dialer::wake() {
  wait_ = kBackOffStart;
  if (!under_way_) retry();
}

void Dialer::stop() {
  stopped_ = true;
  ++attempt_;
  timer_.cancel();
  resolver_.cancel();
}

void Dialer::attempt() {
  if (node_.raw != 0 && hooks_.linked(node_)) return;  // wake() comes when that link is down
  under_way_ = true;
  ++attempt_;
  const auto parsed = parse_host_port(address_);
  if (!parsed) return fail(resolve_failure_text("cannot reach", address_, {}));
  if (const auto endpoint = numeric_endpoint(*parsed)) return try_endpoints({*endpoint}, 0);
  resolve();
}

void Dialer::resolve() {
  const auto parsed = parse_host_port(address_);
  const std::uint64_t attempt = attempt_;
  timer_.expires_after(kConnectLimit);
  timer_.async_wait([self = shared_from_this(), attempt](const std::error_code& cancelled) {
    if (cancelled || self->stopped_ || attempt != self->attempt_) return;
    ++self->attempt_;  // the system's resolver cannot be interrupted; its answer is ignored
    self->fail(resolve_failure_text("cannot reach", self->address_, asio::error::timed_out));
  });
  resolver_.async_resolve(
      parsed->host, std::to_string(parsed->port),
      [self = shared_from_this(), attempt](const std::error_code& error, const tcp::resolver::results_type& found) {
        if (self->stopped_ || attempt != self->attempt_) return;
        self->timer_.cancel();
        if (error) return self->fail(resolve_failure_text("cannot reach", self->address_, error));
        std::vector<tcp::endpoint> endpoints;
        for (const auto& entry : found) endpoints.push_back(entry.endpoint());
        self->try_endpoints(std::move(endpoints), 0);
      });
}

void Dialer::try_endpoints(std::vector<tcp::endpoint> endpoints, std::size_t index) {
  const tcp::endpoint endpoint = endpoints[index];
  connect(loop_, endpoint,
          [self = shared_from_this(), attempt = attempt_, endpoints = std::move(endpoints), index](
              const std::error_code& error, tcp::socket socket) mutable {
            if (self->stopped_ || attempt != self->attempt_) return;
            if (!error) return self->hooks_.connected(*self, std::move(socket));
            if (error == asio::error::connection_refused) self->hooks_.refused(endpoints[index]);
            if (self->stopped_) return;
            if (index + 1 < endpoints.size()) return self->try_endpoints(std::move(endpoints), index + 1);
            self->fail(dial_failure_text(self->address_, error));
          });
}

void Dialer::fail(const std::string& why) {
  retry();
  hooks_.failed(*this, why);
}

}  // namespace rse
