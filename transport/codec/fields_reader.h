// Structs from protobuf bytes by the descriptions in message_fields.h. Every byte may be hostile: each list, text and number has
// its bound there, and all objects of one message together have kWireObjectsMax.
// A description is gone through as often as the fields that are there are out of the order of their numbers (once, when this
// code has written them), then once more to check what has to be there.
// Threads: any. Memory: what the result holds; no list gets more room than its bytes justify. Errors: the first is latched.
// Unknown fields, and known ones of another wire type, are ignored: they are of another version.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>

#include "torus/base/sentence.h"
#include "transport/codec/wire_writer.h"

namespace rse {

/// Objects (messages and texts) in one envelope: enough for each legal one, and at most some 64 MiB of them.
inline constexpr std::size_t kWireObjectsMax = 1u << 19;

struct ReadState {
  std::size_t objects = kWireObjectsMax;
  Error error{};
  bool failed = false;
};

class FieldsReader {
 public:
  static constexpr bool kReads = true;

  /// False: `state` says why.
  template <class M>
  static bool read(std::span<const std::byte> bytes, M& out, ReadState& state) {
    FieldsReader reader(bytes, state);
    for (reader.next(); reader.there_;) {
      reader.took_some_ = false;
      fields(reader, out);
      if (reader.taken_ || !reader.took_some_) reader.next();  // the last one; or one that is unknown
    }
    reader.at_end_ = true;
    if (!state.failed) fields(reader, out);
    return !state.failed;
  }

  template <class T>
  void varint(std::uint32_t number, T& value, std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    if (!is(number, WireType::kVarint)) return;
    if constexpr (std::is_same_v<T, bool>) {
      value = field_.value != 0;
    } else {
      check_now(field_.value <= std::min<std::uint64_t>(most, most_of<T>()), Error::kMalformed);
      set(value, field_.value);
    }
  }
  template <class T>
  void always_varint(std::uint32_t number, T& value) {
    varint(number, value);
  }
  void torus(std::uint32_t number, TorusId& value) {
    if (is(number, WireType::kVarint)) value = take_torus(field_.value);
  }
  void optional_torus(std::uint32_t number, std::optional<TorusId>& value) {
    if (is(number, WireType::kVarint)) value = take_torus(field_.value);
  }
  void always_torus32(std::uint32_t number, TorusId& value) {
    if (is(number, WireType::kFixed32)) value = take_torus(take<std::uint32_t>());
  }
  template <class T>
  void fixed64(std::uint32_t number, T& value) {
    if (is(number, WireType::kFixed64)) set(value, take<std::uint64_t>());
  }
  template <class T>
  void fixed32(std::uint32_t number, T& value) {
    if (is(number, WireType::kFixed32)) set(value, take<std::uint32_t>());
  }
  template <class T>
  void always_fixed64(std::uint32_t number, T& value) {
    fixed64(number, value);
  }
  template <class T>
  void always_fixed32(std::uint32_t number, T& value) {
    fixed32(number, value);
  }
  void constant32(std::uint32_t number, std::uint32_t value) {
    if (missing(number)) return;
    if (is(number, WireType::kFixed32)) check_now(take<std::uint32_t>() == value, Error::kMalformed);
  }

  template <class Text>
  void text(std::uint32_t number, Text& value, std::size_t size_max) {
    if (is(number, WireType::kSized)) take_text(value, size_max);
  }
  /// For people (torus/base/sentence.h).
  void sentence(std::uint32_t number, std::string& value, std::size_t size_max) {
    if (is(number, WireType::kSized)) take_sentence(value, size_max);
  }
  void sentences(std::uint32_t number, std::vector<std::string>& values, std::size_t count_max, std::size_t size_max) {
    while (is(number, WireType::kSized)) {
      check_now(values.size() < count_max, Error::kTooLarge);
      if (!state_.failed) take_sentence(values.emplace_back(), size_max);
    }
  }
  void digest(std::uint32_t number, Digest256& value) {
    if (missing(number) || !is(number, WireType::kSized)) return;
    take_exactly(value.bytes);
  }
  /// 32 bytes, or none.
  template <class Key>
  void key(std::uint32_t number, Key& value) {
    if (is(number, WireType::kSized) && !field_.bytes.empty()) take_exactly(value.bytes);
  }
  void digests(std::uint32_t number, std::vector<Digest256>& values) {
    if (!is(number, WireType::kSized) || field_.bytes.empty()) return;
    check_now(field_.bytes.size() == kRegionCount * sizeof(Digest256), Error::kMalformed);
    if (state_.failed) return;
    values.resize(kRegionCount);
    std::memcpy(values.data(), field_.bytes.data(), field_.bytes.size());
  }
  template <class T, class Encode, class Decode>
  void coded(std::uint32_t number, T& value, const Encode&, const Decode& decode) {
    if (missing(number) || !is(number, WireType::kSized)) return;
    if (auto decoded = decode(field_.bytes)) {
      value = std::move(*decoded);
    } else {
      fail(Error::kMalformed);
    }
  }

  template <class T>
  void list(std::uint32_t number, std::vector<T>& values, std::size_t count_max) {
    if (!is(number, WireType::kSized)) return;
    const std::size_t count = field_.bytes.size() / sizeof(T);
    check_now(field_.bytes.size() % sizeof(T) == 0, Error::kMalformed);
    check_now(count <= count_max - std::min(values.size(), count_max), Error::kTooLarge);
    if (state_.failed || count == 0) return;
    values.resize(values.size() + count);
    std::memcpy(values.data() + values.size() - count, field_.bytes.data(), field_.bytes.size());
  }
  template <class T, std::size_t kCount>
  void array(std::uint32_t number, std::array<T, kCount>& values) {
    if (missing(number) || !is(number, WireType::kSized)) return;
    check_now(field_.bytes.size() == sizeof values, Error::kMalformed);
    if (!state_.failed) std::memcpy(values.data(), field_.bytes.data(), sizeof values);
  }
  /// The first column that is there says how many events there are.
  template <class Number, class Get>
  void column(std::uint32_t number, std::vector<Event>& events, const Get& get) {
    if (at_end_) return check(events.empty() || (seen_ >> number & 1) != 0, Error::kMalformed);
    if (!is(number, WireType::kSized) || field_.bytes.empty()) return;
    const std::size_t count = field_.bytes.size() / sizeof(Number);
    check_now(field_.bytes.size() % sizeof(Number) == 0, Error::kMalformed);
    check_now(count <= kBatchEventsMax, Error::kTooLarge);
    check_now(events.empty() || events.size() == count, Error::kMalformed);
    if (state_.failed) return;
    events.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      Number value;
      std::memcpy(&value, field_.bytes.data() + i * sizeof value, sizeof value);
      set(get(events[i]), static_cast<std::uint64_t>(static_cast<std::make_unsigned_t<Number>>(value)));
    }
  }

  template <class M>
  void message(std::uint32_t number, M& value) {
    if (!missing(number) && is(number, WireType::kSized) && count_object()) read(field_.bytes, value, state_);
  }
  template <class M>
  void messages(std::uint32_t number, std::vector<M>& values, std::size_t count_max) {
    while (is(number, WireType::kSized)) {
      check_now(values.size() < count_max, Error::kTooLarge);
      if (!state_.failed && count_object()) read(field_.bytes, values.emplace_back(), state_);
    }
  }
  template <class... M>
  void oneof(std::uint32_t first, std::variant<M...>& value) {
    static_assert(sizeof...(M) < 54);
    if (at_end_) return check(seen_ >> first != 0, Error::kMalformed);
    std::uint32_t number = first;
    static_cast<void>(((is(number++, WireType::kSized) && (read(field_.bytes, value.template emplace<M>(), state_), true)) || ...));
  }
  void region_bytes(std::uint32_t number, SharedBytes& value) {
    if (is(number, WireType::kSized)) value = SharedBytes(field_.bytes);
  }
  /// All fields have been read: the time for checks that take time.
  bool finishing() const { return at_end_; }
  /// Of the whole message.
  void check(bool condition, Error error) {
    if (at_end_ && !condition) fail(error);
  }

 private:
  FieldsReader(std::span<const std::byte> bytes, ReadState& state) : wire_(bytes), state_(state) {}

  [[gnu::noinline]] void next() {
    taken_ = false;
    there_ = !state_.failed && !wire_.at_end();
    if (!there_ || wire_.field(field_)) return;
    there_ = false;
    fail(Error::kMalformed);
  }

  template <class T>
  static constexpr std::uint64_t most_of() {
    if constexpr (requires(T value) { value.raw; }) {
      return std::numeric_limits<decltype(T::raw)>::max();
    } else if constexpr (std::is_enum_v<T>) {
      return std::numeric_limits<std::underlying_type_t<T>>::max();
    } else {
      return std::numeric_limits<T>::max();
    }
  }
  template <class T>
  static void set(T& to, std::uint64_t raw) {
    if constexpr (requires { to.raw; }) {
      to.raw = static_cast<decltype(to.raw)>(raw);
    } else {
      to = static_cast<T>(raw);
    }
  }
  /// The field that comes next is that one: it is taken, and remains in `field_` until the next question.
  [[gnu::always_inline]] bool is(std::uint32_t number, WireType type) {
    if (taken_) next();
    if (!there_ || field_.number != number || field_.type != type) return false;
    seen_ |= std::uint64_t{1} << number;
    return taken_ = took_some_ = true;
  }
  /// At the end: a field that has to be there and is not.
  bool missing(std::uint32_t number) {
    check((seen_ >> number & 1) != 0, Error::kMalformed);
    return at_end_;
  }
  void check_now(bool condition, Error error) {
    if (!condition) fail(error);
  }
  void fail(Error error) {
    if (!state_.failed) state_.error = error;
    state_.failed = true;
    there_ = false;
  }
  bool count_object() {
    check_now(state_.objects > 0, Error::kTooLarge);
    if (!state_.failed) --state_.objects;
    return !state_.failed;
  }
  template <class Number>
  Number take() const {
    Number value;
    std::memcpy(&value, field_.bytes.data(), sizeof value);
    return value;
  }
  TorusId take_torus(std::uint64_t raw) {
    check_now(raw < kTorusCount, Error::kWrongTorus);
    return {static_cast<std::uint8_t>(raw)};
  }
  template <class Text>
  void take_text(Text& value, std::size_t size_max) {
    check_now(field_.bytes.size() <= size_max, Error::kTooLarge);
    if (!count_object()) return;
    const auto* data = reinterpret_cast<const typename Text::value_type*>(field_.bytes.data());
    value.assign(data, data + field_.bytes.size());
  }
  void take_sentence(std::string& value, std::size_t size_max) {
    take_text(value, size_max);
    check_now(is_sentence(value), Error::kMalformed);
  }
  template <class Array>
  void take_exactly(Array& value) {
    check_now(field_.bytes.size() == value.size(), Error::kMalformed);
    if (!state_.failed) std::memcpy(value.data(), field_.bytes.data(), value.size());
  }

  WireReader wire_;
  ReadState& state_;
  WireField field_;
  std::uint64_t seen_ = 0;
  bool there_ = false;      // `field_` holds a field
  bool taken_ = false;      // which has been taken
  bool took_some_ = false;  // in this pass
  bool at_end_ = false;
};

}  // namespace rse
