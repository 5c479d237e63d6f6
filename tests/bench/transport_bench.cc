// bazel run -c opt //tests/bench:transport -- [--json] [--rounds N] [--seconds S] [--only NAME]
// Messages between two processes over each transport, and beside them what the machine gives without us, in one run: round trip
// and one way (the same clock on both sides) as p50, p99, p99.9 in microseconds, and thousand messages a second one way.
// A message starts with a kind and the sender's time; the server answers with its own time after it.
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>

#include "tests/bench/channel.h"

namespace rse::bench {
namespace {

constexpr unsigned kSecondsMax = 60;  // for one measurement

struct Head {
  enum Kind : std::uint64_t { kPing = 1, kFlood = 2, kCount = 3 };
  std::uint64_t kind, sent, answered, count;
};

std::uint64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

struct Settings {
  bool json = false;
  unsigned rounds = 3;
  double seconds = 0.2;
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
};

void pin_to(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  ::sched_setaffinity(0, sizeof set, &set);  // with one processor it stays where it is
}

void must_send(Channel& channel, std::span<const std::byte> message, const OnMessage& on_message) {
  while (!channel.send(message)) channel.pump(on_message);
}

/// Answers pings, counts what else comes, tells the count when asked. Killed by who asks.
[[noreturn]] void serve(Channel& channel, std::size_t size) {
  std::vector<std::byte> answer(size);
  std::uint64_t count = 0;
  const OnMessage none = [](std::span<const std::byte>) {};
  const OnMessage on_message = [&](std::span<const std::byte> message) {
    Head head;
    std::memcpy(&head, message.data(), sizeof head);
    if (head.kind == Head::kFlood && ++count % head.answered != 0) return;  // a window's last message is answered
    head.answered = now();
    head.count = count;
    std::memcpy(answer.data(), &head, sizeof head);
    must_send(channel, answer, none);
  };
  for (;;) channel.pump(on_message);
}

Row ask(Channel& channel, std::size_t size, const Candidate& candidate, double seconds) {
  std::vector<std::byte> message(size);
  Head answer{};
  bool answered = false;
  const OnMessage on_message = [&](std::span<const std::byte> bytes) {
    std::memcpy(&answer, bytes.data(), sizeof answer);
    answered = true;
  };
  const auto send = [&](Head head) {
    std::memcpy(message.data(), &head, sizeof head);
    must_send(channel, message, on_message);
  };
  const auto call = [&](Head head) {
    answered = false;
    send(head);
    while (!answered) channel.pump(on_message);
  };
  Row row;
  for (int warm = 0; warm < 500; ++warm) call({Head::kPing, now(), 0, 0});
  // As a program of messages does it: the next one is sent where the last one is received.
  std::vector<std::uint64_t> round_trips, one_ways;
  const std::uint64_t end = now() + static_cast<std::uint64_t>(seconds * 1e9);
  bool more = true;
  const OnMessage next = [&](std::span<const std::byte> bytes) {
    on_message(bytes);
    const std::uint64_t received = now();
    round_trips.push_back(received - answer.sent);
    one_ways.push_back(answer.answered - answer.sent);
    more = received < end;
    if (more) send({Head::kPing, now(), 0, 0});
  };
  send({Head::kPing, now(), 0, 0});
  while (more) channel.pump(next);
  row.round_trip = percentiles(round_trips);
  row.one_way = percentiles(one_ways);
  if (!candidate.one_message) {
    const std::uint64_t window = candidate.window != 0 ? candidate.window : 1000;
    const std::uint64_t begin = now();
    std::uint64_t sent = 0;
    while (now() < begin + static_cast<std::uint64_t>(seconds * 1e9)) {
      for (std::uint64_t i = 1; i < window; ++i, ++sent) send({Head::kFlood, 0, window, 0});
      call({Head::kFlood, 0, window, 0});
      ++sent;
    }
    row.kilo_messages_per_second = static_cast<double>(sent) / (static_cast<double>(now() - begin) / 1e6);
  }
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

Row measure(const Candidate& candidate, std::size_t size, double seconds) {
  static unsigned run = 0;
  ++run;
  measured = candidate.name.c_str();
  ::alarm(kSecondsMax);  // whoever loses a message would wait for ever
  const pid_t child = fork_server();
  if (child == 0) serve(*candidate.make(Side::kServer, size, run), size);
  pin_to(0);
  const auto channel = candidate.make(Side::kClient, size, run);
  const Row row = ask(*channel, size, candidate, seconds);
  ::alarm(0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::unlink(shared_name(run).c_str());
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

void print(const Candidate& candidate, std::size_t size, const Row& row, double ratio, bool json, bool& first) {
  const Percentiles &round = row.round_trip, &one = row.one_way;
  if (json) {
    std::printf("%s\n  {\"name\": \"%s\", \"bytes\": %zu, \"round_trip_us\": [%.3f, %.3f, %.3f], \"one_way_us\": [%.3f, %.3f, %.3f], "
                "\"kilo_messages_per_second\": %.1f, \"against_raw\": %.3f}",
                first ? "" : ",", candidate.name.c_str(), size, round.p50, round.p99, round.p999, one.p50, one.p99, one.p999,
                row.kilo_messages_per_second, ratio);
  } else {
    char against[32] = "";
    if (ratio > 0) std::snprintf(against, sizeof against, "%.2fx", ratio);
    std::printf("%-28s %7zu  %8.2f %8.2f %8.2f  %8.2f %8.2f %8.2f  %8.1f  %s\n", candidate.name.c_str(), size, round.p50,
                round.p99, round.p999, one.p50, one.p99, one.p999, row.kilo_messages_per_second, against);
  }
  first = false;
  std::fflush(stdout);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) / 2];
}

/// Each figure by itself: what another program does to one round is in no median.
Row median_of(const std::vector<Row>& rounds) {
  const auto of = [&](auto figure) {
    std::vector<double> values;
    for (const Row& round : rounds) values.push_back(figure(round));
    return median(std::move(values));
  };
  const auto three = [&](Percentiles Row::*which) {
    return Percentiles{of([&](const Row& row) { return (row.*which).p50; }), of([&](const Row& row) { return (row.*which).p99; }),
                       of([&](const Row& row) { return (row.*which).p999; })};
  };
  return {three(&Row::round_trip), three(&Row::one_way), of([](const Row& row) { return row.kilo_messages_per_second; })};
}

/// Everything of one size, a round after the other, so that what is compared was measured within seconds.
void run_size(std::size_t size, const std::vector<Candidate>& all, const Settings& settings, bool& first) {
  std::map<std::string, std::vector<Row>> rows;
  for (unsigned round = 0; round < settings.rounds; ++round)
    for (const Candidate& candidate : all) rows[candidate.name].push_back(measure(candidate, size, settings.seconds));
  for (const Candidate& candidate : all) {
    std::vector<double> ratios;
    for (unsigned round = 0; round < settings.rounds && !candidate.raw.empty(); ++round)
      ratios.push_back(rows[candidate.name][round].round_trip.p50 / rows[candidate.raw][round].round_trip.p50);
    print(candidate, size, median_of(rows[candidate.name]), ratios.empty() ? 0 : median(std::move(ratios)), settings.json, first);
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
    std::printf("cache line there and back: %.2f %.2f %.2f us\n\n%-28s %7s  %26s  %26s  %8s  %s\n", line.p50, line.p99, line.p999, "",
                "bytes", "round trip p50 p99 p99.9", "one way p50 p99 p99.9", "kmsg/s", "round trip against its primitive");
  }
  const std::vector<Candidate> all = chosen(settings.only);
  bool first = true;
  for (const std::size_t size : kSizes) run_size(size, all, settings, first);
  if (settings.json) std::printf("\n]}\n");
  return 0;
}

}  // namespace
}  // namespace rse::bench

int main(int argc, char** argv) {
  CLI::App app{"Round trips, one-way times and rates between two processes, over each transport and over what lies below"};
  rse::bench::Settings settings;
  app.add_flag("--json", settings.json, "one object");
  app.add_option("--rounds", settings.rounds, "of which the median is shown (3)")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", settings.seconds, "for each measurement of a round (0.2)")->check(CLI::Range(0.01, 60.0));
  app.add_option("--only", settings.only, "candidates whose name contains this, and their primitives");
  CLI11_PARSE(app, argc, argv);
  ::setpgid(0, 0);
  ::signal(SIGALRM, rse::bench::on_alarm);
  return rse::bench::run(settings);
}
