// The requests about tickets and keys: each is a wish that the next view fulfils, and is answered
// when a view has.
#include <fmt/format.h>

#include <algorithm>

#include "node/control_fill.h"
#include "node/control_session.h"
#include "transport/clock.h"

namespace rse {
namespace {

constexpr std::uint64_t kTicketSecondsMax = 365 * 24 * 3600ull;
constexpr std::size_t kAddressesOfOthers =
    2;  // each, so that a ticket outlives its maker's machine and can still be typed

void fill(const TicketRecord& ticket, v1::TicketInfo& out) {
  out.set_id(ticket.id);
  out.set_expires_unix_seconds(ticket.expires);
  out.set_uses(ticket.uses);
  out.set_uses_left(ticket.uses_left);
  out.set_revoked(ticket.revoked);
}

std::uint64_t random_ticket_id() {
  std::uint64_t id = 0;
  while (id == 0) std::memcpy(&id, random_secret().bytes.data(), sizeof id);
  return id;
}

/// Where a newcomer may try: this node, then the others. Shared memory is of this machine only, and
/// comes last.
std::vector<std::string> addresses_to_try(const NodeShell& shell) {
  std::vector<std::string> addresses = shell.addresses_of(shell.self());
  for (const Member& member : shell.view().members) {
    if (member.node == shell.self().node) continue;
    const std::vector<std::string> known = shell.addresses_of(member);
    const std::size_t some = std::min(known.size(), kAddressesOfOthers);
    addresses.insert(addresses.end(), known.begin(), known.begin() + static_cast<std::ptrdiff_t>(some));
  }
  std::stable_partition(addresses.begin(), addresses.end(), [](const std::string& address) {
    return !address.starts_with("ivshmem:");
  });
  if (addresses.size() > kAddressesMax) addresses.resize(kAddressesMax);
  return addresses;
}

/// Empty, or why this node cannot ask for anything.
std::string cannot_ask(const NodeShell& shell) {
  if (!shell.encrypted())
    return "this cluster is open (--insecure): it has no tickets and no keys; found an encrypted "
           "one, without --insecure";
  if (shell.cluster_key().is_none() || !shell.view().find(shell.self().node))
    return "this node is no member yet; ask again when `rse status` shows it as one";
  return {};
}

constexpr const char* kNotDecided =
    "no view has it after 6 s: too few voters are up, or the cluster is rebuilding; look at `rse "
    "status`, ask again";

/// The node that a person means: the id or the name of a member, or of one that was met.
NodeId find_node(const NodeShell& shell, const std::string& text) {
  if (text.empty()) return {};
  const auto is_it = [&](NodeId node, const std::string& name) {
    return text == name || text == fmt::format("{:016x}", node.raw);
  };
  for (const Member& member : shell.view().members)
    if (is_it(member.node, member.name)) return member.node;
  for (const PeerStatus& peer : shell.status().peers)
    if (is_it(peer.node, peer.name)) return peer.node;
  for (const Admitted& admitted : shell.view().trust.admitted)
    if (is_it(admitted.node, {})) return admitted.node;
  return {};
}

/// "c (7edcde948c86d223)", also of a node that is gone, or its id alone where no name is known.
std::string title_of(const NodeShell& shell, NodeId node) {
  const std::string id = fmt::format("{:016x}", node.raw);
  std::string name = shell.name_of(node);
  for (const PeerStatus& peer : shell.status().peers)
    if (name == id && peer.node == node && !peer.name.empty()) name = peer.name;
  return name == id ? "node " + id : name + " (" + id + ")";
}

std::string known_nodes(const NodeShell& shell) {
  std::string all;
  for (const Admitted& admitted : shell.view().trust.admitted)
    all += (all.empty() ? "" : ", ") + title_of(shell, admitted.node);
  return all;
}

/// Why there is nothing to forget.
std::string unknown_node(const NodeShell& shell, const std::string& text, NodeId node) {
  if (node.raw != 0)
    return fmt::format("{} is not admitted here: it has been forgotten already, or was never let in; these are: {}",
                       title_of(shell, node), known_nodes(shell));
  return fmt::format("no node \"{}\" is admitted here, so there is nothing to forget; these are: {}",
                     text, known_nodes(shell));
}

}  // namespace

/// Asks the voters for the change; `reply` once a view has it, or `failure`.
void ControlServer::decide(const std::shared_ptr<Session>& session, v1::ControlReply reply,
                           const TrustChange& change, std::string failure) {
  const auto asked =
      shell_.change_trust(change, [session, reply, failure = std::move(failure)](bool done) {
        if (done) return session->reply(reply);
        session->refuse(reply, v1::ControlError::TIMEOUT, failure);
      });
  if (!asked)
    session->refuse(
        reply, v1::ControlError::NOT_READY,
        "too many requests of this kind wait, or this node is no member any more; ask again");
}

void ControlServer::ticket_create(const std::shared_ptr<Session>& session, std::uint64_t id,
                                  const v1::TicketCreateRequest& request) {
  v1::ControlReply reply;
  reply.set_id(id);
  if (std::string why = cannot_ask(shell_); !why.empty())
    return session->refuse(reply, v1::ControlError::REFUSED, std::move(why));
  if (request.ttl_seconds() == 0 || request.ttl_seconds() > kTicketSecondsMax)
    return session->refuse(reply, v1::ControlError::BAD_REQUEST,
                           "a ticket is good for 1 s to 365 d");
  if (request.uses() == 0 || request.uses() > kTicketUsesMax)
    return session->refuse(reply, v1::ControlError::BAD_REQUEST,
                           fmt::format("a ticket lets 1 to {} nodes join", kTicketUsesMax));
  const std::uint64_t now = unix_seconds();
  Ticket ticket;
  ticket.cluster = shell_.cluster();
  ticket.cluster_key = shell_.cluster_key();
  ticket.id = random_ticket_id();
  ticket.secret = random_ticket_secret();
  ticket.expires = now + request.ttl_seconds();
  if (!request.without_addresses()) ticket.addresses = addresses_to_try(shell_);
  TrustChange change;
  change.kind = TrustChange::Kind::kAddTicket;
  change.now = now;
  change.ticket = {.id = ticket.id,
                   .secret = digest_of_secret(ticket.secret),
                   .expires = ticket.expires,
                   .uses = request.uses(),
                   .uses_left = request.uses()};
  fill(change.ticket, *reply.mutable_ticket_create()->mutable_info());
  reply.mutable_ticket_create()->set_ticket(ticket_text(ticket));
  const auto& tickets = shell_.view().trust.tickets;
  const auto kept = std::count_if(tickets.begin(), tickets.end(),
                                  [&](const TicketRecord& known) { return !known.is_over(now); });
  if (static_cast<std::size_t>(kept) >= kTicketsMax)
    return session->refuse(
        reply, v1::ControlError::REFUSED,
        fmt::format(
            "there are {} tickets already, which is the most; they go a day after they expire",
            kept));
  decide(session, std::move(reply), change, fmt::format("no ticket was made: {}", kNotDecided));
}

void ControlServer::ticket_list(v1::ControlReply& reply) {
  if (std::string why = cannot_ask(shell_); !why.empty())
    return set_error(reply, v1::ControlError::REFUSED, std::move(why));
  reply.mutable_ticket_list()->set_now_unix_seconds(unix_seconds());
  for (const TicketRecord& ticket : shell_.view().trust.tickets)
    fill(ticket, *reply.mutable_ticket_list()->add_tickets());
}

void ControlServer::ticket_revoke(const std::shared_ptr<Session>& session, std::uint64_t id,
                                  const v1::TicketRevokeRequest& request) {
  v1::ControlReply reply;
  reply.set_id(id);
  if (std::string why = cannot_ask(shell_); !why.empty())
    return session->refuse(reply, v1::ControlError::REFUSED, std::move(why));
  if (!shell_.view().trust.find_ticket(request.id()))
    return session->refuse(
        reply, v1::ControlError::REFUSED,
        fmt::format("there is no ticket {:016x}; rse ticket list shows them", request.id()));
  TrustChange change;
  change.kind = TrustChange::Kind::kRevokeTicket;
  change.now = unix_seconds();
  change.ticket.id = request.id();
  reply.mutable_done()->set_text(
      fmt::format("ticket {:016x} lets nobody join any more", request.id()));
  decide(session, std::move(reply), change,
         fmt::format("the ticket was not revoked: {}", kNotDecided));
}

void ControlServer::forget(const std::shared_ptr<Session>& session, std::uint64_t id,
                           const v1::ForgetRequest& request) {
  v1::ControlReply reply;
  reply.set_id(id);
  if (std::string why = cannot_ask(shell_); !why.empty())
    return session->refuse(reply, v1::ControlError::REFUSED, std::move(why));
  const NodeId node = find_node(shell_, request.node());
  const PublicKey* key = shell_.view().trust.key_of(node);
  if (key == nullptr)
    return session->refuse(reply, v1::ControlError::REFUSED, unknown_node(shell_, request.node(), node));
  if (node == shell_.self().node)
    return session->refuse(reply, v1::ControlError::REFUSED,
                           "a node does not forget itself; ask another one (--control)");
  TrustChange change;
  change.kind = TrustChange::Kind::kForget;
  change.now = unix_seconds();
  change.forget = {node, *key};
  change.seed = random_secret().bytes;
  const std::string name = title_of(shell_, node);
  reply.mutable_done()->set_text(
      fmt::format("{} is forgotten: its key never counts again, and all tickets are void", name));
  decide(session, std::move(reply), change,
         fmt::format("{} was not forgotten: the others do not hold all that it holds, too few "
                     "voters would be left, or no view "
                     "was agreed on within 6 s; wait until `rse status` says healthy, or kill it "
                     "first, and ask again",
                     name));
}

}  // namespace rse
