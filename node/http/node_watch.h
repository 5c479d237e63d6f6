// The last status of each node, asked for again and again on a thread of its own while somebody looks.
// Threads: any. Memory: one status a node. Errors: a node that does not answer is left out.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "node/control_client.h"

namespace rse {

class NodeWatch {
 public:
  using Statuses = std::vector<v1::StatusReply>;
  /// `on_statuses` is called on the watch's thread, every kWatchPeriod while `wanted` says so, else every kWatchRest.
  NodeWatch(std::function<std::vector<std::string>()> controls, std::function<void(Statuses)> on_statuses);
  ~NodeWatch();

  void start();
  void stop();
  void set_wanted(bool wanted);

 private:
  void run();
  Statuses ask_all();

  std::function<std::vector<std::string>()> controls_;
  std::function<void(Statuses)> on_statuses_;
  std::vector<std::string> where_;
  std::chrono::steady_clock::time_point refreshed_{};
  StatusPoll poll_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;    // under mutex_
  bool stopping_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace rse
