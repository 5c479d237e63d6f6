// The loop around the participant: when to look, when to sleep, who is dead, what waits for room.
#include "transport/ivshmem/ivshmem_core.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <asio/post.hpp>

#include <algorithm>
#include <array>

#include "torus/braid/messages.h"

namespace rse {
namespace {

static_assert(kMessageBytesMax == kRingMessageBytesMax);

/// Also how long a bell that was lost with its ringer is missed.
constexpr std::chrono::milliseconds kHouseInterval{20};
constexpr std::size_t kEventsPerTurn = 512;
constexpr std::size_t kBytesPerTurn = 2u << 20;
constexpr std::chrono::microseconds kSpinTurn{20};  // then the loop's other handlers have theirs
constexpr int kLooksPerClock = 16;                  // the clock costs as much as a few looks
constexpr std::chrono::seconds kAttachPause{1};     // after a failure that is no absence
constexpr std::size_t kQueueReserveBytes = 1u << 20;  // for small messages: heartbeats get through a flood of regions
constexpr std::size_t kSmallMessageBytes = 4096;

}  // namespace

IvshmemCore::IvshmemCore(asio::io_context& loop, const IvshmemOptions& options, TransportCallbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), handshake_limit_(options.handshake_limit), house_timer_(loop),
      trust_(options.trust) {}

// --- Taking part. ---

std::string IvshmemCore::listen(const std::string& address) {
  std::string why;
  address_ = parse_ivshmem_address(address, why);
  if (!address_) return why;
  address_text_ = address;
  creates_ = true;
  file_ = RegionFile::open(*address_, RegionOpen::kCreate, RegionClaim::kSlot, why);
  return why;
}

void IvshmemCore::set_hello(const Hello& hello) {
  if (stopped_) return;
  hello_ = hello;
  if (!std::exchange(started_, true)) keep_house();
  start_if_ready();
}

void IvshmemCore::dial(const std::string& address) {
  if (stopped_) return;
  std::string why;
  const auto parsed = parse_ivshmem_address(address, why);
  if (parsed && parsed->machine != 0 && parsed->machine != this_machine()) return;  // a view names other machines' too
  if (parsed && address_ && parsed->path == address_->path) {
    if (parsed->machine == 0) address_text_ = address;  // what somebody typed: failures name it
    return;
  }
  if (parsed && address_) {
    why = "cannot take part in " + address + ": this node does in " + address_->path + " already, and one memory is the limit";
  }
  if (!why.empty()) {
    asio::post(loop_, [self = shared_from_this(), address, why] { self->report_failure(address, why); });
    return;
  }
  address_ = parsed;
  address_text_ = address;
  absence_reported_ = false;
  asio::post(loop_, [self = shared_from_this()] { self->attach(); });
}

/// What we take part in stays ours until stop(): the peers in it may be dialled by other addresses, too.
void IvshmemCore::undial(const std::string& address) {
  if (!file_ && address == address_text_) address_.reset();
}

/// Maps a memory that was dialled, once it is there.
void IvshmemCore::attach() {
  if (stopped_ || file_ || !address_ || Clock::now() < next_attach_) return;
  std::string why;
  file_ = RegionFile::open(*address_, RegionOpen::kExisting, RegionClaim::kSlot, why);
  if (!file_) {
    if (!why.empty()) next_attach_ = Clock::now() + kAttachPause;
    if (why.empty() && address_->machine == 0) {
      why = "cannot reach " + address_text_ + ": there is no such memory; start a node with --listen " + address_text_;
    }
    if (!why.empty() && !std::exchange(absence_reported_, true)) report_failure(address_text_, why);
    return;
  }
  start_if_ready();
}

void IvshmemCore::start_if_ready() {
  if (!started_ || !file_ || self_) return;
  std::string why;
  const int bell = file_->open_bell(file_->slot(), why);
  if (bell < 0) {
    file_.reset();
    return report_failure(address_text_, why);
  }
  bell_.emplace(loop_, bell);
  self_.emplace(file_->region(), Participant::Options{.slot = file_->slot(),
                                                      .bell = BellKind::kNamedPipe,
                                                      .process = static_cast<std::uint32_t>(::getpid())});
  spin_ = address_->spin;
  wait_for_bell();
  ring_bells();
  run_soon();
}

void IvshmemCore::wait_for_bell() {
  bell_->async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (error || self->stopped_) return;
    std::array<std::byte, 256> bytes;
    while (::read(self->bell_->native_handle(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    }
    self->wait_for_bell();
    self->run();
  });
}

// --- Housekeeping. ---

void IvshmemCore::keep_house() {
  if (stopped_) return;
  if (!file_) attach();
  if (self_) offer_again();
  if (self_) check_lives();
  if (stopped_) return;
  house_timer_.expires_after(kHouseInterval);
  house_timer_.async_wait([self = shared_from_this()](const std::error_code& error) {
    if (!error) self->keep_house();
  });
}

/// Nobody joined, or said hello; or the last session has ended.
void IvshmemCore::offer_again() {
  const auto now = Clock::now();
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    const Slot& slot = slots_[index];
    if (slot.phase != Phase::kUp && now >= slot.next_offer && self_->opens(index) && self_->present(index)) offer(index);
  }
  ring_bells();
}

void IvshmemCore::check_lives() {
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (index == self_->slot() || !self_->present(index)) continue;
    if (self_->process_of(index) != 0 && !file_->held(index)) file_->declare_dead(index);
  }
  run();
  if (!stopped_) report_deaths();
}

/// The lock tells for certain; this tells when to look at it.
void IvshmemCore::watch_process(std::uint32_t index) {
  slots_[index].process.reset();
  const std::uint32_t process = self_->process_of(index);
  if (process == 0 || process > 0x7fffffff) return;
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0));
  if (fd < 0) return;
  slots_[index].process = std::make_unique<asio::posix::stream_descriptor>(loop_, fd);
  slots_[index].process->async_wait(asio::posix::descriptor_base::wait_read,
                                    [self = shared_from_this()](const std::error_code& error) {
                                      if (!error && !self->stopped_) self->check_lives();
                                    });
}

// --- Receiving. ---

void IvshmemCore::run_soon() {
  if (std::exchange(run_posted_, true)) return;
  asio::post(loop_, [self = shared_from_this()] {
    self->run_posted_ = false;
    self->run();
  });
}

void IvshmemCore::run() {
  if (stopped_ || running_ || !self_) return;
  const auto keep = shared_from_this();  // a callback may destroy the transport
  running_ = true;
  self_->wake();
  const auto turn_end = spins() ? Clock::now() + kSpinTurn : Clock::time_point();
  Look look = Look::kNews;
  while (look == Look::kNews) {
    if (!take_events()) look = Look::kTurnOver;
    if (stopped_) break;
    for (std::uint32_t writable = self_->take_writable(); writable != 0; writable &= writable - 1) {
      flush(static_cast<std::uint32_t>(__builtin_ctz(writable)));
      if (stopped_) break;
    }
    if (stopped_) break;
    ring_bells();
    if (look == Look::kNews) look = look_around(turn_end);
  }
  running_ = false;
  if (stopped_) return;
  if (look == Look::kTurnOver || !self_->try_sleep()) run_soon();
}

/// False: there is more than fits one turn of the loop.
bool IvshmemCore::take_events() {
  std::size_t bytes = 0;
  for (std::size_t count = 0; count < kEventsPerTurn && bytes < kBytesPerTurn; ++count) {
    const Participant::Event event = self_->poll();
    if (event.kind == Participant::Event::Kind::kNothing) return true;
    bytes += event.kind == Participant::Event::Kind::kWorked ? kFramePayloadBytesMax : event.message.size();
    on_event(event);
    if (stopped_) return true;
    if (event.kind == Participant::Event::Kind::kMessage && spins()) last_taken_ = Clock::now();
  }
  return false;
}

/// Looks for a while instead of sleeping, where that has paid off lately, but not beyond this turn of the loop.
IvshmemCore::Look IvshmemCore::look_around(Clock::time_point turn_end) {
  if (!spins()) return Look::kQuiet;
  const std::chrono::nanoseconds most = address_->spin;
  const auto end = last_taken_ + spin_;
  const bool looks = Clock::now() < end;
  for (auto now = Clock::now(); now < end; now = Clock::now()) {
    if (now >= turn_end) return Look::kTurnOver;
    for (int times = 0; times < kLooksPerClock; ++times) {
      if (self_->has_news()) {
        spin_ = std::min(most, 2 * spin_);
        return Look::kNews;
      }
      _mm_pause();
    }
  }
  // In vain. A sixteenth stays, so that the next busy time is noticed.
  if (looks) spin_ = std::max(most / 16, spin_ / 2);
  return Look::kQuiet;
}

// --- Sending. ---

SendResult IvshmemCore::send(NodeId node, std::span<const std::byte> message) {
  if (message.size() > kMessageBytesMax) return SendResult::kTooLarge;
  const auto found = peers_.find(node);
  if (stopped_ || found == peers_.end() || !found->second.slot) return SendResult::kNoLink;
  if (message.empty()) return SendResult::kQueued;  // as with the other transports, nothing to receive
  if (!enqueue(*found->second.slot, message)) {
    ++found->second.stats.messages_dropped;
    return SendResult::kQueueFull;
  }
  ++found->second.stats.messages_sent;
  found->second.stats.bytes_sent += message.size();
  return SendResult::kQueued;
}

bool IvshmemCore::enqueue(std::uint32_t index, std::span<const std::byte> message) {
  Slot& slot = slots_[index];
  const std::size_t bound =
      message.size() <= kSmallMessageBytes ? kIvshmemQueueBytesMax : kIvshmemQueueBytesMax - kQueueReserveBytes;
  if (slot.queued_bytes + message.size() > bound) return false;
  std::size_t done = 0;
  if (slot.queue.empty()) done = self_->put(index, message, 0);
  if (done < message.size()) {
    if (slot.queue.empty()) slot.done = done;
    slot.queue.emplace_back(message.begin(), message.end());
    slot.queued_bytes += message.size();
  }
  ring_bells();
  return true;
}

bool IvshmemCore::has_room(NodeId node) const {
  const auto found = peers_.find(node);
  return found == peers_.end() || !found->second.slot || slots_[*found->second.slot].queued_bytes < kQueueShortBytes;
}

void IvshmemCore::flush(std::uint32_t index) {
  Slot& slot = slots_[index];
  const bool was_long = slot.queued_bytes >= kQueueShortBytes;
  while (!slot.queue.empty()) {
    const Bytes& message = slot.queue.front();
    slot.done = self_->put(index, message, slot.done);
    if (slot.done < message.size()) break;
    slot.queued_bytes -= message.size();
    slot.queue.pop_front();
    slot.done = 0;
  }
  if (was_long && slot.queued_bytes < kQueueShortBytes && slot.phase == Phase::kUp && callbacks_.on_room) callbacks_.on_room(slot.hello.self.node);
}

void IvshmemCore::ring_bells() {
  for (std::uint32_t bells = self_->take_bells(); bells != 0; bells &= bells - 1) {
    const auto index = static_cast<std::uint32_t>(__builtin_ctz(bells));
    if (self_->bell_of(index) != BellKind::kNone) file_->ring(index);  // a guest's: the doorbell server reads the pipe
  }
}

void IvshmemCore::stop() {
  if (std::exchange(stopped_, true)) return;
  house_timer_.cancel();
  for (Slot& slot : slots_) slot.process.reset();
  for (auto& [node, peer] : peers_) peer.slot.reset();
  if (self_) {
    self_->leave();
    file_->release_slot();
    ring_bells();
  }
  std::error_code ignored;
  if (bell_) bell_->close(ignored);
  file_.reset();  // the memory is unmapped: nothing may touch it from here on
}

}  // namespace rse
