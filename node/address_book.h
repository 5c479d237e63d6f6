// Addresses of nodes that have changed since those nodes started: what this node says of itself, what others have said, and who has
// been told. Each update is signed by the node that it is about, so that any member may pass it on; the newest of each counts.
// Size: one update for each admitted node. Threads: one. Errors: what is not to be believed is dropped.
// Invariant: what is kept is of nodes that the last view seen has admitted, and newer than what was kept before.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "torus/braid/view.h"
#include "transport/address_update.h"
#include "transport/secure/keys.h"

namespace rse {

class AddressBook {
 public:
  explicit AddressBook(Member self) : self_(std::move(self)), own_(self_.addresses) {}

  /// This node's own, as they are now.
  const std::vector<std::string>& own() const { return own_; }
  /// Puts `after` in the place of `before`, or first where that is none of its own. False: it is known.
  bool change_own(const std::string& before, const std::string& after);
  /// Where else a member may be dialled: what it has said in this life or a later one, then what the view has.
  std::vector<std::string> addresses_of(const Member& member) const;

  /// `from` has sent it. False: it is old, of a node that is not admitted, or not signed by it. At most one signature is looked at.
  bool take(NodeId from, const AddressUpdate& update, const View& view);
  /// What `peer` does not know yet. `key` signs what this node says itself.
  std::vector<AddressUpdate> news_for(NodeId peer, ClusterId cluster, const NodeKey& key) const;
  /// It is on its way to `peer`.
  void told(NodeId peer, const AddressUpdate& update) { told_[peer][update.node] = update.version; }
  /// A link has ended or begun: nobody knows what arrived.
  void forget_told(NodeId peer) { told_.erase(peer); }
  void on_view(const View& view);

 private:
  bool knows(NodeId peer, NodeId node, AddressVersion version) const;

  Member self_;
  std::vector<std::string> own_;
  std::uint64_t own_number_ = 0;  // 0: as they were at the start
  std::map<NodeId, AddressUpdate> updates_;  // of others
  std::map<NodeId, std::map<NodeId, AddressVersion>> told_;  // peer, then whose
};

}  // namespace rse
