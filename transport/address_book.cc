#include "transport/address_book.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "torus/base/bytes.h"

namespace rse {
namespace {

constexpr std::string_view kContext = "RSE addresses 1";
constexpr Duration kAgainFirst = milliseconds(1000);
constexpr Duration kAgainMax = milliseconds(64'000);

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

bool AddressBook::change_own(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  const auto in = [](const std::vector<std::string>& all) {
    return [&all](const std::string& address) { return std::find(all.begin(), all.end(), address) != all.end(); };
  };
  std::vector<std::string> now = own_;
  const auto first = std::find_if(now.begin(), now.end(), in(before));
  auto place = first == now.end() ? 0 : first - now.begin();
  std::erase_if(now, in(before));
  for (const std::string& address : after)
    if (!in(now)(address)) now.insert(now.begin() + place++, address);
  if (now.size() > kAddressesMax) now.resize(kAddressesMax);
  if (std::is_permutation(now.begin(), now.end(), own_.begin(), own_.end())) return false;
  own_ = std::move(now);
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
  if (++heard_[from] > kUpdatesOfPeerMax) return false;
  const PublicKey* key = view.trust.key_of(update.node);
  if (update.node == self_.node || key == nullptr) return false;
  const Member* member = view.find(update.node);
  if (member != nullptr && update.version.incarnation < member->incarnation) return false;
  const auto known = updates_.find(update.node);
  const bool is_new = known == updates_.end() || known->second.version < update.version;
  if (is_new && !signature_is_of(*key, text_of(update, view.cluster), update.signature)) return false;
  // Whoever sends it knows it.
  if (view.trust.key_of(from) != nullptr) {
    Told& known = told_[from][update.node];
    if (known.version <= update.version) known = {.version = update.version};
  }
  if (!is_new) return false;
  updates_.insert_or_assign(update.node, update);
  return true;
}

bool AddressBook::knows(Instant now, NodeId peer, NodeId node, AddressVersion version) const {
  const auto of_peer = told_.find(peer);
  if (of_peer == told_.end()) return false;
  const auto found = of_peer->second.find(node);
  if (found == of_peer->second.end() || found->second.version < version) return false;
  return found->second.wait.raw == 0 || now < found->second.again;
}

void AddressBook::told(Instant now, NodeId peer, const AddressUpdate& update) {
  Told& told = told_[peer][update.node];
  const bool again = told.version == update.version;
  told.version = update.version;
  told.wait = again ? std::min(Duration{2 * told.wait.raw}, kAgainMax) : kAgainFirst;
  told.again = now + told.wait;
}

std::vector<AddressUpdate> AddressBook::news_for(Instant now, NodeId peer, ClusterId cluster, const NodeKey& key) const {
  std::vector<AddressUpdate> news;
  AddressUpdate mine{.node = self_.node, .version = {self_.incarnation, own_number_}, .addresses = own_};
  if (own_number_ > 0 && !knows(now, peer, self_.node, mine.version)) {
    mine.signature = sign(key.seed(), text_of(mine, cluster));
    news.push_back(std::move(mine));
  }
  for (const auto& [node, update] : updates_)
    if (node != peer && !knows(now, peer, node, update.version)) news.push_back(update);
  return news;
}

void AddressBook::tell(Instant now, const View& view, const NodeKey& key, const std::function<bool(NodeId to, const AddressUpdate&)>& send) {
  if (view.cluster.raw == 0) return;
  for (const Member& member : view.members) {
    if (member.node == self_.node) continue;
    for (const AddressUpdate& update : news_for(now, member.node, view.cluster, key)) {
      if (!send(member.node, update)) break;
      told(now, member.node, update);
    }
  }
}

void AddressBook::on_view(const View& view) {
  const auto is_out = [&](const auto& entry) { return view.trust.key_of(entry.first) == nullptr; };
  std::erase_if(updates_, is_out);
  std::erase_if(told_, is_out);
}

}  // namespace rse
