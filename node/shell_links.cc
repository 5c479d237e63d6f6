// Links of the node: what their transport reports, whom it dials, and as whom and with whose trust it introduces itself.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "node/shell.h"
#include "transport/codec/codec.h"

namespace rse {

TransportCallbacks NodeShell::callbacks() {
  TransportCallbacks callbacks;
  callbacks.on_up = [this](const Hello& hello) { on_up(hello); };
  callbacks.on_down = [this](NodeId peer, bool proof_of_death) {
    if (stopped_) return;
    log_.write(spdlog::level::info, "link_down",
               {{"peer", name_of(peer)}, {"process_gone", proof_of_death ? "yes" : "unknown"}});
    addresses_.forget_told(peer);
    braid_->on_link_down(monotonic_now(), peer, proof_of_death);
    pump();
  };
  callbacks.on_message = [this](NodeId from, std::span<const std::byte> bytes) { on_message(from, bytes); };
  callbacks.on_room = [this](NodeId) { pump(); };
  callbacks.on_failure = [this](const std::string& address, const std::string& why) { on_failure(address, why); };
  callbacks.on_public_address = [this](const std::string& before, const std::string& after) { on_public_address(before, after); };
  return callbacks;
}

void NodeShell::on_failure(const std::string& address, const std::string& why) {
  if (stopped_) return;
  log_.write(spdlog::level::warn, "link_failure", {{"address", address}, {"text", why}});
  const bool known = std::any_of(incidents_.begin(), incidents_.end(), [&](const Incident& incident) {
    return incident.kind == kIncidentLinkFailure && incident.text == why;
  });
  if (known) return;  // said once; the log folds what repeats
  note({.kind = kIncidentLinkFailure, .at = monotonic_now(), .text = why});
  if (is_final(address, why)) hooks_.on_fatal(why);
}

/// Trying again will not change it: another cluster than was asked for, a ticket that is no good, a key that was revoked.
bool NodeShell::is_final(const std::string& address, const std::string& why) const {
  if (!is_final_refusal(why)) return false;
  if (is_revocation(why)) return true;
  if (is_other_cluster(why) && options_.peers.size() > 1) return false;  // one of several addresses may be another machine's by now
  const bool asked = std::find(options_.peers.begin(), options_.peers.end(), address) != options_.peers.end() ||
                     (discovery_ && discovery_->addresses().contains(address));
  const bool admitted = !encrypted() || view().trust.key_of(self().node) != nullptr;
  return asked && (!ever_linked_ || !admitted);
}

void NodeShell::on_up(const Hello& hello) {
  if (stopped_) return;
  ever_linked_ = true;
  log_.write(spdlog::level::info, "link_up", {{"peer", hello.self.name}});
  incarnations_[hello.self.node.raw] = hello.self.incarnation;
  addresses_.forget_told(hello.self.node);
  const bool watched = life_sign_.watch(hello.self.node, hello.self.incarnation);
  braid_->on_link_up(monotonic_now(), hello.self, hello.key, hello.ticket);
  if (watched) braid_->on_watched(monotonic_now(), hello.self.node, hello.self.incarnation);
  pump();
}

void NodeShell::on_death(NodeId peer, std::uint64_t incarnation) {
  // A later life that has connected already is not the one that ended.
  if (stopped_ || incarnations_[peer.raw] != incarnation) return;
  log_.write(spdlog::level::info, "process_gone", {{"peer", name_of(peer)}});
  braid_->on_link_down(monotonic_now(), peer, true);
  pump();
}

void NodeShell::notice_cluster() {
  const ClusterId cluster = braid_->view().cluster;
  if (cluster.raw == 0 || cluster == cluster_) return;
  cluster_ = cluster;
  transport_->set_hello(make_hello());
  if (disk_) disk_->set_cluster(cluster_);
  if (hooks_.on_cluster) hooks_.on_cluster(cluster_);
}

Hello NodeShell::make_hello() const {
  Hello hello;
  hello.cluster = cluster_;
  hello.self = options_.braid.self;
  hello.self.addresses = addresses_.own();
  hello.cut_epochs = options_.cut_epochs;
  return hello;
}

std::shared_ptr<const TrustBook> NodeShell::make_book() const {
  if (!options_.key) return nullptr;
  auto book = std::make_shared<TrustBook>(*options_.key);
  book->cluster = cluster_;
  book->trust = view().trust;
  book->ticket = options_.ticket;
  return book;
}

/// Whom the new view trusts, and what was waiting for it.
void NodeShell::notice_view() {
  if (view().number == view_seen_) return;
  view_seen_ = view().number;
  if (!encrypted()) return;
  addresses_.on_view(view());
  transport_->set_trust(make_book());
  answer_trust_changes();
}

/// A node without any link looks for others on the local network; a member says where it is, always.
void NodeShell::discover() {
  if (!discovery_) return;
  const std::vector<LinkStats> links = transport_->stats();
  const bool linked = std::any_of(links.begin(), links.end(), [](const LinkStats& link) { return link.connected; });
  Member now = self();
  now.addresses = addresses_.addresses_of(now);
  discovery_->tick(monotonic_now(), make_book(), now, linked);
}

void NodeShell::update_dials() {
  std::set<std::string> wanted;
  if (discovery_) wanted = discovery_->addresses();
  for (const Member& member : braid_->peers_to_dial()) {
    if (member.node == options_.braid.self.node) continue;
    for (std::string& address : addresses_.addresses_of(member)) wanted.insert(std::move(address));
  }
  const auto cannot = [this](const std::string& address) { return !has_family_of(address); };
  std::erase_if(wanted, cannot);
  // Of what was given, a ticket's addresses too, some may be left out; where none would be left, a person should hear why.
  std::set<std::string> peers(options_.peers.begin(), options_.peers.end());
  if (!std::all_of(peers.begin(), peers.end(), cannot)) std::erase_if(peers, cannot);
  wanted.merge(peers);
  for (const std::string& address : addresses_.own()) wanted.erase(address);
  for (const std::string& address : wanted)
    if (!dialled_.contains(address)) transport_->dial(address);
  for (const std::string& address : dialled_)
    if (!wanted.contains(address)) transport_->undial(address);
  dialled_ = std::move(wanted);
}

}  // namespace rse
