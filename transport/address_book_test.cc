#include "transport/address_book.h"

#include <doctest/doctest.h>

namespace rse {
namespace {

constexpr NodeId kA{1}, kB{2}, kC{3};

/// Three nodes of a cluster; the view knows the addresses that they started with.
struct Cluster {
  NodeKey keys[3] = {NodeKey::generate(), NodeKey::generate(), NodeKey::generate()};
  View view;
  std::vector<AddressBook> books;
  Instant now{1};
  Cluster() {
    view.cluster = {7};
    for (std::uint64_t i = 0; i < 3; ++i) {
      const Member member{.node = {i + 1}, .incarnation = 5, .name = "n", .addresses = {"udp:192.0.2.1:740" + std::to_string(i), "lan:7400"}};
      view.members.push_back(member);
      view.trust.admitted.push_back({member.node, keys[i].shared()});
      books.emplace_back(member);
    }
  }
  const NodeKey& key(NodeId node) const { return keys[node.raw - 1]; }
  AddressBook& book(NodeId node) { return books[node.raw - 1]; }
  const Member& member(NodeId node) const { return view.members[node.raw - 1]; }
  /// All that `from` has for `to` arrives. How much of it was new.
  int tell(NodeId from, NodeId to) {
    int news = 0;
    for (const AddressUpdate& update : book(from).news_for(now, to, view.cluster, key(from))) {
      book(from).told(now, to, update);
      news += book(to).take(from, update, view);
    }
    return news;
  }
  AddressUpdate update_of_a() { return book(kA).news_for(now, kB, view.cluster, key(kA)).at(0); }
};

TEST_CASE("addresses: what a node says of itself reaches one that it has no link with by way of a third, once") {
  Cluster cluster;
  CHECK(cluster.tell(kA, kC) == 0);  // nothing has changed
  CHECK(cluster.book(kA).change_own({"udp:192.0.2.1:7400"}, {"udp:198.51.100.9:4000"}));
  CHECK(cluster.tell(kA, kC) == 1);
  CHECK(cluster.tell(kC, kB) == 1);
  const std::vector<std::string> expected{"udp:198.51.100.9:4000", "lan:7400", "udp:192.0.2.1:7400"};
  CHECK(cluster.book(kB).addresses_of(cluster.member(kA)) == expected);  // the new one first; the old one may work again
  CHECK(cluster.book(kA).own() == std::vector<std::string>{"udp:198.51.100.9:4000", "lan:7400"});
  for (const NodeId from : {kA, kB, kC}) {
    for (const NodeId to : {kA, kB, kC}) CHECK(cluster.tell(from, to) == 0);
  }
  CHECK(cluster.book(kC).news_for(cluster.now, kB, cluster.view.cluster, cluster.key(kC)).empty());
  cluster.book(kC).forget_told(kB);  // its link ended: what was on its way may be lost
  CHECK(cluster.book(kC).news_for(cluster.now, kB, cluster.view.cluster, cluster.key(kC)).size() == 1);
}

TEST_CASE("addresses: those of its interfaces change together and keep what else it has before and after them; their order says nothing") {
  Member member{.node = kA, .incarnation = 1, .name = "a", .addresses = {"udp:public:1", "old:1", "old:2", "ivshmem:m"}};
  AddressBook book(member);
  CHECK_FALSE(book.change_own({"old:1", "old:2"}, {"old:2", "old:1"}));
  CHECK(book.change_own({"old:1", "old:2"}, {"new:1", "old:2", "new:2"}));
  CHECK(book.own() == std::vector<std::string>{"udp:public:1", "new:1", "old:2", "new:2", "ivshmem:m"});
  CHECK(book.change_own({"new:1", "old:2", "new:2"}, {"udp:public:1"}));  // it is before its NAT now
  CHECK(book.own() == std::vector<std::string>{"udp:public:1", "ivshmem:m"});
}

TEST_CASE("addresses: the newest counts, in whatever order they come; a later life's view is newer than all of an earlier one") {
  Cluster cluster;
  CHECK_FALSE(cluster.book(kA).change_own({""}, {"lan:7400"}));  // known
  cluster.book(kA).change_own({""}, {"udp:198.51.100.9:1"});
  const AddressUpdate first = cluster.update_of_a();
  cluster.book(kA).change_own({"udp:198.51.100.9:1"}, {"udp:198.51.100.9:2"});
  const AddressUpdate second = cluster.update_of_a();
  CHECK(second.version > first.version);
  CHECK(cluster.book(kB).take(kA, second, cluster.view));
  CHECK_FALSE(cluster.book(kB).take(kA, first, cluster.view));
  CHECK_FALSE(cluster.book(kB).take(kC, second, cluster.view));
  CHECK(cluster.book(kB).addresses_of(cluster.member(kA)).front() == "udp:198.51.100.9:2");
  cluster.view.members[0].incarnation = 6;
  CHECK(cluster.book(kB).addresses_of(cluster.member(kA)) == cluster.member(kA).addresses);
  CHECK_FALSE(cluster.book(kC).take(kA, second, cluster.view));
}

TEST_CASE("addresses: an update that was changed, made by another, of another cluster or of a node that is not admitted is dropped") {
  Cluster cluster;
  cluster.book(kA).change_own({""}, {"udp:198.51.100.9:1"});
  const AddressUpdate good = cluster.update_of_a();
  const auto taken = [&](auto change) {
    AddressUpdate update = good;
    change(update);
    return AddressBook(cluster.member(kB)).take(kC, update, cluster.view);
  };
  CHECK(taken([](AddressUpdate&) {}));
  CHECK_FALSE(taken([](AddressUpdate& update) { update.addresses[0] += "0"; }));
  CHECK_FALSE(taken([](AddressUpdate& update) { update.addresses.pop_back(); }));
  CHECK_FALSE(taken([](AddressUpdate& update) { ++update.version.number; }));
  CHECK_FALSE(taken([](AddressUpdate& update) { ++update.version.incarnation; }));
  CHECK_FALSE(taken([](AddressUpdate& update) { update.node = kC; }));
  CHECK_FALSE(taken([](AddressUpdate& update) { update.node = kB; }));  // of itself it knows best
  CHECK_FALSE(taken([](AddressUpdate& update) { update.signature[0] ^= 1; }));
  CHECK_FALSE(taken([](AddressUpdate& update) { update.node = NodeId{9}; }));
  cluster.view.cluster = {8};
  CHECK_FALSE(taken([](AddressUpdate&) {}));
}

TEST_CASE("addresses: members are told, again at once where it could not be sent, and now and then as it may be lost, until they say it") {
  Cluster cluster;
  cluster.book(kA).change_own({}, {"udp:198.51.100.9:1"});
  bool works = false;
  std::vector<NodeId> told;
  const auto tell = [&] {
    told.clear();
    cluster.book(kA).tell(cluster.now, cluster.view, cluster.key(kA), [&](NodeId to, const AddressUpdate&) {
      told.push_back(to);
      return works;
    });
    return told;
  };
  const std::vector<NodeId> both{kB, kC};
  CHECK(tell() == both);
  works = true;
  CHECK(tell() == both);
  CHECK(tell().empty());

  cluster.now = cluster.now + milliseconds(1000);  // a link may have died with it
  CHECK(tell() == both);
  cluster.now = cluster.now + milliseconds(1000);
  CHECK(tell().empty());
  cluster.now = cluster.now + milliseconds(1000);
  CHECK(cluster.tell(kA, kC) == 1);
  CHECK(cluster.tell(kC, kB) == 1);
  CHECK(cluster.tell(kB, kC) == 0);  // which has said it itself
  cluster.now = cluster.now + milliseconds(3'600'000);
  CHECK(cluster.tell(kB, kC) == 0);
}

TEST_CASE("addresses: a peer that says more than there can be is not listened to until the next turn") {
  Cluster cluster;
  cluster.book(kA).change_own({}, {"udp:198.51.100.9:1"});
  const AddressUpdate update = cluster.update_of_a();
  AddressUpdate other = update;
  other.signature[0] ^= 1;
  for (std::size_t i = 0; i < kUpdatesOfPeerMax; ++i) CHECK_FALSE(cluster.book(kB).take(kC, other, cluster.view));
  CHECK_FALSE(cluster.book(kB).take(kC, update, cluster.view));
  cluster.book(kB).begin_turn();
  CHECK(cluster.book(kB).take(kC, update, cluster.view));
}

TEST_CASE("addresses: what was said by a node that is forgotten goes, and is not believed again") {
  Cluster cluster;
  cluster.book(kA).change_own({""}, {"udp:198.51.100.9:1"});
  const AddressUpdate update = cluster.update_of_a();
  REQUIRE(cluster.book(kB).take(kA, update, cluster.view));
  cluster.view.trust.admitted.erase(cluster.view.trust.admitted.begin());
  cluster.book(kB).on_view(cluster.view);
  CHECK(cluster.book(kB).news_for(cluster.now, kC, cluster.view.cluster, cluster.key(kB)).empty());
  CHECK(cluster.book(kB).addresses_of(cluster.member(kA)) == cluster.member(kA).addresses);
  CHECK_FALSE(cluster.book(kB).take(kC, update, cluster.view));
}

TEST_CASE("addresses: however often a node's address changes, it has as many as a member may have") {
  Cluster cluster;
  for (int i = 0; i < 100; ++i) CHECK(cluster.book(kA).change_own({"elsewhere"}, {"udp:198.51.100.9:" + std::to_string(i)}));
  CHECK(cluster.book(kA).own().size() == kAddressesMax);
  CHECK(cluster.book(kA).own().front() == "udp:198.51.100.9:99");
}

}  // namespace
}  // namespace rse
