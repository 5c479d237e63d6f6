// What every transport offers the braid's shell: bounded messages to and from peers, who is connected, and numbers.
// Threads: all calls and callbacks on the owner's event loop. Memory: each peer's queue is bounded; a full one refuses.
// Errors: a refused send is a value; a broken link is a callback. Nothing is promised about delivery across a reconnect:
// the braid resends what matters.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/cut_epochs.h"
#include "torus/base/digest.h"
#include "torus/base/public_key.h"
#include "torus/base/shared_bytes.h"
#include "torus/base/strong.h"
#include "torus/braid/view.h"

namespace rse {

struct TrustBook;  // transport/secure/trust_book.h

/// Protocol versions this build speaks. Overlapping ranges use the smaller maximum.
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

/// Exchanged first on every connection.
struct Hello {
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  ClusterId cluster;  // 0: of none yet, wants to join
  Member self;
  std::uint64_t cut_epochs = kCutEpochsMax;  // between two cuts at most; the same for all nodes of a cluster
  std::string refusal{};     // not empty: the sender closes the connection for this reason
  // --- What the secure channel has proved of the sender. Over shared memory, whose owner is trusted, its own word. ---
  PublicKey key{};             // none: of an open cluster
  std::uint64_t ticket = 0;    // it is not admitted yet and has shown this one
  Digest256 ticket_secret{};   // shared memory only: what it knows of that ticket
};

enum class SendResult : std::uint8_t { kQueued, kNoLink, kQueueFull, kTooLarge };

/// What bulk may wait in a queue, in front of votes, before has_room() says no.
inline constexpr std::size_t kQueueShortBytes = 256u << 10;

/// How far a link has come, by any measure of its transport that only grows. Answered by the other end's transport, at least.
struct LinkProgress {
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;         // the same as `sent`: nothing waits for an answer
  std::uint64_t rtt_nanoseconds = 0;  // smoothed; 0: not known
  std::uint64_t answer_delay_nanoseconds = 0;  // for so long the other end may keep an answer to itself
};

/// Of a link among several with a peer.
enum class LinkUse : std::uint8_t { kInUse, kSpare, kSilent, kSlow };

struct LinkStats {
  NodeId peer;
  std::string transport;  // "tcp", "udp", "ivshmem", "in-process"
  std::string cipher;     // of the link that is up: "AES-256-GCM", "ChaCha20-Poly1305"; empty: it is not encrypted
  std::string address;    // of the peer as connected
  bool connected = false;
  LinkUse use = LinkUse::kInUse;  // of a link that is up
  std::uint64_t bytes_sent = 0, bytes_received = 0;
  std::uint64_t messages_sent = 0, messages_received = 0;
  std::uint64_t messages_dropped = 0;  // refused because the queue was full
  std::uint64_t reconnects = 0;
  std::uint64_t queued_bytes = 0;
  // --- Of the link that is up, as far as its transport knows. ---
  std::uint64_t rtt_nanoseconds = 0;  // smoothed, now; 0: not known
  std::uint64_t packets_sent = 0;
  std::uint64_t packets_lost = 0;     // or taken for lost, and sent again
  std::uint64_t silence_nanoseconds = 0;  // since the last sign of life of the peer's process came by it, to some milliseconds
};

struct TransportCallbacks {
  /// The handshake succeeded; `peer` is who it says it is. A second connection to the same life of a peer is resolved
  /// inside the transport (both sides keep the same one) and is not reported.
  std::function<void(const Hello& peer)> on_up;
  /// `proof_of_death`: the process is gone, not only the link (its port refuses connections after the close, or a later
  /// life of the node has come up). A close is reported with false at once; when the proof comes later, and the peer
  /// is still not back, a second and stronger report with true follows.
  std::function<void(NodeId peer, bool proof_of_death)> on_down;
  std::function<void(NodeId peer, std::span<const std::byte> message)> on_message;
  /// The queue of a peer without room is short again. May be left empty.
  std::function<void(NodeId peer)> on_room;
  /// A dial or a handshake failed; `why` names thing, cause and next step. Repeats are folded by the receiver.
  std::function<void(const std::string& address, const std::string& why)> on_failure;
  /// This machine's NAT shows it to others at another address than before; both as others dial them. May be left empty.
  std::function<void(const std::string& before, const std::string& after)> on_public_address;
};

class Transport {
 public:
  virtual ~Transport() = default;
  /// What we say of ourselves from the next handshake on.
  virtual void set_hello(const Hello& hello) = 0;
  /// Whom to trust from now on: the next handshakes go by it, and links that it does not trust any more are closed, with
  /// on_down(). Transports that are not encrypted ignore it.
  virtual void set_trust(std::shared_ptr<const TrustBook> book) = 0;
  /// Keeps trying `address` ("host:port") with back-off until undial(); an address that turns out to be ourselves is dropped.
  virtual void dial(const std::string& address) = 0;
  virtual void undial(const std::string& address) = 0;
  /// One message in parts. A transport that can keeps parts that have an owner until they are sent, instead of copying them.
  virtual SendResult send_parts(NodeId peer, std::span<const SharedBytes> parts) = 0;
  SendResult send(NodeId peer, std::span<const std::byte> message) {
    const SharedBytes lent(message);
    return send_parts(peer, std::span(&lent, 1));
  }
  /// A message that is worthless when it is late, such as a heartbeat: where it can, a transport sends it at once and once, past
  /// what waits; it may be lost.
  virtual SendResult send_at_once(NodeId peer, std::span<const SharedBytes> parts) { return send_parts(peer, parts); }
  /// Whether more megabytes for the peer would be on their way soon. Messages are queued whatever it says; who asks first
  /// keeps the queue short for what is urgent. After a "no", TransportCallbacks::on_room follows.
  virtual bool has_room(NodeId peer) const = 0;
  /// nullopt: there is no link, or the transport does not know.
  virtual std::optional<LinkProgress> progress(NodeId) const { return std::nullopt; }
  /// Closes the link to a peer; it may come back. on_down(peer, false) follows from the event loop.
  virtual void disconnect(NodeId peer) = 0;
  /// Addresses of this machine's interfaces have changed: a link from one that is gone cannot work any more. A transport that can tell
  /// closes it now, as disconnect() does, instead of waiting for silence.
  virtual void on_addresses_changed() {}
  virtual std::vector<LinkStats> stats() const = 0;
  /// No callback after this returns.
  virtual void stop() = 0;
};

}  // namespace rse
