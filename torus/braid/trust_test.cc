#include "torus/braid/trust.h"

#include <doctest/doctest.h>

using namespace rse;

namespace {

PublicKey key(std::uint8_t number) {
  PublicKey key;
  key.bytes.fill(number);
  return key;
}

TicketRecord ticket(std::uint64_t id, std::uint32_t uses) {
  TicketRecord record;
  record.id = id;
  record.expires = 1'000'000;
  record.uses = record.uses_left = uses;
  return record;
}

TrustChange adding(const TicketRecord& record, std::uint64_t now = 0) {
  return {.kind = TrustChange::Kind::kAddTicket, .now = now, .ticket = record, .forget = {}};
}
TrustChange forgetting(NodeId node, const PublicKey& of) {
  TrustChange change{.kind = TrustChange::Kind::kForget, .ticket = {}, .forget = {node, of}};
  change.seed.fill(0x77);
  return change;
}

Trust closed() {
  Trust trust;
  trust.seed.fill(1);
  trust.admitted = {{{1}, key(1)}};
  return trust;
}

}  // namespace

TEST_CASE("trust: a ticket of n uses admits n nodes, each with the key it came with, and no more") {
  Trust trust = closed();
  REQUIRE(trust.apply(adding(ticket(9, 2))));
  CHECK_FALSE(trust.admit({2}, key(2), 8));  // another ticket
  CHECK_FALSE(trust.admit({2}, {}, 9));      // no key
  CHECK(trust.admit({2}, key(2), 9));
  CHECK(trust.admit({2}, key(2), 9));        // again: it is admitted, no use is spent
  CHECK_FALSE(trust.admit({2}, key(3), 9));  // the same node with another key
  CHECK_FALSE(trust.admit({4}, key(2), 9));  // the same key under another name
  CHECK(trust.find_ticket(9)->uses_left == 1);
  CHECK(trust.admit({3}, key(3), 9));
  CHECK_FALSE(trust.admit({4}, key(4), 9));
  CHECK(trust.find_ticket(9)->uses_left == 0);
}

TEST_CASE("trust: a revoked ticket admits nobody; what it has admitted stays") {
  Trust trust = closed();
  REQUIRE(trust.apply(adding(ticket(9, 2))));
  CHECK_FALSE(trust.apply(adding(ticket(9, 2))));  // wished twice
  CHECK(trust.admit({2}, key(2), 9));
  const TrustChange revoke{.kind = TrustChange::Kind::kRevokeTicket, .ticket = ticket(9, 0), .forget = {}};
  CHECK_FALSE(trust.holds(revoke));
  CHECK(trust.apply(revoke));
  CHECK(trust.holds(revoke));
  CHECK_FALSE(trust.admit({3}, key(3), 9));
  CHECK(trust.admit({2}, key(2), 9));
}

TEST_CASE("trust: a forgotten node stays out, its tickets are void, and the cluster key is another one") {
  Trust trust = closed();
  REQUIRE(trust.apply(adding(ticket(9, 2))));
  REQUIRE(trust.admit({2}, key(2), 9));
  const auto before = trust.seed;
  CHECK(trust.apply(forgetting({2}, key(2))));
  CHECK_FALSE(trust.apply(forgetting({2}, key(2))));
  CHECK(trust.seed != before);
  CHECK(trust.seed != forgetting({2}, key(2)).seed);  // who has heard the wish does not know it either
  CHECK(trust.is_revoked(key(2)));
  CHECK_FALSE(trust.is_admitted(key(2)));
  CHECK_FALSE(trust.admit({2}, key(2), 9));
  CHECK_FALSE(trust.admit({3}, key(3), 9));
  REQUIRE(trust.apply(adding(ticket(10, 1))));
  CHECK_FALSE(trust.admit({3}, key(2), 10));  // not even with a new ticket
  CHECK(trust.admit({2}, key(3), 10));        // a new key under the old name
}

TEST_CASE("trust: an open cluster admits everyone and knows no tickets") {
  Trust trust;
  CHECK(trust.open());
  CHECK(trust.admit({2}, {}, 0));
  CHECK(trust.admitted.empty());
  CHECK_FALSE(trust.apply(adding(ticket(9, 2))));
}

TEST_CASE("trust: its lists are bounded, and tickets that are long over make room") {
  Trust trust = closed();
  for (std::uint64_t id = 1; id <= kTicketsMax; ++id) CHECK(trust.apply(adding(ticket(id, 1))));
  CHECK_FALSE(trust.apply(adding(ticket(99, 1), 1'000'000)));
  CHECK(trust.apply(adding(ticket(99, 1), 1'000'001 + kTicketMemorySeconds)));
  CHECK(trust.tickets.size() == 1);
  for (std::uint64_t id = 100; id < 103; ++id) REQUIRE(trust.apply(adding(ticket(id, kTicketUsesMax))));
  for (std::uint8_t node = 2; node < 97; ++node) trust.admit({node}, key(node), 100u + (node - 2) / kTicketUsesMax);
  CHECK(trust.admitted.size() == kAdmittedMax);
}

TEST_CASE("trust: decoding what was encoded gives the same; whatever is cut off fails") {
  Trust trust = closed();
  trust.apply(adding(ticket(9, 2)));
  trust.admit({2}, key(2), 9);
  trust.revoked = {key(7)};
  Bytes bytes;
  ByteWriter writer(bytes);
  encode_trust(trust, writer);
  ByteReader reader(bytes);
  CHECK(decode_trust(reader) == trust);
  CHECK(reader.finished());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader part(std::span<const std::byte>(bytes).first(size));
    decode_trust(part);
    CHECK_FALSE(part.ok());
  }
  Bytes change;
  encode_trust_change(forgetting({2}, key(2)), change);
  CHECK(decode_trust_change(change) == forgetting({2}, key(2)));
  change.push_back({});
  CHECK_FALSE(decode_trust_change(change));
}
