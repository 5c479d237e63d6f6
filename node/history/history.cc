#include "node/history/history.h"

#include <sys/prctl.h>

#include <algorithm>
#include <asio/post.hpp>
#include <chrono>
#include <utility>

#include "transport/clock.h"

namespace rse {
namespace {

constexpr std::size_t kQuestionsMax = 64;
constexpr std::chrono::seconds kSampleInterval{1};

}  // namespace

v1::HistorySample sample_of(const v1::StatusReply& status, std::uint64_t unix_seconds) {
  v1::HistorySample sample;
  sample.set_unix_seconds(unix_seconds);
  sample.set_health(status.health());
  sample.set_resident_bytes(status.self().resident_bytes());
  sample.set_cpu_nanoseconds(status.self().cpu_nanoseconds());
  for (const v1::LinkStatus& link : status.links()) {
    sample.set_bytes_sent(sample.bytes_sent() + link.bytes_sent());
    sample.set_bytes_received(sample.bytes_received() + link.bytes_received());
    if (link.connected()) sample.set_rtt_nanoseconds(std::max(sample.rtt_nanoseconds(), link.rtt_p50_nanoseconds()));
  }
  for (const v1::TorusStatus& torus : status.tori()) {
    v1::HistorySample::Torus& to = *sample.add_tori();
    to.set_epoch(torus.epoch());
    to.set_events(torus.events());
    to.set_pending(torus.pending());
    to.set_hosted_here(torus.hosted_here());
  }
  return sample;
}

History::History(asio::io_context& loop, std::unique_ptr<HistoryStore> store, Hooks hooks)
    : store_(std::move(store)), hooks_(std::move(hooks)), timer_(loop), mailbox_(loop), thread_([this] { run(); }) {
  take_samples();
}

History::~History() { stop(); }

void History::stop() {
  if (!std::exchange(*alive_, false)) return;
  timer_.cancel();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  mailbox_.close();
}

void History::take_samples() {
  timer_.expires_after(kSampleInterval);
  timer_.async_wait([this, alive = alive_](const std::error_code& error) {
    if (error || !*alive) return;
    v1::StatusReply status;
    hooks_.status(status);
    v1::HistorySample sample = sample_of(status, unix_seconds());
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.samples.size() < kHistoryQueueMax) waiting_.samples.push_back(std::move(sample));
    }
    wake_.notify_one();
    take_samples();
  });
}

void History::note(v1::IncidentRecord incident) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.incidents.size() < kHistoryQueueMax) waiting_.incidents.push_back(std::move(incident));
  }
  wake_.notify_one();
}

bool History::read(const v1::HistoryRequest& request, Answer answer) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.questions.size() >= kQuestionsMax) return false;
    waiting_.questions.push_back({request, std::move(answer)});
  }
  wake_.notify_one();
  return true;
}

void History::run() {
  ::prctl(PR_SET_NAME, "rse-history");
  for (bool stopping = false; !stopping;) {
    Waiting waiting;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      waiting = std::exchange(waiting_, {});
      stopping = stopping_;
    }
    write(waiting);
    for (Question& question : waiting.questions) answer(std::move(question));
  }
}

void History::write(const Waiting& waiting) {
  if (waiting.incidents.empty() && waiting.samples.empty()) return;
  const std::string failure = store_->add(waiting.incidents, waiting.samples);
  if (std::exchange(failing_, !failure.empty()) || failure.empty()) return;
  mailbox_.post([this, failure] { hooks_.warn(failure); });
}

void History::answer(Question question) {
  v1::HistoryReply reply;
  std::string failure = store_->read(question.request, reply);
  mailbox_.post([question = std::move(question), reply = std::move(reply), failure = std::move(failure)]() mutable {
    question.answer(std::move(reply), failure);
  });
}

}  // namespace rse
