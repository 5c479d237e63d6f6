// Tells when addresses of this machine's interfaces come, go or become usable, of either family.
// The kernel's word (rtnetlink(7)) is a hint only, and is not read: who is told looks for itself (machine_addresses.h). So there is
// nothing to parse, and a hint that was lost because too many came at once is as good as any.
// Threads: the event loop's. Memory: small. Errors: a sentence from start().
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace rse {

/// Changes come in bursts: a lease is renewed by removing one address and adding another, an IPv6 address is checked before it is used.
inline constexpr std::chrono::milliseconds kAddressQuiet{200};
inline constexpr std::chrono::milliseconds kAddressBurstMax{1000};

class AddressWatch : public std::enable_shared_from_this<AddressWatch> {
 public:
  /// `changed`: after a burst, when nothing more has come for kAddressQuiet, or kAddressBurstMax after its first.
  AddressWatch(asio::io_context& loop, std::function<void()> changed) : socket_(loop), timer_(loop), changed_(std::move(changed)) {}
  /// Empty, or why nothing will be told.
  std::string start();
  void stop();

 private:
  void wait();
  void drain();
  void hint();

  asio::posix::stream_descriptor socket_;
  asio::steady_timer timer_;
  std::function<void()> changed_;
  std::optional<std::chrono::steady_clock::time_point> latest_;  // for the burst that is under way
};

}  // namespace rse
