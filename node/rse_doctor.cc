// rse doctor: each address and transport is tried from this machine, as a newcomer would, and what comes of it is said. Nothing joins:
// a handshake is made, at most up to the point where a ticket is accepted, and then the connection is closed.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <set>

#include "node/client_cluster_access.h"
#include "node/client_status.h"
#include "node/client_words.h"
#include "node/rse_commands.h"
#include "transport/beacon/beacon_port.h"
#include "transport/clock.h"
#include "transport/handshake.h"
#include "transport/ivshmem/ivshmem_address.h"
#include "transport/ivshmem/ivshmem_transport.h"
#include "transport/mux/mux_transport.h"
#include "transport/tcp/address.h"
#include "transport/tcp/tcp_transport.h"
#include "transport/udp/udp_transport.h"

namespace rse {
namespace {

constexpr std::chrono::seconds kTryLimit{4};
constexpr std::chrono::milliseconds kListenLimit{2500};  // a member beacons each second

struct DoctorFlags {
  std::vector<std::string> control;
  std::string host;
  bool has_host = false;  // "" is a host that was forgotten, and not the whole cluster
  std::string ticket;
};

/// What is wanted of whoever answers.
struct Wanted {
  std::optional<Ticket> ticket{};  // to be taken
  std::uint64_t cluster = 0;       // to be of it; 0: any
};

struct Attempt {
  bool answers = false;  // an RSE node is there, whether it would let us in or not
  bool well = false;     // and it is what is wanted
  bool takes_ticket = false;
  double milliseconds = 0;
  std::string text;
};

/// Whether a refusal came from a node that works, rather than from the network.
bool is_answer(const std::string& why) {
  return why.find(kTakesTicket) != std::string::npos || why.find(kAnswers) != std::string::npos || is_other_cluster(why);
}

std::unique_ptr<Transport> make_transport(asio::io_context& loop, const std::string& scheme, std::shared_ptr<const TrustBook> book,
                                          TransportCallbacks callbacks, std::string& error) {
  if (scheme == kUdpScheme) return make_udp_transport(loop, {.trust = std::move(book)}, std::move(callbacks), error);
  if (!scheme.empty()) return make_ivshmem_transport(loop, {.trust = std::move(book)}, std::move(callbacks), error);
  return make_tcp_transport(loop, {.trust = std::move(book)}, std::move(callbacks), error);
}

enum class Links : std::uint8_t { kEncrypted, kOpen };

Attempt try_address(const std::string& address, Links links, const std::optional<Ticket>& ticket) {
  asio::io_context loop;
  Attempt attempt;
  const auto started = std::chrono::steady_clock::now();
  const auto end = [&](bool answers, std::string text) {
    if (!attempt.text.empty()) return;
    attempt.answers = attempt.well = answers;
    attempt.text = std::move(text);
    attempt.milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - started).count();
    loop.stop();
  };
  TransportCallbacks callbacks;
  callbacks.on_up = [&](const Hello& peer) {
    attempt.takes_ticket = links == Links::kEncrypted && attempt.text.empty();
    end(true, fmt::format("node {} of cluster {} answers{}", peer.self.name, hex_id(peer.cluster.raw),
                          links == Links::kOpen ? ", not encrypted (--insecure)" : " and takes the ticket"));
  };
  callbacks.on_down = [](NodeId, bool) {};
  callbacks.on_message = [](NodeId, std::span<const std::byte>) {};
  callbacks.on_failure = [&](const std::string&, const std::string& why) { end(is_answer(why), why); };
  std::shared_ptr<TrustBook> book;
  if (links == Links::kEncrypted) {
    book = std::make_shared<TrustBook>(NodeKey::generate());
    book->ticket = ticket;
  }
  std::string error;
  const auto transport = make_transport(loop, scheme_of(address), std::move(book), std::move(callbacks), error);
  if (!transport) return {.text = error};
  Hello hello;
  hello.self = {.node = {random_id()}, .incarnation = 1, .name = "rse-doctor", .addresses = {}};
  transport->set_hello(hello);
  transport->dial(address);
  loop.run_for(kTryLimit);
  end(false, fmt::format("no answer from {} within {} s: that machine is off, another one has the address, or a firewall drops {}; let {} "
                         "through, or listen on another port",
                         address, kTryLimit.count(), scheme_of(address) == kUdpScheme ? "UDP" : "TCP", address));
  transport->stop();
  return attempt;
}

/// True: it answers, if only to say that it is of an open cluster, and is what is wanted.
bool show_attempt(const std::string& address, const Wanted& wanted) {
  Attempt attempt = try_address(address, Links::kEncrypted, wanted.ticket);
  const bool perhaps_open = !attempt.answers && attempt.text.find("--insecure") != std::string::npos;
  if (Attempt open; perhaps_open && (open = try_address(address, Links::kOpen, {})).answers) attempt = std::move(open);
  if (wanted.ticket) attempt.well = attempt.takes_ticket;
  if (attempt.answers && wanted.cluster != 0 && attempt.text.find(hex16(wanted.cluster)) == std::string::npos) {
    attempt.well = false;
    attempt.text += fmt::format("; that is not a node of {}: another machine has the address now", hex16(wanted.cluster));
  }
  fmt::print("  {:<28} {:<4} {}\n", address, attempt.answers ? fmt::format("{:.1f} ms", attempt.milliseconds) : "no", attempt.text);
  std::fflush(stdout);
  return attempt.well;
}

/// What was typed, over every transport that it may mean.
std::vector<std::string> ways_to(const std::string& host) {
  if (!scheme_of(host).empty() && !host.starts_with("udp:")) return {host};
  const bool udp_only = host.starts_with("udp:"), tcp_only = host.starts_with("tcp:");
  const auto parsed = parse_host_port(udp_only || tcp_only ? host.substr(4) : host);
  if (!parsed || parsed->host.empty() || parsed->port == 0) return {};
  const auto numeric = numeric_endpoint(*parsed);
  const std::string address = numeric ? to_text(*numeric) : fmt::format("{}:{}", parsed->host, parsed->port);
  std::vector<std::string> ways;
  if (!udp_only) ways.push_back(address);
  if (!tcp_only) ways.push_back("udp:" + address);
  return ways;
}

int examine_host(const DoctorFlags& flags, const std::optional<Ticket>& ticket) {
  const std::vector<std::string> ways = ways_to(flags.host);
  if (ways.empty()) {
    fmt::print(stderr, "rse: \"{}\" is no HOST[:PORT] (ports are 1 to 65535); write for example 10.0.0.7:7400 or ivshmem:rse\n", flags.host);
    return kExitUsage;
  }
  bool any = false;
  for (const std::string& way : ways) any |= show_attempt(way, {.ticket = ticket});
  return any ? kExitDone : kExitFailed;
}

/// What members of the ticket's cluster say of themselves on this machine's networks, each at least twice meanwhile. What is not to be
/// believed is said.
std::set<std::string> look_around(const Ticket& ticket) {
  asio::io_context loop;
  TrustBook book(NodeKey::generate());
  book.ticket = ticket;
  BeaconJudge judge;
  std::set<std::string> found, said;
  const auto arrived = [&](const asio::ip::address&, std::span<const std::byte> datagram) {
    const BeaconJudge::Verdict verdict = judge.judge(datagram, book, {}, unix_seconds());
    if (!verdict.why_not.empty() && said.insert(verdict.why_not).second) fmt::print("  {}\n", verdict.why_not);
    if (verdict.beacon) found.insert(verdict.beacon->addresses.begin(), verdict.beacon->addresses.end());
  };
  const auto port = std::make_shared<BeaconPort>(loop, std::vector<std::string>{":0"}, arrived);
  port->refresh();
  loop.run_for(kListenLimit);
  port->stop_listening();
  loop.restart();
  loop.poll();  // its last handler goes before what it refers to
  return found;
}

/// As a newcomer does to which no address of its ticket answers.
bool try_around(const Ticket& ticket) {
  const std::set<std::string> found = look_around(ticket);
  if (found.empty()) {
    fmt::print("no member that can be dialled was heard on this machine's networks within {} ms: if none is named above, none is there, it runs with --no-beacon, or multicast is filtered; "
               "to try one from here: rse doctor HOST --ticket ...\n",
               kListenLimit.count());
    return false;
  }
  fmt::print("heard on this machine's networks:\n");
  bool any = false;
  for (const std::string& address : found) any |= show_attempt(address, {.ticket = ticket});
  return any;
}

/// The addresses of a ticket.
int examine_ticket(const Ticket& ticket) {
  const std::uint64_t now = unix_seconds();
  fmt::print("ticket of cluster {}, {} {} by this machine's clock\n", hex_id(ticket.cluster.raw), now > ticket.expires ? "expired at" : "good until",
             time_text(ticket.expires));
  bool any = false;
  for (const std::string& address : ticket.addresses) any |= show_attempt(address, {.ticket = ticket});
  return any || try_around(ticket) ? kExitDone : kExitFailed;
}

/// False: it has no link or no address of it answers.
bool examine_member(const v1::StatusReply& status, const v1::ViewMember& member) {
  std::string link = "NOT LINKED with this node";
  for (const v1::PeerStatus& peer : status.peers())
    if (peer.node() == member.node() && peer.via() != 0) link = "reached by way of " + node_name(status, peer.via());
  bool linked = false;
  for (const v1::LinkStatus& known : status.links())
    if (known.peer() == member.node() && known.connected() && !std::exchange(linked, true)) link = "linked by " + link_text(known);
  fmt::print("{}: {}\n", member.name(), link);
  bool any = false;
  for (const std::string& address : member.addresses()) any |= show_attempt(address, {.cluster = status.self().cluster()});
  return linked && any;
}

/// Nodes that were let in and are not in the view, as they are down or cut off. What they could be reached by went with them.
void name_missing(const v1::StatusReply& status) {
  const auto& members = status.view().members();
  std::set<std::uint64_t> let_in(status.view().admitted().begin(), status.view().admitted().end());
  // An open cluster keeps no list, and each visit of this very program is a peer of it.
  if (!status.self().encrypted())
    for (const v1::PeerStatus& peer : status.peers())
      if (peer.voter()) let_in.insert(peer.node());
  for (const std::uint64_t node : let_in) {
    const bool here = std::any_of(members.begin(), members.end(), [&](const v1::ViewMember& member) { return member.node() == node; });
    if (here || node == status.self().node()) continue;
    std::string since;
    for (const v1::PeerStatus& peer : status.peers())
      if (peer.node() == node) since = fmt::format(", last heard {} ago", seconds_text(peer.silence_nanoseconds()));
    fmt::print("{}: GONE{}; start rse-node on that machine again (its log says why it ended){}\n", node_name(status, node), since,
               status.self().encrypted() ? ", or, if it never comes back: rse forget " + node_name(status, node) : "");
  }
}

/// All members, as the daemon of this machine knows them.
int examine_cluster(const DoctorFlags& flags) {
  ControlFailure failure;
  const auto client = connect_to_any(flags.control, failure);
  const auto status = client ? ask_status(*client, failure) : std::nullopt;
  if (!status) return report(failure);
  const std::string cluster = status->self().cluster() == 0 ? "no cluster yet" : "cluster " + hex16(status->self().cluster());
  fmt::print("{} ({}, {})\n", status->verdict(), cluster, status->self().encrypted() ? "encrypted" : "not encrypted: --insecure");
  for (const std::string& why : why_not_joined(*status)) fmt::print("  {}\n", why);
  bool well = true;
  for (const v1::ViewMember& member : status->view().members())
    if (member.node() != status->self().node()) well = examine_member(*status, member) && well;
  name_missing(*status);
  return well ? exit_code_of(*status) : kExitFailed;
}

int examine(const DoctorFlags& flags) {
  std::optional<Ticket> ticket;
  const char* from_environment = std::getenv("RSE_TICKET");
  const std::string text = !flags.ticket.empty() || from_environment == nullptr ? flags.ticket : from_environment;
  if (!text.empty()) {
    std::string wrong;
    ticket = read_ticket(text, wrong);
    if (!ticket) {
      fmt::print(stderr, "rse: {}\n", wrong);
      return kExitUsage;
    }
  }
  if (flags.has_host) return examine_host(flags, ticket);
  return ticket ? examine_ticket(*ticket) : examine_cluster(flags);
}

}  // namespace

void add_doctor_command(CLI::App& app, int& exit_code) {
  auto flags = std::make_shared<DoctorFlags>();
  CLI::App* command = app.add_subcommand(
      "doctor", "tries each address and transport from here: of HOST, of a ticket, or of all members of this machine's cluster");
  const CLI::Option* host = command->add_option("host", flags->host, "HOST[:PORT], udp:HOST[:PORT] or ivshmem:NAME");
  command->add_option("--ticket", flags->ticket, "whether it would be taken; no use of it is spent (or RSE_TICKET in the environment)");
  command->add_option("--control", flags->control, "control address of a daemon");
  command->callback([flags, host, &exit_code] {
    flags->has_host = host->count() > 0;
    exit_code = examine(*flags);
  });
}

}  // namespace rse
