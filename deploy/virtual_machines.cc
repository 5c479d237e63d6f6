#include "deploy/virtual_machines.h"

#include <fmt/format.h>
#include <unistd.h>

#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "node/client_cluster_access.h"
#include "node/client_local_cluster.h"
#include "node/thread_urgency.h"
#include "transport/ivshmem/doorbell_server.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kProbeLimit{1500};
constexpr int kProbeMegabytes = 64;
constexpr int kKernelDone = 33;       // QEMU's exit status for ExitCode::kDone of the kernel
constexpr int kGuestMegabytes = 1536;  // three tori, and as many being made or let go; what is not touched costs nothing
constexpr const char* kFastFirmware = "/usr/share/qemu/qboot.rom";  // of Debian's qemu-system-data
constexpr const char* kQemu = "qemu-system-x86_64";

std::string find_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string folders = path != nullptr ? path : "/usr/bin:/bin";
  for (std::size_t begin = 0; begin <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string candidate = folders.substr(begin, end - begin) + "/" + program;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return {};
}

/// For the guest's random numbers.
std::string random_bytes() {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += fmt::format("{:016x}", random_id());
  return bytes;
}

}  // namespace

struct VirtualMachines::Bells {
  asio::io_context loop{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
  std::unique_ptr<DoorbellServer> server;
  std::thread thread;
  ~Bells() {
    loop.stop();
    if (thread.joinable()) thread.join();
  }
};

VirtualMachines::VirtualMachines() = default;
VirtualMachines::~VirtualMachines() = default;

std::string VirtualMachines::find() {
  qemu_ = find_in_path(kQemu);
  if (qemu_.empty()) return fmt::format("cannot find {} in PATH; deploy/setup installs it", kQemu);
  kernel_ = find_runfile("guest_kernel/kernel");
  if (std::filesystem::exists(kFastFirmware)) firmware_ = kFastFirmware;
  if (kernel_.empty()) return "cannot find the guest kernel; start this with `bazel run //deploy:three_vm`, which builds it";
  return {};
}

const Accelerator& VirtualMachines::choose_accelerator() {
  accelerator_ = {"tcg", "emulated: there is no /dev/kvm"};
  if (::access("/dev/kvm", F_OK) != 0) return accelerator_;
  accelerator_.why = "emulated: /dev/kvm is there, but may not be opened by this user";
  if (::access("/dev/kvm", R_OK | W_OK) != 0) return accelerator_;
  accelerator_ = try_kvm();
  return accelerator_;
}

/// A guest that has nothing to do ends at once, where KVM works. Where it does not, QEMU says so and stands still, or stands still.
Accelerator VirtualMachines::try_kvm() const {
  const std::string log = fmt::format("/tmp/rse-probe-{:016x}", random_id());
  std::vector<std::string> words = machine("kvm", kProbeMegabytes, kernel_);
  words.insert(words.end(), {"-serial", "none"});
  Machine probe;
  if (const std::string failure = probe.start({.words = std::move(words), .log = log}); !failure.empty()) {
    return {"tcg", "emulated: cannot try /dev/kvm: " + failure};
  }
  const auto end = std::chrono::steady_clock::now() + kProbeLimit;
  std::optional<int> exit_code;
  bool broken = false;
  while (!exit_code && !broken && std::chrono::steady_clock::now() < end) {
    wait_a_little();
    exit_code = probe.take_end();
    std::ifstream said(log);
    broken = std::string(std::istreambuf_iterator<char>(said), {}).find("KVM internal error") != std::string::npos;
  }
  std::error_code ignored;
  std::filesystem::remove(log, ignored);
  if (exit_code == kKernelDone) return {"kvm", "KVM: a guest that was tried ran to its end"};
  if (broken) return {"tcg", "emulated: a guest that was tried with /dev/kvm ended with \"KVM internal error\""};
  if (exit_code) return {"tcg", fmt::format("emulated: with /dev/kvm QEMU ended with status {}", *exit_code)};
  return {"tcg", fmt::format("emulated: with /dev/kvm a guest that was tried did not end within {} ms", kProbeLimit.count())};
}

std::string VirtualMachines::serve(const std::string& memory_path, const std::string& socket_path) {
  socket_ = socket_path;
  bells_ = std::make_unique<Bells>();
  std::string failure;
  bells_->server = DoorbellServer::start(bells_->loop, {.memory = "ivshmem:" + memory_path, .socket = socket_path}, failure);
  if (!bells_->server) return failure;
  bells_->thread = std::thread([loop = &bells_->loop] { loop->run(); });
  make_real_time(bells_->thread, kLoopPriority);  // what wakes guests, and tells them of a death
  return {};
}

std::string VirtualMachines::options(const std::string& name, std::uint64_t cluster, bool founds) const {
  return fmt::format("node={} id={:016x} incarnation=1 cluster={:016x} cut_epochs={}{}", name, random_id(), cluster, kGuestCutEpochs, founds ? " found=1" : "");
}

std::vector<std::string> VirtualMachines::command(const std::string& name, std::uint64_t cluster, bool founds) const {
  std::vector<std::string> words = machine(kGuestMegabytes, kernel_);
  words.insert(words.end(), {"-name", name, "-serial", "stdio", "-chardev", "socket,id=bells,path=" + socket_, "-device",
                             "ivshmem-doorbell,chardev=bells,vectors=1", "-append", options(name, cluster, founds)});
  return words;
}

/// QEMU's user network: the guest is behind a router of its own, which sees this machine's loopback as 10.0.2.2.
std::vector<std::string> VirtualMachines::command(const std::string& name, std::uint64_t cluster, bool founds, const Wires& wires) const {
  const std::string entropy = (std::filesystem::path(socket_).parent_path() / (name + ".entropy")).string();
  std::ofstream(entropy, std::ios::binary) << random_bytes();
  std::string line = options(name, cluster, founds) + fmt::format(" net=on insecure=1 advertise=127.0.0.1:{}", wires.port);
  for (const std::uint16_t peer : wires.peers) line += fmt::format(" peer=10.0.2.2:{}", peer);
  std::vector<std::string> words = machine(kGuestMegabytes, kernel_);
  words.insert(words.end(), {"-name", name, "-serial", "stdio", "-netdev", fmt::format("user,id=n,hostfwd=udp:127.0.0.1:{}-:7400", wires.port),
                             "-device", "virtio-net-pci,netdev=n", "-fw_cfg", "name=opt/rse/entropy,file=" + entropy, "-append", line});
  return words;
}

std::vector<std::string> VirtualMachines::machine(int megabytes, const std::string& kernel) const {
  return machine(accelerator_.name, megabytes, kernel);
}

std::vector<std::string> VirtualMachines::machine(const std::string& accelerator, int megabytes, const std::string& kernel) const {
  std::vector<std::string> words{qemu_, "-machine", "q35", "-accel", accelerator, "-cpu", "qemu64", "-m", std::to_string(megabytes)};
  // It starts a kernel and does little else, so that a guest runs in half the time; devices are placed by our kernel.
  if (!firmware_.empty()) words.insert(words.end(), {"-bios", firmware_});
  words.insert(words.end(), {"-display", "none", "-nodefaults", "-no-user-config", "-monitor", "none", "-no-reboot", "-device",
                             "isa-debug-exit,iobase=0xf4,iosize=0x04", "-kernel", kernel});
  return words;
}

}  // namespace rse
