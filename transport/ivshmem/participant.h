// One participant's part in a shared memory: who else is there, sessions with them, messages both ways, and when to ring
// whom. Knows no operating system: a host process (ivshmem_transport.h) and the guest kernel put clock, waiting and
// bells around it. Spec: transport/ivshmem/ring.md.
//
// Of two participants the one with the smaller slot opens sessions and numbers them; the other follows. A session is a pair
// of rings that carry its number. Whoever closes, dies or finds damage ends it, and the next one begins with empty rings.
//
// Threads: one. Memory: seven readers (a message each). Errors: events. Invariant: a call does bounded work: poll() takes at most
// one frame and looks at each peer once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/ivshmem/ring_reader.h"
#include "transport/ivshmem/ring_writer.h"

namespace rse {

/// Of a peer that sleeps, by a message: what is not urgent is seen when it wakes for something else.
enum class Wake : std::uint8_t {
  kAtOnce,
  kUnlessResting,  // it looks by itself before long, and that is soon enough
  kLater,
};
/// How deep: a bell wakes from both.
enum class Sleep : std::uint32_t { kUntilBell = 1, kResting = 2 };

class Participant {
 public:
  struct Options {
    std::uint32_t slot = 0;
    BellKind bell = BellKind::kNone;
    std::uint32_t process = 0;
  };
  struct Event {
    enum class Kind : std::uint8_t {
      kNothing,    // nothing to do now
      kWorked,     // something was taken that is no event yet: poll again
      kAppeared,   // `peer` takes part; the one with the smaller slot may open()
      kLeft,       // `peer` says that it takes part no more, or another life of it does; kClosed came before
      kOpened,     // a session: both sides may write
      kClosed,     // the session is over; what was not received is lost
      kDamaged,    // likewise, because the memory did not hold what the protocol says
      kMessage,
      kDisplaced,  // our presence is not what we wrote: damaged, or somebody took the slot; announce() or go
    };
    Kind kind = Kind::kNothing;
    std::uint32_t peer = 0;
    std::span<const std::byte> message{};  // valid until the next poll()
  };

  /// The caller makes sure that nobody else has the slot.
  Participant(const RingRegion& region, const Options& options);
  /// Begins a life: a new number of presence, no sessions.
  void announce();
  void leave();

  [[nodiscard]] Event poll();
  [[nodiscard]] bool present(std::uint32_t peer) const { return (seen_[peer] & 1) != 0; }
  /// Whether it is ours to open the sessions with `peer`.
  bool opens(std::uint32_t peer) const { return slot_ < peer; }
  /// Offers a new session, also in place of one that is open; kOpened follows when the peer has joined. No effect where it
  /// is the peer's to open, or the peer is not there.
  void open(std::uint32_t peer);
  /// Ends the session or the offer. No event here; the peer hears of it.
  void close(std::uint32_t peer);
  bool is_open(std::uint32_t peer) const { return peers_[peer].reader.joined(); }

  /// As RingWriter::put(); 0 bytes more when there is no session.
  std::size_t put(std::uint32_t peer, std::span<const std::byte> message, std::size_t done, Wake wake = Wake::kAtOnce);
  /// Of the ring to `peer`, in which is_open() says a session is.
  std::uint64_t sent(std::uint32_t peer) const { return peers_[peer].writer.sent(); }
  std::uint64_t taken(std::uint32_t peer) const { return peers_[peer].writer.taken(); }
  /// Peers (bit = slot) whose ring has room again since a put() was cut short. Each is reported once.
  std::uint32_t take_writable();

  /// Peers (bit = slot) that sleep and have something new to see: ring them. After each batch of put() and poll().
  [[nodiscard]] std::uint32_t take_bells();
  /// Says that we are going to sleep until the bell, or resting: we look by ourselves before long, and only what is urgent
  /// rings. False: there is something to poll(), stay awake.
  [[nodiscard]] bool try_sleep(Sleep sleep = Sleep::kUntilBell);
  void wake();
  /// `peer` sleeps, and does not want to be woken for what is not urgent.
  bool rests(std::uint32_t peer) const;
  /// Whether poll() would return something.
  [[nodiscard]] bool has_news();
  /// How to ring `peer`, as it says itself: kNone also for what we do not know.
  BellKind bell_of(std::uint32_t peer) const;
  std::uint32_t process_of(std::uint32_t peer) const;
  std::uint32_t slot() const { return slot_; }

 private:
  struct Peer {
    std::uint64_t session = 0;   // open or offered; 0: none
    std::uint64_t refused = 0;   // the peer's offer that we have closed
    RingReader reader;
    RingWriter writer;
  };
  std::uint64_t presence_of(std::uint32_t index) const { return load_acquire(presence_[index]); }
  std::uint32_t worth_a_look() const;
  void see(std::uint32_t index, std::uint64_t word);
  Event poll_peer(std::uint32_t index);
  Event poll_offer(std::uint32_t index);
  Event poll_ring(std::uint32_t index);
  Event end(std::uint32_t index, Event::Kind kind);
  bool has_news_of(std::uint32_t index);
  void changed_all() { written_ = (1u << kParticipantsMax) - 1; }

  RingRegion region_;
  Options options_;
  std::uint32_t slot_;
  const std::uint64_t* presence_;                       // the words of all participants, in the memory
  std::array<std::uint64_t, kParticipantsMax> seen_{};  // these words as last seen; ours as we wrote it
  std::uint32_t present_ = 0;        // bit: that peer takes part, by seen_
  std::uint64_t session_count_ = 0;  // of this life
  std::uint32_t next_ = 0;           // peer to look at first
  std::uint32_t written_ = 0;        // bit: something new for that peer since the last take_bells()
  std::uint32_t unhurried_ = 0;      // bit: likewise, for which a peer that rests is not woken
  std::uint32_t taken_ = 0;          // bit: a frame of that peer was taken since
  std::array<Peer, kParticipantsMax> peers_;
};

}  // namespace rse
