// rse kill-node, rse override: the two commands that hurt, and say so.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "node/client_status.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct OperatorFlags {
  std::vector<std::string> control;
  std::string node;
  std::string cluster;
};

/// The daemon that calls itself `name`, of those within reach.
int kill_node(const OperatorFlags& flags) {
  ControlFailure failure;
  bool reached = false;
  std::string others;
  for (const std::string& where : control_candidates(flags.control)) {
    auto client = ControlClient::connect(where, failure);
    if (!client) continue;
    const auto status = ask_status(*client, failure);
    if (!status) continue;
    reached = true;
    if (status->self().name() != flags.node && hex16(status->self().node()) != flags.node) {
      others += (others.empty() ? "" : ", ") + status->self().name();
      continue;
    }
    fmt::print(stderr, "rse: SIGKILL to node {} (process {}): what it hosts will be rebuilt elsewhere\n",
               status->self().name(), status->self().process_id());
    v1::ControlRequest request;
    request.mutable_kill_node()->set_node(status->self().node());
    v1::ControlReply reply;
    if (client->ask(request, reply, failure)) return kExitDone;
    // It cannot answer once it is dead: a closed connection is what was asked for.
    return failure.exit_code == kExitUnreachable ? kExitDone : report(failure);
  }
  if (!reached) {
    connect_to_any(flags.control, failure);
    return report(failure);
  }
  fmt::print(stderr, "rse: no daemon within reach is node {} (there is {}); only daemons of this machine can be killed\n",
             flags.node, others);
  return kExitFailed;
}

int override_majority(const OperatorFlags& flags) {
  ControlFailure failure;
  auto client = connect_to_any(flags.control, failure);
  if (!client) return report(failure);
  v1::ControlRequest request;
  request.mutable_override()->set_confirmation(flags.cluster);
  v1::ControlReply reply;
  if (!client->ask(request, reply, failure)) return report(failure);
  fmt::print(stderr, "rse: OVERRIDE: {}\n", reply.done().text());
  return kExitDone;
}

}  // namespace

void add_kill_node_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<OperatorFlags>();
  CLI::App* command = app.add_subcommand("kill-node", "SIGKILL to a daemon of this machine");
  command->add_option("--control", flags->control, "control address of a daemon; repeatable");
  command->add_option("node", flags->node, "its name")->required();
  command->callback([flags, &exit_code] { exit_code = kill_node(*flags); });
}

void add_override_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<OperatorFlags>();
  CLI::App* command = app.add_subcommand(
      "override", "gives up voters that will never return, so that fewer than a majority go on. LOSES the work of a node that "
                  "runs on elsewhere; refused unless every torus can be put together");
  command->add_option("--control", flags->control, "control address of a daemon that is left");
  command->add_option("--cluster", flags->cluster, "the cluster's id, as a confirmation (rse status shows it)")->required();
  command->callback([flags, &exit_code] { exit_code = override_majority(*flags); });
}

}  // namespace rse
