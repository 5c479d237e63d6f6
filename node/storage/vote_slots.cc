#include "node/storage/vote_slots.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "node/storage/crc32c.h"
#include "torus/braid/planted_fault.h"

namespace rse {

namespace {
constexpr char kPath[] = "vote";
constexpr std::uint64_t kMagic = 0x0A65746F76455352;  // "RSEvote\n"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 4096;  // a page of its own: writing a slot never touches it
constexpr std::size_t kCopyHeaderBytes = 16;
constexpr std::uint32_t kSlotBytesMin = 8192;
constexpr std::uint32_t kSlotBytesMax = 64u << 20;

void append_header(std::uint32_t slot_bytes, Bytes& out) {
  ByteWriter writer(out);
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(slot_bytes);
  writer.put(crc32c(out));
  out.resize(kHeaderBytes);
}

/// A slot holds the record twice, so that one rotten sector does not take an acknowledged vote with
/// it.
void append_slot(std::uint64_t sequence, std::span<const std::byte> record,
                 std::uint32_t slot_bytes, Bytes& out) {
  for (int copy = 0; copy < 2; ++copy) {
    const std::size_t start = out.size();
    Bytes checked;
    ByteWriter writer(checked);
    writer.put(sequence);
    writer.put(static_cast<std::uint32_t>(record.size()));
    const std::uint32_t crc = crc32c(record, crc32c(checked));
    writer.put(crc);
    out.insert(out.end(), checked.begin(), checked.end());
    out.insert(out.end(), record.begin(), record.end());
    out.resize(start + slot_bytes / 2);
  }
}

struct Copy {
  std::uint64_t sequence = 0;
  std::span<const std::byte> record;
};

std::optional<Copy> read_copy(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  Copy copy;
  copy.sequence = reader.get<std::uint64_t>();
  const auto size = reader.get<std::uint32_t>();
  const auto crc = reader.get<std::uint32_t>();
  copy.record = reader.get_bytes(size);
  if (!reader.ok() || copy.sequence == 0) return std::nullopt;
  if (crc32c(copy.record, crc32c(bytes.first(12))) != crc) return std::nullopt;
  return copy;
}

std::uint32_t slot_bytes_for(std::size_t record_bytes) {
  const std::size_t copy = std::bit_ceil(record_bytes + kCopyHeaderBytes);
  return static_cast<std::uint32_t>(std::max<std::size_t>(kSlotBytesMin, 2 * copy));
}
}  // namespace

std::optional<StorageError> VoteSlots::make_file(std::uint32_t slot_bytes,
                                                 std::span<const std::byte> record) {
  Bytes bytes;
  append_header(slot_bytes, bytes);
  if (sequence_ == 0) {
    bytes.resize(kHeaderBytes + 2 * slot_bytes);
  } else {
    append_slot(sequence_, record, slot_bytes, bytes);
    append_slot(sequence_, record, slot_bytes, bytes);
  }
  slot_bytes_ = slot_bytes;
  return replace_file(files_, kPath, bytes);
}

std::optional<StorageError> VoteSlots::create() {
  sequence_ = 0;
  return make_file(kSlotBytesMin, {});
}

std::optional<StorageError> VoteSlots::open() {
  const std::optional<Bytes> bytes = files_.read(kPath);
  if (!bytes && errno == ENOENT)
    return corrupt_error(files_, kPath, "the file is missing, and with it what this node voted");
  if (!bytes) return file_error(files_, "read", kPath);
  // The process before may have died between write and sync: what is acted upon from here on has to
  // be durable.
  if (!files_.sync(kPath)) return file_error(files_, "write", kPath);
  ByteReader reader(*bytes);
  const auto magic = reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  slot_bytes_ = reader.get<std::uint32_t>();
  const auto crc = reader.get<std::uint32_t>();
  const bool whole = reader.ok() && magic == kMagic && crc == crc32c(std::span(*bytes).first(16));
  if (!whole) return corrupt_error(files_, kPath, "its header is not that of a vote");
  if (version != kVersion) {
    return StorageError{files_.shown(kPath) + " has format " + std::to_string(version) +
                        ", this build reads " + std::to_string(kVersion) +
                        "; start the rse-node that wrote it"};
  }
  const bool sized = slot_bytes_ >= kSlotBytesMin && slot_bytes_ <= kSlotBytesMax &&
                     slot_bytes_ % kHeaderBytes == 0 &&
                     bytes->size() == kHeaderBytes + 2 * std::size_t{slot_bytes_};
  if (!sized) return corrupt_error(files_, kPath, "its size is not the one it was made with");

  const auto slots = std::span(*bytes).subspan(kHeaderBytes);
  std::optional<Copy> newest;
  for (std::size_t at = 0; at < slots.size(); at += slot_bytes_ / 2) {
    const std::optional<Copy> copy = read_copy(slots.subspan(at, slot_bytes_ / 2));
    if (copy && (!newest || copy->sequence > newest->sequence)) newest = copy;
  }
  if (newest) {
    sequence_ = newest->sequence;
    record_ = Bytes(newest->record.begin(), newest->record.end());
    return std::nullopt;
  }
  // Before the first vote both slots are zero; the first one may be torn, and goes to slot 1.
  const auto first = slots.first(slot_bytes_);
  if (!std::all_of(first.begin(), first.end(),
                   [](std::byte byte) { return byte == std::byte{0}; })) {
    return corrupt_error(files_, kPath, "neither of its two records matches its checksum");
  }
  return std::nullopt;
}

std::optional<StorageError> VoteSlots::write(std::span<const std::byte> record) {
  if (record.size() > kVoteBytesMax) {
    return StorageError{files_.shown(kPath) + " cannot hold a vote of " +
                        std::to_string(record.size()) + " bytes"};
  }
  ++sequence_;
  if (slot_bytes_for(record.size()) > slot_bytes_)
    return make_file(slot_bytes_for(record.size()), record);
  Bytes slot;
  append_slot(sequence_, record, slot_bytes_, slot);
  if (!files_.write_at(kPath, kHeaderBytes + (sequence_ % 2) * std::uint64_t{slot_bytes_}, slot)) {
    return file_error(files_, "write", kPath);
  }
  if (planted(Fault::kVoteNotSynced)) return std::nullopt;
  if (!files_.sync(kPath)) return file_error(files_, "write", kPath);
  return std::nullopt;
}

}  // namespace rse
