#include "torus/braid/view.h"

#include <doctest/doctest.h>

#include "torus/base/random.h"

using namespace rse;

namespace {

View three_nodes() {
  View view;
  view.cluster = {0xC1};
  view.number = {7};
  view.run = {2};
  view.scenario.bytes[31] = 9;
  view.run_since = {3};
  view.resume_cut = 40;
  view.resumed = {5};
  for (std::uint64_t i = 1; i <= 3; ++i) {
    view.members.push_back({{i}, 10 + i, "node", {"10.0.0.1:7400", "[::1]:7400"}});
    view.voters.push_back({i});
    view.hosts[i - 1] = {i};
    view.hosted_since[i - 1] = {i};
    view.homes[i - 1] = {4 - i};
    view.holders.push_back({i});
  }
  view.holders_needed = 2;
  return view;
}

Result<View> decode(const Bytes& bytes) {
  ByteReader reader(bytes);
  return decode_view(reader);
}

Bytes encode(const View& view) {
  Bytes bytes;
  encode_view(view, bytes);
  return bytes;
}

}  // namespace

TEST_CASE("view: decoding what was encoded gives the same view and uses every byte") {
  const View view = three_nodes();
  const Bytes bytes = encode(view);
  ByteReader reader(bytes);
  const auto decoded = decode_view(reader);
  REQUIRE(decoded);
  CHECK(*decoded == view);
  CHECK(reader.finished());
  CHECK(encode(*decoded) == bytes);
}

TEST_CASE("view: a member is one life of a node; a voter is a node") {
  const View view = three_nodes();
  CHECK(view.is_member({2}, 12));
  CHECK_FALSE(view.is_member({2}, 11));
  CHECK(view.is_voter({3}));
  CHECK_FALSE(view.is_voter({4}));
  CHECK(view.majority() == 2);
  CHECK(view.hosted_count({1}) == 1);
  CHECK(view.hosted_count({9}) == 0);
}

TEST_CASE("view: a dead voter may stay without being a member") {
  View view = three_nodes();
  view.members.pop_back();
  view.holders.pop_back();
  view.hosts[2] = {1};
  CHECK(decode(encode(view)));
}

TEST_CASE("view: what no cluster could have agreed on is malformed") {
  View two_voters = three_nodes();
  two_voters.voters.pop_back();
  CHECK(decode(encode(two_voters)).error() == Error::kMalformed);
  View voter_twice = three_nodes();
  voter_twice.voters[2] = {1};
  CHECK(decode(encode(voter_twice)).error() == Error::kMalformed);
  View member_twice = three_nodes();
  member_twice.members[2].node = {1};
  CHECK(decode(encode(member_twice)).error() == Error::kMalformed);
  View foreign_host = three_nodes();
  foreign_host.hosts[1] = {99};
  CHECK(decode(encode(foreign_host)).error() == Error::kMalformed);
  View no_holder = three_nodes();
  no_holder.holders[1] = {0};
  CHECK(decode(encode(no_holder)).error() == Error::kMalformed);
  View removed_holder = three_nodes();  // may come back with its disk
  removed_holder.holders[1] = {99};
  CHECK(decode(encode(removed_holder)));
  View holder_twice = three_nodes();
  holder_twice.holders[2] = {1};
  CHECK(decode(encode(holder_twice)).error() == Error::kMalformed);
  View nothing_needed = three_nodes();
  nothing_needed.holders_needed = 0;
  CHECK(decode(encode(nothing_needed)).error() == Error::kMalformed);
  View more_than_there_are = three_nodes();
  more_than_there_are.holders_needed = 4;
  CHECK(decode(encode(more_than_there_are)).error() == Error::kMalformed);
  View nobody = three_nodes();
  nobody.members[0].node = {0};
  nobody.hosts[0] = {0};
  CHECK(decode(encode(nobody)).error() == Error::kMalformed);
}

TEST_CASE("view: an observer is a member that neither hosts nor holds nor votes") {
  View view = three_nodes();
  view.members.push_back({{4}, 1, "watcher", {}, Role::kObserver});
  const auto decoded = decode(encode(view));
  REQUIRE(decoded);
  CHECK(*decoded == view);
  CHECK(view.is_observer({4}));
  CHECK_FALSE(view.is_observer({1}));
  CHECK(view.host_count() == 3);
  View host = view;
  host.hosts[2] = {4};
  CHECK(decode(encode(host)).error() == Error::kMalformed);
  View holder = view;
  holder.holders[2] = {4};
  CHECK(decode(encode(holder)).error() == Error::kMalformed);
  View voter = view;
  voter.voters[2] = {4};
  CHECK(decode(encode(voter)).error() == Error::kMalformed);
  View unknown = view;
  unknown.members[3].role = static_cast<Role>(2);
  CHECK_FALSE(decode(encode(unknown)));
}

TEST_CASE("view: every bound is checked") {
  View crowd = three_nodes();
  while (crowd.members.size() <= kMembersMax)
    crowd.members.push_back({{100 + crowd.members.size()}, 1, "", {}});
  CHECK_FALSE(decode(encode(crowd)));
  crowd.members.pop_back();
  CHECK(decode(encode(crowd)));
  View long_name = three_nodes();
  long_name.members[0].name.assign(kNodeNameBytesMax + 1, 'x');
  CHECK_FALSE(decode(encode(long_name)));
  View addresses = three_nodes();
  addresses.members[0].addresses.assign(kAddressesMax + 1, "a");
  CHECK_FALSE(decode(encode(addresses)));
  View long_address = three_nodes();
  long_address.members[0].addresses[0].assign(kAddressBytesMax + 1, 'x');
  CHECK_FALSE(decode(encode(long_address)));
}

TEST_CASE("view: no truncation decodes and no flipped bit crashes") {
  const Bytes bytes = encode(three_nodes());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(decode(Bytes(bytes.begin(), bytes.begin() + size)));
  }
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    CAPTURE(bit);
    Bytes damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    ByteReader reader(damaged);
    const auto decoded = decode_view(reader);
    if (decoded && reader.finished()) CHECK(encode(*decoded) == damaged);  // one encoding a view
  }
}
