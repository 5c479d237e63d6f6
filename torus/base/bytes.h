// Little-endian byte writing and bounded reading for canonical formats (checkpoints, seals, persisted records).
// Threads: none. Memory: the writer appends to a vector of the caller. Errors: the reader latches the first
// failure and returns zeros after it; check ok() once at the end. Invariant: no read passes the span.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "torus/base/strong.h"

namespace rse {

using Bytes = std::vector<std::byte>;

class ByteWriter {
 public:
  explicit ByteWriter(Bytes& out) : out_(out) {}
  template <std::integral T>
  void put(T value) {
    std::byte bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));  // x86-64 is little-endian; so is the format
    out_.insert(out_.end(), bytes, bytes + sizeof(T));
  }
  template <class Tag, class Rep>
  void put(Strong<Tag, Rep> value) { put(value.raw); }
  void put_bytes(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  /// A u32 count of bytes, then the bytes.
  void put_sized(std::span<const std::byte> bytes) {
    put(static_cast<std::uint32_t>(bytes.size()));
    put_bytes(bytes);
  }

 private:
  Bytes& out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
    requires std::integral<T>
  T get() {
    T value{};
    if (!take(sizeof(T))) return value;
    std::memcpy(&value, bytes_.data() + at_ - sizeof(T), sizeof(T));
    return value;
  }
  template <class S>
    requires requires { typename S::rep; }
  S get() { return S{get<typename S::rep>()}; }
  std::span<const std::byte> get_bytes(std::size_t size) {
    if (!take(size)) return {};
    return bytes_.subspan(at_ - size, size);
  }
  /// Reads what put_sized() wrote; more than `size_max` bytes is a failure.
  std::span<const std::byte> get_sized(std::size_t size_max) {
    const auto size = get<std::uint32_t>();
    if (size > size_max) ok_ = false;
    return ok_ ? get_bytes(size) : std::span<const std::byte>{};
  }
  /// A u32 count of elements of at least `element_bytes_min` bytes each: fails unless they can be there.
  std::uint32_t get_count(std::size_t element_bytes_min) {
    const auto count = get<std::uint32_t>();
    if (!ok_ || std::uint64_t{count} * element_bytes_min > remaining()) ok_ = false;
    return ok_ ? count : 0;
  }
  std::size_t remaining() const { return bytes_.size() - at_; }
  bool ok() const { return ok_; }
  bool finished() const { return ok_ && remaining() == 0; }
  void fail() { ok_ = false; }

 private:
  bool take(std::size_t size) {
    if (!ok_ || size > remaining()) {
      ok_ = false;
      return false;
    }
    at_ += size;
    return true;
  }
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace rse
