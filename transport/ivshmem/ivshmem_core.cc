// The loop around the links: when to look, when to sleep, who is dead, whom to trust.
#include "transport/ivshmem/ivshmem_core.h"

#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <asio/post.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "torus/braid/messages.h"
#include "transport/clock.h"
#include "transport/monotonic_clock.h"

namespace rse {
namespace {

/// While somebody is there with whom there is no link, or whose process cannot be watched.
constexpr std::chrono::milliseconds kHouseInterval{20};
/// Otherwise bells and the ends of processes say what is new. Also how long a bell that its ringer took along is missed.
constexpr std::chrono::milliseconds kQuietHouseInterval{100};
constexpr int kLooksPerClock = 16;  // the clock costs as much as a few looks
constexpr std::chrono::seconds kAttachPause{1};     // after a failure that is no absence

}  // namespace

IvshmemCore::IvshmemCore(asio::io_context& loop, const IvshmemOptions& options, TransportCallbacks callbacks)
    : loop_(loop), callbacks_(std::move(callbacks)), handshake_limit_(options.handshake_limit), spin_(options.spin), house_timer_(loop),
      trust_(options.trust) {}

// --- Taking part. ---

std::string IvshmemCore::listen(const std::string& address) {
  std::string why;
  address_ = parse_ivshmem_address(address, why);
  if (!address_) return why;
  address_text_ = address;
  file_ = RegionFile::open(*address_, RegionOpen::kCreate, RegionClaim::kSlot, why);
  return why;
}

void IvshmemCore::set_hello(const Hello& hello) {
  if (stopped_) return;
  hello_ = hello;
  if (links_) links_->set_hello(hello);
  if (!std::exchange(started_, true)) keep_house();
  start_if_ready();
}

void IvshmemCore::dial(const std::string& address) {
  if (stopped_) return;
  std::string why;
  const auto parsed = parse_ivshmem_address(address, why);
  if (parsed && parsed->machine != 0 && parsed->machine != this_machine()) return;  // a view names other machines' too
  if (parsed && address_ && parsed->path == address_->path) {
    if (parsed->machine == 0) name_address(address);  // what somebody typed: failures name it
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
  name_address(address);
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
  IvshmemLinks::Surroundings& surroundings = *this;
  const IvshmemLinks::Options options{.handshake_limit = milliseconds(static_cast<std::uint64_t>(handshake_limit_.count()))};
  links_.emplace(*self_, surroundings, options, callbacks_);
  links_->set_hello(hello_);
  links_->set_address(address_text_);
  wait_for_bell();
  links_->ring_bells();
  turn_soon();
}

void IvshmemCore::name_address(const std::string& text) {
  address_text_ = text;
  if (links_) links_->set_address(text);
}

void IvshmemCore::wait_for_bell() {
  bell_->async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (error || self->stopped_) return;
    std::array<std::byte, 256> bytes;
    while (::read(self->bell_->native_handle(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
    }
    self->run();
    if (!self->stopped_) self->wait_for_bell();  // last, as what has come should not wait for it; a bell meanwhile stays in the pipe
  });
}

// --- Housekeeping. ---

void IvshmemCore::keep_house() {
  if (stopped_) return;
  if (!file_) attach();
  if (links_) links_->look_after();
  if (links_ && !stopped_) check_lives();
  if (stopped_) return;
  house_timer_.expires_after(links_ && links_->complete() && watches_all() ? kQuietHouseInterval : kHouseInterval);
  house_timer_.async_wait([self = shared_from_this()](const std::error_code& error) {
    if (!error) self->keep_house();
  });
}

/// A guest's end is known without a process: the doorbell server takes its presence.
bool IvshmemCore::watches_all() const {
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (index == self_->slot() || !self_->present(index)) continue;
    if (self_->process_of(index) != 0 && !processes_[index]) return false;
  }
  return true;
}

void IvshmemCore::check_lives() {
  for (std::uint32_t index = 0; index < kParticipantsMax; ++index) {
    if (index == self_->slot() || !self_->present(index)) continue;
    if (self_->process_of(index) != 0 && !file_->held(index)) file_->declare_dead(index);
  }
  run();
  if (!stopped_) links_->report_deaths();
}

// --- What the links are told. ---

Instant IvshmemCore::now() const { return monotonic_now(); }

Instant IvshmemCore::roughly_now() const {
  return {static_cast<std::uint64_t>(clock_nanoseconds(CLOCK_MONOTONIC_COARSE))};
}

/// The lock tells for certain; this tells when to look at it.
void IvshmemCore::on_appeared(std::uint32_t slot) {
  processes_[slot].reset();
  const std::uint32_t process = self_->process_of(slot);
  if (process == 0 || process > 0x7fffffff) return;
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(process), 0));
  if (fd < 0) return;
  processes_[slot] = std::make_unique<asio::posix::stream_descriptor>(loop_, fd);
  processes_[slot]->async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](const std::error_code& error) {
    if (!error && !self->stopped_) self->check_lives();
  });
}

/// A presence that has changed is no proof: memory can be damaged. The lock is with the kernel. A guest has only its word.
bool IvshmemCore::is_gone(std::uint32_t slot, std::uint32_t process) const {
  if (process == 0) return !self_->present(slot);
  if (!file_->held(slot)) return true;
  const bool taken_over = self_->process_of(slot) != process;
  return taken_over && ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
}

std::string IvshmemCore::place(std::uint32_t slot) const { return address_->path + " slot " + std::to_string(slot); }

void IvshmemCore::show(Hello& own) const {
  if (trust_) rse::show(*trust_, own);
}

/// Empty: the peer is trusted.
std::string IvshmemCore::judge(Hello& hello, const std::string& where) const {
  if (!trust_) {
    if (hello.key.is_none()) return {};
    return "cannot talk to " + where + ": it is of an encrypted cluster, and this node runs with --insecure; start both in the same way";
  }
  if (hello.key.is_none()) {
    return "cannot talk to " + where + ": it shows no key, so it is of an open cluster (--insecure), and this node is not; start both in "
           "the same way";
  }
  std::string why = judge_node(*trust_, hello.self.node, hello.key, where);
  if (!why.empty()) return why;
  Verdict verdict = judge_peer(*trust_, shown_by(*trust_, hello), where, unix_seconds());
  hello.ticket = verdict.ticket;
  return verdict.refusal;
}

void IvshmemCore::set_trust(std::shared_ptr<const TrustBook> book) {
  if (stopped_ || !trust_) return;
  trust_ = std::move(book);
  if (!links_) return;
  const auto trusted = [&](const Hello& hello) { return still_trusted(*trust_, shown_by(*trust_, hello)); };
  for (const NodeId node : links_->strangers(trusted)) links_->disconnect(node);
}

// --- Turns of the loop. ---

void IvshmemCore::turn_soon() {
  if (std::exchange(run_posted_, true)) return;
  asio::post(loop_, [self = shared_from_this()] {
    self->run_posted_ = false;
    self->run();
  });
}

void IvshmemCore::run() {
  if (stopped_ || running_ || !links_) return;
  const auto keep = shared_from_this();  // a callback may destroy the transport
  running_ = true;
  self_->wake();
  spin_.begin_turn();
  auto look = AdaptiveSpin::Look::kNews;
  while (look == AdaptiveSpin::Look::kNews) {
    if (links_->turn() == IvshmemLinks::Turn::kMore) look = AdaptiveSpin::Look::kTurnOver;
    if (stopped_) break;
    if (links_->took_message()) spin_.took_message();
    if (look == AdaptiveSpin::Look::kNews) look = spin_.look([this] { return look_some_times(); });
  }
  running_ = false;
  if (stopped_) return;
  if (look == AdaptiveSpin::Look::kTurnOver || !self_->try_sleep()) turn_soon();
}

bool IvshmemCore::look_some_times() {
  for (int times = 0; times < kLooksPerClock; ++times) {
    if (self_->has_news()) return true;
    _mm_pause();
  }
  return false;
}

// --- What the transport is asked. ---

namespace {
SendResult refused_without_links(std::span<const std::byte> message) {
  return message.size() > kMessageBytesMax ? SendResult::kTooLarge : SendResult::kNoLink;
}
}  // namespace

SendResult IvshmemCore::send(NodeId node, std::span<const std::byte> message) {
  if (links_) return links_->send(node, message);
  return refused_without_links(message);
}

SendResult IvshmemCore::send_at_once(NodeId node, std::span<const std::byte> message) {
  if (links_) return links_->send_at_once(node, message);
  return refused_without_links(message);
}

void IvshmemCore::disconnect(NodeId node) {
  if (links_) links_->disconnect(node);
}

std::vector<LinkStats> IvshmemCore::stats() const { return links_ ? links_->stats() : std::vector<LinkStats>(); }

void IvshmemCore::report_failure(const std::string& address, const std::string& why) {
  if (!stopped_) callbacks_.on_failure(address, why);
}

void IvshmemCore::stop() {
  if (std::exchange(stopped_, true)) return;
  house_timer_.cancel();
  for (auto& process : processes_) process.reset();
  if (links_) {
    links_->stop();
    file_->release_slot();
    links_->ring_bells();
  }
  std::error_code ignored;
  if (bell_) bell_->close(ignored);
  file_.reset();  // the memory is unmapped: nothing may touch it from here on
}

}  // namespace rse
