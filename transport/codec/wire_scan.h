// A look at protobuf bytes before they are parsed: two bytes can make libprotobuf allocate an object of a hundred, so
// what would be allocated is counted first.
// Threads: any. Memory: none. Errors: false.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <google/protobuf/descriptor.h>

namespace rse {

/// Objects in one message: enough for each legal one, and at most about 64 MiB of them. The largest legal message is
/// a GatherDone with kSealedEpochsMax seals and the injections that fit in kMessageBytesMax.
inline constexpr std::size_t kWireObjectsMax = 1u << 19;

/// Whether `bytes` are well-formed fields of `type` that would make at most `objects` objects (messages, strings,
/// unknown fields); `objects` goes down by what was seen. Groups, which we never send, are refused.
bool scan_wire(std::span<const std::byte> bytes, const google::protobuf::Descriptor& type,
               std::size_t& objects);

}  // namespace rse
