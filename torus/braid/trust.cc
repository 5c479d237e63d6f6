#include "torus/braid/trust.h"

#include <algorithm>

namespace rse {
namespace {

constexpr std::size_t kAdmittedBytes = 8 + 32;
constexpr std::size_t kTicketBytes = 8 + 32 + 8 + 4 + 4 + 1;

template <std::size_t kSize>
void put(ByteWriter& writer, const std::array<std::uint8_t, kSize>& bytes) {
  writer.put_bytes(std::as_bytes(std::span(bytes)));
}

template <std::size_t kSize>
void get(ByteReader& reader, std::array<std::uint8_t, kSize>& bytes) {
  const auto from = reader.get_bytes(kSize);
  if (reader.ok()) std::memcpy(bytes.data(), from.data(), kSize);
}

void put(ByteWriter& writer, const TicketRecord& ticket) {
  writer.put(ticket.id);
  put(writer, ticket.secret.bytes);
  writer.put(ticket.expires);
  writer.put(ticket.uses);
  writer.put(ticket.uses_left);
  writer.put(static_cast<std::uint8_t>(ticket.revoked));
}

TicketRecord get_ticket(ByteReader& reader) {
  TicketRecord ticket;
  ticket.id = reader.get<std::uint64_t>();
  get(reader, ticket.secret.bytes);
  ticket.expires = reader.get<std::uint64_t>();
  ticket.uses = reader.get<std::uint32_t>();
  ticket.uses_left = reader.get<std::uint32_t>();
  const auto revoked = reader.get<std::uint8_t>();
  ticket.revoked = revoked == 1;
  if (revoked > 1 || ticket.uses > kTicketUsesMax || ticket.uses_left > ticket.uses) reader.fail();
  return ticket;
}

void put(ByteWriter& writer, const Admitted& admitted) {
  writer.put(admitted.node);
  put(writer, admitted.key.bytes);
}

Admitted get_admitted(ByteReader& reader) {
  Admitted admitted;
  admitted.node = reader.get<NodeId>();
  get(reader, admitted.key.bytes);
  return admitted;
}

template <class T, class Get>
void get_list(ByteReader& reader, std::vector<T>& list, std::size_t element_bytes, std::size_t count_max, Get get_one) {
  const std::uint32_t count = reader.get_count(element_bytes);
  if (count > count_max) reader.fail();
  for (std::uint32_t i = 0; reader.ok() && i < count; ++i) list.push_back(get_one(reader));
}

/// From the present key and from what the wish has brought: a node that is forgotten knows the one, and a node that is forgotten
/// before it may have heard the other; none knows both.
std::array<std::uint8_t, 32> next_seed(const std::array<std::uint8_t, 32>& present, const std::array<std::uint8_t, 32>& random) {
  Bytes both;
  ByteWriter writer(both);
  put(writer, present);
  put(writer, random);
  return digest_of(both).bytes;
}

}  // namespace

bool Trust::has_seed() const {
  return std::any_of(seed.begin(), seed.end(), [](std::uint8_t byte) { return byte != 0; });
}

const PublicKey* Trust::key_of(NodeId node) const {
  for (const Admitted& one : admitted) {
    if (one.node == node) return &one.key;
  }
  return nullptr;
}

bool Trust::is_admitted(const PublicKey& key) const {
  return std::any_of(admitted.begin(), admitted.end(), [&](const Admitted& one) { return one.key == key; });
}

bool Trust::is_revoked(const PublicKey& key) const {
  return std::find(revoked.begin(), revoked.end(), key) != revoked.end();
}

const TicketRecord* Trust::find_ticket(std::uint64_t id) const {
  for (const TicketRecord& ticket : tickets) {
    if (ticket.id == id) return &ticket;
  }
  return nullptr;
}

bool Trust::may_admit(NodeId node, const PublicKey& key, std::uint64_t ticket) const {
  if (open()) return true;
  if (const PublicKey* pinned = key_of(node)) return *pinned == key;
  if (key.is_none() || is_revoked(key) || is_admitted(key)) return false;
  const TicketRecord* record = find_ticket(ticket);
  return record && !record->revoked && record->uses_left > 0;
}

bool Trust::admit(NodeId node, const PublicKey& key, std::uint64_t ticket) {
  if (!may_admit(node, key, ticket)) return false;
  if (open() || key_of(node)) return true;
  if (admitted.size() >= kAdmittedMax) return false;
  for (TicketRecord& record : tickets) {
    if (record.id == ticket) --record.uses_left;
  }
  admitted.push_back({node, key});
  return true;
}

bool Trust::holds(const TrustChange& change) const {
  switch (change.kind) {
    case TrustChange::Kind::kAddTicket: return find_ticket(change.ticket.id) != nullptr;
    case TrustChange::Kind::kRevokeTicket: {
      const TicketRecord* ticket = find_ticket(change.ticket.id);
      return !ticket || ticket->revoked;
    }
    case TrustChange::Kind::kForget:
      return std::find(admitted.begin(), admitted.end(), change.forget) == admitted.end();
  }
  return true;
}

bool Trust::apply(const TrustChange& change) {
  if (open() || holds(change)) return false;
  switch (change.kind) {
    case TrustChange::Kind::kAddTicket:
      std::erase_if(tickets, [&](const TicketRecord& ticket) { return ticket.is_over(change.now); });
      if (tickets.size() >= kTicketsMax) return false;
      tickets.push_back(change.ticket);
      return true;
    case TrustChange::Kind::kRevokeTicket:
      for (TicketRecord& ticket : tickets) {
        if (ticket.id == change.ticket.id) ticket.revoked = true;
      }
      return true;
    case TrustChange::Kind::kForget:
      std::erase(admitted, change.forget);
      if (revoked.size() >= kRevokedMax) revoked.erase(revoked.begin());
      revoked.push_back(change.forget.key);
      // The forgotten node knows the cluster key, so it could pose as the cluster to someone with a ticket for it.
      for (TicketRecord& ticket : tickets) ticket.revoked = true;
      seed = next_seed(seed, change.seed);
      return true;
  }
  return false;
}

// Order of fields: seed, then counts (u32) and elements of admitted (node, key), revoked (key) and tickets (id, digest of the
// secret, expires, uses, uses left, revoked).
void encode_trust(const Trust& trust, ByteWriter& writer) {
  put(writer, trust.seed);
  writer.put(static_cast<std::uint32_t>(trust.admitted.size()));
  for (const Admitted& admitted : trust.admitted) put(writer, admitted);
  writer.put(static_cast<std::uint32_t>(trust.revoked.size()));
  for (const PublicKey& key : trust.revoked) put(writer, key.bytes);
  writer.put(static_cast<std::uint32_t>(trust.tickets.size()));
  for (const TicketRecord& ticket : trust.tickets) put(writer, ticket);
}

Trust decode_trust(ByteReader& reader) {
  Trust trust;
  get(reader, trust.seed);
  get_list(reader, trust.admitted, kAdmittedBytes, kAdmittedMax, get_admitted);
  get_list(reader, trust.revoked, sizeof(PublicKey), kRevokedMax, [](ByteReader& from) {
    PublicKey key;
    get(from, key.bytes);
    return key;
  });
  get_list(reader, trust.tickets, kTicketBytes, kTicketsMax, get_ticket);
  return trust;
}

void encode_trust_change(const TrustChange& change, Bytes& out) {
  ByteWriter writer(out);
  writer.put(static_cast<std::uint8_t>(change.kind));
  writer.put(change.now);
  put(writer, change.ticket);
  put(writer, change.forget);
  put(writer, change.seed);
}

std::optional<TrustChange> decode_trust_change(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  TrustChange change;
  const auto kind = reader.get<std::uint8_t>();
  change.kind = static_cast<TrustChange::Kind>(kind);
  change.now = reader.get<std::uint64_t>();
  change.ticket = get_ticket(reader);
  change.forget = get_admitted(reader);
  get(reader, change.seed);
  if (!reader.finished() || kind < 1 || kind > 3) return {};
  return change;
}

}  // namespace rse
