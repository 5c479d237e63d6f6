#include <cstring>
#include <string_view>
#include <vector>

#include "guest_kernel/boot/acpi.h"
#include "guest_kernel/boot/boot_info.h"
#include "guest_kernel/boot/options.h"
#include "guest_kernel/test/test.h"

using namespace rse;
using namespace rse::kernel;

namespace {

/// A piece of physical memory to put tables into.
struct Memory {
  std::vector<std::byte> bytes = std::vector<std::byte>(0x4000);
  PhysicalView view() const { return PhysicalView(bytes); }
  template <class T>
  void put(std::size_t at, T value) { std::memcpy(bytes.data() + at, &value, sizeof value); }
  void put_text(std::size_t at, std::string_view text) { std::memcpy(bytes.data() + at, text.data(), text.size()); }
  void put_checksum(std::size_t begin, std::size_t size, std::size_t at) {
    std::uint8_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(bytes[begin + i]));
    bytes[at] = static_cast<std::byte>(-sum);
  }
};

Memory pvh_memory() {
  Memory memory;
  memory.put(0x1000, std::uint32_t{0x336ec578});
  memory.put(0x1004, std::uint32_t{1});           // version
  memory.put(0x100c, std::uint32_t{1});           // modules
  memory.put(0x1010, std::uint64_t{0x1100});
  memory.put(0x1018, std::uint64_t{0x1200});      // command line
  memory.put(0x1020, std::uint64_t{0x2000});      // RSDP
  memory.put(0x1028, std::uint64_t{0x1300});      // memory map
  memory.put(0x1030, std::uint32_t{2});
  memory.put(0x1100, std::uint64_t{0x800000});
  memory.put(0x1108, std::uint64_t{0x1234});
  memory.put_text(0x1200, "node=b");
  memory.put(0x1300, std::uint64_t{0x100000});
  memory.put(0x1308, std::uint64_t{0x7f00000});
  memory.put(0x1310, std::uint32_t{1});
  memory.put(0x1318, std::uint64_t{0xfec00000});
  memory.put(0x1320, std::uint64_t{0x1000});
  memory.put(0x1328, std::uint32_t{2});           // reserved, not RAM
  return memory;
}

/// Appends a tag; returns where the next one goes.
std::size_t put_tag(Memory& memory, std::size_t at, std::uint32_t type, std::initializer_list<std::uint32_t> words) {
  memory.put(at, type);
  memory.put(at + 4, static_cast<std::uint32_t>(8 + 4 * words.size()));
  std::size_t place = at + 8;
  for (const std::uint32_t word : words) {
    memory.put(place, word);
    place += 4;
  }
  return (place + 7) / 8 * 8;
}

}  // namespace

TEST_CASE("boot: PVH start information gives memory, modules and the command line") {
  const Memory memory = pvh_memory();
  BootInfo info;
  REQUIRE(read_pvh(memory.view(), 0x1000, info) == nullptr);
  REQUIRE(info.usable_count == 1);
  CHECK(info.usable[0] == PhysicalRange{0x100000, 0x8000000});
  REQUIRE(info.module_count == 1);
  CHECK(info.modules[0] == PhysicalRange{0x800000, 0x801234});
  CHECK(info.command_line() == "node=b");
  CHECK(info.acpi_root == 0x2000);
}

TEST_CASE("boot: damaged PVH information is refused with a sentence, whichever word is damaged") {
  for (std::size_t at = 0x1000; at < 0x1038; at += 4) {
    CAPTURE(at);
    Memory memory = pvh_memory();
    memory.put(at, std::uint32_t{0xffffffff});
    BootInfo info;
    static_cast<void>(read_pvh(memory.view(), 0x1000, info));  // must stay inside the memory
    CHECK(info.usable_count <= kMemoryRangesMax);
  }
  BootInfo info;
  CHECK(read_pvh(pvh_memory().view(), 0x1004, info) != nullptr);
  CHECK(read_pvh(pvh_memory().view(), 0x3ff0, info) != nullptr);
}

TEST_CASE("boot: Multiboot2 tags give memory, modules, framebuffer and ACPI") {
  Memory memory;
  std::size_t at = 0x1008;
  at = put_tag(memory, at, 6, {24, 0, 0x100000, 0, 0x400000, 0, 1, 0, 0x900000, 0, 0x1000, 0, 2, 0});
  at = put_tag(memory, at, 3, {0x700000, 0x700010, 0});
  at = put_tag(memory, at, 8, {0xfd000000, 0, 4096, 1024, 768, 0x00000120, 0x08080810, 0x0800});
  at = put_tag(memory, at, 14, {0, 0, 0, 0, 0});
  at = put_tag(memory, at, 0, {});
  memory.put(0x1000, static_cast<std::uint32_t>(at - 0x1000));
  BootInfo info;
  REQUIRE(read_multiboot2(memory.view(), 0x1000, info) == nullptr);
  REQUIRE(info.usable_count == 1);
  CHECK(info.usable[0] == PhysicalRange{0x100000, 0x500000});
  REQUIRE(info.module_count == 1);
  CHECK(info.modules[0] == PhysicalRange{0x700000, 0x700010});
  CHECK(info.framebuffer.address == 0xfd000000);
  CHECK(info.framebuffer.width == 1024);
  CHECK(info.framebuffer.red_shift == 16);
  CHECK(info.acpi_root != 0);
}

TEST_CASE("boot: a Multiboot2 tag that lies about its size is refused") {
  for (const std::uint32_t size : {0u, 7u, 0x10000u, 0xffffffffu}) {
    CAPTURE(size);
    Memory memory;
    memory.put(0x1000, std::uint32_t{0x100});
    memory.put(0x1008, std::uint32_t{1});
    memory.put(0x100c, size);
    BootInfo info;
    CHECK(read_multiboot2(memory.view(), 0x1000, info) != nullptr);
  }
}

TEST_CASE("boot: ACPI's MADT gives the IO-APIC, the processors and where ISA interrupts go") {
  Memory memory;
  memory.put_text(0x100, "RSD PTR ");
  memory.put(0x110, std::uint32_t{0x200});
  memory.put_text(0x200, "RSDT");
  memory.put(0x204, std::uint32_t{40});
  memory.put(0x224, std::uint32_t{0x300});
  memory.put_checksum(0x200, 40, 0x209);
  memory.put_text(0x300, "APIC");
  memory.put(0x304, std::uint32_t{74});
  memory.put(0x324, std::uint32_t{0xfee00000});
  const std::uint8_t entries[] = {0, 8, 0, 5, 1, 0, 0, 0,                          // processor, APIC id 5
                                  1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,       // IO-APIC
                                  2, 10, 0, 9, 22, 0, 0, 0, 0xf, 0};               // ISA 9: 22, low, level
  std::memcpy(memory.bytes.data() + 0x300 + 44, entries, sizeof entries);
  memory.put_checksum(0x300, 74, 0x309);
  AcpiFacts facts;
  REQUIRE(read_acpi(memory.view(), 0x100, facts) == nullptr);
  CHECK(facts.io_apic == 0xfec00000);
  REQUIRE(facts.processor_count == 1);
  CHECK(facts.processor_apic_ids[0] == 5);
  CHECK(facts.isa[9].global_interrupt == 22);
  CHECK(facts.isa[9].active_low);
  CHECK(facts.isa[9].level_triggered);
  CHECK(facts.isa[4].global_interrupt == 4);

  memory.put(0x310, std::uint8_t{1});  // breaks the checksum
  CHECK(read_acpi(memory.view(), 0x100, facts) != nullptr);
  CHECK(facts.io_apic == 0xfec00000);
}

TEST_CASE("boot: options are read, and a wrong one is named with what would be right") {
  Options options;
  OptionsFailure failure{};
  REQUIRE(parse_options("  node=b id=1f memory=256M\tcluster=00000000000000ab simulate=10 cut_epochs=16 ", options, failure));
  CHECK(options.cut_epochs == 16);
  CHECK(options.node == "b");
  CHECK(options.id == 0x1f);
  CHECK(options.memory_bytes == 256ull << 20);
  CHECK(options.cluster == 0xab);
  CHECK(options.simulate == 10);
  REQUIRE(parse_options("net=on ip=10.0.2.15/24 listen=7401 peer=10.0.2.2:1 peer=10.0.2.2:2", options, failure));
  CHECK(options.net);
  CHECK(options.listen == 7401);
  CHECK((options.peer_count == 2 && options.peers[1] == "10.0.2.2:2"));
  REQUIRE(parse_options("", options, failure));

  for (const char* wrong : {"node=", "node", "id=0", "id=x", "id=", "found=2", "slot=", "incarnation=0", "cluster=0", "memory=0", "memory=1T", "memory=99999999999G",
                            "cluster=0123456789abcdef0", "simulate=-1", "cut_epochs=3", "cut_epochs=257", "nide=a", "=", "quiet", "test="}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_options(wrong, options, failure));
    CHECK(std::string_view(failure.data()).find(wrong[0] == 't' && wrong[2] == 'u' ? "unknown" : "option") !=
          std::string_view::npos);
  }
  const std::string_view endless(
      "a=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
  CHECK_FALSE(parse_options(endless, options, failure));
}
