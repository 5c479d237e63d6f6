#include "torus/braid/client_table.h"

#include <algorithm>

#include "torus/braid/planted_fault.h"

namespace rse {
namespace {

constexpr std::size_t kEntryBytes = 3 * 8;

template <class Entries>
auto find_client(Entries& entries, ClientId client) {
  return std::lower_bound(entries.begin(), entries.end(), client,
                          [](const auto& entry, ClientId id) { return entry.client < id; });
}

}  // namespace

ClientTable::Verdict ClientTable::deliver(ClientId client, std::uint64_t sequence) {
  if (client.raw == 0) return Verdict::kApply;
  const std::uint64_t number = ++deliveries_;
  auto found = find_client(entries_, client);
  if (found != entries_.end() && found->client == client) {
    found->last_delivery = number;
    if (sequence <= found->sequence && !planted(Fault::kClientAppliedTwice)) return Verdict::kRepeated;
    found->sequence = sequence;
    return Verdict::kApply;
  }
  if (entries_.size() == kClientsMax) {
    forget_the_oldest();
    found = find_client(entries_, client);
  }
  entries_.insert(found, {client, sequence, number});
  return Verdict::kApply;
}

bool ClientTable::has_applied(ClientId client, std::uint64_t sequence) const {
  const auto found = find_client(entries_, client);
  return found != entries_.end() && found->client == client && sequence <= found->sequence;
}

void ClientTable::clear() {
  entries_.clear();
  deliveries_ = 0;
}

void ClientTable::forget_the_oldest() {
  entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.last_delivery < b.last_delivery;
  }));
}

void ClientTable::encode(Bytes& out) const {
  ByteWriter writer(out);
  writer.put(deliveries_);
  writer.put(static_cast<std::uint32_t>(entries_.size()));
  for (const Entry& entry : entries_) {
    writer.put(entry.client);
    writer.put(entry.sequence);
    writer.put(entry.last_delivery);
  }
}

Result<void> ClientTable::decode(ByteReader& reader) {
  clear();
  const auto deliveries = reader.get<std::uint64_t>();
  const std::uint32_t count = reader.get_count(kEntryBytes);
  if (!reader.ok()) return Error::kTruncated;
  if (count > kClientsMax) return Error::kTooLarge;
  for (std::uint32_t i = 0; i < count; ++i) {
    Entry entry;
    entry.client = reader.get<ClientId>();
    entry.sequence = reader.get<std::uint64_t>();
    entry.last_delivery = reader.get<std::uint64_t>();
    const ClientId before = entries_.empty() ? ClientId{0} : entries_.back().client;
    if (entry.client <= before || entry.last_delivery > deliveries) return Error::kMalformed;
    entries_.push_back(entry);
  }
  deliveries_ = deliveries;
  return {};
}

}  // namespace rse
