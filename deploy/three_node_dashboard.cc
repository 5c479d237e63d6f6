#include <sys/eventfd.h>
#include <unistd.h>

#include "deploy/three_node.h"

namespace rse {
namespace {

constexpr const char* kUsualAddress = "127.0.0.1:7480";
constexpr const char* kAnyPort = "127.0.0.1:0";

}  // namespace

DashboardRequests::DashboardRequests() : descriptor_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
DashboardRequests::~DashboardRequests() {
  close();
  ::close(descriptor_);
}

std::string DashboardRequests::ask(std::function<std::string()> action) {
  std::packaged_task<std::string()> task(std::move(action));
  std::future<std::string> answer = task.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return "the launcher ends";
    waiting_.push_back(std::move(task));
    ::eventfd_write(descriptor_, 1);
  }
  try {
    return answer.get();
  } catch (const std::future_error&) {
    return "the launcher ends";
  }
}

void DashboardRequests::carry_out() {
  eventfd_t ignored = 0;
  ::eventfd_read(descriptor_, &ignored);
  for (;;) {
    std::packaged_task<std::string()> task;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) return;
      task = std::move(waiting_.front());
      waiting_.pop_front();
    }
    task();
  }
}

void DashboardRequests::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  waiting_.clear();
}

std::string Story::serve() {
  const auto start = [this](const std::string& listen) {
    Gateway::Options options;
    options.listen = listen;
    options.token = random_token();
    options.controls = [controls = cluster_.controls()] { return controls; };
    // A script decides itself who dies.
    if (!options_.script) {
      options.kill = [this](const std::string& name) { return requests_.ask([this, name] { return kill(name); }); };
      options.restart = [this](const std::string& name) { return requests_.ask([this, name] { return restart(name); }); };
    }
    gateway_ = std::make_unique<Gateway>(std::move(options));
    return gateway_->start();
  };
  if (!options_.http.empty()) return start(options_.http);
  return start(kUsualAddress).empty() ? "" : start(kAnyPort);
}

void Story::stop_serving() {
  requests_.close();
  if (gateway_) gateway_->stop();
}

}  // namespace rse
