// How a node of the kernel is linked with others, as its loop sees it: over shared memory (shared_memory.h) or a network
// (udp_carrier.h). Threads: the kernel's first. Errors: sentences at start; broken links are callbacks.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "guest_kernel/arch/x86_64/interrupts.h"
#include "transport/transport.h"

namespace rse::kernel {

enum class Urgency : std::uint8_t {
  kInOrder,
  kNoHurry,  // the same, but a neighbour that rests is not woken for it
  kAtOnce,   // worthless when late: may be lost, may overtake
  kNoNews,   // the same, and nobody has to be woken for it
};

class Carrier {
 public:
  virtual ~Carrier() = default;
  /// Before anything else. `woken`: for interrupts that say that something has come. nullptr, or why there are no links.
  virtual const char* start(const Hello& hello, TransportCallbacks callbacks, InterruptHandler woken, void* context) = 0;
  /// Takes what has come. True: there is more to do at once.
  virtual bool turn() = 0;
  /// What is not urgent; every now and then.
  virtual void look_after() {}
  /// A link with everybody who is there: look_after() has little to do.
  virtual bool complete() const { return true; }
  /// With interrupts off: nothing has come, and from here on an interrupt says so; `rests`: unless it can wait.
  virtual bool may_sleep(bool rests) = 0;
  /// When turn() is needed next although nothing comes.
  virtual Instant next_deadline() const = 0;
  virtual void send(NodeId to, std::span<const SharedBytes> parts, Urgency urgency) = 0;
  virtual bool has_room(NodeId to) const = 0;
  /// The addresses at which members can be reached; those of other transports among them.
  virtual void dial(const std::set<std::string>&) {}
  /// What we say of ourselves from the next handshake on.
  virtual void set_hello(const Hello& hello) = 0;
  virtual void set_trust(std::shared_ptr<const TrustBook>) {}
};

}  // namespace rse::kernel
