#include "node/mailbox.h"

#include <unistd.h>

#include <cstdint>
#include <utility>

#include "node/eventfd.h"

namespace rse {

Mailbox::Mailbox(asio::io_context& loop) : wake_(loop, new_eventfd()) { listen(); }

void Mailbox::post(std::function<void()> call) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = calls_.empty();
    calls_.push_back(std::move(call));
  }
  if (!first) return;  // the loop has been woken and has not looked yet
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.native_handle(), &one, sizeof one);
}

void Mailbox::listen() {
  wake_.async_wait(asio::posix::stream_descriptor::wait_read, [this, open = open_](const std::error_code& error) {
    if (error || !*open) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.native_handle(), &count, sizeof count);
    deliver();
    if (*open) listen();
  });
}

void Mailbox::deliver() {
  std::vector<std::function<void()>> calls;
  {
    const std::lock_guard lock(mutex_);
    calls.swap(calls_);
  }
  for (const auto& call : calls) {
    const std::shared_ptr<bool> open = open_;
    call();
    if (!*open) return;  // the call closed it, and it may be gone
  }
}

void Mailbox::close() {
  if (!std::exchange(*open_, false)) return;
  std::error_code ignored;
  wake_.close(ignored);
  const std::lock_guard lock(mutex_);
  calls_.clear();
}

}  // namespace rse
