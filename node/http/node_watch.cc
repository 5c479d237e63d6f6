#include "node/http/node_watch.h"

#include <algorithm>
#include <utility>

namespace rse {
namespace {

constexpr std::chrono::milliseconds kWatchPeriod{250};
constexpr std::chrono::milliseconds kWatchRest{1000};
constexpr std::chrono::milliseconds kRefreshPeriod{2000};  // nodes come and go
constexpr std::chrono::milliseconds kAnswerLimit{400};  // a paused node must not stop the news of the others

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

void NodeWatch::refresh_controls() {
  where_ = controls_();
  refreshed_ = std::chrono::steady_clock::now();
  std::erase_if(clients_, [&](const auto& client) { return std::find(where_.begin(), where_.end(), client.first) == where_.end(); });
}

NodeWatch::Statuses NodeWatch::ask_all() {
  Statuses statuses;
  if (std::chrono::steady_clock::now() - refreshed_ > kRefreshPeriod) refresh_controls();
  for (const std::string& where : where_) {
    ControlFailure failure;
    std::unique_ptr<ControlClient>& client = clients_[where];
    if (!client) client = ControlClient::connect(where, failure);
    if (!client) continue;
    client->set_limit(kAnswerLimit);
    if (auto status = ask_status(*client, failure)) statuses.push_back(std::move(*status));
    else client.reset();  // a reply that comes too late would be taken for the next one's
  }
  return statuses;
}

}  // namespace rse
