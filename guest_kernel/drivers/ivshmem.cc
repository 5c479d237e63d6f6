#include "guest_kernel/drivers/ivshmem.h"

#include "guest_kernel/drivers/machine_pci.h"
#include "guest_kernel/memory/kernel_memory.h"

namespace rse::kernel {
namespace {

constexpr std::uint16_t kVendor = 0x1af4;
constexpr std::uint16_t kDevice = 0x1110;
constexpr unsigned kRegisterBar = 0;
constexpr unsigned kMemoryBar = 2;
enum Register : std::size_t { kPosition = 2, kDoorbell = 3 };  // in words of 32 bits

}  // namespace

const char* Ivshmem::start() {
  device_ = machine_devices().find(kVendor, kDevice);
  if (device_ == nullptr) return "there is no ivshmem device; start the machine with -device ivshmem-plain or ivshmem-doorbell";
  const auto registers = pci_bar(machine_pci(), *device_, kRegisterBar);
  const auto shared = pci_bar(machine_pci(), *device_, kMemoryBar);
  if (!registers || !registers->is_memory) return "the ivshmem device has no registers";
  if (!shared || !shared->is_memory) return "the ivshmem device has no memory yet; is its doorbell server running?";
  enable_pci(machine_pci(), *device_);
  registers_ = reinterpret_cast<volatile std::uint32_t*>(map_device(registers->range, PageCaching::kUncached));
  std::byte* const mapped = map_device(shared->range, PageCaching::kNormal);
  if (registers_ == nullptr || mapped == nullptr) return "there is no memory to map the ivshmem device";
  memory_ = {mapped, shared->range.size()};
  doorbell_ = pci_capability(machine_pci(), *device_, kPciCapabilityMsiX) != 0;
  return nullptr;
}

std::uint16_t Ivshmem::id() const { return static_cast<std::uint16_t>(registers_[kPosition]); }

void Ivshmem::ring(std::uint16_t peer, std::uint16_t vector) {
  registers_[kDoorbell] = std::uint32_t{peer} << 16 | vector;
}

bool Ivshmem::on_ring(std::uint16_t vector, InterruptHandler handler, void* context) {
  if (!doorbell_ || !connect_msix(*device_, vector, handler, context)) return false;
  enable_msix(machine_pci(), *device_);
  return true;
}

}  // namespace rse::kernel
