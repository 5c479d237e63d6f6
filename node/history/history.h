// Keeps a node's history: takes its incidents as they happen and a sample each second, and writes them on a thread of its own.
// Threads: calls and callbacks on the loop's; the store on the own one. Memory: kHistoryQueueMax incidents and samples; what
// comes beyond is dropped. Errors: said once, until writing works again; the node goes on.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "node/history/history_store.h"
#include "node/mailbox.h"
#include "node/priority_mutex.h"

namespace rse {

inline constexpr std::size_t kHistoryQueueMax = 4096;

class History {
 public:
  struct Hooks {
    std::function<void(v1::StatusReply&)> status;
    std::function<void(const std::string& why)> warn;
  };
  History(asio::io_context& loop, std::unique_ptr<HistoryStore> store, Hooks hooks);
  ~History();
  History(const History&) = delete;
  History& operator=(const History&) = delete;

  void note(v1::IncidentRecord incident);
  /// The answer comes unless stop() does; `failure` is empty or says what could not be read.
  using Answer = std::function<void(v1::HistoryReply reply, const std::string& failure)>;
  /// False: too many questions wait.
  bool read(const v1::HistoryRequest& request, Answer answer);
  /// Writes what waits; no callback afterwards.
  void stop();

 private:
  struct Question {
    v1::HistoryRequest request;
    Answer answer;
  };
  struct Waiting {
    std::vector<v1::IncidentRecord> incidents;
    std::vector<v1::HistorySample> samples;
    std::vector<Question> questions;
    bool empty() const { return incidents.empty() && samples.empty() && questions.empty(); }
  };
  void take_samples();
  void run();
  void write(const Waiting& waiting);
  void answer(Question question);

  std::unique_ptr<HistoryStore> store_;
  Hooks hooks_;
  asio::steady_timer timer_;
  PriorityMutex mutex_;
  PriorityCondition wake_;
  Waiting waiting_;        // under mutex_
  bool stopping_ = false;  // under mutex_
  bool failing_ = false;   // of the own thread
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and written on the loop's thread
  Mailbox mailbox_;
  std::thread thread_;
};

/// What is kept of `status`.
v1::HistorySample sample_of(const v1::StatusReply& status, std::uint64_t unix_seconds);

}  // namespace rse
