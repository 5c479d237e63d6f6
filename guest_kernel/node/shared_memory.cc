#include "guest_kernel/node/shared_memory.h"

#include <limits>

#include "guest_kernel/arch/x86_64/clock.h"
#include "guest_kernel/drivers/ivshmem.h"
#include "guest_kernel/node/log.h"
#include "transport/ivshmem/links.h"

namespace rse::kernel {
namespace {

/// Without a doorbell nobody can wake us: how long a message may lie there.
constexpr Duration kLookInterval = milliseconds(1);

class SharedMemory final : public Carrier, private IvshmemLinks::Surroundings {
 public:
  SharedMemory(Ivshmem& device, const RingRegion& region, std::uint32_t slot)
      : device_(device),
        participant_(region, {.slot = slot, .bell = device.has_doorbell() ? BellKind::kDoorbell : BellKind::kNone, .process = 0}) {}

  const char* start(const Hello& hello, TransportCallbacks callbacks, InterruptHandler woken, void* context) override {
    links_.emplace(participant_, static_cast<IvshmemLinks::Surroundings&>(*this), IvshmemLinks::Options{}, std::move(callbacks));
    set_hello(hello);
    links_->set_address("the shared memory");
    if (device_.has_doorbell() && !device_.on_ring(0, woken, context)) {
      return "the ivshmem device has no doorbell; start the machine with -device ivshmem-doorbell,vectors=1";
    }
    return nullptr;
  }
  void set_hello(const Hello& hello) override { links_->set_hello(hello); }
  bool turn() override {
    participant_.wake();
    return links_->turn() == IvshmemLinks::Turn::kMore;
  }
  void look_after() override {
    links_->look_after();
    links_->report_deaths();
  }
  bool may_sleep(bool rests) override { return participant_.try_sleep(rests ? Sleep::kResting : Sleep::kUntilBell); }
  Instant next_deadline() const override {
    return device_.has_doorbell() ? Instant{std::numeric_limits<std::uint64_t>::max()} : now() + kLookInterval;
  }
  bool complete() const override { return links_->complete(); }
  void send(NodeId to, std::span<const SharedBytes> parts, Urgency urgency) override {
    const Bytes message = join(parts);
    static_cast<void>(links_->send(to, message, wake_of(urgency)));  // what matters is sent again
  }
  bool has_room(NodeId to) const override { return links_->has_room(to); }

 private:
  static Wake wake_of(Urgency urgency) {
    switch (urgency) {
      case Urgency::kInOrder:
      case Urgency::kAtOnce: return Wake::kAtOnce;
      case Urgency::kNoHurry: return Wake::kUnlessResting;
      case Urgency::kNoNews: return Wake::kLater;
    }
    return Wake::kAtOnce;
  }

  // --- What the links are told. ---
  Instant now() const override { return rse::kernel::now(); }
  Instant roughly_now() const override { return rse::kernel::now(); }
  void ring(std::uint32_t slot) override {
    if (device_.has_doorbell()) device_.ring(static_cast<std::uint16_t>(slot), 0);
  }
  void turn_soon() override {}  // disconnect() is never called here
  void on_appeared(std::uint32_t) override {}
  /// A guest cannot look at locks. Hosts clear the presence of whoever has died.
  bool is_gone(std::uint32_t slot, std::uint32_t) const override { return !participant_.present(slot); }
  std::string place(std::uint32_t slot) const override { return "slot " + std::to_string(slot); }
  bool encrypted() const override { return false; }
  void show(Hello&) const override {}
  std::string judge(Hello& peer, const std::string& where) const override {
    if (peer.key.is_none()) return {};
    return "cannot talk to " + where + ": it is of an encrypted cluster, and a guest on shared memory has no key; start it with --insecure";
  }

  Ivshmem& device_;
  Participant participant_;
  std::optional<IvshmemLinks> links_;
};

}  // namespace

std::unique_ptr<Carrier> make_shared_memory(const Options& options, std::string& why) {
  static Ivshmem device;
  if (const char* const wrong = device.start()) {
    why = wrong;
  } else if (!device.has_doorbell() && !options.slot) {
    why = "an ivshmem-plain device does not say which place is ours: give slot=NUMBER";
  }
  if (!why.empty()) return nullptr;
  const std::uint64_t slot = device.has_doorbell() ? device.id() : *options.slot;
  const std::optional<RingRegion> region = RingRegion::over(device.memory());
  if (slot >= kParticipantsMax) {
    why = "there are 8 places in the shared memory, 0 to 7, and ours is none of them";
  } else if (!region || !region->formatted()) {
    why = "the shared memory is none of this version; whoever makes it (the doorbell server, an rse-node) has to start first";
  }
  if (!why.empty()) return nullptr;
  log_line("node: slot=", slot);
  return std::make_unique<SharedMemory>(device, *region, static_cast<std::uint32_t>(slot));
}

}  // namespace rse::kernel
