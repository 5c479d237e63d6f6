// What is behind TcpTransport: listeners, dialers, the connections and which of them is the link with each peer.
// Outlives the transport while handlers of the event loop refer to it; after stop() they find nothing to do.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "transport/handshake.h"
#include "transport/handshake_gate.h"
#include "transport/strangers.h"
#include "transport/tcp/connection.h"
#include "transport/tcp/dialer.h"
#include "transport/tcp/tcp_transport.h"

namespace rse {

class TcpCore;

//  kHello --smaller id--> kClaim --granted--> kUp
//     '-----larger id---> kGrant --granted----'        any --refused, closed, time limit--> (gone)
enum class SessionPhase : std::uint8_t {
  kHello,  // waiting for the other's hello
  kClaim,  // we decide: waiting for the claim
  kGrant,  // the other decides: waiting for the grant
  kUp,
};

/// One connection, from the hello on.
class Session final : public Connection {
 public:
  Session(TcpCore& core, asio::ip::tcp::socket socket, Duration spin);
  std::shared_ptr<Session> self() { return std::static_pointer_cast<Session>(shared_from_this()); }

  SessionPhase phase = SessionPhase::kHello;
  bool outgoing = false;
  std::uint64_t number = 0;        // of all connections, as they came
  std::string host;                // of the other end, as HandshakeGate wants it
  std::string address;             // dialled, or where it came from
  std::shared_ptr<Dialer> dialer;  // that opened it; null: incoming, or a probe
  unsigned probe_tries = 0;        // > 0: opened to find out whether the peer is dead
  asio::ip::tcp::endpoint probed;  // then: where
  Hello peer;                      // valid after kHello
  std::uint64_t link = 0;          // number of its grant
  bool taken = false;              // the peer has sent something since the grant
  void detach() { core_ = nullptr; }
  const SecureChannel* channel() const { return Connection::channel(); }

 protected:
  void on_frame(std::span<const std::byte> frame) override;
  void on_closed(const std::error_code& error, const std::string& why) override;
  void on_time_limit() override;
  void on_room() override;
  void on_channel() override;

 private:
  TcpCore* core_;  // null after its stop()
};

class TcpCore : public std::enable_shared_from_this<TcpCore> {
 public:
  TcpCore(asio::io_context& loop, const TcpOptions& options, TransportCallbacks callbacks);
  /// Empty: listening.
  std::string listen(const std::vector<std::string>& addresses);

  void set_hello(const Hello& hello);
  void set_trust(std::shared_ptr<const TrustBook> book);
  void dial(const std::string& address);
  void undial(const std::string& address);
  SendResult send(NodeId peer, std::span<const SharedBytes> parts);
  bool has_room(NodeId peer) const;
  std::optional<LinkProgress> progress(NodeId peer) const;
  void disconnect(NodeId peer);
  void on_addresses_changed();
  std::vector<LinkStats> stats() const;
  std::vector<std::uint16_t> bound_ports() const;
  void stop();

  // --- From the sessions. ---
  void on_frame(Session& session, std::span<const std::byte> frame);
  void on_closed(Session& session, const std::error_code& error, const std::string& why);
  void on_time_limit(Session& session);
  void on_room(Session& session);
  void on_channel(Session& session);

 private:
  struct Listener {
    Listener(asio::io_context& loop) : acceptor(loop), pause(loop) {}
    asio::ip::tcp::acceptor acceptor;
    asio::steady_timer pause;
    std::string address;
  };
  struct Peer {
    std::shared_ptr<Session> link;
    std::uint64_t link_number = 0;  // of the last grant, whether it is still up or not
    std::uint64_t incarnation = 0;  // the newest seen
    bool down_unreported = false;   // disconnect() was called, on_down() is on its way
    bool death_reported = false;
    /// Where this life of the peer listens for certain, as seen from here: a refusal there proves its death. Addresses
    /// that it advertises count only when they are of the host that the link leads to.
    std::set<asio::ip::tcp::endpoint> endpoints;
    LinkStats stats;                // of links that are over; of the present one: bytes are added on reading
  };

  std::error_code listen_on(const std::string& address, asio::ip::tcp::endpoint& own);
  void accept(const std::shared_ptr<Listener>& listener);
  void on_accepted(asio::ip::tcp::socket socket);
  std::shared_ptr<Session> open_session(asio::ip::tcp::socket socket, bool outgoing, std::string address,
                                        std::shared_ptr<Dialer> dialer);
  void make_room_for_handshake(const std::string& host);
  void send_hello(Session& session, const std::string& refusal);

  void on_hello(Session& session, std::span<const std::byte> frame);
  void on_claim(Session& session, std::span<const std::byte> frame);
  void on_grant(Session& session, std::span<const std::byte> frame);
  void grant(Session& session);
  void bring_up(Session& session);
  void learn_endpoints(NodeId node, const Session& session);
  /// Ends a handshake; `why` empty: nothing that a person should know.
  void refuse(Session& session, const std::string& why);
  void refuse_and_tell(Session& session, const std::string& why);
  void forget(Session& session);
  void after_failed_handshake(Session& session);
  std::uint64_t newest_incarnation(NodeId node) const;
  bool make_room_for(NodeId node);

  void link_lost(NodeId node);
  void probe(const asio::ip::tcp::endpoint& endpoint, unsigned tries);
  void probe_later(const asio::ip::tcp::endpoint& endpoint, unsigned tries);
  void note_refused(const asio::ip::tcp::endpoint& endpoint);
  void wake_dialers(NodeId node);
  bool linked(NodeId node) const;
  void report_failure(const std::string& address, const std::string& why);
  void report_stranger(const std::string& host, const std::string& address, const std::string& why);

  asio::io_context& loop_;
  TransportCallbacks callbacks_;
  std::chrono::milliseconds handshake_limit_;
  const Duration spin_;
  Random random_;
  Hello hello_;
  std::shared_ptr<const TrustBook> trust_;  // null: not encrypted
  HandshakeGate gate_;
  std::uint64_t session_count_ = 0;
  StrangerLog strangers_;
  bool started_ = false;  // set_hello() was called
  bool stopped_ = false;
  std::uint64_t grant_count_ = 0;
  std::vector<std::shared_ptr<Listener>> listeners_;
  std::set<std::shared_ptr<Session>> sessions_;
  std::map<NodeId, Peer> peers_;
  std::map<std::string, std::shared_ptr<Dialer>> dialers_;
  std::set<std::string> own_addresses_;  // turned out to be ourselves
  asio::ip::tcp::resolver resolver_;
};

}  // namespace rse
