// What is behind UdpTransport: dialled addresses, the sessions and which of them is the link with each peer. Clock, timer and ports
// are the UdpSystem's; compiled into the guest kernel, too.
// Threads, memory, errors: see udp_transport.h. After stop() whatever comes finds nothing to do.
#pragma once

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
#include "transport/udp/datagram_link.h"
#include "transport/udp/outer.h"
#include "transport/udp/udp_system.h"

namespace rse {

inline constexpr std::size_t kUdpHandshakesMax = 128;
inline constexpr std::size_t kUdpHostHandshakesMax = 32;
inline constexpr const char* kUdpPrefix = "udp:";

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
  std::shared_ptr<UdpPort> port;
  UdpEndpoint remote;
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
  std::string address;
  Duration wait{};
  Instant again_at{};  // when it is tried next; 0: not by time
  NodeId node{};       // last seen at this address
  std::uint64_t attempt = 0;  // never that of another dial
  bool under_way = false, stopped = false;
};

class UdpCore {
 public:
  struct Options {
    Duration handshake_limit = milliseconds(2000);
    std::shared_ptr<const TrustBook> trust{};  // null: not encrypted
  };
  UdpCore(UdpSystem& system, const Options& options, TransportCallbacks callbacks);

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
  void stop();

  // --- From the system. A callback may have stopped the core when one of these returns. ---
  /// `now`: when it came.
  void on_datagram(UdpPort& port, const UdpEndpoint& from, Instant now, std::span<const std::byte> datagram);
  /// `datagram` is what the refusal quotes: only who has seen it can have made the refusal.
  void on_refused(std::span<const std::byte> datagram);
  /// After any number of the two.
  void on_batch_end();
  /// nullopt: `why` says so.
  void on_resolved(const std::string& address, std::uint64_t attempt, const std::optional<UdpEndpoint>& endpoint, const std::string& why);
  void on_soon();
  void on_timer();
  bool stopped() const { return stopped_; }
  void report_failure(const std::string& address, const std::string& why);

 private:
  using Endpoint = UdpEndpoint;
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
  void on_record(const Endpoint& from, Instant now, std::span<const std::byte> datagram);
  void start_due_dials(Instant now);
  void report_closed();
  void attempt(const std::shared_ptr<UdpDial>& dial);
  void retry(const std::shared_ptr<UdpDial>& dial);
  void try_endpoint(const std::shared_ptr<UdpDial>& dial, const Endpoint& endpoint);
  void wake_dials(NodeId node);
  void mark(Session& session);
  void flush();
  void flush(Session& session);
  void call_soon();
  void arm(Instant deadline);
  void look_after(const SessionPtr& session, Instant now);
  Instant deadline_of(const Session& session) const;
  bool linked(NodeId node) const;
  /// Ends a session, whatever it is, and counts what it did. Nobody is told.
  void forget(const SessionPtr& session, bool tell_peer);
  void link_lost(const SessionPtr& session, bool proof_of_death);
  void report_stranger(const Session& session, const std::string& why);

  // udp_handshake.cc
  SessionPtr new_session(UdpPhase phase, std::shared_ptr<UdpPort> port, const Endpoint& remote, std::string address);
  void make_room_for_handshake(const std::string& host);
  void send_init(Session& session);
  void send_again(Session& session, Instant now);
  void on_init(UdpPort& port, const Endpoint& from, const HandshakeDatagram& init);
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

  UdpSystem& system_;
  TransportCallbacks callbacks_;
  Duration handshake_limit_;
  Random random_;
  Hello hello_;
  std::shared_ptr<const TrustBook> trust_;  // null: not encrypted
  CookieJar cookies_;
  HandshakeGate gate_;
  StrangerLog strangers_;
  bool started_ = false, stopped_ = false;
  std::uint64_t session_count_ = 0, grant_count_ = 0, dial_count_ = 0;
  std::map<std::uint64_t, SessionPtr> sessions_;
  std::map<NodeId, Peer> peers_;
  std::map<std::string, std::shared_ptr<UdpDial>> dials_;
  std::set<std::string> own_addresses_;  // turned out to be ourselves
  std::vector<SessionPtr> dirty_;
  bool in_batch_ = false, soon_asked_ = false;
  Bytes opened_;
  std::optional<Instant> armed_;
};

}  // namespace rse
