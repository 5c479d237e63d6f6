// What two nodes that have just met decide from each other's Hello, and the sentences for people when they part again.
// The same for every transport.
//
// Two nodes may have several connections: both dial, or one has several addresses. They have to use the same one, and a
// rule that each applies by itself (say, "the one that the smaller node opened") fails when one side has seen a close
// that the other has not. So one side decides: the node with the smaller id grants. The other claims (says which grant
// it uses), and follows the grant with the highest number.
//
//   both: Hello ->     larger id: LinkClaim ->     smaller id: <- LinkGrant     larger id: empty frame (has taken it) ->
//
// Threads, I/O: none. Memory: the strings.
#pragma once

#include <cstdint>
#include <string>

#include "transport/transport.h"

namespace rse {

inline constexpr std::size_t kRefusalBytesMax = 512;

struct LinkClaim {
  std::uint64_t link = 0;  // number of the grant in use; 0: none
};
struct LinkGrant {
  std::uint64_t link = 0;  // 0: refused
  std::string refusal;     // empty and link == 0: another connection is in use
};

enum class HelloVerdict : std::uint8_t {
  kWelcome,
  kOurselves,  // we have dialled ourselves
  kRefused,
};
/// `address` is what was dialled, or where the other dialled from. `why` is set when it is kRefused.
HelloVerdict judge_hello(const Hello& own, const Hello& peer, const std::string& address, std::string& why);

/// What the granting side knows of its present link with the peer.
struct LinkInUse {
  std::uint64_t number = 0;       // of its grant; 0: there is none
  std::uint64_t incarnation = 0;  // of the peer at the other end of it
  bool taken = false;             // the peer has sent something on it since it was granted
};
enum class ClaimVerdict : std::uint8_t {
  kGrant,      // no link yet
  kReplace,    // the peer has lost the present link and we have not noticed yet: grant, close the old one, tell nobody
  kNewLife,    // the peer is a later life: the old link is down for good
  kDuplicate,  // refuse: the present link is fine
  kOldLife,    // refuse: a later life of the peer has been here
};
/// `incarnation` is that of the claiming peer, `newest` the highest ever seen of it.
ClaimVerdict judge_claim(const LinkInUse& link, std::uint64_t newest, std::uint64_t incarnation, const LinkClaim& claim);

/// A refusal as the node at `address` gave it, fit for a terminal: "10.0.0.7:7400 answers: ...". Empty: it gave none.
std::string told_text(const std::string& address, const std::string& refusal);
inline constexpr const char* kAnswers = " answers: ";
/// A dial came to nothing: the machine refused, or nothing was heard of it.
std::string nothing_listens_text(const std::string& address);
std::string no_answer_text(const std::string& address);
std::string old_life_text(const Hello& peer, const std::string& address, std::uint64_t newest);
/// "0123456789abcdef".
std::string hex_id(std::uint64_t id);

}  // namespace rse
