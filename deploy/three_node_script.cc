#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "deploy/three_node.h"
#include "node/client_failover.h"
#include "node/client_status.h"
#include "node/rse_text.h"
#include "torus/base/random.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kLineInterval{1000};
// How often nodes are asked: each time costs them something, too, so that only what is measured is watched closely, and
// what lasts is asked for more and more seldom.
constexpr std::chrono::milliseconds kMeasuring{2};
constexpr std::chrono::milliseconds kWaiting{50};
constexpr std::chrono::milliseconds kWaitingMax{200};
constexpr std::size_t kLastWords = 25;
constexpr std::size_t kMemoryEvery = 10;  // kills

std::uint64_t slowest_epoch(const v1::StatusReply& status) {
  if (status.tori_size() < 3) return 0;
  return std::min({status.tori(0).epoch(), status.tori(1).epoch(), status.tori(2).epoch()});
}

class Script {
 public:
  explicit Script(Story& story)
      : story_(story), end_(std::chrono::steady_clock::now() + std::chrono::seconds(story.options().limit_seconds)) {}

  int run() {
    const StoryOptions& options = story_.options();
    Injector injector(story_.cluster().controls(), story_.cells(), options.injections_per_second, 1);
    std::string failure = play();
    injector.stop();
    std::optional<VerifyReport> report;
    if (failure.empty() && options.verify) report = story_.verify(failure);
    say(fmt::format("injections: {} accepted, {} of them after a repetition, {} failed", injector.accepted(),
                    injector.repeated(), injector.failed()));
    const bool identical = report && report->verdict == VerifyReport::Verdict::kIdentical;
    const bool good = failure.empty() && (!options.verify || identical);
    if (report) say(report->sentence);
    if (options.json) print_json(report, failure, injector);
    if (!failure.empty()) {
      if (!interrupted()) say_last_words();
      fmt::print(stderr, "{}: {}\n", story_.options().program, failure);
    }
    return interrupted() ? 130 : good ? 0 : 1;
  }

 private:
  std::string play() {
    const StoryOptions& options = story_.options();
    std::uint64_t due = options.after_epochs;
    if (options.all_at_once) {
      if (std::string failure = reach(due); !failure.empty()) return failure;
      if (std::string failure = kill_all(); !failure.empty()) return failure;
    }
    for (const std::string& name : options.pause) {
      if (std::string failure = reach(due); !failure.empty()) return failure;
      if (std::string failure = pause_one(name); !failure.empty()) return failure;
      due = reached_ + options.after_epochs;
    }
    Random random(random_id());
    std::vector<std::string> names = options.kill;
    while (names.size() < options.kills) names.push_back(host_name(random.below(static_cast<std::uint32_t>(story_.cluster().host_count()))));
    if (!names.empty()) say_memory("before the first kill");
    std::size_t killed = 0;
    for (const std::string& name : names) {
      if (std::string failure = reach(due); !failure.empty()) return failure;
      if (std::string failure = kill_one(name); !failure.empty()) return failure;
      due = reached_ + options.after_epochs;
      if (++killed % kMemoryEvery == 0 && killed != names.size()) say_memory(fmt::format("after {} kills", killed));
    }
    if (!names.empty()) say_memory("after the last kill");
    say_failover();
    return reach(std::max(options.epochs, reached_));
  }

  std::string kill_one(const std::string& name) {
    const auto killed = std::chrono::steady_clock::now();
    say(story_.kill(name));
    const bool observer = story_.cluster().plan(*story_.cluster().find(name)).observer;
    const int left = static_cast<int>(story_.cluster().host_count()) - (observer ? 0 : 1);
    if (std::string failure = wait_for_tori(left); !failure.empty()) return failure;
    rebuilt_in_.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - killed).count());
    say(fmt::format("rebuilt after {:.0f} ms: 3 tori run on the survivors", rebuilt_in_.back()));
    if (!story_.options().restart && story_.options().kills == 0) return {};
    say(story_.restart(name));
    return wait("the node to be a member with its torus again", healthy_on_three);
  }

  std::string pause_one(const std::string& name) {
    say(story_.pause(name));
    std::this_thread::sleep_for(std::chrono::milliseconds(story_.options().pause_milliseconds));
    // Whether it was away for longer than silence may last or not: once it is back, all is as before.
    say(story_.resume(name));
    return wait("the node to be a member with a torus again", healthy_on_three);
  }

  std::string wait_for_tori(int hosts) {
    const auto all_run = [hosts](const v1::StatusReply& status) {
      return status.tori_size() == 3 && host_count(status) == hosts &&
             std::all_of(status.tori().begin(), status.tori().end(), [](const v1::TorusStatus& torus) { return torus.running(); });
    };
    return wait("the torus to run on a survivor", all_run, kMeasuring);
  }

  std::string host_name(std::uint32_t number) const {
    LocalCluster& cluster = story_.cluster();
    for (std::size_t node = 0; node < cluster.size(); ++node)
      if (!cluster.plan(node).observer && number-- == 0) return cluster.name(node);
    return {};
  }

  void say_memory(const std::string& when) {
    std::string text = fmt::format("memory {}:", when);
    LocalCluster& cluster = story_.cluster();
    double all = 0;
    for (std::size_t node = 0; node < cluster.size(); ++node) {
      const double megabytes = static_cast<double>(cluster.resident_bytes(node)) / 1e6;
      all += megabytes;
      text += fmt::format(" {} {:.0f} MB", cluster.name(node), megabytes);
    }
    memory_megabytes_.push_back(all);
    say(text);
  }

  /// What a guest that stopped has said is nowhere else.
  void say_last_words() {
    for (std::size_t node = 0; node < story_.cluster().size(); ++node)
      fmt::print(stderr, "the last of {}:\n{}\n", story_.cluster().log(node), fmt::join(story_.cluster().last_words(node, kLastWords), "\n"));
  }

  void say_failover() {
    if (rebuilt_in_.size() < 2) return;
    say(fmt::format("from SIGKILL to all tori running: {} kills, median {:.0f} ms, p90 {:.0f}, at least {:.0f}, at most {:.0f}",
                    rebuilt_in_.size(), quantile(rebuilt_in_, 0.5), quantile(rebuilt_in_, 0.9), quantile(rebuilt_in_, 0), quantile(rebuilt_in_, 1)));
  }

  std::string kill_all() {
    LocalCluster& cluster = story_.cluster();
    for (std::size_t node = 0; node < cluster.size(); ++node) cluster.kill(node);
    say("SIGKILL to all nodes");
    for (std::size_t node = 0; node < cluster.size(); ++node)
      if (std::string failure = cluster.restart(node); !failure.empty()) return failure;
    say("all run again");
    return wait("the cluster to resume", healthy_on_three);
  }

  static bool healthy_on_three(const v1::StatusReply& status) {
    if (status.health() != v1::StatusReply::HEALTHY || status.tori_size() != 3) return false;
    return status.tori(0).host() != status.tori(1).host() && status.tori(1).host() != status.tori(2).host() &&
           status.tori(0).host() != status.tori(2).host();
  }

  std::string reach(std::uint64_t epoch) {
    return wait(fmt::format("epoch {}", epoch), [this, epoch](const v1::StatusReply& status) {
      reached_ = std::max(reached_, slowest_epoch(status));
      return slowest_epoch(status) >= epoch;
    });
  }

  template <class F>
  std::string wait(const std::string& what, F done, std::chrono::milliseconds interval = kWaiting) {
    auto next_line = std::chrono::steady_clock::now() + kLineInterval;
    std::string last = "no node answers";
    while (std::chrono::steady_clock::now() < end_) {
      if (interrupted()) return "interrupted";
      const auto status = story_.cluster().wait_for(done, std::chrono::milliseconds(0));
      if (status) {
        reached_ = std::max(reached_, slowest_epoch(*status));
        return {};
      }
      if (std::chrono::steady_clock::now() > next_line) {
        next_line += kLineInterval;
        if (const auto now = story_.cluster().status()) {
          last = now->verdict();
          line(*now);
        }
      }
      std::this_thread::sleep_for(interval);
      if (interval != kMeasuring) interval = std::min(2 * interval, kWaitingMax);
    }
    return fmt::format("gave up after {} s waiting for {}: {}", story_.options().limit_seconds, what, last);
  }

  void line(const v1::StatusReply& status) {
    std::string text = status.verdict();
    for (const v1::TorusStatus& torus : status.tori())
      text += fmt::format("; {} on {} epoch {} digest {:016x}", static_cast<char>('A' + torus.torus()),
                          node_name(status, torus.host()), torus.epoch(), torus.event_digest());
    say(text);
  }

  void say(const std::string& text) {
    fmt::print(story_.options().json ? stderr : stdout, "{}\n", text);
    std::fflush(stdout);
  }

  void print_json(const std::optional<VerifyReport>& report, const std::string& failure, const Injector& injector) {
    fmt::print(R"({{"epochs":{},"kills":{},"rebuilt_ms_p50":{:.0f},"rebuilt_ms_max":{:.0f},"memory_mb":[{:.0f}],"accepted":{},"repeated":{},"failed":{},"failure":"{}","verify":{}}})"
               "\n",
               reached_, rebuilt_in_.size(),
               quantile(rebuilt_in_, 0.5), quantile(rebuilt_in_, 1), fmt::join(memory_megabytes_, ","), injector.accepted(), injector.repeated(), injector.failed(), json_escaped(failure),
               report ? to_json(*report) : "null");
  }

  Story& story_;
  std::chrono::steady_clock::time_point end_;
  std::uint64_t reached_ = 0;
  std::vector<double> rebuilt_in_;  // milliseconds from each kill
  std::vector<double> memory_megabytes_;  // of all nodes: before the first kill, after each kMemoryEvery, after the last
};

}  // namespace

int play_script(Story& story) { return Script(story).run(); }

}  // namespace rse
