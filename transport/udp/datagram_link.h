// One end of a link over datagrams: messages in, packets out; packets in, messages out. What push() takes arrives once and in
// order however the network loses, doubles and reorders packets; what push_unreliable() takes arrives at once or not at all.
// The same calls give the same packets: no socket, clock or thread. Around it are a secure channel, which numbers the packets
// and lets each number in once, and a socket (udp_transport.h).
// Size: a packet is at most packet_bytes_max(). Threads: one. Memory: the sender's queue, bounded by kQueueBytesMax; the receiver's
// window; a small record for each packet in flight. Errors: on_packet() says false when the peer breaks the rules.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <optional>

#include "transport/udp/congestion.h"
#include "transport/udp/frames.h"
#include "transport/udp/message_stream.h"
#include "transport/udp/path_size.h"

namespace rse {

class DatagramLink {
 public:
  static constexpr std::size_t kQueueBytesMax = 64u << 20;
  struct Options {
    std::size_t message_bytes_max = 16u << 20;
    std::size_t overhead = 0;            // bytes that the channel around it adds to a packet
    std::size_t datagram_bytes_max = 0;  // 0: found by probing
  };
  struct Stats {
    std::uint64_t packets_sent = 0, packets_received = 0, packets_lost = 0, packets_refused = 0;
    Duration rtt{}, rtt_least{};
    std::size_t window_bytes = 0;
  };
  using Deliver = std::function<void(std::span<const std::byte> message)>;

  /// `at_once`: for what comes by push_unreliable(); may be left empty.
  DatagramLink(const Options& options, Deliver deliver, Deliver at_once = {});

  /// False: the queue is full, or the message is larger than the limit.
  bool push_parts(std::span<const SharedBytes> parts);
  bool push(std::span<const std::byte> message) {
    const SharedBytes lent(message);
    return push_parts(std::span(&lent, 1));
  }
  /// False: it does not fit a packet, or one from before has not left yet and is larger than the room beside it.
  bool push_unreliable(std::span<const std::byte> message);

  /// Wants an acknowledgement from the other end: proof of life both ways.
  void ping() { ping_owed_ = true; }
  /// The last packet, after which nothing is sent; may be lost.
  void close() { closing_ = true; }
  /// The other end has closed.
  bool closed_by_peer() const { return closed_by_peer_; }
  void set_message_bytes_max(std::size_t size) { stream_in_.set_message_bytes_max(size); }

  /// A packet that the channel has found genuine and new. False: it is malformed or breaks the rules; end the link.
  bool on_packet(Instant now, std::uint64_t number, std::span<const std::byte> packet);
  /// Writes the next packet to send now, if any, which is at most packet_bytes_max(). Packets are numbered 0, 1, 2, ...
  std::optional<std::uint64_t> poll_packet(Instant now, PacketWriter& out);
  /// When poll_packet() has to be called next although nothing has come; nullopt: not before something happens.
  std::optional<Instant> next_deadline() const;

  std::size_t packet_bytes() const { return path_.packet_bytes(); }
  /// With a probe of the path.
  std::size_t packet_bytes_max() const { return path_.packet_bytes_max(); }
  std::size_t queued_bytes() const { return stream_out_.unacknowledged_bytes(); }
  std::size_t unsent_bytes() const { return stream_out_.unsent_bytes(); }
  bool idle() const { return stream_out_.idle(); }
  Stats stats() const;
  /// Numbers after the newest packet that wants an acknowledgement, and after the newest that has one.
  std::uint64_t asked_until() const { return asked_until_; }
  std::uint64_t answered_until() const { return anything_acknowledged_ ? std::min(newest_acknowledged_ + 1, asked_until_) : 0; }

 private:
  struct Sent {
    Instant at{};
    std::uint32_t bytes = 0;       // counted as in flight; 0: not
    bool settled = false;          // acknowledged or given up
    bool eliciting = false;
    bool probe = false;            // of the path's size
    std::array<Interval, 2> pieces{};
  };
  class Reader;

  void on_ack(Instant now, const AckFrame& ack);
  void settle_acknowledged(const Interval& numbers, bool& any_new, bool& last_new);
  void find_lost(Instant now);
  void give_up(Sent& sent, std::uint64_t number, bool congestion);
  void pop_settled();
  bool ack_is_due(Instant now) const;
  void write_ack(Instant now, PacketWriter& out, std::size_t room);
  Instant ack_deadline() const;
  Instant loss_deadline() const;
  std::optional<std::uint64_t> finish(Instant now, std::size_t packet_bytes);

  const Options options_;
  Deliver deliver_, at_once_;
  PathSize path_;
  RoundTrip rtt_;
  Congestion congestion_;

  // Sending.
  SendStream stream_out_;
  Bytes unreliable_;               // frames that wait for the next packet
  std::deque<Sent> sent_;          // from number first_sent_ on
  std::uint64_t first_sent_ = 0, next_number_ = 0;
  std::uint64_t newest_acknowledged_ = 0;
  bool anything_acknowledged_ = false;
  Instant last_eliciting_{};
  std::uint64_t asked_until_ = 0;
  std::size_t eliciting_in_flight_ = 0;
  Instant loss_at_{};              // when the next packet counts as overtaken for too long; 0: none
  std::uint32_t timeouts_ = 0;     // in a row
  std::uint32_t probes_owed_ = 0;  // packets to be sent whatever the window says
  bool ping_owed_ = false;
  bool closing_ = false, closed_ = false, closed_by_peer_ = false;

  // Receiving.
  ReceiveStream stream_in_;
  IntervalSet received_;
  std::uint64_t received_newest_ = 0, received_floor_ = 0;  // numbers below the floor are not looked at any more
  Instant received_newest_at_{};
  std::uint32_t unacknowledged_ = 0;  // eliciting packets since the last acknowledgement
  bool ack_at_once_ = false;
  Instant ack_since_{};
  Stats counts_{};
};

}  // namespace rse
