// For tests: any message, filled from a seed, and the bytes of all its fields for comparing two. Both walk the structs
// themselves, so that a field added to messages.h is tested without anyone thinking of it.
#pragma once

#include <iterator>
#include <string>
#include <type_traits>

#include "torus/base/random.h"
#include "torus/braid/messages.h"

namespace rse::testing {

/// Stands for any value, to count the fields of an aggregate.
struct AnyField {
  template <class T>
  operator T() const;  // NOLINT
};

template <class T, class... Fields>
constexpr std::size_t field_count() {
  static_assert(sizeof...(Fields) <= 16, "visit_fields() knows no larger struct");
  if constexpr (requires { T{Fields{}..., AnyField{}}; }) {
    return field_count<T, Fields..., AnyField>();
  } else {
    return sizeof...(Fields);
  }
}

/// Calls `visit` for each field of the aggregate, in order of declaration.
template <class T, class Visit>
void visit_fields(T& object, Visit visit) {
  constexpr std::size_t kCount = field_count<std::remove_const_t<T>>();
  const auto each = [&](auto&... fields) { (visit(fields), ...); };
#define RSE_FIELDS(count, ...)              \
  if constexpr (kCount == count) {          \
    auto& [__VA_ARGS__] = object;           \
    each(__VA_ARGS__);                      \
  }
  RSE_FIELDS(1, a)
  RSE_FIELDS(2, a, b)
  RSE_FIELDS(3, a, b, c)
  RSE_FIELDS(4, a, b, c, d)
  RSE_FIELDS(5, a, b, c, d, e)
  RSE_FIELDS(6, a, b, c, d, e, f)
  RSE_FIELDS(7, a, b, c, d, e, f, g)
  RSE_FIELDS(8, a, b, c, d, e, f, g, h)
  RSE_FIELDS(9, a, b, c, d, e, f, g, h, i)
  RSE_FIELDS(10, a, b, c, d, e, f, g, h, i, j)
  RSE_FIELDS(11, a, b, c, d, e, f, g, h, i, j, k)
  RSE_FIELDS(12, a, b, c, d, e, f, g, h, i, j, k, l)
  RSE_FIELDS(13, a, b, c, d, e, f, g, h, i, j, k, l, m)
  RSE_FIELDS(14, a, b, c, d, e, f, g, h, i, j, k, l, m, n)
  RSE_FIELDS(15, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o)
  RSE_FIELDS(16, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
#undef RSE_FIELDS
}

template <class T>
concept Listed = requires(T list) { list.begin(); list.size(); };
template <class T>
concept Growing = Listed<T> && requires(T list) { list.resize(1); };

/// Bytes of all fields, with the sizes of lists: equal exactly when the objects are.
template <class T>
void dump(const T& value, Bytes& out) {
  if constexpr (std::is_integral_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::byte>) {
    const auto* data = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), data, data + sizeof value);
  } else if constexpr (std::is_same_v<T, SharedBytes>) {
    dump(value.bytes, out);
  } else if constexpr (Listed<T>) {
    dump(value.size(), out);
    for (const auto& element : value) dump(element, out);
  } else {
    visit_fields(value, [&out](const auto& field) { dump(field, out); });
  }
}

inline Bytes dump(const Envelope& envelope) {
  Bytes out;
  dump(envelope.origin, out);
  dump(envelope.origin_incarnation, out);
  dump(envelope.destination, out);
  dump(envelope.message.index(), out);
  std::visit([&out](const auto& message) { dump(message, out); }, envelope.message);
  return out;
}

/// Fills objects with values that the codec must accept. Numbers are often 0, small or the largest.
class Filler {
 public:
  explicit Filler(std::uint64_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t bound) { return random_.below(bound); }

  template <class T>
  void fill(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      value = below(2) == 1;
    } else if constexpr (std::is_same_v<T, std::uint8_t>) {
      value = static_cast<T>(below(4));  // Halves
    } else if constexpr (std::is_same_v<T, Role>) {
      value = static_cast<T>(below(2));
    } else if constexpr (std::is_same_v<T, Injection::Kind>) {
      value = static_cast<T>(below(2));
    } else if constexpr (std::is_same_v<T, TrustChange::Kind>) {
      value = static_cast<T>(1 + below(3));
    } else if constexpr (std::is_same_v<T, InjectStatus>) {
      value = static_cast<T>(below(5));
    } else if constexpr (std::is_same_v<T, std::byte>) {
      value = static_cast<std::byte>(below(256));
    } else if constexpr (std::is_same_v<T, TorusId>) {
      value = {static_cast<std::uint8_t>(below(kTorusCount))};
    } else if constexpr (std::is_same_v<T, CellId>) {
      value = {below(kTorusCount * kCellCount)};
    } else if constexpr (std::is_same_v<T, SharedBytes>) {
      Bytes bytes(below(400));
      for (std::byte& byte : bytes) fill(byte);
      value = SharedBytes(bytes).kept();
    } else if constexpr (std::is_same_v<T, std::vector<Digest256>>) {
      value.resize(below(2) == 0 ? 0 : 129);
      for (Digest256& digest : value) fill(digest);
    } else if constexpr (std::is_same_v<T, std::string>) {
      for (auto count = below(6); count > 0; --count) value += kCharacters[below(std::size(kCharacters))];
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(number());
    } else if constexpr (Listed<T>) {
      if constexpr (Growing<T>) value.resize(below(6));
      for (auto& element : value) fill(element);
    } else {
      visit_fields(value, [this](auto& field) { this->fill(field); });
      constrain(value);
    }
  }

 private:
  static constexpr const char* kCharacters[] = {" ", "a", "~", "\xC2\xA0", "\xE2\x86\x92", "\xF4\x8F\xBF\xBF"};  // of each length, also the first and the last

  std::uint64_t number() {
    switch (below(4)) {
      case 0: return 0;
      case 1: return below(300);
      case 2: return ~0ull;
      default: return random_.next();
    }
  }
  template <class T>
  void constrain(T&) {}
  void constrain(Heartbeat& beat) {
    beat.ready = static_cast<std::uint8_t>(below(8));
    beat.settled = static_cast<std::uint8_t>(below(8));
    beat.rest_milliseconds = below(kRestMillisecondsMax + 1);
  }
  void constrain(RegionPiece& piece) {
    piece.index = static_cast<std::uint8_t>(below(129));
    const auto size = static_cast<std::uint32_t>(piece.bytes.bytes.size());
    piece.offset = below(2) == 0 ? 0 : below(kRegionBytesMax - 1000);
    piece.total = piece.offset + size + (below(2) == 0 ? 0 : below(500));
  }
  void constrain(Packet& packet) {
    packet.epoch.raw >>= 1;
    packet.next_epoch = packet.epoch + 1 + below(3);
    packet.projection.run = packet.run;
    packet.projection.torus = packet.torus;
    packet.projection.epoch = packet.epoch;
    send(packet.batch_to_next, packet.torus, next_torus(packet.torus));
    send(packet.batch_to_previous, packet.torus, previous_torus(packet.torus));
  }
  void send(std::vector<Event>& batch, TorusId from, TorusId to) {
    for (Event& event : batch) {
      event.src = {from.raw * kCellCount + index_of(event.src)};
      event.dst = {to.raw * kCellCount + index_of(event.dst)};
    }
  }
  void constrain(Promise& promise) {
    if (promise.accepted_ballot == 0) promise.accepted.clear();
    if (promise.accepted.empty()) promise.accepted_ballot = 0;
  }
  void constrain(TicketRecord& ticket) {
    ticket.uses = below(kTicketUsesMax + 1);
    ticket.uses_left = below(ticket.uses + 1);
  }
  void constrain(InjectRequest& request) {
    request.injection.dst = {request.torus.raw * kCellCount + index_of(request.injection.dst)};
  }
  void constrain(ScenarioPart& part) {
    part.offset = below(1u << 20);
    part.total_bytes = part.offset + static_cast<std::uint32_t>(part.bytes.size()) + below(100);
  }

  Random random_;
};

template <std::size_t kIndex = 0>
void emplace_kind(std::size_t kind, Message& message) {
  if constexpr (kIndex < std::variant_size_v<Message>) {
    if (kind == kIndex) {
      message.emplace<kIndex>();
    } else {
      emplace_kind<kIndex + 1>(kind, message);
    }
  }
}

/// A message of the `kind`-th alternative of rse::Message.
inline Envelope random_envelope(std::size_t kind, std::uint64_t seed) {
  Filler filler(seed);
  Envelope envelope;
  filler.fill(envelope.origin);
  filler.fill(envelope.origin_incarnation);
  filler.fill(envelope.destination);
  emplace_kind(kind, envelope.message);
  std::visit([&filler](auto& message) { filler.fill(message); }, envelope.message);
  return envelope;
}

}  // namespace rse::testing
