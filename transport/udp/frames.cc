#include "transport/udp/frames.h"

namespace rse {
namespace {

bool read_ack(ByteReader& reader, AckFrame& ack) {
  ack.stream_limit = reader.get<std::uint64_t>();
  ack.delay_microseconds = reader.get<std::uint32_t>();
  ack.interval_count = reader.get<std::uint8_t>();
  if (!reader.ok() || ack.interval_count == 0 || ack.interval_count > kAckIntervalsMax) return false;
  std::uint64_t below = ~std::uint64_t{0};
  for (std::size_t i = 0; i < ack.interval_count; ++i) {
    Interval& interval = ack.intervals[i];
    interval.begin = reader.get<std::uint64_t>();
    interval.end = reader.get<std::uint64_t>();
    if (!reader.ok() || interval.begin >= interval.end || interval.end >= below) return false;
    below = interval.begin;
  }
  return true;
}

/// One pass that checks, or visits what another has checked.
bool pass(std::span<const std::byte> packet, FrameVisitor* visitor) {
  ByteReader reader(packet);
  while (reader.remaining() > 0) {
    switch (static_cast<FrameType>(reader.get<std::uint8_t>())) {
      case FrameType::kPad: {
        for (std::byte byte : reader.get_bytes(reader.remaining())) {
          if (byte != std::byte{0}) return false;
        }
        break;
      }
      case FrameType::kAck: {
        AckFrame ack;
        if (!read_ack(reader, ack)) return false;
        if (visitor) visitor->on_ack(ack);
        break;
      }
      case FrameType::kStream: {
        StreamFrame stream;
        stream.offset = reader.get<std::uint64_t>();
        stream.bytes = reader.get_bytes(reader.get<std::uint16_t>());
        if (!reader.ok() || stream.bytes.empty() || stream.offset + stream.bytes.size() < stream.offset) return false;
        if (visitor) visitor->on_stream(stream);
        break;
      }
      case FrameType::kMessage: {
        const auto message = reader.get_bytes(reader.get<std::uint16_t>());
        if (!reader.ok()) return false;
        if (visitor) visitor->on_message(message);
        break;
      }
      case FrameType::kPing:
        if (visitor) visitor->on_ping();
        break;
      case FrameType::kClose:
        if (visitor) visitor->on_close();
        break;
      default: return false;
    }
  }
  return reader.ok();
}

}  // namespace

bool read_frames(std::span<const std::byte> packet, FrameVisitor& visitor) {
  if (packet.empty() || packet.size() > kPacketBytesMax || !pass(packet, nullptr)) return false;
  pass(packet, &visitor);
  return true;
}

void put_ack(PacketWriter& out, const AckFrame& ack) {
  out.put(static_cast<std::uint8_t>(FrameType::kAck));
  out.put(ack.stream_limit);
  out.put(ack.delay_microseconds);
  out.put(static_cast<std::uint8_t>(ack.interval_count));
  for (std::size_t i = 0; i < ack.interval_count; ++i) {
    out.put(ack.intervals[i].begin);
    out.put(ack.intervals[i].end);
  }
}

void put_stream_header(PacketWriter& out, std::uint64_t offset, std::size_t size) {
  out.put(static_cast<std::uint8_t>(FrameType::kStream));
  out.put(offset);
  out.put(static_cast<std::uint16_t>(size));
}

void put_message(PacketWriter& out, std::span<const std::byte> message) {
  out.put(static_cast<std::uint8_t>(FrameType::kMessage));
  out.put(static_cast<std::uint16_t>(message.size()));
  out.put_bytes(message);
}

void put_ping(PacketWriter& out) { out.put(static_cast<std::uint8_t>(FrameType::kPing)); }

void put_close(PacketWriter& out) { out.put(static_cast<std::uint8_t>(FrameType::kClose)); }

}  // namespace rse
