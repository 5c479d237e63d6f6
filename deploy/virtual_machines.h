// QEMU guests with our kernel that share memory with each other and with daemons of this machine, or are linked with them over a
// virtual network: the command that starts one, which accelerator really works, and the doorbells between them.
// Threads: one of its own for the doorbells. Memory: small. Errors: a sentence that names thing, cause and next step.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rse {

struct Accelerator {
  std::string name;  // "kvm" or "tcg"
  std::string why;   // for people
};

/// Between two cuts at most. An emulated processor replays an epoch in milliseconds, and decodes its packets in one: a guest that
/// takes a torus over has so many of them to catch up with. Daemons beside guests have the same (rse-node --cut-epochs).
inline constexpr std::uint64_t kGuestCutEpochs = 16;

class VirtualMachines {
 public:
  VirtualMachines();
  ~VirtualMachines();
  VirtualMachines(const VirtualMachines&) = delete;
  VirtualMachines& operator=(const VirtualMachines&) = delete;

  /// Looks for QEMU and the kernel. Empty: both are there.
  std::string find();
  /// Whether KVM runs a guest on this machine, tried with our kernel that has nothing to do and ends at once: /dev/kvm may be
  /// there, and hang. Takes at most kProbeLimit.
  const Accelerator& choose_accelerator();
  /// Makes the shared memory and answers at the Unix socket of its doorbells until the object goes.
  std::string serve(const std::string& memory_path, const std::string& socket_path);
  /// The command of a guest: a node that is new each time, since it has no disk.
  std::vector<std::string> command(const std::string& name, std::uint64_t cluster, bool founds) const;
  /// The same with a network card instead of the shared memory. `port` of 127.0.0.1 leads to the guest, `peers` are ports of this
  /// machine where others listen for UDP.
  struct Wires {
    std::uint16_t port = 0;
    std::vector<std::uint16_t> peers{};
  };
  std::vector<std::string> command(const std::string& name, std::uint64_t cluster, bool founds, const Wires& wires) const;
  /// The command of a machine as guests have it, without devices and serial line, that starts this kernel.
  std::vector<std::string> machine(int megabytes, const std::string& kernel) const;

 private:
  struct Bells;
  Accelerator try_kvm() const;
  std::vector<std::string> machine(const std::string& accelerator, int megabytes, const std::string& kernel) const;
  std::string options(const std::string& name, std::uint64_t cluster, bool founds) const;
  std::string qemu_, kernel_, socket_;
  std::string firmware_;  // empty: QEMU's own
  Accelerator accelerator_;
  std::unique_ptr<Bells> bells_;
};

}  // namespace rse
