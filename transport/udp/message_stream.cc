#include "transport/udp/message_stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rse {

namespace {
constexpr std::size_t kSpareBytesMax = 64u << 10;
}  // namespace

// --- Sending. ---

void SendStream::push(std::span<const SharedBytes> parts, std::size_t size) {
  Chunk chunk{end_, std::exchange(spare_, {})};
  chunk.bytes.clear();
  chunk.bytes.reserve(sizeof(std::uint32_t) + size);
  ByteWriter writer(chunk.bytes);
  writer.put(static_cast<std::uint32_t>(size));
  for (const SharedBytes& part : parts) writer.put_bytes(part.bytes);
  end_ += chunk.bytes.size();
  chunks_.push_back(std::move(chunk));
}

Interval SendStream::take(std::size_t size_max) {
  if (!lost_.empty()) {
    Interval piece = lost_.intervals().front();
    piece.end = std::min(piece.end, piece.begin + size_max);
    lost_.remove(piece.begin, piece.end);
    return piece;
  }
  const std::uint64_t stop = std::min({end_, limit_, next_ + size_max});
  if (stop <= next_) return {};
  const Interval piece{next_, stop};
  next_ = stop;
  return piece;
}

void SendStream::copy(Interval piece, PacketWriter& out) const {
  auto chunk = std::upper_bound(chunks_.begin(), chunks_.end(), piece.begin,
                                [](std::uint64_t offset, const Chunk& c) { return offset < c.offset; });
  --chunk;
  for (std::uint64_t at = piece.begin; at < piece.end; ++chunk) {
    const std::size_t skip = at - chunk->offset;
    const std::size_t size = std::min<std::uint64_t>(chunk->bytes.size() - skip, piece.end - at);
    out.put_bytes(std::span(chunk->bytes).subspan(skip, size));
    at += size;
  }
}

void SendStream::acknowledged(Interval piece) {
  piece.begin = std::max(piece.begin, begin_);
  acknowledged_.add(piece.begin, piece.end);
  lost_.remove(piece.begin, piece.end);
  if (acknowledged_.empty() || acknowledged_.intervals().front().begin > begin_) return;
  begin_ = acknowledged_.intervals().front().end;
  acknowledged_.drop_lowest();
  while (!chunks_.empty() && chunks_.front().offset + chunks_.front().bytes.size() <= begin_) {
    if (chunks_.front().bytes.capacity() <= kSpareBytesMax) spare_ = std::move(chunks_.front().bytes);
    chunks_.pop_front();
  }
}

void SendStream::lost(Interval piece) {
  piece.begin = std::max(piece.begin, begin_);
  lost_.add(piece.begin, piece.end);
  for (const Interval& known : acknowledged_.intervals()) {
    if (known.begin < piece.end && piece.begin < known.end) lost_.remove(known.begin, known.end);
  }
}

// --- Receiving. ---

bool ReceiveStream::take(std::uint64_t offset, std::span<const std::byte> bytes,
                         const std::function<void(std::span<const std::byte>)>& deliver) {
  const std::uint64_t end = offset + bytes.size();
  if (end > limit()) return false;
  if (end <= begin_) return true;
  if (offset < begin_) {
    bytes = bytes.subspan(begin_ - offset);
    offset = begin_;
  }
  if (offset > begin_) {
    if (ring_.empty()) ring_.resize(kReceiveWindowBytes);
    const std::size_t at = offset % kReceiveWindowBytes;
    const std::size_t first = std::min(bytes.size(), kReceiveWindowBytes - at);
    std::memcpy(ring_.data() + at, bytes.data(), first);
    std::memcpy(ring_.data(), bytes.data() + first, bytes.size() - first);
    ahead_.add(offset, end);
    return true;
  }
  begin_ = end;
  if (!consume(bytes, deliver)) return false;
  while (!ahead_.empty() && ahead_.intervals().front().begin <= begin_) {
    const std::uint64_t until = ahead_.intervals().front().end;
    ahead_.drop_lowest();
    while (begin_ < until) {
      const std::size_t at = begin_ % kReceiveWindowBytes;
      const std::size_t size = std::min<std::uint64_t>(until - begin_, kReceiveWindowBytes - at);
      begin_ += size;
      if (!consume(std::span(ring_).subspan(at, size), deliver)) return false;
    }
  }
  return true;
}

bool ReceiveStream::consume(std::span<const std::byte> bytes,
                            const std::function<void(std::span<const std::byte>)>& deliver) {
  constexpr std::size_t kHeader = sizeof(std::uint32_t);
  while (!bytes.empty()) {
    if (header_.size() < kHeader) {
      const std::size_t part = std::min(kHeader - header_.size(), bytes.size());
      header_.insert(header_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
      bytes = bytes.subspan(part);
      if (header_.size() < kHeader) return true;
      message_size_ = ByteReader(header_).get<std::uint32_t>();
      if (message_size_ > message_bytes_max_) return false;
    }
    if (message_.empty() && bytes.size() >= message_size_) {  // whole in this piece: no copy
      deliver(bytes.first(message_size_));
      bytes = bytes.subspan(message_size_);
      header_.clear();
      continue;
    }
    const std::size_t part = std::min(message_size_ - message_.size(), bytes.size());
    message_.insert(message_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (message_.size() < message_size_) return true;
    deliver(message_);
    message_.clear();
    if (message_.capacity() > kReceiveWindowBytes) message_.shrink_to_fit();
    header_.clear();
  }
  // A message of no bytes is whole with its header.
  if (header_.size() == kHeader && message_size_ == 0) {
    deliver({});
    header_.clear();
  }
  return true;
}

}  // namespace rse
