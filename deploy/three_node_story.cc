#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "deploy/three_node.h"
#include "deploy/three_node_scenario.h"
#include "node/client_status.h"
#include "node/scenario_text.h"
#include "torus/base/random.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kLoadLimit{60};
constexpr const char* kWave = "wave";  // the program that keeps when a wave has reached it

}  // namespace

Injector::Injector(std::vector<std::string> controls, std::vector<CellId> cells, double per_second, std::uint64_t seed) {
  if (cells.empty() || per_second <= 0) return;
  thread_ = std::thread([this, controls = std::move(controls), cells = std::move(cells), per_second, seed] {
    Requester requester(controls, std::chrono::seconds(30));
    Random random(seed);
    const auto interval = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(1 / per_second));
    auto next = std::chrono::steady_clock::now();
    while (!stopping_) {
      ControlFailure failure;
      const CellId cell = cells[random.below(static_cast<std::uint32_t>(cells.size()))];
      const auto answer = requester.inject(cell, std::nullopt, kLoadPayloadMax - static_cast<std::int32_t>(random.below(kInjectedHopsMax)), failure);
      if (answer && answer->reply.status() == v1::ControlInjectReply::ACCEPTED)
        ++accepted_;
      else
        ++failed_;
      if (answer && answer->attempts > 1) ++repeated_;
      next = std::max(next + interval, std::chrono::steady_clock::now());
      while (!stopping_ && std::chrono::steady_clock::now() < next) std::this_thread::sleep_until(next);
    }
  });
}

Injector::~Injector() { stop(); }

void Injector::stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

Story::Story(StoryOptions options) : options_(std::move(options)), cluster_(options_.cluster) {}

std::string Story::begin() {
  std::error_code ignored;
  const std::string& directory = options_.cluster.directory;
  const bool kept = !directory.empty() && std::filesystem::exists(directory + "/a", ignored);
  if (std::string failure = cluster_.start(); !failure.empty()) return failure;
  requester_ = std::make_unique<Requester>(cluster_.controls());
  std::string failure;
  std::optional<Scenario> scenario;
  if (options_.scenario.empty()) {
    scenario = options_.default_scenario(cluster_.directory(), options_.names, failure);
  } else {
    scenario = read_scenario(options_.scenario, failure);
  }
  if (!scenario) return failure;
  if (!options_.names.empty())
    if (failure = names_.read(options_.names); !failure.empty()) return failure;
  for (const auto& process : scenario->processes) {
    cells_.push_back(process.cell);
    has_waves_ = has_waves_ || process.program == kWave;
  }
  for (const auto& edge : scenario->edges) cells_.push_back(edge.from);
  std::sort(cells_.begin(), cells_.end());
  cells_.erase(std::unique(cells_.begin(), cells_.end()), cells_.end());
  if (kept) {  // the run of last time goes on
    const auto status = cluster_.status();
    if (status && status->view().run() > 0) return {};
  }
  ControlFailure refused;
  std::uint64_t run = 0;
  if (!load_scenario(cluster_.controls(), encode_scenario(*scenario), kLoadLimit, run, refused)) return refused.text;
  return {};
}

std::string Story::kill(const std::string& name) {
  const auto node = cluster_.find(name);
  if (!node) return unknown(name);
  if (!cluster_.running(*node)) return fmt::format("node {} does not run; `restart {}` starts it", name, name);
  const pid_t process = cluster_.process(*node);
  cluster_.kill(*node);
  return fmt::format("SIGKILL to node {} (process {})", name, process);
}

std::string Story::restart(const std::string& name) {
  const auto node = cluster_.find(name);
  if (!node) return unknown(name);
  if (std::string failure = cluster_.restart(*node); !failure.empty()) return failure;
  return fmt::format("node {} runs again (process {})", name, cluster_.process(*node));
}

std::string Story::pause(const std::string& name) {
  const auto node = cluster_.find(name);
  if (!node) return unknown(name);
  if (!cluster_.running(*node)) return fmt::format("node {} does not run; `restart {}` starts it", name, name);
  cluster_.pause(*node);
  return fmt::format("SIGSTOP to node {} (process {}); `resume {}` lets it go", name, cluster_.process(*node), name);
}

std::string Story::resume(const std::string& name) {
  const auto node = cluster_.find(name);
  if (!node) return unknown(name);
  if (!cluster_.paused(*node)) return fmt::format("node {} is not paused", name);
  cluster_.resume(*node);
  return fmt::format("SIGCONT to node {} (process {})", name, cluster_.process(*node));
}

std::string Story::log(const std::string& name, std::size_t lines) const {
  const auto node = cluster_.find(name);
  if (!node) return unknown(name);
  const std::vector<std::string> last = cluster_.last_words(*node, lines);
  if (last.empty()) return fmt::format("{} is empty", cluster_.log(*node));
  return fmt::format("{}", fmt::join(last, "\n"));
}

std::string Story::unknown(const std::string& name) const {
  std::string known;
  for (std::size_t i = 0; i < options_.cluster.nodes.size(); ++i) {
    known += i == 0 ? "" : i + 1 == options_.cluster.nodes.size() ? " and " : ", ";
    known += options_.cluster.nodes[i].name;
  }
  if (name.empty()) return fmt::format("which node? There are {}", known);
  return fmt::format("there is no node \"{}\": they are {}", name, known);
}

std::string Story::inject(const std::string& name) {
  std::optional<CellId> cell = parse_cell(name);
  if (!cell) cell = names_.cell_of(name);
  if (!cell) {
    const std::string wrong = name.empty() ? "inject where?" : fmt::format("there is no cell \"{}\":", name);
    const std::string names = names_.size() == 0 ? "" : fmt::format(" or one of {} names", names_.size());
    return fmt::format("{} give a cell such as A:1,2,3{}", wrong, names);
  }
  ControlFailure failure;
  const auto answer = requester_->inject(*cell, std::nullopt, wave_++, failure);
  if (!answer) return failure.text;
  if (answer->reply.status() != v1::ControlInjectReply::ACCEPTED) return "not accepted: the run has ended";
  const std::string where = name == cell_text(*cell) ? name : fmt::format("{} ({})", name, cell_text(*cell));
  const std::uint64_t epoch = answer->reply.sealed_in();
  if (has_waves_)
    return fmt::format("wave {} starts at {}, sealed in epoch {}; `reached` lists how far it got", wave_ - 1, where, epoch);
  const bool ends_there = !std::binary_search(cells_.begin(), cells_.end(), *cell);
  return fmt::format("an event with payload {} is on its way from {}, sealed in epoch {}{}", wave_ - 1, where, epoch,
                     ends_there ? "; the scenario has nothing in that cell, so it ends there" : "");
}

std::string Story::reached() {
  if (!has_waves_) return "this scenario has no waves (processes of the program \"wave\"), which `reached` lists";
  struct Reached {
    std::int64_t tick;
    CellId cell;
  };
  std::vector<Reached> all;
  for (std::uint8_t torus = 0; torus < kTorusCount; ++torus) {
    ControlFailure failure;
    auto client = connect_to_host({torus}, cluster_.running_controls(), failure);
    if (!client) return failure.text;
    v1::ControlRequest request;
    request.mutable_ps()->set_torus(torus);
    v1::ControlReply reply;
    if (!client->ask(request, reply, failure)) return failure.text;
    for (const auto& process : reply.ps().processes())
      if (process.program() == kWave && process.value() >= 0) all.push_back({process.value(), {process.cell()}});
  }
  std::sort(all.begin(), all.end(), [](const Reached& a, const Reached& b) { return a.tick < b.tick; });
  std::string text = fmt::format("{} reached, the last ones:", all.size());
  for (std::size_t i = all.size() > 8 ? all.size() - 8 : 0; i < all.size(); ++i)
    text += fmt::format(" {}@{}", names_.name_of(all[i].cell), all[i].tick);
  return text;
}

std::optional<VerifyReport> Story::verify(std::string& failure) {
  ControlFailure why;
  std::optional<VerifyReport> report =
      verify_cluster({.control = cluster_.running_controls(), .epochs_max = 0, .progress = {}}, why);
  failure = why.text;
  return report;
}

}  // namespace rse
