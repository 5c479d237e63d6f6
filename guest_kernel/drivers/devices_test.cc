// Drivers against QEMU's devices: each case in a guest of its own that has the device (guest_kernel/test/devices_test.cc).
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/arch/x86_64/cpu.h"
#include "guest_kernel/drivers/ivshmem.h"
#include "guest_kernel/drivers/keyboard.h"
#include "guest_kernel/drivers/serial.h"
#include "guest_kernel/drivers/virtio_block.h"
#include "guest_kernel/drivers/virtio_net.h"
#include "guest_kernel/runtime/print.h"
#include "guest_kernel/test/test.h"

namespace rse::kernel {
namespace {

constexpr Duration kAnswerMax = milliseconds(10'000);

bool is_fine(const char* wrong) {
  if (wrong != nullptr) print_line("device: ", wrong);
  return wrong == nullptr;
}

/// Sleeps until an interrupt, a millisecond at most.
void sleep_a_bit() {
  disable_interrupts();
  set_alarm(now() + milliseconds(1));
  enable_interrupts_and_halt();
}

std::uint16_t word_at(std::span<const std::byte> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned>(bytes[at]) << 8 | static_cast<unsigned>(bytes[at + 1]));
}

}  // namespace

TEST_CASE("device-block: sectors are read, written and kept, and nothing beyond the end") {
  const auto disk = std::make_unique<VirtioBlock>();
  REQUIRE(is_fine(disk->start()));
  REQUIRE(disk->sector_count() == 256);
  std::vector<std::byte> sectors(kBlockBytesMax);
  REQUIRE(is_fine(disk->read(0, sectors)));
  bool right = true;  // the test wrote each sector's number into all its bytes
  for (std::size_t i = 0; i < sectors.size(); ++i) right = right && sectors[i] == static_cast<std::byte>(i / kSectorBytes);
  CHECK(right);
  std::vector<std::byte> written(2 * kSectorBytes, std::byte{0xa5});
  for (std::uint64_t round = 0; round < 300; ++round) REQUIRE(is_fine(disk->write(200 + round % 4, written)));
  CHECK(is_fine(disk->flush()));
  REQUIRE(is_fine(disk->read(200, {sectors.data(), written.size()})));
  CHECK(std::memcmp(sectors.data(), written.data(), written.size()) == 0);
  CHECK(disk->read(256, {sectors.data(), kSectorBytes}) != nullptr);
  CHECK(disk->read(255, {sectors.data(), 2 * kSectorBytes}) != nullptr);
  CHECK(disk->read(~std::uint64_t{0}, {sectors.data(), kSectorBytes}) != nullptr);
  CHECK(disk->read(0, {sectors.data(), 100}) != nullptr);
}

TEST_CASE("device-net: a question to the gateway (ARP, RFC 826) is answered, hundreds of times") {
  const auto card = std::make_unique<VirtioNet>();
  REQUIRE(is_fine(card->start([](Frame&, void*) {}, nullptr)));
  std::array<std::byte, 60> question{};
  const std::uint8_t head[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
  std::memcpy(question.data(), head, sizeof head);
  std::memcpy(question.data() + 6, card->address().data(), 6);
  std::memcpy(question.data() + 22, card->address().data(), 6);
  const std::uint8_t own[] = {10, 0, 2, 15}, gateway[] = {10, 0, 2, 2};
  std::memcpy(question.data() + 28, own, 4);
  std::memcpy(question.data() + 38, gateway, 4);
  std::array<std::byte, kEthernetBytesMax> answer;
  int answers = 0;
  for (const Instant end = now() + kAnswerMax; answers < 300 && now() < end;) {
    REQUIRE(card->send(question));
    for (bool answered = false; !answered && now() < end;) {
      const std::size_t size = card->receive(answer);
      if (size == 0) sleep_a_bit();
      answered = size >= 42 && word_at(answer, 12) == 0x0806 && word_at(answer, 20) == 2 &&
                 std::memcmp(answer.data() + 28, gateway, 4) == 0;
      answers += answered;
    }
  }
  CHECK(answers == 300);
  CHECK_FALSE(card->send(std::vector<std::byte>(kEthernetBytesMax + 1)));
}

TEST_CASE("device-ivshmem: what the host wrote is seen, and what the guest writes is kept") {
  Ivshmem shared;
  REQUIRE(is_fine(shared.start()));
  REQUIRE(shared.memory().size() == 1u << 20);
  CHECK_FALSE(shared.has_doorbell());
  CHECK(std::memcmp(shared.memory().data(), "from the host", 13) == 0);
  CHECK(std::memcmp(shared.memory().data() + (1u << 20) - 4, "last", 4) == 0);
  std::memcpy(shared.memory().data() + 4096, "from the guest", 14);
}

TEST_CASE("device-ring: doorbells wake a sleeping guest, its own ring included") {
  static volatile int rings = 0;
  Ivshmem shared;
  REQUIRE(is_fine(shared.start()));
  REQUIRE(shared.has_doorbell());
  REQUIRE(shared.on_ring(0, [](Frame&, void*) { rings = rings + 1; }, nullptr));
  for (int round = 0; round < 50; ++round) {
    const int before = rings;
    shared.ring(shared.id(), 0);
    for (const Instant end = now() + kAnswerMax; rings == before && now() < end;) sleep_a_bit();
    REQUIRE(rings > before);
  }
  print_line("device: rings=", static_cast<int>(rings), " id=", shared.id());
}

TEST_CASE("device-serial: letters come in by interrupt") {
  listen_to_serial();
  start_keyboard();  // a quiet keyboard must not disturb
  std::size_t letters = 0;
  for (const Instant end = now() + kAnswerMax; letters < 20 && now() < end; sleep_a_bit()) {
    for (auto letter = read_serial(); letter; letter = read_serial()) {
      CHECK(*letter == 'a');
      ++letters;
    }
  }
  CHECK(letters >= 20);
  CHECK_FALSE(read_keyboard().has_value());
}

}  // namespace rse::kernel
