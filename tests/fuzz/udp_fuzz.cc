// Any bytes as packets of a link over datagrams, after some of ours have gone out: each packet begins with its length.
#include <cstdint>

#include "torus/base/assert.h"
#include "transport/udp/datagram_link.h"

using namespace rse;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t delivered = 0;
  DatagramLink link({}, [&](std::span<const std::byte> message) { delivered += message.size(); });
  const Bytes message(5'000, std::byte{7});
  RSE_ASSERT(link.push(message), "the queue is empty");
  Instant now{1'000'000'000};
  std::array<std::byte, kPacketBytesMax> room;
  const auto next_packet = [&] {
    PacketWriter packet(room);
    return link.poll_packet(now, packet).has_value();
  };
  while (next_packet()) {
  }
  const auto bytes = std::as_bytes(std::span(data, size));
  std::uint64_t number = 0;
  for (std::size_t at = 0; at < size;) {
    const std::size_t wanted = data[at++];
    const std::size_t length = std::min(wanted, size - at);
    if (!link.on_packet(now, number, bytes.subspan(at, length))) return 0;
    at += length;
    number += 1 + number % 3;
    now.raw += 700'000;
    for (int sent = 0; sent < 64 && next_packet(); ++sent) {
    }
  }
  RSE_ASSERT(delivered <= size, "nothing is delivered that has not come");
  return 0;
}
