// Inside two guests only (guest_kernel/test/exchange_test.cc): a projection goes from one to the other and back, encoded and decoded
// as in a braid, with both looking all the time and then with both asleep until a doorbell rings.
#include <algorithm>
#include <memory>
#include <vector>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/drivers/ivshmem.h"
#include "guest_kernel/runtime/print.h"
#include "guest_kernel/test/test.h"
#include "transport/codec/codec.h"
#include "transport/ivshmem/participant.h"

namespace rse::kernel {
namespace {

constexpr int kRounds = 1000;
constexpr Duration kSilenceMax = milliseconds(20'000);

enum class Waiting : std::uint8_t { kLook, kSleep };
using Event = Participant::Event;

class Side {
 public:
  Side(Ivshmem& device, const RingRegion& region)
      : device_(device), self_(region, {.slot = device.id(), .bell = BellKind::kDoorbell, .process = 0}), peer_(1u - device.id()) {}

  void connect() {
    while (!self_.is_open(peer_)) {
      if (wait(Waiting::kSleep).kind == Event::Kind::kAppeared) self_.open(peer_);
      ring();
    }
  }
  void send(const Envelope& envelope) {
    const Bytes bytes = encode_envelope(envelope);
    REQUIRE(self_.put(peer_, bytes, 0) == bytes.size());
    ring();
  }
  Envelope receive(Waiting waiting) {
    for (;;) {
      const Event event = wait(waiting);
      REQUIRE(event.kind != Event::Kind::kClosed && event.kind != Event::Kind::kDamaged);
      if (event.kind != Event::Kind::kMessage) continue;
      Result<Envelope> envelope = decode_envelope(event.message);
      REQUIRE(static_cast<bool>(envelope));
      return std::move(*envelope);
    }
  }
  bool asks() const { return self_.slot() == 0; }

 private:
  Event wait(Waiting waiting) {
    for (const Instant end = now() + kSilenceMax; now() < end;) {
      const Event event = self_.poll();
      if (event.kind != Event::Kind::kNothing) return event;
      if (waiting == Waiting::kLook) continue;
      disable_interrupts();
      if (self_.try_sleep()) {
        set_alarm(now() + milliseconds(20));
        enable_interrupts_and_halt();
      }
      enable_interrupts();
      self_.wake();
    }
    test_require_failed("the other guest is there", __FILE__, __LINE__);
  }
  void ring() {
    for (std::uint32_t bells = self_.take_bells(); bells != 0; bells &= bells - 1) {
      device_.ring(static_cast<std::uint16_t>(__builtin_ctz(bells)), 0);
    }
  }

  Ivshmem& device_;
  Participant self_;
  std::uint32_t peer_;
};

Envelope projection_of(std::uint64_t round) {
  PacketMessage message{.view = {1}};
  message.packet.run = message.packet.projection.run = {1};
  message.packet.epoch = message.packet.projection.epoch = {round};
  message.packet.next_epoch = {round + 1};
  message.packet.projection.boundary_states.fill(static_cast<std::uint32_t>(round));
  return {.origin = {1}, .origin_incarnation = 1, .destination = {2}, .message = message};
}

void exchange(Side& side, Waiting waiting, const char* name) {
  std::vector<std::uint64_t> took;
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    if (!side.asks()) {
      side.send(side.receive(waiting));
      continue;
    }
    const Envelope projection = projection_of(round);
    const Instant begin = now();
    side.send(projection);
    const Envelope back = side.receive(waiting);
    took.push_back(elapsed(begin, now()).raw / 2);
    const auto* const packet = std::get_if<PacketMessage>(&back.message);
    REQUIRE(packet != nullptr);
    REQUIRE(packet->packet.epoch.raw == round);
    REQUIRE(packet->packet.projection.boundary_states[7] == round);
  }
  if (!side.asks()) return;
  std::sort(took.begin(), took.end());
  print_line("exchange: ", name, " one way, encode to decode: bytes=", encode_envelope(projection_of(kRounds)).size(),
             " p50_ns=", took[kRounds / 2], " p99_ns=", took[kRounds * 99 / 100]);
}

}  // namespace

TEST_CASE("device-exchange: a projection goes to another guest and back, by looking and by doorbells") {
  static Ivshmem device;
  REQUIRE(device.start() == nullptr);
  REQUIRE(device.on_ring(0, [](Frame&, void*) {}, nullptr));
  const auto region = RingRegion::over(device.memory());
  REQUIRE(region.has_value());
  REQUIRE(region->formatted());
  const auto side = std::make_unique<Side>(device, *region);
  side->connect();
  exchange(*side, Waiting::kLook, "looking");
  exchange(*side, Waiting::kSleep, "doorbells");
}

}  // namespace rse::kernel
