#include "node/http/node_watch.h"

#include <utility>

namespace rse {
namespace {

constexpr std::chrono::milliseconds kWatchPeriod{250};
constexpr std::chrono::milliseconds kWatchRest{1000};
constexpr std::chrono::milliseconds kRefreshPeriod{2000};  // nodes come and go

}  // namespace

NodeWatch::NodeWatch(std::function<std::vector<std::string>()> controls, std::function<void(Statuses)> on_statuses)
    : controls_(std::move(controls)), on_statuses_(std::move(on_statuses)) {}

NodeWatch::~NodeWatch() { stop(); }

void NodeWatch::start() {
  thread_ = std::thread([this] { run(); });
}

void NodeWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void NodeWatch::set_wanted(bool wanted) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(wanted_, wanted) != wanted) changed_.notify_all();
}

void NodeWatch::run() {
  for (;;) {
    const auto begun = std::chrono::steady_clock::now();
    on_statuses_(ask_all());
    std::unique_lock lock(mutex_);
    const bool was_wanted = wanted_;
    changed_.wait_until(lock, begun + (was_wanted ? kWatchPeriod : kWatchRest), [&] { return stopping_ || (wanted_ && !was_wanted); });
    if (stopping_) return;
  }
}

NodeWatch::Statuses NodeWatch::ask_all() {
  if (std::chrono::steady_clock::now() - refreshed_ > kRefreshPeriod) {
    where_ = controls_();
    refreshed_ = std::chrono::steady_clock::now();
  }
  ControlFailure ignored;
  return poll_.ask(where_, ignored);
}

}  // namespace rse
