// A ticket lets a new node join a cluster: whom to dial, the cluster's public key to pin, and a secret that counts as often as
// the cluster has agreed. Text: "rse1_" and base64url (RFC 4648, section 5) with a checksum; spec: transport/secure/secure.md.
// Size: at most kTicketTextMax characters. Threads: none. Errors: sentences. The text is a secret: it is never logged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "torus/base/digest.h"
#include "torus/braid/trust.h"
#include "transport/secure/keys.h"

namespace rse {

inline constexpr std::size_t kTicketTextMax = 4096;
using TicketSecret = SecretBytes<16>;

struct Ticket {
  ClusterId cluster;
  PublicKey cluster_key;
  std::uint64_t id = 0;
  TicketSecret secret;
  std::uint64_t expires = 0;           // seconds since 1970, UTC
  std::vector<std::string> addresses;  // at most kAddressesMax
};

std::string ticket_text(const Ticket& ticket);
/// Blanks and ends of lines in it do not count. nullopt: `why` says what is wrong with the text, without repeating it.
std::optional<Ticket> read_ticket(const std::string& text, std::string& why);

/// What the cluster keeps of a secret.
Digest256 digest_of_secret(const TicketSecret& secret);
TicketSecret random_ticket_secret();
/// Compares in constant time.
bool same_digest(const Digest256& a, const Digest256& b);

}  // namespace rse
