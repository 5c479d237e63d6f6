// Result<T>: a value or an Error. Errors are bad input or full pools; bugs are assertions.
// Threads, memory: none beyond T. Reading the value of an error stops the program.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "torus/base/assert.h"

namespace rse {

enum class Error : std::uint8_t {
  kTooLarge,          // a size or count beyond its bound, refused before allocation
  kTruncated,         // the bytes end before the thing does
  kMalformed,         // the bytes are not of this format
  kUnknownVersion,    // a newer or older format than this build reads
  kDigestMismatch,    // the bytes are not what their digest says
  kWrongTorus,        // of another torus than expected
  kWrongSource,       // not from the host that may send it
  kForeignEvent,      // an event whose cell is not where it should be
  kQueueFull,         // the pool of pending events is full
  kEdgesFull,         // the pool of edges is full
  kProcessesFull,     // the pool of processes is full
  kOutboxFull,        // too many events to other tori in one epoch
  kUnknownProgram,    // no program of that name is registered
  kBadArguments,      // the program refused its arguments
  kBadDelay,          // a delay outside 1..2^32-1
  kTimeOverflow,      // a time beyond 2^64-1
  kNotAtBoundary,     // the torus is inside an epoch
  kNotFound,
};

/// A short noun phrase for messages to people, e.g. "queue full".
const char* to_string(Error error);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit by design
  Result(Error error) : error_(error) {}         // NOLINT
  explicit operator bool() const { return value_.has_value(); }
  bool ok() const { return value_.has_value(); }
  T& operator*() {
    RSE_ASSERT(value_.has_value(), "value of an error");
    return *value_;
  }
  const T& operator*() const {
    RSE_ASSERT(value_.has_value(), "value of an error");
    return *value_;
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  Error error() const {
    RSE_ASSERT(!value_.has_value(), "error of a value");
    return error_;
  }

 private:
  std::optional<T> value_;
  Error error_{};
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error), failed_(true) {}  // NOLINT
  explicit operator bool() const { return !failed_; }
  bool ok() const { return !failed_; }
  Error error() const {
    RSE_ASSERT(failed_, "error of a value");
    return error_;
  }

 private:
  Error error_{};
  bool failed_ = false;
};

#define RSE_CONCAT_(a, b) a##b
#define RSE_CONCAT(a, b) RSE_CONCAT_(a, b)
/// RSE_TRY(Type name, expression): declares `name` from the value, or returns the error.
#define RSE_TRY(declaration, expression)                              \
  auto RSE_CONCAT(try_, __LINE__) = (expression);                     \
  if (!RSE_CONCAT(try_, __LINE__)) return RSE_CONCAT(try_, __LINE__).error(); \
  declaration = std::move(*RSE_CONCAT(try_, __LINE__))
/// RSE_CHECK(expression): returns the error of a Result<void>, if any.
#define RSE_CHECK(expression) \
  if (auto checked = (expression); !checked) return checked.error()

}  // namespace rse
