#include "tests/e2e/stories.h"

#include <doctest/doctest.h>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "node/client_words.h"
#include "torus/base/random.h"

namespace rse {
namespace {

constexpr std::uint32_t kCounters = 64;        // of each torus, in the last cells
constexpr std::uint32_t kRelays = 2048;        // of each torus, in the first cells
constexpr std::uint32_t kEventsOfTorus = 200;  // going round

}  // namespace

std::vector<CellId> counter_cells() {
  std::vector<CellId> cells;
  for (std::uint32_t torus = 0; torus < kTorusCount; ++torus)
    for (std::uint32_t i = 0; i < kCounters; ++i) cells.push_back({(torus + 1) * kCellCount - 1 - i});
  return cells;
}

Scenario busy_scenario() {
  Scenario scenario;
  scenario.epoch_ticks = 500;
  scenario.boundary_coupling = true;
  Random random(7);
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    const std::uint32_t first = torus * kCellCount;
    for (std::uint32_t i = 0; i < kRelays; ++i) {
      // One path through all relays of a torus; every 512th edge leads to the next torus instead.
      const bool leaves = i % 512 == 511;
      const std::uint32_t to = (leaves ? next_torus({torus}).raw * kCellCount : first) + (i + 1) % kRelays;
      scenario.edges.push_back({{first + i}, {to}, 1 + random.below(8)});
    }
    for (std::uint32_t i = 0; i < kEventsOfTorus; ++i) {
      const CellId cell{first + random.below(kRelays)};
      scenario.injections.push_back({Tick{random.below(100)}, cell, cell, 1});
    }
  }
  for (const CellId cell : counter_cells()) scenario.processes.push_back({cell, "counter", ""});
  return scenario;
}

bool healthy_on_three(const v1::StatusReply& status) {
  if (status.health() != v1::StatusReply::HEALTHY || status.tori_size() != 3) return false;
  return status.tori(0).host() != status.tori(1).host() && status.tori(1).host() != status.tori(2).host() &&
         status.tori(0).host() != status.tori(2).host();
}

std::uint64_t slowest_epoch(const v1::StatusReply& status) {
  if (status.tori_size() < 3) return 0;
  return std::min({status.tori(0).epoch(), status.tori(1).epoch(), status.tori(2).epoch()});
}

std::string start_busy(LocalCluster& cluster) {
  if (std::string failure = cluster.start(); !failure.empty()) return failure + "\n" + log_tails(cluster);
  ControlFailure failure;
  std::uint64_t run = 0;
  if (!load_scenario(cluster.controls(), encode_scenario(busy_scenario()), kStoryLimit, run, failure))
    return failure.text + "\n" + log_tails(cluster);
  return {};
}

bool run_on(LocalCluster& cluster, std::uint64_t more) {
  std::uint64_t goal = more;
  for (std::size_t node = 0; node < cluster.size(); ++node)  // one that is cut off knows nothing new
    if (const auto now = cluster.status_of(node)) goal = std::max(goal, slowest_epoch(*now) + more);
  return cluster.wait_for([&](const v1::StatusReply& status) { return slowest_epoch(status) >= goal; }, kStoryLimit)
      .has_value();
}

bool wait_rebuilt(LocalCluster& cluster) {
  return cluster
      .wait_for(
          [](const v1::StatusReply& status) {
            return status.view().members_size() == 2 && status.tori_size() == 3 &&
                   std::all_of(status.tori().begin(), status.tori().end(), [](const auto& torus) { return torus.running(); });
          },
          kStoryLimit)
      .has_value();
}

std::string log_tails(const LocalCluster& cluster) {
  constexpr std::size_t kLines = 25;
  std::string text;
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    std::ifstream file(cluster.log(node));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    text += fmt::format("--- {} ---\n", cluster.log(node));
    for (std::size_t i = lines.size() > kLines ? lines.size() - kLines : 0; i < lines.size(); ++i) text += lines[i] + "\n";
  }
  return text;
}

CountingClient::CountingClient(std::vector<std::string> controls, std::uint64_t seed) {
  thread_ = std::thread([this, controls = std::move(controls), seed] {
    Requester requester(controls, kStoryLimit);
    Random random(seed);
    const std::vector<CellId> cells = counter_cells();
    while (!stopping_ && failure_.empty()) {
      const CellId cell = cells[random.below(static_cast<std::uint32_t>(cells.size()))];
      const auto payload = static_cast<std::int32_t>(random.below(1'000'000));
      ControlFailure failure;
      const auto answer = requester.inject(cell, std::nullopt, payload, failure);
      if (!answer) {
        failure_ = failure.text;
      } else if (answer->reply.status() != v1::ControlInjectReply::ACCEPTED) {
        failure_ = fmt::format("injection answered with status {}", static_cast<int>(answer->reply.status()));
      } else {
        sum_ += payload;
        ++accepted_;
      }
    }
  });
}

CountingClient::~CountingClient() { stop(); }

void CountingClient::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

std::int64_t counted(LocalCluster& cluster, std::int64_t expected) {
  const auto end = std::chrono::steady_clock::now() + kStoryLimit;
  std::int64_t sum = 0;
  do {
    sum = 0;
    for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
      ControlFailure failure;
      auto client = connect_to_host({torus}, cluster.running_controls(), failure);
      if (!client) continue;
      v1::ControlRequest request;
      request.mutable_ps()->set_torus(torus);
      v1::ControlReply reply;
      if (!client->ask(request, reply, failure)) continue;
      for (const auto& process : reply.ps().processes())
        if (process.program() == "counter") sum += process.value();
    }
    if (sum != expected) wait_a_little();
  } while (sum != expected && std::chrono::steady_clock::now() < end);
  return sum;
}

std::string verdict(LocalCluster& cluster) {
  ControlFailure failure;
  const auto report = verify_cluster({.control = cluster.running_controls(), .epochs_max = 0, .progress = {}}, failure);
  return report ? report->sentence : failure.text;
}

void kill_each_in_turn(LocalCluster& cluster, std::uint64_t epochs) {
  CountingClient client(cluster.controls(), 3);
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    CAPTURE(cluster.name(node));
    REQUIRE_MESSAGE(run_on(cluster, 2 * epochs), log_tails(cluster));
    cluster.kill(node);
    REQUIRE_MESSAGE(wait_rebuilt(cluster), log_tails(cluster));
    REQUIRE_MESSAGE(run_on(cluster, epochs), log_tails(cluster));
    const std::string restarted = cluster.restart(node);
    REQUIRE_MESSAGE(restarted.empty(), restarted);
    REQUIRE_MESSAGE(cluster.wait_for(healthy_on_three, kStoryLimit), log_tails(cluster));
  }
  REQUIRE_MESSAGE(run_on(cluster, epochs), log_tails(cluster));
  client.stop();
  CHECK_MESSAGE(client.failure().empty(), client.failure());
  CHECK(client.accepted() > 0);
  CHECK(counted(cluster, client.sum()) == client.sum());
  const std::string sentence = verdict(cluster);
  CHECK_MESSAGE(sentence.rfind("identical", 0) == 0, sentence);
}

}  // namespace rse
