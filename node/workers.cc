#include "node/workers.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <system_error>

#include "node/eventfd.h"
#include "node/thread_urgency.h"

namespace rse {
namespace {

// Behind the loop's thread when they compete for a core: a late heartbeat costs everybody, a late epoch only us.
constexpr int kWorkerNice = 3;

/// Reads only: the braid's own bookkeeping of changed regions is left as it was.
StateDigest digest_state(const TorusMachine& machine) {
  RegionDigests digests;
  Bytes bytes;
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    bytes.clear();
    machine.write_region(region, bytes);
    digests.of[region] = digest_of(bytes);
  }
  return {machine.run(), machine.next_epoch().raw, digests.state_digest()};
}

}  // namespace

Workers::Workers(asio::io_context& loop, std::function<void(const Done&)> on_done)
    : wake_(loop, new_eventfd()), on_done_(std::move(on_done)) {
  listen();
}

Workers::~Workers() { stop(); }

void Workers::submit(RunEpoch work, bool with_state) {
  if (stopped_) return;
  std::unique_ptr<Worker>& worker = workers_[work.kind == RunEpoch::Kind::kHashCut ? kTorusCount : work.torus.raw];
  if (!worker) {
    worker = std::make_unique<Worker>();
    worker->thread = std::thread([this, w = worker.get()] { run(*w); });
  }
  using Kind = RunEpoch::Kind;
  if (work.kind == Kind::kRestore || work.kind == Kind::kReplay) worker->takes_over = true;
  const bool urgent = work.kind == Kind::kRun ? std::exchange(worker->takes_over, false) : worker->takes_over;
  if (urgent) make_real_time(worker->thread, kTakeOverPriority);  // here: an ordinary thread would have to wake up first
  Job job{std::move(work), with_state, urgent, false};
  if (!worker->backlog.empty() || !worker->jobs.push(job)) worker->backlog.push_back(std::move(job));
}

void Workers::run(Worker& worker) {
  ::prctl(PR_SET_NAME, "rse-torus");
  bool urgent = true;  // it may be by now
  for (;;) {
    worker.jobs.wait();
    std::optional<Job> job = worker.jobs.pop();
    if (!job) continue;
    if (job->quit) return;
    if (std::exchange(urgent, job->urgent) && !job->urgent) become_ordinary(kWorkerNice);
    Done done{job->work.torus, job->work.kind, job->work.machine, std::nullopt};
    if (job->with_state) done.state = digest_state(*job->work.machine);
    execute(job->work);
    while (!worker.results.push(done)) std::this_thread::yield();  // never: two jobs, two results
    if (!woken_.exchange(true, std::memory_order_acq_rel)) {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(wake_.native_handle(), &one, sizeof one);
    }
  }
}

void Workers::listen() {
  wake_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const std::error_code& error) {
    if (error || stopped_) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_.native_handle(), &count, sizeof count);
    woken_.store(false, std::memory_order_release);
    drain();
    listen();
  });
}

void Workers::drain() {
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (!worker) continue;
    while (std::optional<Done> done = worker->results.pop()) {
      while (!worker->backlog.empty() && worker->jobs.push(worker->backlog.front()))
        worker->backlog.pop_front();
      on_done_(*done);
      if (stopped_) return;
    }
  }
}

void Workers::stop() {
  if (std::exchange(stopped_, true)) return;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    if (!worker) continue;
    Job quit;
    quit.quit = true;
    while (!worker->jobs.push(quit)) {
      (void)worker->results.pop();
      std::this_thread::yield();
    }
    // Room for what is still to come, so that no worker waits for a reader that is gone.
    while (worker->results.pop()) {
    }
    worker->thread.join();
  }
  std::error_code ignored;
  wake_.close(ignored);
}

}  // namespace rse
