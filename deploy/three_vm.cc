// bazel run //deploy:three_vm: three virtual machines with our own kernel on this machine as one computer, shown live, to be
// killed. Some or all of them can be rse-node processes instead. An observer on the shared memory takes the commands.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

#include "deploy/three_node.h"
#include "deploy/three_node_scenario.h"
#include "deploy/virtual_machines.h"

namespace {

constexpr std::array kKinds{"vm", "vm-udp", "memory", "tcp", "udp"};

/// PHOLD and relays in all tori, coupled at their boundaries. As much as an emulated processor does in some milliseconds.
rse::Scenario mixed_load() {
  rse::Scenario scenario;
  scenario.epoch_ticks = 100;
  scenario.boundary_coupling = true;
  rse::add_load(scenario, {.cells = 512, .events = 16, .phold_cells = 32});
  return scenario;
}

bool has(const std::vector<std::string>& kinds, const std::string& kind) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

const std::vector<std::string> kFlags = {"--heartbeat-ms", "20"};  // of daemons; the observer's ask for what it lacks, too

/// a, b and c, each of one of kKinds, and the observer, which is linked with all of them.
std::vector<rse::LocalCluster::Plan> plan_nodes(const std::vector<std::string>& kinds, const std::string& memory,
                                                const rse::VirtualMachines& machines) {
  std::vector<rse::LocalCluster::Plan> nodes;
  const auto local = [](std::uint16_t port) { return fmt::format("127.0.0.1:{}", port); };
  const std::uint64_t cluster = rse::random_id();
  const std::uint16_t observer = rse::free_port();
  rse::VirtualMachines::Wires wires{.peers = {observer}};
  std::vector<std::uint16_t> ports;
  for (const std::string& kind : kinds) {
    ports.push_back(rse::free_port());
    if (kind == "udp") wires.peers.push_back(ports.back());
  }
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    rse::LocalCluster::Plan node{.name = std::string(1, static_cast<char>('a' + i)), .durable = false, .flags = kFlags};
    wires.port = ports[i];
    if (kinds[i] == "vm") {
      node.guest = [&machines, cluster, name = node.name](bool founds) { return machines.command(name, cluster, founds); };
    }
    if (kinds[i] == "vm-udp") {
      node.guest = [&machines, cluster, wires, name = node.name](bool founds) { return machines.command(name, cluster, founds, wires); };
    }
    if (kinds[i] == "memory") node.listen = {memory};
    if (kinds[i] == "udp") node.listen = {"udp:" + local(ports[i])};
    // Beside a node without the memory, one that has it does not leave relaying to the observer alone.
    if (kinds[i] == "tcp" || (kinds[i] == "memory" && has(kinds, "tcp"))) node.listen.push_back(local(ports[i]));
    nodes.push_back(std::move(node));
  }
  // Its heartbeats ask for what it lacks: where they are seldom a node dies before it was asked, and the record of the run has a gap.
  rse::LocalCluster::Plan watching{
      .name = "observer", .listen = {memory, local(observer)}, .durable = false, .flags = kFlags, .observer = true};
  if (has(kinds, "vm-udp") || has(kinds, "udp")) watching.listen.push_back("udp:" + local(observer));
  nodes.push_back(std::move(watching));
  return nodes;
}

}  // namespace

int main(int argc, char** argv) {
  rse::StoryOptions options;
  options.program = "three_vm";
  options.default_scenario = [](const std::string&, std::string&, std::string&) { return std::optional(mixed_load()); };
  std::vector<std::string> kinds{"vm", "vm", "vm"};
  std::string mixed;
  CLI::App app{"Three virtual machines with our own kernel as one computer: kill one and watch"};
  rse::add_story_flags(app, options);
  app.add_option("--nodes", kinds, "what a, b and c are: vm, vm-udp (a VM with a network card), memory (an rse-node on the shared memory), tcp or udp (an rse-node) "
                 "(vm,vm,vm)")
      ->delimiter(',')
      ->expected(3)
      ->check(CLI::IsMember(std::vector<std::string>(kKinds.begin(), kKinds.end())));
  app.add_option("--log-dir", options.cluster.directory, "keep the nodes' logs here");
  app.add_flag("--mixed{memory}", mixed, "one of each: --nodes vm,memory,tcp; --mixed=udp: --nodes vm-udp,udp,tcp")
      ->excludes("--nodes")
      ->check(CLI::IsMember({"memory", "udp"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (mixed == "memory") kinds = {"vm", "memory", "tcp"};
  if (mixed == "udp") kinds = {"vm-udp", "udp", "tcp"};
  rse::VirtualMachines machines;
  if (has(kinds, "vm") || has(kinds, "vm-udp")) {
    if (const std::string failure = machines.find(); !failure.empty()) {
      fmt::print(stderr, "three_vm: {}\n", failure);
      return 1;
    }
    const rse::Accelerator& accelerator = machines.choose_accelerator();
    options.introduction = fmt::format("machines  {} ({})\n", accelerator.name, accelerator.why);
  }
  rse::LocalCluster::Options& cluster = options.cluster;
  // Nothing leaves this machine, and guests have no keys; silence may last as long as guests let it (guest_kernel/node/node.cc).
  cluster.flags = {"--insecure",           "--early-silence-ms", "150", "--silence-floor-ms", "200",
                   "--silence-ceiling-ms", "1000",               "--idle-epoch-ms",    "500",
                   "--cut-epochs",         std::to_string(rse::kGuestCutEpochs)};
  cluster.memory_path = fmt::format("/dev/shm/rse-{:016x}", rse::random_id());
  cluster.nodes = plan_nodes(kinds, "ivshmem:" + cluster.memory_path, machines);
  cluster.prepare = [&machines](const rse::LocalCluster& of) {
    return machines.serve(of.memory_path(), of.directory() + "/bells.sock");
  };
  return rse::run_story(app, std::move(options));
}
