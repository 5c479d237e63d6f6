// One TCP connection that carries frames: u32 little-endian size, then that many bytes. Spec: transport/tcp/framing.md.
// Encrypted, the same bytes travel in the records of a SecureChannel, after its handshake; what is queued is sealed when it is
// its turn to be written, from where it lies.
// Size: a frame is at most frame_bytes_max; the receive buffer grows with what arrives, not with what is announced.
// Threads: the event loop's. Memory: queued bytes, bounded by the queue; frames handed out live until on_frame() returns.
// Errors: on_closed(), once, from the event loop; never after close().
#pragma once

#include <asio/buffer.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/shared_bytes.h"
#include "torus/braid/messages.h"
#include "transport/adaptive_spin.h"
#include "transport/secure/channel.h"
#include "transport/tcp/tcp_measure.h"
#include "transport/transport.h"

namespace rse {

inline constexpr std::size_t kFrameBytesMax = kMessageBytesMax + (1u << 20);
inline constexpr std::size_t kPeerQueueBytesMax = 64u << 20;
/// The end of the queue is kept for small messages: heartbeats have to get through a flood of regions.
inline constexpr std::size_t kQueueReserveBytes = 1u << 20;
inline constexpr std::size_t kSmallMessageBytes = 4096;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// `spin`: how long to look for more before sleeping.
  Connection(asio::ip::tcp::socket socket, std::size_t frame_bytes_max, Duration spin);
  virtual ~Connection() = default;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Before start(): everything goes through this channel, whose handshake comes first; `start()` begins it.
  void encrypt(std::unique_ptr<SecureChannel> channel, NoiseRole role);
  /// Sets the socket's options and begins to read.
  void start();
  void set_frame_bytes_max(std::size_t size) { frame_bytes_max_ = size; }
  /// A frame in parts; those that have an owner are kept until they are written, small ones and lent ones are copied.
  /// False: the queue is full and nothing was taken. True after a close, too: the bytes are lost like those on their way.
  bool send(std::span<const SharedBytes> parts);
  bool send(std::span<const std::byte> frame) {
    const SharedBytes lent(frame);
    return send(std::span(&lent, 1));
  }
  /// Ends it now; on_closed() will not be called.
  void close();
  /// Ends it when the queue has been written; what is received meanwhile is ignored.
  void close_after_flush();
  /// Calls on_time_limit() once unless called again before; 0: never.
  void set_time_limit(std::chrono::nanoseconds limit);

  bool closed() const { return closed_; }
  std::size_t queued_bytes() const { return queued_bytes_; }
  /// False: on_room() follows once the queue is short.
  bool has_room() const { return queued_bytes_ < kQueueShortBytes; }
  const asio::ip::tcp::endpoint& remote() const { return remote_; }
  asio::ip::tcp::endpoint local() const {
    std::error_code gone;
    return socket_.local_endpoint(gone);
  }
  TcpMeasure measure() { return measure_tcp(socket_.native_handle()); }
  std::uint64_t bytes_sent = 0, bytes_received = 0;  // since taken by the owner's statistics

 protected:
  virtual void on_frame(std::span<const std::byte> frame) = 0;
  /// `why` is empty when the other end or the network closed it (`error` says how).
  virtual void on_closed(const std::error_code& error, const std::string& why) = 0;
  virtual void on_time_limit() = 0;
  virtual void on_room() {}
  /// The channel's handshake has ended; it is open, or broken by its verdict.
  virtual void on_channel() = 0;
  const SecureChannel* channel() const { return channel_.get(); }
  void fail(const std::error_code& error, const std::string& why);

 private:
  asio::mutable_buffer room();
  void wait();
  void go_on();
  bool take(const std::error_code& error, std::size_t size);
  void acknowledge_at_once();
  bool take_frames();
  bool take_handshake();
  bool take_records();
  void make_room(std::size_t size);
  asio::const_buffer seal_queue();
  void queue_copy(std::span<const std::byte> bytes);
  void flush();
  void end_turn();
  bool choose_chunks();
  void write_rest(std::size_t begin);
  void on_rest_written(const std::error_code& error, std::size_t size);
  void write_failed();
  void written(std::size_t size);

  asio::ip::tcp::socket socket_;
  asio::steady_timer timer_;
  asio::ip::tcp::endpoint remote_;
  AdaptiveSpin spin_;
  std::size_t frame_bytes_max_;
  bool closed_ = false;
  bool draining_ = false;
  std::uint64_t time_limit_number_ = 0;

  Instant last_read_{};
  Bytes received_;  // bytes [begin_, end_) wait to be taken
  std::size_t begin_ = 0, end_ = 0;

  std::unique_ptr<SecureChannel> channel_;  // null: not encrypted
  NoiseRole role_{};
  Bytes handshake_;     // to be written before anything of the queue
  Bytes sealed_in_;     // bytes [sealed_begin_, sealed_end_) wait to be opened
  std::size_t sealed_begin_ = 0, sealed_end_ = 0;
  Bytes sealed_out_;    // with the socket; it keeps its size, so that nothing is cleared only to be overwritten

  /// Bytes on their way: copied ones, that many small frames share, or a view of what its owner keeps.
  struct Chunk {
    Bytes own;
    SharedBytes shared;
    std::span<const std::byte> bytes() const { return shared.owner ? shared.bytes : std::span<const std::byte>(own); }
  };
  std::deque<Chunk> queue_;  // the first `writing_` are with the socket
  std::size_t writing_ = 0;
  std::vector<asio::const_buffer> to_write_;  // those, sealed if there is a channel; empty: nothing has been chosen
  bool write_under_way_ = false;
  bool wrote_in_turn_ = false;
  bool turn_end_posted_ = false;
  std::size_t queued_bytes_ = 0;
  std::vector<Bytes> spare_;
};

/// Children of this process must not inherit it: they would keep the port alive after our death.
void set_close_on_exec(int handle);

}  // namespace rse
