// What is behind UdpTransport: sockets, dialled addresses, the sessions and which of them is the link with each peer.
// Outlives the transport while handlers of the event loop refer to it; after stop() they find nothing to do.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/udp.hpp>
#include <asio/steady_timer.hpp>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "torus/base/random.h"
#include "transport/handshake.h"
#include "transport/handshake_gate.h"
#include "transport/secure/channel.h"
#include "transport/strangers.h"
#include "transport/stun/stun_keeper.h"
#include "transport/udp/datagram_link.h"
#include "transport/udp/outer.h"
#include "transport/udp/udp_socket.h"
#include "transport/udp/udp_transport.h"

namespace rse {

//  dialled:  kInit --accept--> kHello       kHello --smaller id--> kClaim --granted--> kUp
//  asked:    kAccepted --finish--> kHello     '-----larger id---> kGrant --granted----'     any --closed, silent--> (gone)
//                 '-----not trusted--> kRefused (says why to whoever asks again)          kClaim --duplicate--> kRefused
enum class UdpPhase : std::uint8_t {
  kInit,      // we have sent an init
  kAccepted,  // we have sent an accept
  kRefused,
  kHello,  // the rest as in TCP: waiting for the other's hello
  kClaim,  // we decide: waiting for the claim
  kGrant,  // the other decides: waiting for the grant
  kUp,
};

struct UdpDial;

struct UdpSession {
  std::uint64_t id = 0;       // ours; what comes for this session carries it
  std::uint64_t peer_id = 0;  // theirs
  UdpPhase phase = UdpPhase::kInit;
  bool outgoing = false;
  bool closed = false;
  std::uint64_t number = 0;  // of all sessions, as they came
  std::shared_ptr<UdpSocket> socket;
  asio::ip::udp::endpoint remote;
  std::string host, address;        // as in TCP's Session
  std::shared_ptr<UdpDial> dial;    // null: incoming
  std::unique_ptr<SecureChannel> channel;  // null: not encrypted
  Bytes first_message;              // of the initiator's channel
  Cookie cookie{};
  Bytes again;                      // handshake datagram to be sent until it is answered; empty: none
  Instant again_at{};
  Duration again_wait{};
  Instant limit{};                  // of the handshake; 0: none
  std::optional<Sealer> sealer;
  std::optional<DatagramOpener> opener;
  std::optional<DatagramLink> link;
  Hello peer;                       // valid after kHello
  std::uint64_t grant = 0;
  bool taken = false;
  bool crowded = false;             // its queue was not short when somebody looked
  bool dirty = false;               // may have packets to send
  Instant heard{}, sent{};          // last genuine packet, last packet
  Instant asked{};                  // last ping beside what is sent at once
  std::uint64_t bytes_sent = 0, bytes_received = 0;
};

/// An address that is dialled until undial().
struct UdpDial {
  explicit UdpDial(asio::io_context& loop) : timer(loop), resolver(loop) {}
  std::string address;
  asio::steady_timer timer;
  asio::ip::udp::resolver resolver;
  std::chrono::nanoseconds wait{};
  NodeId node{};  // last seen at this address
  std::uint64_t attempt = 0;
  bool under_way = false, stopped = false;
};

class UdpCore : public std::enable_shared_from_this<UdpCore> {
 public:
  UdpCore(asio::io_context& loop, const UdpOptions& options, TransportCallbacks callbacks);
  std::string listen(const std::vector<std::string>& addresses);

  void set_hello(const Hello& hello);
  void set_trust(std::shared_ptr<const TrustBook> book);
  void dial(const std::string& address);
  void undial(const std::string& address);
  SendResult send(NodeId peer, std::span<const SharedBytes> parts);
  SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts);
  bool has_room(NodeId peer) const;
  std::optional<LinkProgress> progress(NodeId peer) const;
  void disconnect(NodeId peer);
  std::vector<LinkStats> stats() const;
  std::vector<std::uint16_t> bound_ports() const;
  void stop();

 private:
  using Endpoint = asio::ip::udp::endpoint;
  using Session = UdpSession;
  using SessionPtr = std::shared_ptr<UdpSession>;
  struct Peer {
    SessionPtr link;
    std::uint64_t link_number = 0;  // of the last grant, whether it is still up or not
    std::uint64_t incarnation = 0;  // the newest seen
    bool down_unreported = false;   // disconnect() was called, on_down() is on its way
    bool death_reported = false;
    LinkStats stats;                // of links that are over
  };

  // udp_core.cc
  std::string listen_on(const std::string& address, bool only_v6);
  std::shared_ptr<UdpSocket> make_socket();
  std::shared_ptr<UdpSocket> socket_for(const Endpoint& to);
  void on_datagram(UdpSocket& socket, const Endpoint& from, std::span<const std::byte> datagram);
  void keep_public_address();
  void on_record(const Endpoint& from, std::span<const std::byte> datagram);
  void on_refused(std::span<const std::byte> datagram);
  void on_batch_end();
  void attempt(const std::shared_ptr<UdpDial>& dial);
  void retry(const std::shared_ptr<UdpDial>& dial);
  void try_endpoint(const std::shared_ptr<UdpDial>& dial, const Endpoint& endpoint);
  void wake_dials(NodeId node);
  void mark(Session& session);
  void flush();
  void flush(Session& session);
  void arm(Instant deadline);
  void on_timer();
  void look_after(const SessionPtr& session, Instant now);
  Instant deadline_of(const Session& session) const;
  bool linked(NodeId node) const;
  /// Ends a session, whatever it is, and counts what it did. Nobody is told.
  void forget(const SessionPtr& session, bool tell_peer);
  void link_lost(const SessionPtr& session, bool proof_of_death);
  void report_failure(const std::string& address, const std::string& why);
  void report_stranger(const Session& session, const std::string& why);

  // udp_handshake.cc
  SessionPtr new_session(UdpPhase phase, std::shared_ptr<UdpSocket> socket, const Endpoint& remote, std::string address);
  void make_room_for_handshake(const std::string& host);
  void send_init(Session& session);
  void send_again(Session& session, Instant now);
  void on_init(UdpSocket& socket, const Endpoint& from, const HandshakeDatagram& init);
  void on_accept(const SessionPtr& session, const HandshakeDatagram& accept);
  void on_finish(const SessionPtr& session, const HandshakeDatagram& finish);
  void open_link(const SessionPtr& session);
  void refuse_with_hello(Session& session, const std::string& refusal);
  void refuse_and_tell(Session& session, const std::string& refusal);
  void put_frame(Session& session, std::span<const std::byte> frame);
  void on_frame(const SessionPtr& session, std::span<const std::byte> frame, bool at_once);
  void on_hello(const SessionPtr& session, std::span<const std::byte> frame);
  void on_claim(const SessionPtr& session, std::span<const std::byte> frame);
  void on_grant(const SessionPtr& session, std::span<const std::byte> frame);
  void bring_up(const SessionPtr& session);
  void refuse(const SessionPtr& session, const std::string& why);
  std::uint64_t newest_incarnation(NodeId node) const;
  bool make_room_for(NodeId node);

  asio::io_context& loop_;
  TransportCallbacks callbacks_;
  Duration handshake_limit_;
  Random random_;
  Hello hello_;
  std::shared_ptr<const TrustBook> trust_;  // null: not encrypted
  CookieJar cookies_;
  HandshakeGate gate_;
  StrangerLog strangers_;
  bool started_ = false, stopped_ = false;
  std::uint64_t session_count_ = 0, grant_count_ = 0;
  struct Listener {
    std::shared_ptr<UdpSocket> socket;
    bool asked_for;  // else made for dialling
  };
  std::vector<Listener> sockets_;
  std::map<std::uint64_t, SessionPtr> sessions_;
  std::map<NodeId, Peer> peers_;
  std::map<std::string, std::shared_ptr<UdpDial>> dials_;
  std::set<std::string> own_addresses_;  // turned out to be ourselves
  std::vector<SessionPtr> dirty_;
  bool in_batch_ = false, flush_posted_ = false;
  Bytes packet_, opened_;
  asio::steady_timer timer_;
  std::optional<Instant> armed_;
  std::optional<Endpoint> stun_server_;  // none: its answers are not wanted
  std::shared_ptr<StunKeeper> stun_;
};

Instant udp_now();

}  // namespace rse
