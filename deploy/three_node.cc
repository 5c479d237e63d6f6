// bazel run //deploy:three_node: three rse-node processes on this machine as one computer, shown live, to be killed.
#include <CLI/CLI.hpp>

#include "deploy/three_node.h"
#include "deploy/three_node_scenario.h"

int main(int argc, char** argv) {
  rse::StoryOptions options;
  options.program = "three_node";
  options.default_scenario = [](const std::string& directory, std::string& names, std::string& failure) {
    std::optional<rse::Scenario> scenario = rse::package_scenario(directory, names, failure);
    if (scenario) rse::add_load(*scenario, {});
    return scenario;
  };
  CLI::App app{"Three rse-node processes on this machine as one computer: kill one and watch"};
  rse::add_story_flags(app, options);
  app.add_option("--data-dir", options.cluster.directory, "keep the nodes' data here");
  app.add_option("--transport", options.cluster.transport,
                 "how the nodes talk: tcp, udp, ivshmem for shared memory, or mixed: each pair in another way (tcp)")
      ->check(CLI::IsMember({"tcp", "udp", "ivshmem", "mixed"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return rse::run_story(app, std::move(options));
}
