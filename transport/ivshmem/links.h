// The links that a participant's sessions become: who is at the other end, what waits for room, what the end of a session means.
// Knows no operating system: a host process (ivshmem_core.h) and the guest kernel give it clock, bells and the truth about lives.
// Threads: one. Callbacks come from turn(), look_after() and report_deaths(), never from inside a send() or disconnect().
// Memory: kIvshmemQueueBytesMax each peer beside the rings. Errors: as in transport.h.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "transport/handshake.h"
#include "transport/ivshmem/participant.h"
#include "transport/transport.h"

namespace rse {

inline constexpr std::size_t kIvshmemQueueBytesMax = 64u << 20;

class IvshmemLinks {
 public:
  class Surroundings {
   public:
    virtual Instant now() const = 0;
    /// The same to some milliseconds, for a tenth of what a message costs at most.
    virtual Instant roughly_now() const = 0;
    /// Wakes whoever sleeps in that slot.
    virtual void ring(std::uint32_t slot) = 0;
    /// Has turn() called before long, but not from inside this call.
    virtual void turn_soon() = 0;
    /// Somebody has come to that slot.
    virtual void on_appeared(std::uint32_t slot) = 0;
    /// Whether the life that was in the slot, with that process (0: a guest), has ended for certain.
    virtual bool is_gone(std::uint32_t slot, std::uint32_t process) const = 0;
    /// The slot's name for people.
    virtual std::string place(std::uint32_t slot) const = 0;
    /// Whether the cluster is encrypted: then show() adds to our hello what others judge, and judge() says what is wrong with theirs.
    virtual bool encrypted() const = 0;
    virtual void show(Hello& own) const = 0;
    virtual std::string judge(Hello& peer, const std::string& where) const = 0;

   protected:
    ~Surroundings() = default;
  };
  struct Options {
    Duration handshake_limit = milliseconds(2000);
  };
  enum class Turn : std::uint8_t {
    kDone,  // nothing is left to take
    kMore,  // more than fits one turn
  };

  /// `self` and `surroundings` outlive the links.
  IvshmemLinks(Participant& self, Surroundings& surroundings, const Options& options, TransportCallbacks callbacks);

  void set_hello(const Hello& hello) { hello_ = hello; }
  /// Of the memory, as it was given: failures name it.
  void set_address(const std::string& address) { address_ = address; }

  /// Takes what is there and sends what there is room for.
  Turn turn();
  /// Offers sessions again where nobody joined or said hello, or the last one has ended. Every 20 ms or so.
  void look_after();
  void report_deaths();
  /// A link with everybody who is there: until a bell rings, look_after() has nothing to do.
  bool complete() const;

  SendResult send(NodeId node, std::span<const std::byte> message, Wake wake = Wake::kAtOnce);
  /// As Transport::send_at_once(): a peer that rests is not woken, and gets one such message for each time it looks.
  SendResult send_at_once(NodeId node, std::span<const std::byte> message);
  bool has_room(NodeId node) const;
  std::optional<LinkProgress> progress(NodeId node) const;
  void disconnect(NodeId node);
  /// Linked peers whose hello no longer passes `trusted`.
  template <class Trusted>
  std::vector<NodeId> strangers(const Trusted& trusted) const {
    std::vector<NodeId> strange;
    for (const auto& [node, peer] : peers_) {
      if (peer.slot && !trusted(slots_[*peer.slot].hello)) strange.push_back(node);
    }
    return strange;
  }
  std::vector<LinkStats> stats() const;
  void ring_bells();
  /// When the last message was taken; for those who look for a while before they sleep.
  bool took_message() { return std::exchange(took_message_, false); }
  /// Leaves the memory; no callback from here on.
  void stop();

 private:
  //  kNone --session opens--> kHello --its hello is welcome--> kUp      any --session ends--> kNone
  enum class Phase : std::uint8_t { kNone, kHello, kUp };
  enum class Refusal : std::uint8_t {
    kMutual,  // the other side comes to it by itself
    kTold,    // it is told
    kOurs,    // it learns nothing
  };
  /// Whoever is in a slot.
  struct Slot {
    Phase phase = Phase::kNone;
    Hello hello;                // valid in kUp
    std::deque<Bytes> queue;    // messages that the ring had no room for; the first may be in it in part
    std::size_t queued_bytes = 0;
    std::size_t done = 0;       // bytes of the first that are in the ring
    Instant heard{};            // roughly
    Instant next_offer{};       // of a session, if it is ours to open and there is no link
    Duration wait{};            // before the offer after that
  };
  /// Whoever has been met.
  struct Peer {
    std::optional<std::uint32_t> slot;  // while it is linked
    std::uint64_t incarnation = 0;      // the newest seen
    bool met = false;                   // this incarnation had a link
    bool down_unreported = false;       // disconnect() was called, on_down() is on its way
    bool death_reported = false;
    std::uint32_t last_slot = 0;
    std::uint32_t process = 0;          // that had it; 0: a guest
    LinkStats stats;
  };

  void report_disconnected();
  Turn take_events();
  void on_event(const Participant::Event& event);
  void on_message(std::uint32_t index, std::span<const std::byte> message);
  void on_displaced();
  void on_opened(std::uint32_t index);
  void on_ended(std::uint32_t index, bool damaged);
  void say_hello(std::uint32_t index, const std::string& refusal);
  void on_hello(std::uint32_t index, std::span<const std::byte> frame);
  void bring_up(std::uint32_t index, const Hello& hello);
  void refuse(std::uint32_t index, Refusal refusal, const std::string& why);
  void offer(std::uint32_t index);
  void offer_later(std::uint32_t index);
  bool enqueue(std::uint32_t index, std::span<const std::byte> message, Wake wake = Wake::kAtOnce);
  void flush(std::uint32_t index);
  void clear_queue(std::uint32_t index);
  void report_failure(const std::string& why);

  Participant& self_;
  Surroundings& surroundings_;
  Options options_;
  TransportCallbacks callbacks_;
  std::string address_;
  Hello hello_;
  bool stopped_ = false;
  bool took_message_ = false;
  std::array<Slot, kParticipantsMax> slots_;
  std::map<NodeId, Peer> peers_;
};

}  // namespace rse
