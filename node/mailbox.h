// Calls that other threads leave for the loop's, in order. asio::post() would do the same under a mutex of the loop's own, and
// wakes the loop while it holds it: on a busy machine the woken loop, a real-time thread, then waits until the one that posted
// has the processor again (priority_mutex.h).
// Threads: post() on any, as long as it is open; everything else, and the calls, on the loop's. Memory: the calls that wait; who
// posts bounds them. Errors: std::system_error where the system has no eventfd left.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "node/priority_mutex.h"

namespace rse {

class Mailbox {
 public:
  explicit Mailbox(asio::io_context& loop);
  ~Mailbox() { close(); }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  void post(std::function<void()> call);
  /// Nothing is called any more. Every thread that posts has ended, or is kept from it.
  void close();

 private:
  void listen();
  void deliver();

  asio::posix::stream_descriptor wake_;  // an eventfd
  PriorityMutex mutex_;
  std::vector<std::function<void()>> calls_;
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);  // read and written on the loop's thread
};

}  // namespace rse
