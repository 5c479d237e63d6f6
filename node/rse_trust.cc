// rse ticket, rse forget: who may join, and who may not any more.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <chrono>
#include <memory>

#include "node/client_cluster_access.h"
#include "node/client_words.h"
#include "node/rse_commands.h"

namespace rse {
namespace {

struct TrustFlags {
  std::vector<std::string> control;
  std::string ttl = "15m";
  std::uint32_t uses = 1;
  bool without_addresses = false;
  std::string what;  // a ticket's id, a node
};

/// "90s", "15m", "24h", "7d".
std::optional<std::uint64_t> parse_seconds(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end + 1 != text.data() + text.size() || value > 1'000'000'000) return std::nullopt;
  switch (*end) {
    case 's': return value;
    case 'm': return value * 60;
    case 'h': return value * 3600;
    case 'd': return value * 86'400;
    default: return std::nullopt;
  }
}

std::string span_text(std::uint64_t seconds) {
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86'400);
}

/// Asks the first daemon within reach. False: `exit_code` is set, and it has been said.
bool ask(const TrustFlags& flags, v1::ControlRequest& request, v1::ControlReply& reply, int& exit_code) {
  ControlFailure failure;
  const auto client = connect_to_any(flags.control, failure);
  if (client && client->ask(request, reply, failure)) return true;
  exit_code = report(failure);
  return false;
}

int create(const TrustFlags& flags) {
  const auto seconds = parse_seconds(flags.ttl);
  if (!seconds) {
    fmt::print(stderr, "rse: --ttl {} is no time; write for example 15m, 24h or 7d\n", flags.ttl);
    return kExitUsage;
  }
  v1::ControlRequest request;
  request.mutable_ticket_create()->set_ttl_seconds(*seconds);
  request.mutable_ticket_create()->set_uses(flags.uses);
  request.mutable_ticket_create()->set_without_addresses(flags.without_addresses);
  v1::ControlReply reply;
  int exit_code = kExitDone;
  if (!ask(flags, request, reply, exit_code)) return exit_code;
  fmt::print(stderr,
             "rse: ticket {} lets {} join within {}; whoever has it can. On the new machine:\n"
             "rse: RSE_TICKET=... rse-node --data-dir DIR\n",
             hex16(reply.ticket_create().info().id()), flags.uses == 1 ? "one node" : fmt::format("{} nodes", flags.uses), span_text(*seconds));
  fmt::print("{}\n", reply.ticket_create().ticket());
  return kExitDone;
}

int list(const TrustFlags& flags) {
  v1::ControlRequest request;
  request.mutable_ticket_list();
  v1::ControlReply reply;
  int exit_code = kExitDone;
  if (!ask(flags, request, reply, exit_code)) return exit_code;
  const std::uint64_t now = reply.ticket_list().now_unix_seconds();
  fmt::print("{:<16}  {:<5}  {:<8}  {}\n", "TICKET", "LEFT", "STATE", "EXPIRES");
  for (const v1::TicketInfo& ticket : reply.ticket_list().tickets()) {
    const std::uint64_t expires = ticket.expires_unix_seconds();
    const char* state = ticket.revoked() ? "revoked" : ticket.uses_left() == 0 ? "used" : now > expires ? "expired" : "good";
    const std::string when = now > expires ? span_text(now - expires) + " ago" : "in " + span_text(expires - now);
    fmt::print("{}  {:<5}  {:<8}  {}\n", hex16(ticket.id()), fmt::format("{}/{}", ticket.uses_left(), ticket.uses()), state, when);
  }
  return kExitDone;
}

int done(const TrustFlags& flags, v1::ControlRequest& request) {
  v1::ControlReply reply;
  int exit_code = kExitDone;
  if (!ask(flags, request, reply, exit_code)) return exit_code;
  fmt::print(stderr, "rse: {}\n", reply.done().text());
  return kExitDone;
}

int revoke(const TrustFlags& flags) {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(flags.what.data(), flags.what.data() + flags.what.size(), id, 16);
  if (error != std::errc{} || end != flags.what.data() + flags.what.size()) {
    // Perhaps the ticket itself, which is not to be repeated.
    fmt::print(stderr, "rse: that is no ticket's id; rse ticket list shows them (16 hex digits)\n");
    return kExitUsage;
  }
  v1::ControlRequest request;
  request.mutable_ticket_revoke()->set_id(id);
  return done(flags, request);
}

int forget(const TrustFlags& flags) {
  v1::ControlRequest request;
  request.mutable_forget()->set_node(flags.what);
  return done(flags, request);
}

}  // namespace

void add_trust_commands(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<TrustFlags>();
  const auto with_control = [flags](CLI::App* command) {
    command->add_option("--control", flags->control, "control address of a member; repeatable");
    return command;
  };
  CLI::App* ticket = app.add_subcommand("ticket", "what lets new nodes join: create, list, revoke");
  ticket->require_subcommand(1);
  CLI::App* creating = with_control(ticket->add_subcommand("create", "prints a new ticket, a secret"));
  creating->add_option("--ttl", flags->ttl, "how long it is good: 90s, 15m, 24h, 7d")->capture_default_str();
  creating->add_option("--uses", flags->uses, "how many nodes may join with it (1..32)")->capture_default_str();
  creating->add_flag("--without-addresses", flags->without_addresses, "names no node: who joins finds the cluster on its local network");
  creating->callback([flags, &exit_code] { exit_code = create(*flags); });
  with_control(ticket->add_subcommand("list", "the tickets of the last day: uses left, state, when they expire"))
      ->callback([flags, &exit_code] { exit_code = list(*flags); });
  CLI::App* revoking = with_control(ticket->add_subcommand("revoke", "a ticket lets nobody join any more"));
  revoking->add_option("id", flags->what, "as `rse ticket list` shows it")->required();
  revoking->callback([flags, &exit_code] { exit_code = revoke(*flags); });

  CLI::App* forgetting = with_control(app.add_subcommand(
      "forget", "a node's key never counts again (a stolen machine); all tickets are void, and the cluster gets a new key"));
  forgetting->add_option("node", flags->what, "its name or id")->required();
  forgetting->callback([flags, &exit_code] { exit_code = forget(*flags); });
}

}  // namespace rse
