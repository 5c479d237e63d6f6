// Where this node and the others are to be found, when that changes while they run.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "node/own_addresses.h"
#include "node/shell.h"
#include "transport/codec/codec.h"
#include "transport/machine_addresses.h"
#include "transport/tcp/address.h"

namespace rse {
namespace {

std::string joined(const std::vector<std::string>& addresses) { return fmt::format("{}", fmt::join(addresses, ", ")); }

}  // namespace

/// What has changed since the node read its settings is noticed by the first look.
void NodeShell::watch_addresses() {
  watch_ = std::make_shared<AddressWatch>(loop_, [this] { look_at_addresses(); });
  if (const std::string why = watch_->start(); !why.empty()) {
    log_.write(spdlog::level::warn, "addresses_not_watched", {{"text", why}});
    watch_.reset();
    return;
  }
  look_at_addresses();
}

void NodeShell::look_at_addresses() {
  if (stopped_) return;
  const std::vector<asio::ip::address> machine = machine_addresses();
  const auto is_v4 = [](const asio::ip::address& address) { return address.is_v4(); };
  has_v4_ = std::any_of(machine.begin(), machine.end(), is_v4);
  has_v6_ = !std::all_of(machine.begin(), machine.end(), is_v4);
  transport_->on_addresses_changed();
  update_dials();
  // A machine without a network tells nobody, and will have another one.
  if (!encrypted() || options_.found_addresses.empty() || machine.empty()) return;
  std::vector<std::string> found = own_addresses(options_.listen, machine);
  const std::vector<std::string> before = addresses_.own();
  const bool changed = addresses_.change_own(options_.found_addresses, found);
  options_.found_addresses = std::move(found);
  if (changed) say_own_addresses("addresses_changed", joined(before), joined(addresses_.own()));
}

/// Whether this machine can dial it at all: where it has no address of that family, a dial is only noise. A name may be of any.
bool NodeShell::has_family_of(const std::string& address) const {
  const auto parsed = parse_network_address(address);
  const auto endpoint = parsed ? numeric_endpoint(*parsed) : std::nullopt;
  if (!endpoint || endpoint->address().is_loopback()) return true;
  if (endpoint->address().is_v4()) return has_v4_;
  return has_v6_ || endpoint->address().to_v6().is_link_local();
}

/// An open cluster has no NAT to go through, and no keys to sign with.
void NodeShell::on_public_address(const std::string& before, const std::string& after) {
  if (stopped_ || !encrypted() || !addresses_.change_own({before}, {after})) return;
  say_own_addresses("public_address_changed", before, after);
}

/// A view that has this node goes on to have the addresses of this life's beginning: a change of them is no matter of membership.
void NodeShell::say_own_addresses(const std::string& event, const std::string& before, const std::string& after) {
  log_.write(spdlog::level::info, event, {{"before", before}, {"address", after}});
  note({.kind = kIncidentLinkFailure,
        .at = monotonic_now(),
        .node = self().node,
        .text = "this node was to be found at " + before + " and is now at " + after + ": the others are told"});
  transport_->set_hello(make_hello());
  braid_->set_addresses(addresses_.own());
  tell_addresses();
}

void NodeShell::on_address_update(NodeId from, Result<AddressUpdate> update) {
  if (!update) return refuse(from, update.error());
  if (!encrypted() || !addresses_.take(from, *update, view())) return;
  log_.write(spdlog::level::info, "peer_addresses", {{"peer", name_of(update->node)}, {"addresses", joined(update->addresses)}});
  tell_addresses();
  update_dials();
}

void NodeShell::tell_addresses() {
  if (!encrypted()) return;
  addresses_.tell(monotonic_now(), view(), *options_.key, [this](NodeId to, const AddressUpdate& update) {
    return transport_->has_room(to) && transport_->send(to, encode_address_update(update)) == SendResult::kQueued;
  });
}

}  // namespace rse
