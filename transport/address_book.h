// Addresses of nodes that have changed since those nodes started: what this node says of itself, what others have said, and who has
// been told. Each update is signed by the node that it is about, so that any member may pass it on; the newest of each counts.
// On hosts and in the guest kernel. Size: one update for each admitted node. Threads: one. Errors: what is not to be believed is dropped.
// Invariant: what is kept is of nodes that the last view seen has admitted, and newer than what was kept before.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "torus/braid/view.h"
#include "transport/address_update.h"
#include "transport/secure/keys.h"

namespace rse {

/// Of a peer, between two calls of begin_turn(): one of each node that there may be.
inline constexpr std::size_t kUpdatesOfPeerMax = kAdmittedMax;

class AddressBook {
 public:
  explicit AddressBook(Member self) : self_(std::move(self)), own_(self_.addresses) {}

  /// This node's own, as they are now.
  const std::vector<std::string>& own() const { return own_; }
  /// Puts `after` in the place of `before`, or first where none of that is its own. False: it has the same as ever.
  bool change_own(const std::vector<std::string>& before, const std::vector<std::string>& after);
  /// Where else a member may be dialled: what it has said in this life or a later one, then what the view has.
  std::vector<std::string> addresses_of(const Member& member) const;

  /// `from` has sent it. False: it is old, of a node that is not admitted, not signed by it, or one too many of `from` in this turn. At
  /// most one signature is looked at.
  bool take(NodeId from, const AddressUpdate& update, const View& view);
  /// Every now and then: peers may say as much again.
  void begin_turn() { heard_.clear(); }
  /// What `peer` may not know yet. `key` signs what this node says itself.
  std::vector<AddressUpdate> news_for(Instant now, NodeId peer, ClusterId cluster, const NodeKey& key) const;
  /// Says to each member what it does not know yet: to members only, as who is not one yet hears nothing of the others. `send`: false
  /// where it is not on its way, and will be tried again.
  void tell(Instant now, const View& view, const NodeKey& key, const std::function<bool(NodeId to, const AddressUpdate&)>& send);
  /// It is on its way to `peer`, and may be lost with one of several links without a word: it is said again after a second, and then
  /// after twice the time each, until the peer says it itself.
  void told(Instant now, NodeId peer, const AddressUpdate& update);
  /// A link has ended or begun: nobody knows what arrived.
  void forget_told(NodeId peer) { told_.erase(peer); }
  void on_view(const View& view);

 private:
  struct Told {
    AddressVersion version;
    Duration wait{};  // 0: it has said so itself
    Instant again{};
  };
  bool knows(Instant now, NodeId peer, NodeId node, AddressVersion version) const;

  Member self_;
  std::vector<std::string> own_;
  std::uint64_t own_number_ = 0;  // 0: as they were at the start
  std::map<NodeId, AddressUpdate> updates_;  // of others
  std::map<NodeId, std::map<NodeId, Told>> told_;  // peer, then whose
  std::map<NodeId, std::size_t> heard_;      // of each peer, in this turn
};

}  // namespace rse
