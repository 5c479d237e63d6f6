#include "transport/beacon/beacon.h"

#include <doctest/doctest.h>

#include "transport/transport.h"

namespace rse {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000;

struct Cluster {
  SecretKey seed = random_secret();
  TrustBook member{NodeKey::generate()};
  TrustBook newcomer{NodeKey::generate()};
  BeaconJudge judge;
  Cluster() {
    member.cluster = {7};
    member.trust.seed = seed.bytes;
    newcomer.ticket.emplace();
    newcomer.ticket->cluster = {7};
    newcomer.ticket->cluster_key = member.cluster_key();
  }
  Beacon beacon(std::uint64_t nonce = 1) const {
    return {.protocol_min = kProtocolMin, .protocol_max = kProtocolMax, .cluster = {7}, .node = {5}, .time = kNow, .nonce = nonce,
            .addresses = {"10.0.0.7:7400", "udp:[fd00::7]:7400"}};
  }
  BeaconJudge::Verdict ask(const Bytes& datagram) { return judge.judge(datagram, newcomer, {9}, kNow); }
};

TEST_CASE("beacon: a newcomer with a ticket believes a member, and takes its addresses as they were given") {
  Cluster cluster;
  const auto verdict = cluster.ask(write_beacon(cluster.beacon(), cluster.member));
  REQUIRE(verdict.beacon);
  CHECK(verdict.why_not.empty());
  CHECK(verdict.beacon->addresses == cluster.beacon().addresses);
  CHECK(verdict.beacon->key == cluster.member.key.shared());
}

TEST_CASE("beacon: whatever byte of it is changed, and wherever it is cut, it is not believed") {
  Cluster cluster;
  const Bytes right = write_beacon(cluster.beacon(), cluster.member);
  for (std::size_t at = 0; at < right.size(); ++at) {
    CAPTURE(at);
    Bytes changed = right;
    changed[at] ^= std::byte{1};
    CHECK_FALSE(cluster.ask(changed).beacon);
    CHECK_FALSE(cluster.ask(Bytes(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(at))).beacon);
  }
  CHECK(cluster.ask(right).beacon);
}

TEST_CASE("beacon: one of a node without the cluster's key, of a revoked key, of another cluster or of ourselves is passed over") {
  Cluster cluster;
  TrustBook forger = cluster.member;
  forger.trust.seed = random_secret().bytes;
  CHECK_FALSE(cluster.ask(write_beacon(cluster.beacon(), forger)).beacon);
  cluster.newcomer.trust.revoked = {cluster.member.key.shared()};
  CHECK_FALSE(cluster.ask(write_beacon(cluster.beacon(2), cluster.member)).beacon);
  cluster.newcomer.trust.revoked.clear();
  Beacon other = cluster.beacon(3);
  other.cluster = {8};
  CHECK_FALSE(cluster.ask(write_beacon(other, cluster.member)).beacon);
  Beacon own = cluster.beacon(4);
  own.node = {9};
  CHECK_FALSE(cluster.ask(write_beacon(own, cluster.member)).beacon);
}

TEST_CASE("beacon: one with an address that could do something to a terminal is not believed, although a member has signed it") {
  Cluster cluster;
  std::uint64_t nonce = 1;
  for (const char* address : {"10.0.0.7:7400\x1B[31m", "two\nlines:1", "\xFF:7400"}) {
    CAPTURE(nonce);
    Beacon beacon = cluster.beacon(nonce++);
    beacon.addresses.push_back(address);
    CHECK_FALSE(cluster.ask(write_beacon(beacon, cluster.member)).beacon);
  }
  CHECK(cluster.ask(write_beacon(cluster.beacon(nonce), cluster.member)).beacon);
}

TEST_CASE("beacon: a member cannot speak for another") {
  Cluster cluster;
  TrustBook other = cluster.member;
  other.key = NodeKey::generate();
  Bytes datagram = write_beacon(cluster.beacon(), other);
  const auto key = std::as_bytes(std::span(cluster.member.key.shared().bytes));
  std::copy(key.begin(), key.end(), datagram.begin() + 32);
  // Signed anew by the cluster's key, as a member can; the node's signature is not the other's to make.
  Bytes again(datagram.begin(), datagram.end() - 64);
  const std::string context = "RSE beacon, cluster 1";
  std::vector<std::uint8_t> text(context.begin(), context.end());
  for (const std::byte byte : again) text.push_back(static_cast<std::uint8_t>(byte));
  const Signature signature = sign(cluster.seed, text);
  for (const std::uint8_t byte : signature) again.push_back(static_cast<std::byte>(byte));
  CHECK_FALSE(cluster.ask(again).beacon);
}

TEST_CASE("beacon: one that was heard before is passed over; one of another time or version is not believed, and why is said") {
  Cluster cluster;
  const Bytes right = write_beacon(cluster.beacon(), cluster.member);
  CHECK(cluster.ask(right).beacon);
  CHECK_FALSE(cluster.ask(right).beacon);
  Beacon old = cluster.beacon(2);
  old.time = kNow - kBeaconAgeSecondsMax - 1;
  CHECK(cluster.ask(write_beacon(old, cluster.member)).why_not.find("601 s old by this machine's clock") != std::string::npos);
  Beacon later = cluster.beacon(3);
  later.protocol_min = later.protocol_max = kProtocolMax + 1;
  const auto verdict = cluster.ask(write_beacon(later, cluster.member));
  CHECK_FALSE(verdict.beacon);
  CHECK(verdict.why_not.find("install the same rse-node on both") != std::string::npos);
}

TEST_CASE("beacon: it has a bound however many addresses a node has") {
  Cluster cluster;
  Beacon many = cluster.beacon();
  many.addresses.assign(40, std::string(200, 'h') + ":7400");
  const Bytes datagram = write_beacon(many, cluster.member);
  CHECK(datagram.size() <= kBeaconBytesMax);
  REQUIRE(cluster.ask(datagram).beacon);
  CHECK(read_beacon(datagram)->addresses.size() == 4);
}

}  // namespace
}  // namespace rse
