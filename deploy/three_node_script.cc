#include <fmt/format.h>

#include <algorithm>

#include "deploy/three_node.h"
#include "node/client_status.h"
#include "node/rse_text.h"

namespace rse {
namespace {

constexpr std::chrono::milliseconds kLineInterval{1000};

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
    if (!failure.empty()) fmt::print(stderr, "three_node: {}\n", failure);
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
    for (const std::string& name : options.kill) {
      if (std::string failure = reach(due); !failure.empty()) return failure;
      if (std::string failure = kill_one(name); !failure.empty()) return failure;
      due = reached_ + options.after_epochs;
    }
    return reach(std::max(options.epochs, reached_));
  }

  std::string kill_one(const std::string& name) {
    if (!story_.cluster().find(name)) return fmt::format("there is no node \"{}\": they are a, b and c", name);
    say(story_.kill(name));
    if (std::string failure = wait("the torus to run on a survivor", [](const v1::StatusReply& status) {
          return status.tori_size() == 3 && std::all_of(status.tori().begin(), status.tori().end(),
                                                        [](const v1::TorusStatus& torus) { return torus.running(); }) &&
                 status.view().members_size() == 2;
        });
        !failure.empty())
      return failure;
    say(fmt::format("rebuilt: {} tori run on the survivors", 3));
    if (!story_.options().restart) return {};
    say(story_.restart(name));
    return wait("the node to be a member with its torus again", healthy_on_three);
  }

  std::string kill_all() {
    LocalCluster& cluster = story_.cluster();
    for (std::size_t node = 0; node < cluster.size(); ++node) cluster.kill(node);
    say("SIGKILL to all three nodes");
    for (std::size_t node = 0; node < cluster.size(); ++node)
      if (std::string failure = cluster.restart(node); !failure.empty()) return failure;
    say("all three run again");
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
  std::string wait(const std::string& what, F done) {
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
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return fmt::format("gave up after {} s waiting for {}: {}; logs: {}/*.log (kept with --data-dir)",
                       story_.options().limit_seconds, what, last, story_.cluster().directory());
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
    fmt::print(R"({{"epochs":{},"accepted":{},"repeated":{},"failed":{},"failure":"{}","verify":{}}})"
               "\n",
               reached_, injector.accepted(), injector.repeated(), injector.failed(), json_escaped(failure),
               report ? to_json(*report) : "null");
  }

  Story& story_;
  std::chrono::steady_clock::time_point end_;
  std::uint64_t reached_ = 0;
};

}  // namespace

int play_script(Story& story) { return Script(story).run(); }

}  // namespace rse
