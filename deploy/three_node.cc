#include "deploy/three_node.h"

#include <fmt/format.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <csignal>

namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void first_lines(rse::Story& story) {
  rse::LocalCluster& cluster = story.cluster();
  const auto status = cluster.status();
  std::FILE* to = story.options().json ? stderr : stdout;
  fmt::print(to, "three_node {}\ncluster   {:016x}\n", status ? status->self().version() : "?",
             status ? status->self().cluster() : 0);
  for (std::size_t node = 0; node < cluster.size(); ++node)
    fmt::print(to, "node {}    process {}, listens on {}, log {}\n", cluster.name(node), cluster.process(node),
               cluster.address(node), cluster.log(node));
  fmt::print(to, "data      {}{}\ncontrol   rse status --control {}\nadd       RSE_TICKET=$(rse ticket create --control {}) rse-node "
             "--peer {}\nkill one  kill b\n",
             cluster.directory(), story.options().data_directory.empty() ? " (removed at the end)" : "", cluster.control(0),
             cluster.control(0), cluster.address(0));
  std::fflush(to);
}

void add_flags(CLI::App& app, rse::StoryOptions& options) {
  app.add_option("--kill", options.kill, "SIGKILL this node (a, b or c); several, separated by commas, one after the other")
      ->delimiter(',');
  app.add_option("--after-epochs", options.after_epochs, "when: after so many epochs (200), and as many between two");
  app.add_flag("--restart", options.restart, "start the killed node again");
  app.add_flag("--all-at-once", options.all_at_once, "SIGKILL all three, start them again");
  app.add_option("--epochs", options.epochs, "end after so many (1000)");
  app.add_flag("--verify", options.verify, "compare with a run in which nothing died; the exit code is the verdict");
  app.add_flag("--json", options.json, "one object at the end");
  app.add_option("--scenario", options.scenario, "a scenario file instead of this machine's packages");
  app.add_option("--names", options.names, "names.tsv for --scenario");
  app.add_option("--data-dir", options.data_directory, "keep the nodes' data here");
  app.add_option("--transport", options.transport, "how the nodes talk: tcp, udp, ivshmem for shared memory, or mixed: each pair in another way (tcp)")
      ->check(CLI::IsMember({"tcp", "udp", "ivshmem", "mixed"}));
  app.add_option("--injections", options.injections_per_second, "per second, while a script runs (20; 0: none)");
  app.add_option("--limit", options.limit_seconds, "seconds after which a script gives up (300)");
  app.add_flag("--script", options.script, "no display and no commands, also without --kill, --verify or --epochs");
}

}  // namespace

bool rse::interrupted() { return g_interrupted != 0; }

int main(int argc, char** argv) {
  rse::StoryOptions options;
  CLI::App app{"Three rse-node processes on this machine as one computer: kill one and watch"};
  add_flags(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const char* flag : {"--kill", "--epochs", "--verify", "--all-at-once", "--json"})
    options.script = options.script || app.count(flag) > 0;
  struct sigaction action {};
  action.sa_handler = [](int) { g_interrupted = 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGHUP, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  for (const std::string& name : options.kill) {
    if (name == "a" || name == "b" || name == "c") continue;
    fmt::print(stderr, "three_node: there is no node \"{}\": they are a, b and c\n", name);
    return 2;
  }
  rse::Story story(options);
  if (const std::string failure = story.begin(); !failure.empty()) {
    fmt::print(stderr, "three_node: {}\n", failure);
    return 1;
  }
  first_lines(story);
  return options.script ? rse::play_script(story) : rse::play_live(story);
}
