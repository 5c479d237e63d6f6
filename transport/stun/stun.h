// What address the rest of the world sees us at: a STUN binding client after RFC 8489, without socket or clock. Without
// credentials: whoever can answer with our random transaction number has seen the question.
// Size: a question has 28 bytes. Threads: none. Memory: small. Errors: a sentence, once it is over.
#pragma once

#include <asio/ip/udp.hpp>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "torus/base/bytes.h"
#include "torus/base/strong.h"

namespace rse {

inline constexpr std::uint16_t kStunPort = 3478;
inline constexpr std::size_t kStunBytesMax = 1500;
using StunTransaction = std::array<std::uint8_t, 12>;

StunTransaction random_stun_transaction();
/// A binding request with a fingerprint.
Bytes stun_request(const StunTransaction& transaction);

struct StunAnswer {
  std::optional<asio::ip::udp::endpoint> mapped{};  // where the server saw the question come from
  unsigned error = 0;                               // 300..699: why there is none
  std::string reason{};                             // for people, by the server; printable
};
/// nullopt: no answer to this question, or malformed. One without any address and error is an answer of no use.
std::optional<StunAnswer> read_stun_answer(std::span<const std::byte> datagram, const StunTransaction& transaction);

//  kAsking --answer--> kAnswered       kAsking --error, no answer within 39.5 s--> kFailed
class StunClient {
 public:
  enum class State : std::uint8_t { kAsking, kAnswered, kFailed };
  explicit StunClient(const StunTransaction& transaction, Instant now) : transaction_(transaction), next_(now) {}
  /// False: it was not for this client.
  bool on_datagram(std::span<const std::byte> datagram);
  std::optional<Bytes> poll_send(Instant now);
  /// When poll_send() has to be called next; nullopt: it is over.
  std::optional<Instant> next_deadline() const;
  State state() const { return state_; }
  /// Of kAnswered.
  const asio::ip::udp::endpoint& mapped() const { return mapped_; }
  /// Of kFailed: "it did not answer", "it answers 420 Unknown Attribute".
  const std::string& why() const { return why_; }

 private:
  StunTransaction transaction_;
  State state_ = State::kAsking;
  unsigned asked_ = 0;
  Instant next_;
  asio::ip::udp::endpoint mapped_;
  std::string why_;
};

}  // namespace rse
