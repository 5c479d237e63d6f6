// The transport's life outside handshakes: listening, dialling, sending, and what a broken link means.
#include "transport/tcp/tcp_core.h"

#include <asio/error.hpp>
#include <asio/ip/v6_only.hpp>
#include <asio/post.hpp>

#include <algorithm>
#include <random>

#include "transport/codec/codec.h"
#include "transport/machine_addresses.h"
#include "transport/monotonic_clock.h"
#include "transport/tcp/address.h"

namespace rse {

using asio::ip::tcp;

namespace {

constexpr std::size_t kHandshakesMax = 128;        // of connections that others opened
constexpr std::size_t kHostHandshakesMax = 32;     // likewise, of one host
constexpr unsigned kProbeTriesMax = 12;            // waits 100, 200, 400 us, ... 205 ms between them
constexpr std::chrono::milliseconds kAcceptPause{100};
constexpr Duration kDelayedAcknowledgement = milliseconds(60);  // Linux: 40 ms, and what a timer may be late

std::uint64_t system_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

/// What to do about a handshake that failed, unless `why` says it.
const char* next_step(const std::string& why) {
  return why.find("--insecure") == std::string::npos ? "; is it an rse-node?" : "";
}

}  // namespace

Session::Session(TcpCore& core, tcp::socket socket, Duration spin) : Connection(std::move(socket), kHelloBytesMax, spin), core_(&core) {}

// A callback may destroy the transport: the core stays until its function returns.
void Session::on_frame(std::span<const std::byte> frame) {
  if (core_ != nullptr) core_->shared_from_this()->on_frame(*this, frame);
}
void Session::on_closed(const std::error_code& error, const std::string& why) {
  if (core_ != nullptr) core_->shared_from_this()->on_closed(*this, error, why);
}
void Session::on_time_limit() {
  if (core_ != nullptr) core_->shared_from_this()->on_time_limit(*this);
}
void Session::on_channel() {
  if (core_ != nullptr) core_->shared_from_this()->on_channel(*this);
}

void Session::on_room() {
  if (core_ != nullptr) core_->shared_from_this()->on_room(*this);
}

TcpCore::TcpCore(asio::io_context& loop, const TcpOptions& options, TransportCallbacks callbacks)
    : loop_(loop),
      callbacks_(std::move(callbacks)),
      handshake_limit_(options.handshake_limit),
      spin_(options.spin),
      random_(options.seed != 0 ? options.seed : system_seed()),
      trust_(options.trust),
      resolver_(loop) {}

// --- Listening. ---

std::string TcpCore::listen(const std::vector<std::string>& addresses) {
  for (const std::string& address : addresses) {
    const OpenListener open = [&](tcp::endpoint& own) { return listen_on(address, own); };
    if (std::string failure = listen_on_each(loop_, "", address, open); !failure.empty()) return failure;
  }
  return {};
}

std::error_code TcpCore::listen_on(const std::string& address, tcp::endpoint& own) {
  auto listener = std::make_shared<Listener>(loop_);
  listener->address = address;
  auto& acceptor = listener->acceptor;
  std::error_code error;
  acceptor.open(own.protocol(), error);
  if (error) return error;
  set_close_on_exec(acceptor.native_handle());
  acceptor.set_option(asio::socket_base::reuse_address(true), error);  // what the last life left in TIME_WAIT is fine
  if (own.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true), error);
  acceptor.bind(own, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (!error) own = acceptor.local_endpoint(error);
  if (!error) listeners_.push_back(std::move(listener));
  return error;
}

void TcpCore::accept(const std::shared_ptr<Listener>& listener) {
  listener->acceptor.async_accept(
      [self = shared_from_this(), listener](const std::error_code& error, tcp::socket socket) {
        if (self->stopped_) return;
        if (!error) {
          self->on_accepted(std::move(socket));
          if (!self->stopped_) self->accept(listener);
          return;
        }
        // Too many open files, most likely; trying at once would only burn the processor.
        listener->pause.expires_after(kAcceptPause);
        listener->pause.async_wait([self, listener](const std::error_code& cancelled) {
          if (!cancelled && !self->stopped_) self->accept(listener);
        });
        if (error != asio::error::connection_aborted) {
          self->report_failure(listener->address, "cannot accept connections on " + listener->address + ": " +
                                                      error.message() + "; raise the limit of open files (ulimit -n)");
        }
      });
}

void TcpCore::on_accepted(tcp::socket socket) {
  std::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) return;
  const std::string host = host_of(remote.address());
  if (!gate_.admit(host, monotonic_now())) {  // closes it; who means it comes again
    return report_stranger(host, to_text(remote), "too many connections from " + host);
  }
  make_room_for_handshake(host);
  open_session(std::move(socket), false, to_text(remote), nullptr);
}

/// Strangers' unfinished handshakes are bounded: the oldest of the host that has most of them gives way. So a host that opens
/// thousands of connections and says nothing only displaces its own, and who finishes quickly finishes.
void TcpCore::make_room_for_handshake(const std::string& host) {
  std::map<std::string, std::vector<std::shared_ptr<Session>>> pending;
  std::size_t count = 0;
  for (const auto& session : sessions_) {
    if (session->outgoing || session->phase == SessionPhase::kUp) continue;
    pending[session->host].push_back(session);
    ++count;
  }
  auto fullest = pending.find(host);
  if (fullest == pending.end() || fullest->second.size() < kHostHandshakesMax) {
    if (count < kHandshakesMax) return;
    fullest = std::max_element(pending.begin(), pending.end(),
                               [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  }
  const auto oldest = *std::min_element(fullest->second.begin(), fullest->second.end(),
                                        [](const auto& a, const auto& b) { return a->number < b->number; });
  report_stranger(fullest->first, oldest->address, "too many unfinished handshakes from " + fullest->first);
  forget(*oldest);
}

std::vector<std::uint16_t> TcpCore::bound_ports() const {
  std::vector<std::uint16_t> ports;
  std::error_code ignored;
  for (const auto& listener : listeners_) ports.push_back(listener->acceptor.local_endpoint(ignored).port());
  return ports;
}

// --- Dialling. ---

void TcpCore::set_hello(const Hello& hello) {
  if (stopped_) return;
  hello_ = hello;
  if (std::exchange(started_, true)) return;
  for (const auto& listener : listeners_) accept(listener);
  for (const auto& [address, dialer] : dialers_) dialer->start();
}

void TcpCore::dial(const std::string& address) {
  if (stopped_ || own_addresses_.contains(address) || dialers_.contains(address)) return;
  Dialer::Hooks hooks;  // a dialer is stopped before the core goes
  hooks.connected = [this](Dialer& dialer, tcp::socket socket) {
    open_session(std::move(socket), true, dialer.address(), dialer.shared_from_this());
  };
  hooks.refused = [this](const tcp::endpoint& endpoint) { shared_from_this()->note_refused(endpoint); };
  hooks.failed = [this](Dialer& dialer, const std::string& why) {
    shared_from_this()->report_failure(dialer.address(), why);
  };
  hooks.linked = [this](NodeId node) { return linked(node); };
  auto dialer = std::make_shared<Dialer>(loop_, address, random_.next(), std::move(hooks));
  dialers_.emplace(address, dialer);
  if (!started_) return;
  asio::post(loop_, [self = shared_from_this(), dialer] { dialer->start(); });  // no callback from inside this call
}

void TcpCore::undial(const std::string& address) {
  own_addresses_.erase(address);
  const auto found = dialers_.find(address);
  if (found == dialers_.end()) return;
  found->second->stop();
  dialers_.erase(found);
}

std::shared_ptr<Session> TcpCore::open_session(tcp::socket socket, bool outgoing, std::string address,
                                               std::shared_ptr<Dialer> dialer) {
  auto session = std::make_shared<Session>(*this, std::move(socket), spin_);
  session->outgoing = outgoing;
  session->address = std::move(address);
  session->dialer = std::move(dialer);
  session->number = ++session_count_;
  sessions_.insert(session);
  session->set_time_limit(handshake_limit_);
  if (trust_) {
    const NoiseRole role = outgoing ? NoiseRole::kInitiator : NoiseRole::kResponder;
    session->encrypt(std::make_unique<SecureChannel>(role, trust_, session->address), role);
  }
  session->start();
  session->host = host_of(session->remote().address());
  if (!trust_) send_hello(*session, {});
  return session;
}

void TcpCore::send_hello(Session& session, const std::string& refusal) {
  Hello hello = hello_;
  hello.refusal = refusal;
  Bytes bytes;
  encode_hello(hello, bytes);
  session.send(bytes);
}

// --- Trust. ---

/// The channel's handshake is over: both know who the other is, and the one that was asked says so if it will not do.
void TcpCore::on_channel(Session& session) {
  const SecureChannel& channel = *session.channel();
  const std::string refusal = channel.verdict().refusal;
  if (channel.state() != SecureChannel::State::kOpen) return refuse(session, refusal);
  if (!refusal.empty()) return refuse_and_tell(session, refusal);
  send_hello(session, {});
}

/// Of a connection that the other has opened.
void TcpCore::refuse_and_tell(Session& session, const std::string& refusal) {
  send_hello(session, refusal);
  const auto keep = session.self();
  sessions_.erase(keep);
  session.detach();
  session.close_after_flush();
  report_stranger(session.host, session.address, refusal);
}

void TcpCore::set_trust(std::shared_ptr<const TrustBook> book) {
  if (stopped_ || !trust_) return;
  trust_ = std::move(book);
  std::vector<NodeId> strange;
  for (const auto& [node, peer] : peers_) {
    if (peer.link && !still_trusted(*trust_, peer.link->channel()->peer())) strange.push_back(node);
  }
  for (const NodeId node : strange) disconnect(node);
}

// --- Links. ---

bool TcpCore::linked(NodeId node) const {
  const auto found = peers_.find(node);
  return found != peers_.end() && found->second.link != nullptr;
}

SendResult TcpCore::send(NodeId node, std::span<const SharedBytes> parts) {
  std::size_t size = 0;
  for (const SharedBytes& part : parts) size += part.bytes.size();
  if (size > kMessageBytesMax) return SendResult::kTooLarge;
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.link) return SendResult::kNoLink;
  Peer& peer = found->second;
  if (size == 0) return SendResult::kQueued;  // an empty frame is the handshake's, not a message
  if (!peer.link->send(parts)) {
    ++peer.stats.messages_dropped;
    return SendResult::kQueueFull;
  }
  ++peer.stats.messages_sent;
  return SendResult::kQueued;
}

bool TcpCore::has_room(NodeId node) const {
  const auto found = peers_.find(node);
  return found == peers_.end() || !found->second.link || found->second.link->has_room();
}

std::optional<LinkProgress> TcpCore::progress(NodeId node) const {
  const auto found = peers_.find(node);
  if (found == peers_.end() || !found->second.link) return {};
  const TcpMeasure measure = found->second.link->measure();
  return LinkProgress{.sent = measure.bytes_acknowledged + measure.packets_unacknowledged,
                      .answered = measure.bytes_acknowledged,
                      .rtt_nanoseconds = measure.rtt_nanoseconds,
                      .answer_delay_nanoseconds = kDelayedAcknowledgement.raw};
}

void TcpCore::on_room(Session& session) {
  if (!stopped_ && session.phase == SessionPhase::kUp && callbacks_.on_room) callbacks_.on_room(session.peer.self.node);
}

void TcpCore::disconnect(NodeId node) {
  const auto found = peers_.find(node);
  if (found == peers_.end() || !found->second.link) return;
  Peer& peer = found->second;
  forget(*peer.link);
  peer.down_unreported = true;
  asio::post(loop_, [self = shared_from_this(), node] {
    const auto again = self->peers_.find(node);
    if (self->stopped_ || again == self->peers_.end() || !std::exchange(again->second.down_unreported, false)) return;
    self->wake_dialers(node);
    self->callbacks_.on_down(node, false);
  });
}

void TcpCore::on_addresses_changed() {
  std::vector<NodeId> cut_off;
  for (const auto& [node, peer] : peers_)
    if (peer.link && !machine_has(peer.link->local().address())) cut_off.push_back(node);
  for (const NodeId node : cut_off) disconnect(node);
}

/// Closes a session, whatever it is, and counts what it did. Nobody is told.
void TcpCore::forget(Session& session) {
  const auto keep = session.self();
  session.close();
  session.detach();
  if (session.phase == SessionPhase::kUp) {
    Peer& peer = peers_[session.peer.self.node];
    peer.stats.bytes_sent += session.bytes_sent;
    peer.stats.bytes_received += session.bytes_received;
    if (peer.link == keep) peer.link = nullptr;
  }
  sessions_.erase(keep);
}

void TcpCore::on_closed(Session& session, const std::error_code& error, const std::string& why) {
  const auto keep = session.self();
  const std::string address = session.address;
  if (session.phase == SessionPhase::kUp) {
    const NodeId node = session.peer.self.node;
    const std::string name = session.peer.self.name.empty() ? hex_id(node.raw) : session.peer.self.name;
    forget(session);
    link_lost(node);
    if (!why.empty()) {
      report_failure(address, "closed the link with " + name + " at " + address + ": " + why +
                                  "; it is of another version or broken: look at its log");
    }
    return;
  }
  forget(session);
  after_failed_handshake(session);
  if (stopped_ || (!session.outgoing && why.empty())) return;  // someone looked whether the port is open
  if (session.probe_tries > 0) return;
  if (!session.outgoing) {
    report_stranger(session.host, address, "cannot talk to " + address + ": " + why + next_step(why));
  } else if (why.empty()) {
    report_failure(address, "cannot talk to " + address + ": it closed the connection during the handshake (" +
                                error.message() + "); look at the log of that machine");
  } else {
    report_failure(address, "cannot talk to " + address + ": " + why + next_step(why));
  }
}

/// The link with `node` is closed and not by us. Whether it is dead is asked first, as the answer takes a moment.
void TcpCore::link_lost(NodeId node) {
  if (stopped_) return;
  Peer& peer = peers_[node];
  peer.death_reported = false;
  for (const auto& endpoint : peer.endpoints) probe(endpoint, 1);
  wake_dialers(node);
  callbacks_.on_down(node, false);
}

void TcpCore::wake_dialers(NodeId node) {
  for (const auto& [address, dialer] : dialers_) {
    if (dialer->node() == node) dialer->wake();
  }
}

/// Connects to where a peer listened that is down now: refused means that the process is gone; otherwise this is the new
/// connection. A dying process accepts until its sockets are closed: such connections break off, and it is tried again.
void TcpCore::probe(const tcp::endpoint& endpoint, unsigned tries) {
  connect(loop_, endpoint, [self = shared_from_this(), endpoint, tries](const std::error_code& error, tcp::socket socket) {
    if (self->stopped_) return;
    if (error == asio::error::connection_refused) return self->note_refused(endpoint);
    if (error == asio::error::connection_reset || error == asio::error::connection_aborted) {
      return self->probe_later(endpoint, tries);
    }
    if (error) return;
    const auto session = self->open_session(std::move(socket), true, to_text(endpoint), nullptr);
    session->probed = endpoint;
    session->probe_tries = tries;
  });
}

void TcpCore::probe_later(const tcp::endpoint& endpoint, unsigned tries) {
  if (tries >= kProbeTriesMax) return;
  auto timer = std::make_shared<asio::steady_timer>(loop_, std::chrono::microseconds(100u << (tries - 1)));
  timer->async_wait([self = shared_from_this(), timer, endpoint, tries](const std::error_code&) {
    if (self->stopped_) return;
    for (const auto& [node, peer] : self->peers_) {
      if (!peer.link && !peer.death_reported && peer.endpoints.contains(endpoint)) {
        return self->probe(endpoint, tries + 1);
      }
    }
  });
}

void TcpCore::after_failed_handshake(Session& session) {
  if (session.dialer) {
    if (linked(session.peer.self.node)) {
      session.dialer->succeeded(session.peer.self.node);
    } else {
      session.dialer->retry();
    }
  }
  if (session.probe_tries > 0 && session.phase == SessionPhase::kHello) probe_later(session.probed, session.probe_tries);
}

void TcpCore::note_refused(const tcp::endpoint& endpoint) {
  std::vector<NodeId> dead;
  for (auto& [node, peer] : peers_) {
    if (peer.link || peer.death_reported || peer.down_unreported || !peer.endpoints.contains(endpoint)) continue;
    peer.death_reported = true;
    dead.push_back(node);
  }
  for (NodeId node : dead) {
    if (!stopped_) callbacks_.on_down(node, true);
  }
}

void TcpCore::report_failure(const std::string& address, const std::string& why) {
  if (!stopped_) callbacks_.on_failure(address, why);
}

void TcpCore::report_stranger(const std::string& host, const std::string& address, const std::string& why) {
  if (const auto line = strangers_.line(host, why, monotonic_now())) report_failure(address, *line);
}

std::vector<LinkStats> TcpCore::stats() const {
  std::vector<LinkStats> all;
  for (const auto& [node, peer] : peers_) {
    LinkStats& stats = all.emplace_back(peer.stats);
    stats.peer = node;
    stats.transport = "tcp";
    stats.connected = peer.link != nullptr;
    if (!peer.link) continue;
    const TcpMeasure measure = peer.link->measure();
    stats.rtt_nanoseconds = measure.rtt_nanoseconds;
    stats.packets_sent = measure.packets_sent;
    stats.packets_lost = measure.packets_lost;
    stats.silence_nanoseconds = measure.silence_nanoseconds;
    if (peer.link->channel()) stats.cipher = cipher_name(peer.link->channel()->cipher());
    stats.bytes_sent += peer.link->bytes_sent;
    stats.bytes_received += peer.link->bytes_received;
    stats.queued_bytes = peer.link->queued_bytes();
  }
  return all;
}

void TcpCore::stop() {
  if (std::exchange(stopped_, true)) return;
  std::error_code ignored;
  for (const auto& listener : listeners_) {
    listener->acceptor.close(ignored);
    listener->pause.cancel();
  }
  for (const auto& [address, dialer] : dialers_) dialer->stop();
  dialers_.clear();
  for (const auto& session : sessions_) {
    session->close();
    session->detach();
  }
  sessions_.clear();
  for (auto& [node, peer] : peers_) peer.link = nullptr;
  resolver_.cancel();
}

}  // namespace rse
