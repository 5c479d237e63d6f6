#include "node/mailbox.h"

#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

namespace rse {

TEST_CASE("mailbox: what several threads leave is called on the loop's, each thread's calls in order") {
  constexpr int kThreads = 3;
  constexpr int kCalls = 2000;
  asio::io_context loop;
  Mailbox mailbox(loop);
  std::vector<int> next(kThreads, 0);
  bool in_order = true;
  int count = 0;
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread)
    threads.emplace_back([&, thread] {
      for (int call = 0; call < kCalls; ++call)
        mailbox.post([&, thread, call] {
          in_order &= std::this_thread::get_id() == loop_thread && next[thread]++ == call;
          if (++count == kThreads * kCalls) loop.stop();
        });
    });
  loop.run();
  for (std::thread& thread : threads) thread.join();
  CHECK(in_order);
  CHECK(count == kThreads * kCalls);
}

TEST_CASE("mailbox: after it was closed nothing is called, and the loop has nothing more to wait for") {
  asio::io_context loop;
  Mailbox mailbox(loop);
  bool called = false;
  mailbox.post([&] { called = true; });
  mailbox.close();
  loop.run();  // returns
  CHECK(!called);
}

TEST_CASE("mailbox: a call may destroy it") {
  asio::io_context loop;
  auto mailbox = std::make_unique<Mailbox>(loop);
  bool called = false;
  mailbox->post([&] { mailbox.reset(); });
  mailbox->post([&] { called = true; });
  loop.run();
  CHECK(mailbox == nullptr);
  CHECK(!called);
}

}  // namespace rse
