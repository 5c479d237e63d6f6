#include "transport/udp/outer.h"

#include <sodium/crypto_generichash.h>

#include <cstring>

namespace rse {
namespace {

constexpr std::array<std::uint8_t, 8> kMagic{'R', 'S', 'E', 'u', 'd', 'p', '1', '\n'};

bool read_mode(ByteReader& reader, UdpMode& mode) {
  mode = static_cast<UdpMode>(reader.get<std::uint8_t>());
  return mode == UdpMode::kEncrypted || mode == UdpMode::kOpen;
}

bool read_message(ByteReader& reader, std::span<const std::byte>& message) {
  const auto size = reader.get<std::uint16_t>();
  if (size > kHandshakeBytesMax) return false;
  message = reader.get_bytes(size);
  return reader.ok();
}

void read_cookie(ByteReader& reader, Cookie& cookie) {
  const auto bytes = reader.get_bytes(cookie.size());
  if (reader.ok()) std::memcpy(cookie.data(), bytes.data(), cookie.size());
}

void put_message(ByteWriter& writer, std::span<const std::byte> message) {
  writer.put(static_cast<std::uint16_t>(message.size()));
  writer.put_bytes(message);
}

}  // namespace

std::optional<HandshakeDatagram> read_handshake(std::span<const std::byte> datagram) {
  ByteReader reader(datagram);
  HandshakeDatagram what;
  what.type = static_cast<OuterType>(reader.get<std::uint8_t>());
  bool right = true;
  switch (what.type) {
    case OuterType::kInit: {
      const auto magic = reader.get_bytes(kMagic.size());
      right = datagram.size() == kInitBytes && reader.ok() && std::memcmp(magic.data(), kMagic.data(), kMagic.size()) == 0;
      what.from = reader.get<std::uint64_t>();
      right = right && read_mode(reader, what.mode);
      read_cookie(reader, what.cookie);
      right = right && read_message(reader, what.message);
      return right ? std::optional(what) : std::nullopt;  // padding follows
    }
    case OuterType::kRetry:
      what.to = reader.get<std::uint64_t>();
      read_cookie(reader, what.cookie);
      break;
    case OuterType::kAccept:
      what.to = reader.get<std::uint64_t>();
      what.from = reader.get<std::uint64_t>();
      right = read_mode(reader, what.mode) && read_message(reader, what.message);
      break;
    case OuterType::kFinish:
      what.to = reader.get<std::uint64_t>();
      right = read_message(reader, what.message);
      break;
    case OuterType::kRecord:
    default: return {};
  }
  return right && reader.finished() ? std::optional(what) : std::nullopt;
}

Bytes handshake_datagram(const HandshakeDatagram& what) {
  Bytes out;
  ByteWriter writer(out);
  writer.put(static_cast<std::uint8_t>(what.type));
  if (what.type == OuterType::kInit) {
    writer.put_bytes(std::as_bytes(std::span(kMagic)));
    writer.put(what.from);
    writer.put(static_cast<std::uint8_t>(what.mode));
    writer.put_bytes(what.cookie);
    put_message(writer, what.message);
    out.resize(kInitBytes);
    return out;
  }
  writer.put(what.to);
  if (what.type == OuterType::kRetry) writer.put_bytes(what.cookie);
  if (what.type == OuterType::kAccept) {
    writer.put(what.from);
    writer.put(static_cast<std::uint8_t>(what.mode));
  }
  if (what.type != OuterType::kRetry) put_message(writer, what.message);
  return out;
}

std::optional<RecordHeader> read_record_header(std::span<const std::byte> datagram) {
  ByteReader reader(datagram);
  const auto type = static_cast<OuterType>(reader.get<std::uint8_t>());
  RecordHeader header;
  header.to = reader.get<std::uint64_t>();
  header.number = reader.get<std::uint64_t>();
  if (!reader.ok() || type != OuterType::kRecord) return {};
  return header;
}

void write_record_header(std::byte* out, const RecordHeader& header) {
  out[0] = static_cast<std::byte>(OuterType::kRecord);
  std::memcpy(out + 1, &header.to, sizeof header.to);
  std::memcpy(out + 9, &header.number, sizeof header.number);
}

Cookie CookieJar::of_step(std::span<const std::byte> address, std::uint64_t session, std::uint64_t step) const {
  Bytes text;
  ByteWriter writer(text);
  writer.put(step);
  writer.put(session);
  writer.put_bytes(address);
  Cookie cookie;
  crypto_generichash(reinterpret_cast<unsigned char*>(cookie.data()), cookie.size(),
                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), secret_.bytes.data(),
                     secret_.bytes.size());
  return cookie;
}

Cookie CookieJar::cookie(std::span<const std::byte> address, std::uint64_t session, Instant now) const {
  return of_step(address, session, now.raw / (kCookieSeconds * 1'000'000'000));
}

bool CookieJar::knows(const Cookie& cookie, std::span<const std::byte> address, std::uint64_t session, Instant now) const {
  const std::uint64_t step = now.raw / (kCookieSeconds * 1'000'000'000);
  for (const std::uint64_t good : {step, step - 1}) {
    if (sodium_memcmp(of_step(address, session, good).data(), cookie.data(), cookie.size()) == 0) return true;
  }
  return false;
}

}  // namespace rse
