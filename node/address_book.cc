#include "node/address_book.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "torus/base/bytes.h"

namespace rse {
namespace {

constexpr std::string_view kContext = "RSE addresses 1";

/// What is signed. The cluster is part of it: a node that was of another one, with the same key, has said nothing here.
std::vector<std::uint8_t> text_of(const AddressUpdate& update, ClusterId cluster) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put_bytes(std::as_bytes(std::span(kContext)));
  writer.put(cluster);
  writer.put(update.node);
  writer.put(update.version.incarnation);
  writer.put(update.version.number);
  writer.put(static_cast<std::uint64_t>(update.addresses.size()));
  for (const std::string& address : update.addresses) {
    writer.put(static_cast<std::uint64_t>(address.size()));
    writer.put_bytes(std::as_bytes(std::span(address)));
  }
  const auto* const at = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {at, at + bytes.size()};
}

}  // namespace

bool AddressBook::change_own(const std::string& before, const std::string& after) {
  if (std::find(own_.begin(), own_.end(), after) != own_.end()) return false;
  const auto old = std::find(own_.begin(), own_.end(), before);
  if (old != own_.end()) *old = after;
  else own_.insert(own_.begin(), after);
  if (own_.size() > kAddressesMax) own_.resize(kAddressesMax);
  ++own_number_;
  return true;
}

std::vector<std::string> AddressBook::addresses_of(const Member& member) const {
  if (member.node == self_.node) return own_;
  const auto found = updates_.find(member.node);
  if (found == updates_.end() || found->second.version.incarnation < member.incarnation) return member.addresses;
  std::vector<std::string> all = found->second.addresses;
  for (const std::string& address : member.addresses)
    if (std::find(all.begin(), all.end(), address) == all.end()) all.push_back(address);
  return all;
}

bool AddressBook::take(NodeId from, const AddressUpdate& update, const View& view) {
  const PublicKey* key = view.trust.key_of(update.node);
  if (update.node == self_.node || key == nullptr) return false;
  const Member* member = view.find(update.node);
  if (member != nullptr && update.version.incarnation < member->incarnation) return false;
  const auto known = updates_.find(update.node);
  const bool is_new = known == updates_.end() || known->second.version < update.version;
  if (is_new && !signature_is_of(*key, text_of(update, view.cluster), update.signature)) return false;
  // Whoever sends it knows it.
  if (view.trust.key_of(from) != nullptr && !knows(from, update.node, update.version)) told(from, update);
  if (!is_new) return false;
  updates_.insert_or_assign(update.node, update);
  return true;
}

bool AddressBook::knows(NodeId peer, NodeId node, AddressVersion version) const {
  const auto of_peer = told_.find(peer);
  if (of_peer == told_.end()) return false;
  const auto found = of_peer->second.find(node);
  return found != of_peer->second.end() && found->second >= version;
}

std::vector<AddressUpdate> AddressBook::news_for(NodeId peer, ClusterId cluster, const NodeKey& key) const {
  std::vector<AddressUpdate> news;
  AddressUpdate mine{.node = self_.node, .version = {self_.incarnation, own_number_}, .addresses = own_};
  if (own_number_ > 0 && !knows(peer, self_.node, mine.version)) {
    mine.signature = sign(key.seed(), text_of(mine, cluster));
    news.push_back(std::move(mine));
  }
  for (const auto& [node, update] : updates_)
    if (node != peer && !knows(peer, node, update.version)) news.push_back(update);
  return news;
}

void AddressBook::on_view(const View& view) {
  const auto is_out = [&](const auto& entry) { return view.trust.key_of(entry.first) == nullptr; };
  std::erase_if(updates_, is_out);
  std::erase_if(told_, is_out);
}

}  // namespace rse
