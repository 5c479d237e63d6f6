#include "transport/stun/stun_ask.h"

#include <poll.h>

#include <asio/io_context.hpp>
#include <asio/ip/v6_only.hpp>

#include <algorithm>
#include <array>

#include "transport/monotonic_clock.h"
#include "transport/stun/stun.h"
#include "transport/tcp/address.h"

namespace rse {

using asio::ip::udp;

namespace {

/// Waits for something to read, until `until`.
void wait_for(udp::socket& socket, Instant until) {
  const std::uint64_t left = elapsed(monotonic_now(), until).raw;
  pollfd wait{socket.native_handle(), POLLIN, 0};
  ::poll(&wait, 1, static_cast<int>(left / 1'000'000 + 1));
}

}  // namespace

std::string ask_stun(const std::string& listen, const std::string& server, std::chrono::milliseconds limit, PublicAddress& found) {
  const std::string cannot = "cannot learn this node's public address from " + server + ": ";
  const auto own = parse_network_address(listen);
  const auto host = parse_host_port(server);
  auto endpoint = own ? numeric_endpoint(*own) : std::nullopt;
  const bool both = own && own->host.empty();
  if (both) endpoint.emplace(asio::ip::tcp::v4(), own->port);  // it is IPv4 that has NATs
  if (!endpoint || !host) return cannot + "--stun takes HOST[:PORT], and a numeric address to listen on (--listen udp::7400)";
  asio::io_context loop;
  std::error_code error;
  udp::resolver resolver(loop);
  const auto ask = [&](udp protocol) { return resolver.resolve(protocol, host->host, std::to_string(host->port), error); };
  auto servers = ask(endpoint->address().is_v4() ? udp::v4() : udp::v6());
  if (both && (error || servers.empty())) {
    endpoint.emplace(asio::ip::tcp::v6(), own->port);
    servers = ask(udp::v6());
  }
  if (error || servers.empty()) return cannot + "its name does not resolve; check it, or give its address";
  found.server = servers.begin()->endpoint();
  udp::socket socket(loop);
  socket.open(found.server.protocol(), error);
  if (!error && found.server.protocol() == udp::v6()) socket.set_option(asio::ip::v6_only(true), error);
  if (!error) socket.bind({endpoint->address(), endpoint->port()}, error);
  if (error) return listen_failure_text(listen, error);
  socket.non_blocking(true, error);
  StunClient client(random_stun_transaction(), monotonic_now());
  const Instant end = monotonic_now() + milliseconds(static_cast<std::uint64_t>(limit.count()));
  while (client.state() == StunClient::State::kAsking && monotonic_now() < end) {
    if (const auto question = client.poll_send(monotonic_now())) socket.send_to(asio::buffer(*question), found.server, 0, error);
    wait_for(socket, std::min(end, client.next_deadline().value_or(end)));
    std::array<std::byte, kStunBytesMax> answer;
    udp::endpoint from;
    const std::size_t size = socket.receive_from(asio::buffer(answer), from, 0, error);
    if (!error && from == found.server) client.on_datagram(std::span<const std::byte>(answer).first(size));
  }
  if (client.state() == StunClient::State::kAnswered) return found.mapped = client.mapped(), std::string();
  return cannot + (client.why().empty() ? "it does not answer" : client.why()) + "; is it a STUN server, and does UDP get there?";
}

}  // namespace rse
