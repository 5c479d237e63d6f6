// bazel run -c opt //tests/bench:transport -- [--json] [--seconds S] [--bytes N] [--only NAME] [--no-rates]
// Messages between two processes over each transport, and beside them what the machine gives without us, in one run: round trip
// and one way (the same clock on both sides) as p50, p99, p99.9 in microseconds, and thousand messages a second one way.
// What is compared takes turns of some milliseconds in the same two processes, and the ratio is the median of the ratios of
// neighbouring turns: what other programs do to the machine meanwhile happens to both.
// A message starts with a kind and the sender's time; the server answers with its own time after it.
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <set>

#include "tests/bench/channel.h"
#include "torus/base/keep_freed_memory.h"
#include "transport/monotonic_clock.h"

namespace rse::bench {
namespace {

constexpr unsigned kSecondsMax = 60;  // for one measurement
constexpr std::uint64_t kTurnNanoseconds = 4'000'000;
constexpr int kWarmUps = 500;         // round trips
constexpr int kWarmUpsOfTurn = 5;

struct Head {
  /// kTurn: after the answer it is the turn of the channel `count`.
  enum Kind : std::uint64_t { kPing = 1, kFlood = 2, kTurn = 3 };
  std::uint64_t kind, sent, answered, count;
};

std::uint64_t now() { return monotonic_now().raw; }

struct Settings {
  bool json = false;
  double seconds = 0.5;
  bool no_rates = false;
  std::size_t bytes = 0;  // 0: all of kSizes
  std::string only;
};

struct Percentiles {
  double p50 = 0, p99 = 0, p999 = 0;  // microseconds
};
Percentiles percentiles(std::vector<std::uint64_t>& samples) {
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double share) {
    return samples.empty() ? 0.0 : static_cast<double>(samples[static_cast<std::size_t>(share * static_cast<double>(samples.size() - 1))]) / 1000;
  };
  return {at(0.5), at(0.99), at(0.999)};
}

struct Row {
  Percentiles round_trip, one_way;
  double kilo_messages_per_second = 0;
  double raw_round_trip = 0, against_raw = 0;  // p50 of the primitive in its turns; of the ratios, the median
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[(values.size() - 1) / 2];
}

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);  // with one processor it stays where it is
}

void must_send(Channel& channel, std::span<const std::byte> message, const OnMessage& on_message) {
  while (!channel.send(message)) channel.pump(on_message);
}

/// One or two; the second is measured against the first.
using Channels = std::vector<std::unique_ptr<Channel>>;

/// Answers pings, counts what else comes, tells the count when asked. Killed by who asks.
[[noreturn]] void serve(const Channels& channels, std::size_t size) {
  std::vector<std::byte> answer(size);
  std::uint64_t count = 0, turn = 0;
  const OnMessage none = [](std::span<const std::byte>) {};
  const OnMessage on_message = [&](std::span<const std::byte> message) {
    Head head;
    std::memcpy(&head, message.data(), sizeof head);
    if (head.kind == Head::kFlood && ++count % head.answered != 0) return;  // a window's last message is answered
    const std::uint64_t next = head.kind == Head::kTurn ? head.count : turn;
    head.answered = now();
    head.count = count;
    std::memcpy(answer.data(), &head, sizeof head);
    must_send(*channels[turn], answer, none);
    turn = next;
  };
  for (;;) channels[turn]->pump(on_message);
}

/// The side that asks, over one of the channels at a time.
class Asker {
 public:
  Asker(const Channels& channels, std::size_t size) : channels_(channels), message_(size) {}

  void take_turn(std::size_t turn) {
    if (turn != turn_) call({Head::kTurn, 0, 0, turn});
    turn_ = turn;
    for (int warm = 0; warm < kWarmUpsOfTurn; ++warm) call({Head::kPing, now(), 0, 0});
  }
  void warm_up() {
    for (int warm = 0; warm < kWarmUps; ++warm) call({Head::kPing, now(), 0, 0});
  }
  /// As a program of messages does it: the next one is sent where the last one is received.
  void ping(std::uint64_t nanoseconds, std::vector<std::uint64_t>& round_trips, std::vector<std::uint64_t>& one_ways) {
    const std::uint64_t end = now() + nanoseconds;
    bool more = true;
    const OnMessage next = [&](std::span<const std::byte> bytes) {
      on_message_(bytes);
      const std::uint64_t received = now();
      round_trips.push_back(received - answer_.sent);
      one_ways.push_back(answer_.answered - answer_.sent);
      more = received < end;
      if (more) send({Head::kPing, now(), 0, 0});
    };
    send({Head::kPing, now(), 0, 0});
    while (more) channel().pump(next);
  }
  /// Thousand messages a second.
  double flood(std::uint64_t window, double seconds) {
    const std::uint64_t begin = now();
    std::uint64_t sent = 0;
    while (now() < begin + static_cast<std::uint64_t>(seconds * 1e9)) {
      for (std::uint64_t i = 1; i < window; ++i, ++sent) send({Head::kFlood, 0, window, 0});
      call({Head::kFlood, 0, window, 0});
      ++sent;
    }
    return static_cast<double>(sent) / (static_cast<double>(now() - begin) / 1e6);
  }

 private:
  Channel& channel() { return *channels_[turn_]; }
  void send(const Head& head) {
    std::memcpy(message_.data(), &head, sizeof head);
    must_send(channel(), message_, on_message_);
  }
  void call(const Head& head) {
    answered_ = false;
    send(head);
    while (!answered_) channel().pump(on_message_);
  }

  const Channels& channels_;
  std::size_t turn_ = 0;
  std::vector<std::byte> message_;
  Head answer_{};
  bool answered_ = false;
  const OnMessage on_message_ = [this](std::span<const std::byte> bytes) {
    std::memcpy(&answer_, bytes.data(), sizeof answer_);
    answered_ = true;
  };
};

/// The last of the channels, against the first if there are two.
Row ask(const Channels& channels, std::size_t size, const Candidate& candidate, const Settings& settings) {
  Asker asker(channels, size);
  const std::size_t own = channels.size() - 1;
  for (std::size_t turn = 0; turn < channels.size(); ++turn) {
    asker.take_turn(turn);
    asker.warm_up();
  }
  std::vector<std::uint64_t> round_trips[2], one_ways[2];
  std::vector<double> ratios;
  for (const std::uint64_t end = now() + static_cast<std::uint64_t>(settings.seconds * 1e9 * static_cast<double>(channels.size())); now() < end;) {
    double p50[2] = {};
    for (std::size_t turn = 0; turn < channels.size(); ++turn) {
      asker.take_turn(turn);
      std::vector<std::uint64_t> times;
      asker.ping(kTurnNanoseconds, times, one_ways[turn]);
      round_trips[turn].insert(round_trips[turn].end(), times.begin(), times.end());
      p50[turn] = percentiles(times).p50;
    }
    if (own > 0) ratios.push_back(p50[1] / p50[0]);
  }
  Row row;
  row.round_trip = percentiles(round_trips[own]);
  row.one_way = percentiles(one_ways[own]);
  if (own > 0) row.raw_round_trip = percentiles(round_trips[0]).p50;
  row.against_raw = median(std::move(ratios));
  if (!settings.no_rates) row.kilo_messages_per_second = asker.flood(candidate.window != 0 ? candidate.window : 1000, settings.seconds);
  return row;
}

const char* measured = "";

[[noreturn]] void on_alarm(int) {
  std::fprintf(stderr, "%s: no answer within %u s; is the machine busy? run it again\n", measured, kSecondsMax);
  std::_Exit(1);
}

pid_t fork_server() {
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to(1);
  }
  return child;
}

Channels make_channels(Side side, const Candidate* raw, const Candidate& candidate, std::size_t size, unsigned run) {
  Channels channels;
  if (raw != nullptr) channels.push_back(raw->make(side, size, run));
  channels.push_back(candidate.make(side, size, run + 1));
  return channels;
}

/// `raw`: what it is measured against; null: nothing.
Row measure(const Candidate* raw, const Candidate& candidate, std::size_t size, const Settings& settings) {
  static unsigned run = 0;
  run += 2;
  measured = candidate.name.c_str();
  ::alarm(kSecondsMax);  // whoever loses a message would wait for ever
  const pid_t child = fork_server();
  if (child == 0) serve(make_channels(Side::kServer, raw, candidate, size, run), size);
  pin_to(0);
  const Channels channels = make_channels(Side::kClient, raw, candidate, size, run);
  const Row row = ask(channels, size, candidate, settings);
  ::alarm(0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (const unsigned used : {run, run + 1}) ::unlink(shared_name(used).c_str());
  return row;
}

/// A cache line that goes to the other core and back: what no message can beat.
Percentiles cache_line(double seconds) {
  auto* const lines = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  std::atomic<std::uint64_t>&there = lines[0], &back = lines[64];
  const pid_t child = fork_server();
  if (child == 0) {
    for (std::uint64_t seen = 0;;) {
      const std::uint64_t value = there.load(std::memory_order_acquire);
      if (value == ~0ul) std::_Exit(0);
      if (value == seen) continue;
      back.store(seen = value, std::memory_order_release);
    }
  }
  pin_to(0);
  std::vector<std::uint64_t> samples;
  std::uint64_t value = 0;
  for (const std::uint64_t end = now() + static_cast<std::uint64_t>(seconds * 1e9); now() < end;) {
    const std::uint64_t sent = now();
    there.store(++value, std::memory_order_release);
    while (back.load(std::memory_order_acquire) != value) _mm_pause();
    samples.push_back(now() - sent);
  }
  there.store(~0ul);
  ::waitpid(child, nullptr, 0);
  ::munmap(lines, 4096);
  return percentiles(samples);
}

void print(const Candidate& candidate, std::size_t size, const Row& row, bool json, bool& first) {
  const Percentiles &round = row.round_trip, &one = row.one_way;
  if (json) {
    std::printf("%s\n  {\"name\": \"%s\", \"bytes\": %zu, \"round_trip_us\": [%.3f, %.3f, %.3f], \"one_way_us\": [%.3f, %.3f, %.3f], "
                "\"kilo_messages_per_second\": %.1f, \"raw_us\": %.3f, \"against_raw\": %.3f}",
                first ? "" : ",", candidate.name.c_str(), size, round.p50, round.p99, round.p999, one.p50, one.p99, one.p999,
                row.kilo_messages_per_second, row.raw_round_trip, row.against_raw);
  } else {
    char against[96] = "";
    if (!candidate.raw.empty()) std::snprintf(against, sizeof against, "%.2fx of %.2f us (%s)", row.against_raw, row.raw_round_trip, candidate.raw.c_str());
    std::printf("%-22s %6zu  %8.2f %8.2f %8.2f  %8.2f %8.2f %8.2f  %8.1f  %s\n", candidate.name.c_str(), size, round.p50,
                round.p99, round.p999, one.p50, one.p99, one.p999, row.kilo_messages_per_second, against);
  }
  first = false;
  std::fflush(stdout);
}

void run_size(std::size_t size, const std::vector<Candidate>& all, const Settings& settings, bool& first) {
  for (const Candidate& candidate : all) {
    const auto raw = std::find_if(all.begin(), all.end(), [&](const Candidate& other) { return other.name == candidate.raw; });
    const Row row = measure(raw == all.end() ? nullptr : &*raw, candidate, size, settings);
    print(candidate, size, row, settings.json, first);
  }
}

/// Those whose name contains `only`, and what they are measured against.
std::vector<Candidate> chosen(const std::string& only) {
  std::vector<Candidate> all = raw_candidates();
  for (Candidate& own : own_candidates()) all.push_back(std::move(own));
  std::set<std::string> names;
  for (auto candidate = all.rbegin(); candidate != all.rend(); ++candidate)
    if (candidate->name.find(only) != std::string::npos || names.contains(candidate->name)) names.insert({candidate->name, candidate->raw});
  std::erase_if(all, [&](const Candidate& candidate) { return !names.contains(candidate.name); });
  return all;
}

int run(const Settings& settings) {
  const Percentiles line = cache_line(settings.seconds);
  if (settings.json) {
    std::printf("{\"cache_line_us\": [%.3f, %.3f, %.3f], \"rows\": [", line.p50, line.p99, line.p999);
  } else {
    std::printf("cache line there and back: %.2f %.2f %.2f us\n\n%-22s %6s  %26s  %26s  %8s  %s\n", line.p50, line.p99, line.p999, "",
                "bytes", "round trip p50 p99 p99.9", "one way p50 p99 p99.9", "kmsg/s", "round trip against its primitive");
  }
  const std::vector<Candidate> all = chosen(settings.only);
  bool first = true;
  for (const std::size_t size : kSizes) {
    if (settings.bytes == 0 || settings.bytes == size) run_size(size, all, settings, first);
  }
  if (settings.json) std::printf("\n]}\n");
  return 0;
}

}  // namespace
}  // namespace rse::bench

int main(int argc, char** argv) {
  CLI::App app{"Round trips, one-way times and rates between two processes, over each transport and over what lies below"};
  rse::bench::Settings settings;
  app.add_flag("--json", settings.json, "one object");
  app.add_option("--seconds", settings.seconds, "for each candidate, each size, each of round trips and rate (0.5)")->check(CLI::Range(0.01, 10.0));
  app.add_option("--bytes", settings.bytes, "this size only")->check(CLI::IsMember(std::vector<std::size_t>(std::begin(rse::bench::kSizes), std::end(rse::bench::kSizes))));
  app.add_flag("--no-rates", settings.no_rates, "round trips only");
  app.add_option("--only", settings.only, "candidates whose name contains this, and their primitives");
  CLI11_PARSE(app, argc, argv);
  rse::keep_freed_memory();  // as rse-node does
  ::setpgid(0, 0);
  ::signal(SIGALRM, rse::bench::on_alarm);
  return rse::bench::run(settings);
}
