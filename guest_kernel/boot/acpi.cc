#include "guest_kernel/boot/acpi.h"

#include <algorithm>
#include <cstring>

namespace rse::kernel {
namespace {

constexpr std::uint32_t kTableBytesMax = 1u << 20;

struct [[gnu::packed]] Rsdp {
  char signature[8];
  std::uint8_t checksum;
  char oem[6];
  std::uint8_t revision;
  std::uint32_t rsdt;
  std::uint32_t length;
  std::uint64_t xsdt;
  std::uint8_t extended_checksum;
  std::uint8_t reserved[3];
};
static_assert(sizeof(Rsdp) == 36);

struct [[gnu::packed]] TableHeader {
  char signature[4];
  std::uint32_t length;
  std::uint8_t revision;
  std::uint8_t checksum;
  char oem[6];
  char oem_table[8];
  std::uint32_t oem_revision;
  std::uint32_t creator;
  std::uint32_t creator_revision;
};
static_assert(sizeof(TableHeader) == 36);

enum MadtType : std::uint8_t { kLocalApic = 0, kIoApic = 1, kOverride = 2, kLocalApicAddress = 5 };

/// The whole table, when it has the signature and adds up to zero.
std::span<const std::byte> table_at(const PhysicalView& physical, std::uint64_t address, const char* signature) {
  TableHeader header;
  if (!physical.read(address, header) || std::memcmp(header.signature, signature, 4) != 0) return {};
  if (header.length < sizeof header || header.length > kTableBytesMax) return {};
  const auto bytes = physical.at(address, header.length);
  std::uint8_t sum = 0;
  for (const std::byte byte : bytes) sum = static_cast<std::uint8_t>(sum + static_cast<std::uint8_t>(byte));
  return sum == 0 ? bytes : std::span<const std::byte>{};
}

template <class T>
T get(std::span<const std::byte> bytes, std::size_t at) {
  T value{};
  if (at <= bytes.size() && sizeof(T) <= bytes.size() - at) std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

void read_override(std::span<const std::byte> entry, AcpiFacts& out) {
  const auto source = get<std::uint8_t>(entry, 3);
  const auto flags = get<std::uint16_t>(entry, 8);
  if (source >= kIsaInterruptCount) return;
  out.isa[source] = {get<std::uint32_t>(entry, 4), (flags & 3) == 3, (flags >> 2 & 3) == 3};
}

void read_madt(std::span<const std::byte> madt, AcpiFacts& out) {
  out.local_apic = get<std::uint32_t>(madt, 36);
  for (std::size_t at = 44; at + 2 <= madt.size();) {
    const auto size = get<std::uint8_t>(madt, at + 1);
    if (size < 2 || size > madt.size() - at) return;
    const auto entry = madt.subspan(at, size);
    switch (get<std::uint8_t>(madt, at)) {
      case kLocalApic:
        if ((get<std::uint32_t>(entry, 4) & 1) != 0 && out.processor_count < kProcessorsMax) {
          out.processor_apic_ids[out.processor_count++] = get<std::uint8_t>(entry, 3);
        }
        break;
      case kIoApic:
        if (out.io_apic == 0 || get<std::uint32_t>(entry, 8) == 0) {
          out.io_apic = get<std::uint32_t>(entry, 4);
          out.io_apic_first = get<std::uint32_t>(entry, 8);
        }
        break;
      case kOverride: read_override(entry, out); break;
      case kLocalApicAddress: out.local_apic = get<std::uint64_t>(entry, 4); break;
      default: break;
    }
    at += size;
  }
}

/// The MADT among the tables that `list` (RSDT or XSDT) names by addresses of `width` bytes.
std::span<const std::byte> find_madt(const PhysicalView& physical, std::span<const std::byte> list, std::size_t width) {
  for (std::size_t at = sizeof(TableHeader); at + width <= list.size(); at += width) {
    const std::uint64_t address = width == 8 ? get<std::uint64_t>(list, at) : get<std::uint32_t>(list, at);
    const auto table = table_at(physical, address, "APIC");
    if (!table.empty()) return table;
  }
  return {};
}

}  // namespace

const char* read_acpi(const PhysicalView& physical, std::uint64_t root, AcpiFacts& out) {
  out = {};
  out.local_apic = 0xfee00000;
  out.io_apic = 0xfec00000;
  for (std::uint32_t i = 0; i < kIsaInterruptCount; ++i) out.isa[i].global_interrupt = i;
  out.isa[0].global_interrupt = 2;  // the timer, on every PC since the IO-APIC
  Rsdp rsdp{};
  const auto first = physical.at(root, 20);  // all that revision 0 has
  if (first.empty() || std::memcmp(first.data(), "RSD PTR ", 8) != 0) return "there is no ACPI root pointer";
  std::memcpy(&rsdp, first.data(), first.size());
  if (rsdp.revision >= 2 && !physical.read(root, rsdp)) return "the ACPI root pointer is cut short";
  std::span<const std::byte> madt;
  if (rsdp.revision >= 2) madt = find_madt(physical, table_at(physical, rsdp.xsdt, "XSDT"), 8);
  if (madt.empty()) madt = find_madt(physical, table_at(physical, rsdp.rsdt, "RSDT"), 4);
  if (madt.empty()) return "ACPI has no table of interrupt controllers (MADT)";
  out.io_apic = 0;
  read_madt(madt, out);
  if (out.io_apic == 0) return "ACPI names no IO-APIC";
  return nullptr;
}

}  // namespace rse::kernel
