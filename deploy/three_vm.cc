// bazel run //deploy:three_vm: three virtual machines with our own kernel on this machine as one computer, shown live, to be
// killed. Some or all of them can be rse-node processes instead. An observer on the shared memory takes the commands.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "deploy/three_node.h"
#include "deploy/three_node_scenario.h"
#include "deploy/virtual_machines.h"

namespace {

/// PHOLD and relays in all tori, coupled at their boundaries. As much as an emulated processor does in some milliseconds.
rse::Scenario mixed_load() {
  rse::Scenario scenario;
  scenario.epoch_ticks = 100;
  scenario.boundary_coupling = true;
  rse::add_load(scenario, {.cells = 512, .events = 16, .phold_cells = 32});
  return scenario;
}

/// a, b and c, each "vm", "memory" or "tcp", and the observer, which is linked with all of them.
std::vector<rse::LocalCluster::Plan> plan_nodes(const std::vector<std::string>& kinds, const std::string& memory,
                                                const rse::VirtualMachines& machines) {
  std::vector<rse::LocalCluster::Plan> nodes;
  const auto local = [] { return fmt::format("127.0.0.1:{}", rse::free_port()); };
  const std::uint64_t cluster = rse::random_id();
  const bool any_over_tcp = std::find(kinds.begin(), kinds.end(), "tcp") != kinds.end();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    rse::LocalCluster::Plan node{.name = std::string(1, static_cast<char>('a' + i)), .durable = false};
    if (kinds[i] == "vm") {
      node.guest = [&machines, cluster, name = node.name](bool founds) { return machines.command(name, cluster, founds); };
    }
    if (kinds[i] == "memory") node.listen = {memory};
    // Beside a node without the memory, one that has it does not leave relaying to the observer alone.
    if (kinds[i] == "tcp" || (kinds[i] == "memory" && any_over_tcp)) node.listen.push_back(local());
    nodes.push_back(std::move(node));
  }
  nodes.push_back({.name = "observer", .listen = {memory, local()}, .durable = false, .observer = true});
  return nodes;
}

}  // namespace

int main(int argc, char** argv) {
  rse::StoryOptions options;
  options.program = "three_vm";
  options.default_scenario = [](const std::string&, std::string&, std::string&) { return std::optional(mixed_load()); };
  std::vector<std::string> kinds{"vm", "vm", "vm"};
  bool mixed = false;
  CLI::App app{"Three virtual machines with our own kernel as one computer: kill one and watch"};
  rse::add_story_flags(app, options);
  app.add_option("--nodes", kinds, "what a, b and c are: vm, memory (an rse-node on the shared memory) or tcp (an rse-node) (vm,vm,vm)")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::IsMember({"vm", "memory", "tcp"}));
  app.add_option("--log-dir", options.cluster.directory, "keep the nodes' logs here");
  app.add_flag("--mixed", mixed, "one of each: --nodes vm,memory,tcp")->excludes("--nodes");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (mixed) kinds = {"vm", "memory", "tcp"};
  rse::VirtualMachines machines;
  if (std::count(kinds.begin(), kinds.end(), "vm") > 0) {
    if (const std::string failure = machines.find(); !failure.empty()) {
      fmt::print(stderr, "three_vm: {}\n", failure);
      return 1;
    }
    const rse::Accelerator& accelerator = machines.choose_accelerator();
    options.introduction = fmt::format("machines  {} ({})\n", accelerator.name, accelerator.why);
  }
  rse::LocalCluster::Options& cluster = options.cluster;
  // Nothing leaves this machine, and guests have no keys; silence may last as long as guests let it (guest_kernel/node/node.cc).
  cluster.flags = {"--insecure",           "--heartbeat-ms", "100", "--early-silence-ms", "300", "--silence-floor-ms", "400",
                   "--silence-ceiling-ms", "1000",           "--idle-epoch-ms", "500"};
  cluster.memory_path = fmt::format("/dev/shm/rse-{:016x}", rse::random_id());
  cluster.nodes = plan_nodes(kinds, "ivshmem:" + cluster.memory_path, machines);
  cluster.prepare = [&machines](const rse::LocalCluster& of) {
    return machines.serve(of.memory_path(), of.directory() + "/bells.sock");
  };
  return rse::run_story(app, std::move(options));
}
