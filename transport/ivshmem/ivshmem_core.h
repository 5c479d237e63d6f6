// What is behind make_ivshmem_transport(): the memory, the sessions in it, and which of them is the link with each peer.
// Outlives the transport while handlers of the event loop refer to it; after stop() they find nothing to do.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/handshake.h"
#include "transport/ivshmem/ivshmem_transport.h"
#include "transport/ivshmem/participant.h"
#include "transport/ivshmem/region_file.h"
#include "transport/secure/trust_book.h"

namespace rse {

class IvshmemCore : public std::enable_shared_from_this<IvshmemCore> {
 public:
  IvshmemCore(asio::io_context& loop, const IvshmemOptions& options, TransportCallbacks callbacks);
  /// Empty: takes part, or will as soon as there is a Hello.
  std::string listen(const std::string& address);

  void set_hello(const Hello& hello);
  void set_trust(std::shared_ptr<const TrustBook> book);
  void dial(const std::string& address);
  void undial(const std::string& address);
  SendResult send(NodeId node, std::span<const std::byte> message);
  bool has_room(NodeId node) const;
  void disconnect(NodeId node);
  std::vector<LinkStats> stats() const;
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
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
    Hello hello;                       // valid in kUp
    std::deque<Bytes> queue;           // messages that the ring had no room for; the first may be in it in part
    std::size_t queued_bytes = 0;
    std::size_t done = 0;              // bytes of the first that are in the ring
    Clock::time_point next_offer{};    // of a session, if it is ours to open and there is no link
    std::chrono::milliseconds wait{};  // before the offer after that
    std::unique_ptr<asio::posix::stream_descriptor> process;  // a pidfd, readable when it has ended
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

  void attach();
  void start_if_ready();
  void wait_for_bell();
  void keep_house();
  void offer_again();
  void check_lives();
  void watch_process(std::uint32_t index);

  /// Takes what is there, sends what there is room for, then sleeps, or comes back.
  void run();
  void run_soon();
  bool take_events();
  void on_event(const Participant::Event& event);
  void on_opened(std::uint32_t index);
  void on_ended(std::uint32_t index, bool damaged);
  void report_deaths();
  bool is_gone(const Peer& peer) const;
  std::string judge(Hello& hello, const std::string& where) const;
  void say_hello(std::uint32_t index, const std::string& refusal);
  void on_hello(std::uint32_t index, std::span<const std::byte> frame);
  void bring_up(std::uint32_t index, const Hello& hello);
  void refuse(std::uint32_t index, Refusal refusal, const std::string& why);
  void offer(std::uint32_t index);
  void offer_later(std::uint32_t index);
  enum class Look : std::uint8_t {
    kNews,
    kTurnOver,  // nothing yet, and others of the loop want their turn
    kQuiet,     // nothing: sleep
  };
  Look look_around(Clock::time_point turn_end);
  bool spins() const { return address_->spin.count() != 0; }

  bool enqueue(std::uint32_t index, std::span<const std::byte> message);
  void flush(std::uint32_t index);
  void ring_bells();
  std::string slot_text(std::uint32_t index) const;
  void report_failure(const std::string& address, const std::string& why);

  asio::io_context& loop_;
  TransportCallbacks callbacks_;
  std::chrono::milliseconds handshake_limit_;
  std::optional<IvshmemAddress> address_;  // of the memory that we take part in, or try to
  std::string address_text_;               // as it was given
  bool creates_ = false;                   // the memory, when it is not there
  bool absence_reported_ = false;
  Clock::time_point next_attach_{};
  std::unique_ptr<RegionFile> file_;
  std::optional<Participant> self_;
  std::optional<asio::posix::stream_descriptor> bell_;
  asio::steady_timer house_timer_;
  Hello hello_;
  std::shared_ptr<const TrustBook> trust_;  // null: of an open cluster
  bool started_ = false;  // set_hello() was called
  bool stopped_ = false;
  bool running_ = false;
  bool run_posted_ = false;
  Clock::time_point last_taken_{};
  std::chrono::nanoseconds spin_{0};  // how long to look after the last event, as it has paid off lately
  std::array<Slot, kParticipantsMax> slots_;
  std::map<NodeId, Peer> peers_;
};

}  // namespace rse
