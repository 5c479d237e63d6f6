#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <csignal>

#include "deploy/three_node.h"

namespace rse {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = 1; };
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void first_lines(Story& story) {
  LocalCluster& cluster = story.cluster();
  const auto status = cluster.status();
  std::FILE* to = story.options().json ? stderr : stdout;
  fmt::print(to, "{} {}\ncluster   {:016x}\n", story.options().program, status ? status->self().version() : "?",
             status ? status->self().cluster() : 0);
  std::string dialled;
  for (std::size_t node = 0; node < cluster.size(); ++node) {
    const std::string where = cluster.plan(node).guest ? "" : ", listens on " + cluster.address(node);
    if (dialled.empty()) dialled = cluster.address(node);
    fmt::print(to, "{:<9} {}, process {}{}, log {}\n", cluster.name(node), cluster.plan(node).kind(), cluster.process(node), where,
               cluster.log(node));
  }
  const std::string control = cluster.controls().front();
  // Limits of silence and cuts are the cluster's, so whoever joins has the same.
  std::string trust = cluster.open() ? "" : fmt::format("RSE_TICKET=$(rse ticket create --control {}) ", control);
  trust += fmt::format("rse-node {}", fmt::join(story.options().cluster.flags, " "));
  fmt::print(to, "{}dashboard {}\ndata      {}{}\ncontrol   rse status --control {}\nadd       {} --peer {}\nkill one  kill b\n",
             story.options().introduction, story.dashboard_url(), cluster.directory(),
             story.options().cluster.directory.empty() ? " (removed at the end)" : "", control, trust, dialled);
  std::fflush(to);
}

}  // namespace

bool interrupted() { return g_interrupted != 0; }

void add_story_flags(CLI::App& app, StoryOptions& options) {
  app.add_option("--kill", options.kill, "SIGKILL this node (a, b or c); several, separated by commas, one after the other")
      ->delimiter(',');
  app.add_option("--kills", options.kills, "SIGKILL so many nodes, at random, one after the other");
  app.add_option("--pause", options.pause, "SIGSTOP this node, and let it go again; several, separated by commas")->delimiter(',');
  app.add_option("--pause-ms", options.pause_milliseconds, "for so long (1000)")->check(CLI::Range(1, 600'000));
  app.add_option("--after-epochs", options.after_epochs, "when: after so many epochs (200), and as many between two");
  app.add_flag("--restart", options.restart, "start the killed node again");
  app.add_flag("--all-at-once", options.all_at_once, "SIGKILL all three, start them again");
  app.add_option("--epochs", options.epochs, "end after so many (1000)");
  app.add_flag("--verify", options.verify, "compare with a run in which nothing died; the exit code is the verdict");
  app.add_flag("--json", options.json, "one object at the end");
  app.add_option("--scenario", options.scenario, "a scenario file");
  app.add_option("--names", options.names, "names.tsv for --scenario");
  app.add_option("--injections", options.injections_per_second, "per second, while a script runs (20; 0: none)");
  app.add_option("--limit", options.limit_seconds, "seconds after which a script gives up (300)");
  app.add_option("--http", options.http, "ADDRESS:PORT of the dashboard (127.0.0.1:7480 or, if that is taken, any port)");
  app.add_flag("--script", options.script, "no display and no commands, also without --kill, --verify or --epochs");
}

int run_story(const CLI::App& app, StoryOptions options) {
  for (const char* flag : {"--kill", "--kills", "--pause", "--epochs", "--verify", "--all-at-once", "--json"}) {
    const CLI::Option* const option = app.get_option_no_throw(flag);
    options.script = options.script || (option != nullptr && option->count() > 0);
  }
  catch_signals();
  Story story(std::move(options));
  const std::string& program = story.options().program;
  for (const auto* names : {&story.options().kill, &story.options().pause}) {
    for (const std::string& name : *names) {
      if (story.cluster().find(name)) continue;
      fmt::print(stderr, "{}: {}\n", program, story.unknown(name));
      return 2;
    }
  }
  if (const std::string failure = story.begin(); !failure.empty()) {
    fmt::print(stderr, "{}: {}\n", program, failure);
    return 1;
  }
  if (const std::string failure = story.serve(); !failure.empty()) {
    fmt::print(stderr, "{}: {}\n", program, failure);
    return 1;
  }
  first_lines(story);
  return story.options().script ? play_script(story) : play_live(story);
}

}  // namespace rse
