// Protobuf bytes from the descriptions in message_fields.h.
// Threads: any. Memory: the sink's. Errors: none; what exceeds its bounds is refused by whoever reads it.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "torus/base/bytes.h"
#include "torus/base/shared_bytes.h"
#include "torus/braid/messages.h"
#include "transport/codec/wire_reader.h"

namespace rse {

static_assert(std::endian::native == std::endian::little, "fixed-width numbers are copied as they lie in memory");

/// The number in an id, an enum, a bool or a number.
template <class T>
constexpr std::uint64_t raw_of(const T& value) {
  if constexpr (requires { value.raw; }) {
    return static_cast<std::uint64_t>(value.raw);
  } else {
    return static_cast<std::uint64_t>(value);
  }
}

constexpr std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

/// Counts what would be written; what is shared apart.
struct CountingSink {
  std::size_t own = 0;
  std::size_t shared = 0;
  void put(const void*, std::size_t count) { own += count; }
  void varint(std::uint64_t value) { own += varint_size(value); }
  void share(const SharedBytes& bytes) { (bytes.owner ? shared : own) += bytes.bytes.size(); }
  void add(const CountingSink& other) {
    own += other.own;
    shared += other.shared;
  }
  std::size_t size() const { return own + shared; }
};

/// Everything in one piece, appended. Numbers are put together in a small place first: `out` grows by few large steps.
class BytesSink {
 public:
  explicit BytesSink(Bytes& out) : out_(out) {}
  ~BytesSink() { flush(); }
  BytesSink(const BytesSink&) = delete;
  BytesSink& operator=(const BytesSink&) = delete;

  // Inlined, a number's width and its tag are known: a store each.
  [[gnu::always_inline]] void put(const void* from, std::size_t count) {
    if (count > kLargeBytes) return put_large(static_cast<const std::byte*>(from), count);
    if (count > small_.size() - used_) flush();
    std::memcpy(small_.data() + used_, from, count);
    used_ += count;
  }
  [[gnu::always_inline]] void varint(std::uint64_t value) {
    if (value >= 0x80 || used_ == small_.size()) return put_varint(value);
    small_[used_++] = static_cast<std::byte>(value);
  }
  void share(const SharedBytes& bytes) { put(bytes.bytes.data(), bytes.bytes.size()); }
  void flush() {
    if (used_ != 0) append(small_.data(), std::exchange(used_, 0));
  }

 private:
  static constexpr std::size_t kLargeBytes = 32;
  static constexpr std::size_t kVarintBytesMax = 10;
  [[gnu::noinline]] void put_large(const std::byte* from, std::size_t count) {
    flush();
    append(from, count);
  }
  [[gnu::noinline]] void put_varint(std::uint64_t value) {
    if (kVarintBytesMax > small_.size() - used_) flush();
    for (; value >= 0x80; value >>= 7) small_[used_++] = static_cast<std::byte>(value | 0x80);
    small_[used_++] = static_cast<std::byte>(value);
  }
  void append(const std::byte* from, std::size_t count) { out_.insert(out_.end(), from, from + count); }

  Bytes& out_;
  std::size_t used_ = 0;
  std::array<std::byte, 256> small_;  // no initial values: what is used is written first
};

/// Bytes that have an owner are handed on as they lie, between the parts that are written here.
class PartsSink {
 public:
  /// `own_bytes`: how many are written here, as CountingSink has it.
  explicit PartsSink(std::size_t own_bytes) { front_.reserve(own_bytes); }
  [[gnu::always_inline]] void put(const void* from, std::size_t count) { writer_.put(from, count); }
  [[gnu::always_inline]] void varint(std::uint64_t value) { writer_.varint(value); }
  void share(const SharedBytes& bytes) {
    if (!bytes.owner) return put(bytes.bytes.data(), bytes.bytes.size());
    flush();
    parts_.push_back(bytes);
  }
  std::vector<SharedBytes> take() {
    flush();
    return std::move(parts_);
  }

 private:
  void flush() {
    writer_.flush();
    if (front_.empty()) return;
    auto own = std::make_shared<const Bytes>(std::exchange(front_, {}));
    parts_.emplace_back(std::span<const std::byte>(*own), own);
  }

  std::vector<SharedBytes> parts_;
  Bytes front_;
  BytesSink writer_{front_};
};

template <class Sink>
class WireWriter {
 public:
  static constexpr bool kReads = false;
  explicit WireWriter(Sink& sink) : sink_(sink) {}

  // Numbers that are 0 are left out, as proto3 has it; always_*() are for `optional` ones.
  template <class T>
  void varint(std::uint32_t number, const T& value, std::uint64_t = 0) {
    if (raw_of(value) != 0) always_varint(number, value);
  }
  template <class T>
  void always_varint(std::uint32_t number, const T& value, std::uint64_t = 0) {
    tag(number, WireType::kVarint);
    sink_.varint(raw_of(value));
  }
  void torus(std::uint32_t number, const TorusId& value) { varint(number, value); }
  void optional_torus(std::uint32_t number, const std::optional<TorusId>& value) {
    if (value) always_varint(number, *value);
  }
  template <class T>
  void fixed64(std::uint32_t number, const T& value) {
    if (raw_of(value) != 0) always_fixed64(number, value);
  }
  template <class T>
  void fixed32(std::uint32_t number, const T& value) {
    if (raw_of(value) != 0) always_fixed32(number, value);
  }
  template <class T>
  void always_fixed64(std::uint32_t number, const T& value) {
    tag(number, WireType::kFixed64);
    put_number(raw_of(value));
  }
  template <class T>
  void always_fixed32(std::uint32_t number, const T& value) {
    tag(number, WireType::kFixed32);
    put_number(static_cast<std::uint32_t>(raw_of(value)));
  }
  void always_torus32(std::uint32_t number, const TorusId& value) { always_fixed32(number, value); }
  void constant32(std::uint32_t number, std::uint32_t value) { always_fixed32(number, value); }

  template <class Text>
  void text(std::uint32_t number, const Text& value, std::size_t) {
    if (!value.empty()) sized(number, value.data(), value.size());
  }
  void sentence(std::uint32_t number, const std::string& value, std::size_t size_max) { text(number, value, size_max); }
  void sentences(std::uint32_t number, const std::vector<std::string>& values, std::size_t, std::size_t) {
    for (const std::string& value : values) sized(number, value.data(), value.size());
  }
  void digest(std::uint32_t number, const Digest256& value) { sized(number, value.bytes.data(), value.bytes.size()); }
  template <class Key>
  void key(std::uint32_t number, const Key& value) {
    if (value != Key{}) sized(number, value.bytes.data(), value.bytes.size());
  }
  void digests(std::uint32_t number, const std::vector<Digest256>& values) {
    static_assert(sizeof(Digest256) == sizeof(Digest256::bytes));
    if (!values.empty()) sized(number, values.data(), values.size() * sizeof(Digest256));
  }
  template <class T, class Encode, class Decode>
  void coded(std::uint32_t number, const T& value, const Encode& encode, const Decode&) {
    Bytes bytes;
    encode(value, bytes);
    sized(number, bytes.data(), bytes.size());
  }

  // Packed numbers of fixed width: their own bytes.
  template <class T>
  void list(std::uint32_t number, const std::vector<T>& values, std::size_t) {
    if (!values.empty()) sized(number, values.data(), values.size() * sizeof(T));
  }
  template <class T, std::size_t kCount>
  void array(std::uint32_t number, const std::array<T, kCount>& values) {
    sized(number, values.data(), sizeof values);
  }
  template <class Number, class Get>
  void column(std::uint32_t number, const std::vector<Event>& events, const Get& get) {
    if (events.empty()) return;
    tag(number, WireType::kSized);
    sink_.varint(events.size() * sizeof(Number));
    if constexpr (std::is_same_v<Sink, CountingSink>) {
      sink_.put(nullptr, events.size() * sizeof(Number));
    } else {
      for (const Event& event : events) put_number(static_cast<Number>(raw_of(get(event))));
    }
  }

  template <class M>
  void message(std::uint32_t number, const M& value) {
    CountingSink size;
    WireWriter<CountingSink> counter(size);
    fields(counter, value);
    tag(number, WireType::kSized);
    sink_.varint(size.size());
    if constexpr (std::is_same_v<Sink, CountingSink>) {
      sink_.add(size);
    } else {
      fields(*this, value);
    }
  }
  template <class M>
  void messages(std::uint32_t number, const std::vector<M>& values, std::size_t) {
    for (const M& value : values) message(number, value);
  }
  /// The numbers of a oneof's alternatives follow those of the variant, from `first`.
  template <class... M>
  void oneof(std::uint32_t first, const std::variant<M...>& value) {
    std::visit([&](const auto& alternative) { message(first + static_cast<std::uint32_t>(value.index()), alternative); }, value);
  }
  void region_bytes(std::uint32_t number, const SharedBytes& value) {
    if (value.bytes.empty()) return;
    tag(number, WireType::kSized);
    sink_.varint(value.bytes.size());
    sink_.share(value);
  }
  static constexpr bool finishing() { return false; }
  void check(bool, Error) {}

 private:
  void tag(std::uint32_t number, WireType type) {
    sink_.varint(std::uint64_t{number} << 3 | static_cast<std::uint64_t>(type));
  }
  template <class Number>
  void put_number(Number value) {
    sink_.put(&value, sizeof value);
  }
  void sized(std::uint32_t number, const void* from, std::size_t size) {
    tag(number, WireType::kSized);
    sink_.varint(size);
    sink_.put(from, size);
  }

  Sink& sink_;
};

}  // namespace rse
