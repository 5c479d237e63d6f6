#include "transport/secure/ticket.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "torus/base/bytes.h"
#include "torus/braid/view.h"

namespace rse {
namespace {

constexpr char kPrefix[] = "rse1_";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kChecksumBytes = 4;
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

template <std::size_t kSize>
void put(ByteWriter& writer, const std::array<std::uint8_t, kSize>& bytes) {
  writer.put_bytes(std::as_bytes(std::span(bytes)));
}

template <std::size_t kSize>
void get(ByteReader& reader, std::array<std::uint8_t, kSize>& bytes) {
  const auto from = reader.get_bytes(kSize);
  if (reader.ok()) std::memcpy(bytes.data(), from.data(), kSize);
}

}  // namespace

std::string ticket_text(const Ticket& ticket) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(kVersion);
  writer.put(ticket.cluster);
  put(writer, ticket.cluster_key.bytes);
  writer.put(ticket.id);
  put(writer, ticket.secret.bytes);
  writer.put(ticket.expires);
  writer.put(static_cast<std::uint8_t>(ticket.addresses.size()));
  for (const std::string& address : ticket.addresses) {
    writer.put(static_cast<std::uint8_t>(address.size()));
    writer.put_bytes(std::as_bytes(std::span(address)));
  }
  const Digest256 digest = digest_of(bytes);
  writer.put_bytes(std::as_bytes(std::span(digest.bytes)).first(kChecksumBytes));
  std::string text(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), kVariant);
  text.resize(std::strlen(text.c_str()));
  sodium_memzero(bytes.data(), bytes.size());
  return kPrefix + text;
}

std::optional<Ticket> read_ticket(const std::string& given, std::string& why) {
  std::string text = given;
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; });  // of a terminal or a letter that wrapped it
  constexpr std::size_t kPrefixSize = sizeof kPrefix - 1;
  if (!text.starts_with(kPrefix) || text.size() > kTicketTextMax) {
    why = std::string("this is no ticket: a ticket begins with \"") + kPrefix + "\"; copy what `rse ticket create` printed";
    return {};
  }
  Bytes bytes(text.size());
  std::size_t size = 0;
  const char* end = nullptr;
  const bool decoded = sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(),
                                         text.data() + kPrefixSize, text.size() - kPrefixSize, nullptr, &size, &end,
                                         kVariant) == 0 &&
                       end == text.data() + text.size();
  bytes.resize(size);
  if (decoded && size > kChecksumBytes) {
    const std::span body = std::span(bytes).first(size - kChecksumBytes);
    const Digest256 digest = digest_of(body);
    if (std::memcmp(digest.bytes.data(), bytes.data() + body.size(), kChecksumBytes) == 0) {
      ByteReader reader(body);
      Ticket ticket;
      const auto version = reader.get<std::uint8_t>();
      ticket.cluster = reader.get<ClusterId>();
      get(reader, ticket.cluster_key.bytes);
      ticket.id = reader.get<std::uint64_t>();
      get(reader, ticket.secret.bytes);
      ticket.expires = reader.get<std::uint64_t>();
      const auto count = reader.get<std::uint8_t>();
      if (count > kAddressesMax) reader.fail();
      for (unsigned i = 0; reader.ok() && i < count; ++i) {
        const auto address = reader.get_bytes(reader.get<std::uint8_t>());
        ticket.addresses.emplace_back(reinterpret_cast<const char*>(address.data()), address.size());
      }
      sodium_memzero(bytes.data(), bytes.size());
      if (reader.finished() && version == kVersion && ticket.id != 0) return ticket;
      why = "this ticket is of another version of rse-node; install the same version on both machines";
      return {};
    }
  }
  sodium_memzero(bytes.data(), bytes.size());
  why = "this ticket is damaged: its checksum does not fit; copy all of what `rse ticket create` printed";
  return {};
}

Digest256 digest_of_secret(const TicketSecret& secret) { return digest_of(std::as_bytes(std::span(secret.bytes))); }

TicketSecret random_ticket_secret() {
  const SecretKey random = random_secret();
  TicketSecret secret;
  std::memcpy(secret.bytes.data(), random.bytes.data(), secret.bytes.size());
  return secret;
}

bool same_digest(const Digest256& a, const Digest256& b) { return sodium_memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0; }

}  // namespace rse
