#include "transport/tcp/connection.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <asio/buffer.hpp>
#include <asio/error.hpp>
#include <asio/post.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "transport/clock.h"
#include "transport/monotonic_clock.h"

namespace rse {
namespace {

constexpr std::size_t kHeaderBytes = 4;
constexpr std::size_t kReceiveBytes = 128u << 10;       // first size of the buffer; a larger frame grows it
constexpr std::size_t kReceiveBytesKept = 1u << 20;     // after a larger frame it shrinks again
constexpr std::size_t kChunkBytes = 64u << 10;          // small frames share a chunk up to this size
constexpr std::size_t kSealedBytes = 128u << 10;        // two records of the largest size
constexpr std::size_t kSealedBytesKept = 2u << 20;      // what is usually written at once
constexpr std::size_t kChunksPerWrite = 64;             // Asio hands at most this many to writev()
constexpr std::size_t kSpareChunksMax = 4;
constexpr Duration kLookTurn{20'000};                    // as each connection looks for itself, what has come over another waits
/// The kernel gives up a connection whose bytes nobody acknowledged for so long; until then the braid counts silence.
constexpr unsigned kUnacknowledgedMillisecondsMax = 20'000;
/// How long the kernel waits at most before it tries again, where it lets us say so: a link that heals is not to stay silent long.
constexpr int kRetransmissionMillisecondsMax = 1000;  // the least it takes
constexpr int kTcpRtoMax = 44;                        // TCP_RTO_MAX_MS of Linux 6.15
constexpr int kReceiveWindowBytes = 256 << 10;
constexpr int kUnsentBytes = 128 << 10;
constexpr Duration kSilenceThatStops = milliseconds(10);  // a link that works carries a heartbeat every 5 ms

}  // namespace

void set_close_on_exec(int handle) { ::fcntl(handle, F_SETFD, FD_CLOEXEC); }

Connection::Connection(asio::ip::tcp::socket socket, std::size_t frame_bytes_max, Duration spin)
    : socket_(std::move(socket)), timer_(socket_.get_executor()), spin_(spin, kLookTurn), frame_bytes_max_(frame_bytes_max) {}

void Connection::start() {
  std::error_code ignored;
  remote_ = socket_.remote_endpoint(ignored);
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  const unsigned limit = kUnacknowledgedMillisecondsMax;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &limit, sizeof limit);
  // With little under way it tries at even intervals for a while instead of doubling them.
  const int on = 1;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, &on, sizeof on);
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, kTcpRtoMax, &kRetransmissionMillisecondsMax, sizeof kRetransmissionMillisecondsMax);
  // The kernel would let megabytes of regions lie between the two processes, with votes and heartbeats behind them.
  socket_.set_option(asio::socket_base::receive_buffer_size(kReceiveWindowBytes), ignored);
  const int unsent = kUnsentBytes;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
  set_close_on_exec(socket_.native_handle());
  received_.resize(kReceiveBytes);
  if (channel_) {
    sealed_in_.resize(kSealedBytes);
    if (role_ == NoiseRole::kInitiator) channel_->start(handshake_);
    flush();
  }
  wait();
}

void Connection::encrypt(std::unique_ptr<SecureChannel> channel, NoiseRole role) {
  channel_ = std::move(channel);
  role_ = role;
}

bool Connection::send(std::span<const SharedBytes> parts) {
  if (closed_ || draining_) return true;
  std::size_t frame_bytes = 0;
  for (const SharedBytes& part : parts) frame_bytes += part.bytes.size();
  const std::size_t size = kHeaderBytes + frame_bytes;
  const std::size_t bound =
      frame_bytes <= kSmallMessageBytes ? kPeerQueueBytesMax : kPeerQueueBytesMax - kQueueReserveBytes;
  if (queued_bytes_ + size > bound) return false;
  std::array<std::byte, kHeaderBytes> header;
  const auto announced = static_cast<std::uint32_t>(frame_bytes);
  std::memcpy(header.data(), &announced, kHeaderBytes);
  queue_copy(header);
  for (const SharedBytes& part : parts) {
    if (part.owner && part.bytes.size() > kSmallMessageBytes) {
      queue_.emplace_back().shared = part;
    } else {
      queue_copy(part.bytes);
    }
  }
  queued_bytes_ += size;
  flush();
  return true;
}

void Connection::queue_copy(std::span<const std::byte> bytes) {
  const bool shares = queue_.size() > writing_ && !queue_.back().shared.owner &&
                      queue_.back().own.size() + bytes.size() <= kChunkBytes;
  if (!shares) {
    queue_.emplace_back();
    if (!spare_.empty()) {
      queue_.back().own.swap(spare_.back());
      spare_.pop_back();
    }
  }
  Bytes& chunk = queue_.back().own;
  chunk.insert(chunk.end(), bytes.begin(), bytes.end());
}

/// The first of a turn of the loop is written here, as far as the socket takes it; what follows it goes together at the turn's end.
void Connection::flush() {
  if (closed_ || write_under_way_ || wrote_in_turn_) return;
  if (!choose_chunks()) {
    if (draining_) close();
    return;
  }
  std::error_code error;
  const std::size_t size = socket_.write_some(to_write_, error);
  if (error && error != asio::error::would_block) return write_failed();
  if (size < asio::buffer_size(to_write_)) return write_rest(size);
  written(size);
  wrote_in_turn_ = true;
  if (std::exchange(turn_end_posted_, true)) return;
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->turn_end_posted_ = false;
    self->end_turn();
  });
}

void Connection::end_turn() {
  if (!std::exchange(wrote_in_turn_, false)) return;
  const bool was_long = !has_room();
  flush();
  if (was_long && has_room() && !closed_) on_room();
}

/// False: there is nothing to write. Not more than is short: what is taken leaves the queue as a whole, and until then there is no room.
bool Connection::choose_chunks() {
  to_write_.clear();
  std::size_t taken = 0;
  for (writing_ = 0; writing_ < std::min(queue_.size(), kChunksPerWrite) && taken < kQueueShortBytes; ++writing_) {
    const auto bytes = queue_[writing_].bytes();
    taken += bytes.size();
    if (!channel_) to_write_.emplace_back(bytes.data(), bytes.size());
  }
  if (channel_ && (taken > 0 || !handshake_.empty())) to_write_.push_back(seal_queue());
  return !to_write_.empty();
}

/// What is left of the handshake, then records with the chunks that are to be written: one pass over them, small frames together.
asio::const_buffer Connection::seal_queue() {
  std::vector<std::span<const std::byte>> pieces;
  pieces.reserve(writing_);
  std::size_t text = 0;
  for (std::size_t i = 0; i < writing_; ++i) {
    pieces.push_back(queue_[i].bytes());
    text += pieces.back().size();
  }
  const std::size_t size = handshake_.size() + SecureChannel::sealed_size(text);
  if (sealed_out_.size() < size) sealed_out_.resize(size);
  std::copy(handshake_.begin(), handshake_.end(), sealed_out_.begin());
  if (text > 0) channel_->seal(pieces, sealed_out_.data() + handshake_.size());
  handshake_.clear();
  return asio::buffer(sealed_out_.data(), size);
}

void Connection::write_rest(std::size_t begin) {
  write_under_way_ = true;
  std::vector<asio::const_buffer> rest;
  rest.reserve(to_write_.size());
  for (asio::const_buffer buffer : to_write_) {
    const std::size_t skipped = std::min(begin, buffer.size());
    begin -= skipped;
    if (skipped < buffer.size()) rest.push_back(buffer + skipped);
  }
  const std::size_t before = asio::buffer_size(to_write_) - asio::buffer_size(rest);
  asio::async_write(socket_, std::move(rest),
                    [self = shared_from_this(), before](const std::error_code& error, std::size_t size) {
                      self->on_rest_written(error, before + size);
                    });
}

void Connection::on_rest_written(const std::error_code& error, std::size_t size) {
  write_under_way_ = false;
  if (closed_) return;
  if (error) return write_failed();
  const bool was_long = !has_room();
  written(size);
  flush();
  if (was_long && has_room()) on_room();
}

/// What the other end said before it closed (why it refuses, say) may still be there to read; reading ends in EOF or an error by
/// itself. Until then nothing more is written.
void Connection::write_failed() {
  write_under_way_ = true;
  if (draining_) close();
}

/// The chosen chunks leave the queue.
void Connection::written(std::size_t size) {
  bytes_sent += size;
  to_write_.clear();
  for (; writing_ > 0; --writing_) {
    Chunk& chunk = queue_.front();
    queued_bytes_ -= chunk.bytes().size();
    if (spare_.size() < kSpareChunksMax && chunk.own.capacity() > 0 && chunk.own.capacity() <= 2 * kChunkBytes) {
      chunk.own.clear();
      spare_.push_back(std::move(chunk.own));
    }
    queue_.pop_front();
  }
  if (sealed_out_.size() > kSealedBytesKept) {
    sealed_out_.resize(kSealedBytesKept);
    sealed_out_.shrink_to_fit();
  }
}

asio::mutable_buffer Connection::room() {
  if (!channel_) {
    make_room(1);
    return asio::buffer(received_.data() + end_, received_.size() - end_);
  }
  // At most one record waits for its end: there is room for more.
  sealed_end_ -= sealed_begin_;
  if (sealed_begin_ > 0) std::memmove(sealed_in_.data(), sealed_in_.data() + sealed_begin_, sealed_end_);
  sealed_begin_ = 0;
  return asio::buffer(sealed_in_.data() + sealed_end_, sealed_in_.size() - sealed_end_);
}

void Connection::wait() {
  socket_.async_read_some(room(), [self = shared_from_this()](const std::error_code& error, std::size_t size) {
    if (self->take(error, size)) self->go_on();
  });
}

/// What comes soon is taken without having been waited for.
void Connection::go_on() {
  spin_.begin_turn();
  for (bool open = !closed_; open;) {
    const asio::mutable_buffer free = room();
    std::error_code error;
    std::size_t size = 0;
    const auto look = spin_.look([&] {
      size = socket_.read_some(free, error);
      return error != asio::error::would_block;
    });
    if (look == AdaptiveSpin::Look::kTurnOver) return asio::post(socket_.get_executor(), [self = shared_from_this()] { self->go_on(); });
    if (look == AdaptiveSpin::Look::kQuiet) return wait();
    open = take(error, size);
    end_turn();
  }
}

/// What has been read. False when the connection is closed.
bool Connection::take(const std::error_code& error, std::size_t size) {
  if (closed_) return false;
  if (error) {
    fail(error, "");
    return false;
  }
  bytes_received += size;
  spin_.took_message();
  acknowledge_at_once();
  if (!channel_) {
    end_ += size;
    return take_frames();
  }
  sealed_end_ += size;
  return (channel_->state() != SecureChannel::State::kHandshake || take_handshake()) && take_records() && take_frames();
}

/// After a silence the other end may have one segment under way and wait for its acknowledgement, which the kernel would put off
/// for 40 ms to send it with an answer: one that lies here behind a segment that waits in the same way.
void Connection::acknowledge_at_once() {
  const Instant now = monotonic_now();
  if (elapsed(std::exchange(last_read_, now), now) < kSilenceThatStops) return;
  const int on = 1;
  ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

/// False when the connection was closed on the way.
bool Connection::take_handshake() {
  const std::span<const std::byte> in(sealed_in_.data() + sealed_begin_, sealed_end_ - sealed_begin_);
  sealed_begin_ += channel_->on_handshake(in, unix_seconds(), handshake_);
  flush();
  switch (channel_->state()) {
    case SecureChannel::State::kHandshake: return !closed_;
    case SecureChannel::State::kOpen: on_channel(); break;
    case SecureChannel::State::kBroken:
      if (!channel_->verdict().refusal.empty()) {
        on_channel();
      } else {
        fail(asio::error::invalid_argument, channel_->why());
      }
      break;
  }
  return !closed_;
}

/// Opens what has come whole. False when the connection was closed on the way.
bool Connection::take_records() {
  while (channel_->state() == SecureChannel::State::kOpen) {
    const std::span<const std::byte> in(sealed_in_.data() + sealed_begin_, sealed_end_ - sealed_begin_);
    const std::size_t text = channel_->next_record(in);
    if (text == 0) break;
    make_room(text);
    sealed_begin_ += channel_->open(in, received_.data() + end_);
    end_ += text;
  }
  if (channel_->state() != SecureChannel::State::kBroken) return true;
  fail(asio::error::invalid_argument, channel_->why());
  return false;
}

/// False when the connection was closed on the way.
bool Connection::take_frames() {
  while (end_ - begin_ >= kHeaderBytes) {
    std::uint32_t size = 0;
    std::memcpy(&size, received_.data() + begin_, kHeaderBytes);
    if (size > frame_bytes_max_ && !channel_ && begins_channel({received_.data() + begin_, end_ - begin_})) {
      fail(asio::error::invalid_argument, "it is of an encrypted cluster, and this node runs with --insecure; start both in the same way");
      return false;
    }
    if (size > frame_bytes_max_) {
      fail(asio::error::message_size, "it announced a frame of " + std::to_string(size) + " bytes and at most " +
                                          std::to_string(frame_bytes_max_) + " are allowed");
      return false;
    }
    if (end_ - begin_ - kHeaderBytes < size) break;
    const std::span frame(received_.data() + begin_ + kHeaderBytes, size);
    begin_ += kHeaderBytes + size;
    if (!draining_) on_frame(frame);
    if (closed_) return false;
  }
  return true;
}

/// Moves what is left to the front and makes the buffer larger, by doubling, when the frame being received needs it: a
/// sender that announces 17 MiB and sends nothing gets no 17 MiB. At least `size` bytes are free then.
void Connection::make_room(std::size_t size) {
  const std::size_t waiting = end_ - begin_;
  if (begin_ > 0) {
    if (waiting > 0) std::memmove(received_.data(), received_.data() + begin_, waiting);
    begin_ = 0;
    end_ = waiting;
  }
  if (waiting == 0 && received_.size() > kReceiveBytesKept) {
    received_.resize(kReceiveBytes);
    received_.shrink_to_fit();
  }
  if (received_.size() - end_ >= size) return;
  received_.resize(std::max(end_ + size, std::min(received_.size() * 2, kFrameBytesMax + kHeaderBytes)));
}

void Connection::set_time_limit(std::chrono::nanoseconds limit) {
  const std::uint64_t number = ++time_limit_number_;
  timer_.cancel();
  if (limit.count() == 0 || closed_) return;
  timer_.expires_after(std::chrono::duration_cast<asio::steady_timer::duration>(limit));
  timer_.async_wait([self = shared_from_this(), number](const std::error_code& error) {
    if (error || self->closed_ || number != self->time_limit_number_) return;
    if (self->draining_) return self->close();
    self->on_time_limit();
  });
}

void Connection::close() {
  if (closed_) return;
  closed_ = true;
  timer_.cancel();
  std::error_code ignored;
  socket_.close(ignored);
}

void Connection::close_after_flush() {
  if (closed_) return;
  draining_ = true;
  flush();
}

void Connection::fail(const std::error_code& error, const std::string& why) {
  if (closed_) return;
  const bool silent = draining_;
  close();
  if (!silent) on_closed(error, why);
}

}  // namespace rse
