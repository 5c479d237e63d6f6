#include "tests/sim/many_runs.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <numeric>

#include "torus/base/assert.h"

namespace rse::sim {
namespace {

constexpr std::uint32_t kJobsMax = 64;
constexpr std::uint32_t kFailuresMax = 64;
constexpr time_t kScheduleSecondsMax = 120;  // of processor time, for one that takes milliseconds: it hangs inside one call
constexpr timespec kRedraw{0, 250'000'000};
constexpr double kLineEverySeconds = 60;  // where nothing can be drawn again
using Clock = std::chrono::steady_clock;

/// What workers and parent share. Everything is plain numbers, so that a crash leaves it usable.
struct Shared {
  std::atomic<std::uint64_t> next{0}, done{0};
  std::atomic<std::uint32_t> failures{0};
  std::atomic<std::uint64_t> seeds[kJobsMax];  // being run, by worker; 0: none
  struct Found {
    std::atomic<std::uint64_t> seed{0};  // last: the rest is there
    char what[400];
  };
  Found found[kFailuresMax];
  std::atomic<std::uint64_t> epochs{0}, epochs_min{~0ull}, steps{0}, steps_min{~0ull}, held_back{0}, rewinds{0},
      acknowledged{0}, messages{0}, hostile_refused{0}, simulated{0}, to_health_max{0}, fingerprint{0};
  std::atomic<std::uint64_t> hit[kStepKindCount];

  void fail(std::uint64_t seed, const std::string& text) {
    const std::uint32_t place = failures.fetch_add(1);
    if (place >= kFailuresMax) return;
    std::snprintf(found[place].what, sizeof found[place].what, "%s", text.c_str());
    found[place].seed = seed;
  }
};

template <class T>
void lower(std::atomic<T>& at, T value) {
  for (T seen = at; value < seen && !at.compare_exchange_weak(seen, value);) {
  }
}
template <class T>
void raise(std::atomic<T>& at, T value) {
  for (T seen = at; value > seen && !at.compare_exchange_weak(seen, value);) {
  }
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Processor time of all workers that have ended.
double seconds_of_children() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::string cause_of_death(int status) {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGVTALRM) return "it does not come back from one call";
  if (WIFSIGNALED(status)) return std::string("the process died: ") + strsignal(WTERMSIG(status));
  return "the process ended with code " + std::to_string(WEXITSTATUS(status));
}

/// Of what happened in one schedule: the same code gives the same one, and so must code that is only faster.
std::uint64_t fingerprint_of(std::uint64_t seed, const Outcome& outcome) {
  std::uint64_t sum = seed;
  for (const std::uint64_t value : {outcome.actions, outcome.messages, outcome.simulated.raw, outcome.epochs, outcome.to_health.raw}) {
    sum = (sum ^ value) * 0x9E3779B97F4A7C15;
    sum ^= sum >> 32;
  }
  return sum;
}

void add(Shared& shared, std::uint64_t seed, const Outcome& outcome) {
  std::uint64_t steps = 0;
  for (std::size_t kind = 0; kind < kStepKindCount; ++kind) {
    shared.hit[kind] += outcome.hit[kind];
    steps += outcome.hit[kind];
  }
  shared.steps += steps;
  lower(shared.steps_min, steps);
  shared.epochs += outcome.epochs;
  lower(shared.epochs_min, outcome.epochs);
  shared.held_back += outcome.held_back;
  shared.rewinds += outcome.rewinds;
  shared.acknowledged += outcome.acknowledged;
  shared.messages += outcome.messages;
  shared.hostile_refused += outcome.hostile_refused;
  shared.simulated += outcome.simulated.raw;
  raise(shared.to_health_max, outcome.to_health.raw);
  shared.fingerprint += fingerprint_of(seed, outcome);
}

/// Ends this process after so much time of its own, unless it is called again before.
void limit_processor_time() {
  const itimerval limit{.it_interval = {}, .it_value = {kScheduleSecondsMax, 0}};
  ::setitimer(ITIMER_VIRTUAL, &limit, nullptr);
}

[[noreturn]] void work(Shared& shared, const ManyOptions& options, std::uint32_t job) {
  while (shared.failures < options.failures_max) {
    const std::uint64_t place = shared.next.fetch_add(1);
    if (place >= options.count) break;
    const std::uint64_t seed = options.first + place;
    shared.seeds[job] = seed;
    limit_processor_time();
    const Outcome outcome = run_schedule(make_schedule(seed));
    if (!outcome.broken.empty()) shared.fail(seed, outcome.broken);
    add(shared, seed, outcome);
    shared.seeds[job] = 0;
    ++shared.done;
  }
  std::exit(0);  // not _exit(): a build that counts coverage writes its counts there
}

void draw(const Shared& shared, const ManyOptions& options, double seconds, const char* end) {
  const std::uint64_t done = shared.done;
  const double part = static_cast<double>(done) / static_cast<double>(std::max<std::uint64_t>(options.count, 1));
  const int filled = static_cast<int>(part * 30);
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(options.count - done) / rate : 0;
  std::fprintf(stderr, "%s[%.*s%*s] %llu of %llu schedules, %.0f a minute, %u failed, %.0f s left  %s", *end == 0 ? "\r" : "", filled,
               "##############################", 30 - filled, "", static_cast<unsigned long long>(done),
               static_cast<unsigned long long>(options.count), rate * 60, shared.failures.load(), left, end);
  std::fflush(stderr);
}

}  // namespace

ManyRuns run_many(const ManyOptions& given) {
  ManyOptions options = given;
  options.jobs = std::clamp(options.jobs, 1u, kJobsMax);
  void* const memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  RSE_ASSERT(memory != MAP_FAILED, "a few pages to share with the workers");
  Shared& shared = *new (memory) Shared;
  const Clock::time_point start = Clock::now();
  const double processor_before = seconds_of_children();
  // A worker that ends is a signal, which waits here until it is fetched.
  sigset_t child, before;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &before);
  std::array<pid_t, kJobsMax> workers{};
  const auto begin = [&](std::uint32_t job) {
    std::fflush(nullptr);
    workers[job] = ::fork();
    RSE_ASSERT(workers[job] >= 0, "this machine gives no more processes; use fewer --jobs");
    if (workers[job] == 0) work(shared, options, job);
  };
  for (std::uint32_t job = 0; job < options.jobs; ++job) begin(job);
  std::uint32_t told = 0;
  double next_line = kLineEverySeconds;
  for (std::uint32_t running = options.jobs; running > 0;) {
    ::sigtimedwait(&child, nullptr, &kRedraw);
    for (; told < kFailuresMax && shared.found[told].seed != 0; ++told) {  // a long run is not waited for to hear of it
      std::fprintf(stderr, "\nseed %llu: %s\n", static_cast<unsigned long long>(shared.found[told].seed.load()), shared.found[told].what);
    }
    for (std::uint32_t job = 0; job < options.jobs; ++job) {
      int status = 0;
      if (workers[job] == 0 || ::waitpid(workers[job], &status, WNOHANG) != workers[job]) continue;
      workers[job] = 0;
      --running;
      const std::uint64_t seed = shared.seeds[job].exchange(0);
      if (seed == 0) continue;
      shared.fail(seed, cause_of_death(status));
      ++shared.done;
      if (shared.failures < options.failures_max) {
        begin(job);
        ++running;
      }
    }
    const double seconds = seconds_since(start);
    if (options.progress) {
      draw(shared, options, seconds, "");
    } else if (seconds >= next_line) {
      next_line = seconds + kLineEverySeconds;
      draw(shared, options, seconds, "\n");
    }
  }
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (options.progress) std::fprintf(stderr, "\n");
  ManyRuns result;
  result.seconds = seconds_since(start);
  result.processor_seconds = seconds_of_children() - processor_before;
  result.done = shared.done;
  for (std::uint32_t i = 0; i < std::min(shared.failures.load(), kFailuresMax); ++i) {
    result.failures.push_back({shared.found[i].seed, shared.found[i].what});
  }
  std::sort(result.failures.begin(), result.failures.end(), [](const Failure& a, const Failure& b) { return a.seed < b.seed; });
  result.epochs = shared.epochs;
  result.epochs_min = shared.epochs_min;
  result.steps = shared.steps;
  result.steps_min = shared.steps_min;
  result.held_back = shared.held_back;
  result.rewinds = shared.rewinds;
  result.acknowledged = shared.acknowledged;
  result.messages = shared.messages;
  result.hostile_refused = shared.hostile_refused;
  result.simulated = {shared.simulated};
  result.to_health_max = {shared.to_health_max};
  result.fingerprint = shared.fingerprint;
  for (std::size_t kind = 0; kind < kStepKindCount; ++kind) result.hit[kind] = shared.hit[kind];
  ::munmap(memory, sizeof(Shared));
  return result;
}

// --- One at a time, and shorter. ---

std::string in_a_process(const std::function<std::string()>& run) {
  int ends[2];
  RSE_ASSERT(::pipe(ends) == 0, "a pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  RSE_ASSERT(child >= 0, "a process");
  if (child == 0) {
    limit_processor_time();
    ::close(ends[0]);
    const std::string broken = run();
    [[maybe_unused]] const ssize_t written = ::write(ends[1], broken.data(), broken.size());
    std::exit(0);
  }
  ::close(ends[1]);
  std::string text;
  char part[4096];
  for (ssize_t size; (size = ::read(ends[0], part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(size));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? text : cause_of_death(status);
}

std::string run_apart(const Schedule& schedule, const std::set<std::uint32_t>& keep) {
  return in_a_process([&] { return run_schedule(schedule, &keep).broken; });
}

std::set<std::uint32_t> all_steps(const Schedule& schedule) {
  std::set<std::uint32_t> all;
  for (std::uint32_t i = 0; i < schedule.steps.size(); ++i) all.insert(i);
  return all;
}

/// Delta debugging (Zeller, Hildebrandt 2002): drops chunks, ever smaller ones, as long as what is left fails.
std::set<std::uint32_t> shrink(const Schedule& schedule, std::set<std::uint32_t> keep) {
  for (std::size_t chunk = std::max<std::size_t>(keep.size() / 2, 1);;) {
    bool shorter = false;
    for (std::size_t start = 0; start < keep.size();) {
      std::set<std::uint32_t> fewer = keep;
      auto first = std::next(fewer.begin(), static_cast<std::ptrdiff_t>(start));
      auto last = std::next(first, static_cast<std::ptrdiff_t>(std::min(chunk, fewer.size() - start)));
      fewer.erase(first, last);
      if (run_apart(schedule, fewer).empty()) {
        start += chunk;
      } else {
        keep = std::move(fewer);
        shorter = true;
      }
    }
    if (chunk == 1 && !shorter) return keep;
    chunk = std::max<std::size_t>(chunk / 2, 1);
  }
}

}  // namespace rse::sim
