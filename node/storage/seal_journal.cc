#include "node/storage/seal_journal.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <tuple>

#include "node/storage/crc32c.h"
#include "torus/braid/planted_fault.h"

namespace rse {

namespace {
constexpr char kPath[] = "journal";
constexpr std::uint64_t kMagic = 0x0A6C616573455352;  // "RSEseal\n"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kHeaderBytes = 24;
constexpr std::uint32_t kFrameMagic = 0x4C414553;  // "SEAL"
constexpr std::size_t kFrameHeaderBytes = 20;
constexpr std::size_t kRecordBytesMin = 1;
/// The file grows in zeroed steps of this size: an append inside one changes no metadata, which
/// halves its wait.
constexpr std::size_t kStepBytes = 256u << 10;
constexpr std::uint64_t kCompactionBytesMin = 1u << 20;
constexpr std::size_t kFramePayloadBytesMax = 1u << 30;

enum class RecordKind : std::uint8_t { kSeal = 1, kDrop = 2 };

void append_seal(const SealJournal::Entry& entry, Bytes& out) {
  ByteWriter writer(out);
  writer.put(static_cast<std::uint8_t>(RecordKind::kSeal));
  writer.put(entry.run);
  writer.put(entry.torus);
  writer.put(entry.epoch);
  writer.put(entry.view);
  writer.put_sized(entry.seal);
}

void append_drop(const SealJournal::Drop& drop, Bytes& out) {
  ByteWriter writer(out);
  writer.put(static_cast<std::uint8_t>(RecordKind::kDrop));
  writer.put(drop.run);
  writer.put(drop.keep_from);
  writer.put(drop.serial_end);
}

struct Frame {
  std::uint64_t sequence = 0;
  std::span<const std::byte> payload;
};

std::optional<Frame> read_frame(std::span<const std::byte> bytes, std::uint64_t salt) {
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint32_t>();
  const auto crc = reader.get<std::uint32_t>();
  Frame frame;
  frame.sequence = reader.get<std::uint64_t>();
  const auto size = reader.get<std::uint32_t>();
  if (!reader.ok() || magic != kFrameMagic || size > kFramePayloadBytesMax) return std::nullopt;
  frame.payload = reader.get_bytes(size);
  if (!reader.ok()) return std::nullopt;
  Bytes salted;
  ByteWriter(salted).put(salt);
  if (crc32c(bytes.subspan(8, kFrameHeaderBytes - 8 + size), crc32c(salted)) != crc)
    return std::nullopt;
  return frame;
}

bool all_zero(std::span<const std::byte> bytes) {
  return bytes.empty() || (bytes.front() == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}
}  // namespace

Bytes SealJournal::header() const {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(kMagic);
  writer.put(kVersion);
  writer.put(salt_);
  writer.put(crc32c(bytes));
  return bytes;
}

Bytes SealJournal::frame(std::span<const std::byte> payload) const {
  Bytes checked;
  ByteWriter writer(checked);
  writer.put(salt_);
  writer.put(sequence_);
  writer.put(static_cast<std::uint32_t>(payload.size()));
  Bytes bytes;
  ByteWriter out(bytes);
  out.put(kFrameMagic);
  out.put(crc32c(payload, crc32c(checked)));
  out.put_bytes(std::span(checked).subspan(8));
  out.put_bytes(payload);
  return bytes;
}

std::optional<StorageError> SealJournal::create() {
  drop_.reset();
  seals_.clear();
  seal_bytes_ = 0;
  return compact();
}

std::optional<StorageError> SealJournal::compact() {
  salt_ = files_.random();
  sequence_ = 1;
  Bytes payload;
  if (drop_) append_drop(*drop_, payload);
  for (const Entry& entry : seals_) append_seal(entry, payload);
  Bytes bytes = header();
  if (!payload.empty()) {
    const Bytes first = frame(payload);
    bytes.insert(bytes.end(), first.begin(), first.end());
    ++sequence_;
  }
  end_ = bytes.size();
  bytes.resize((end_ / kStepBytes + 1) * kStepBytes);
  file_bytes_ = bytes.size();
  return replace_file(files_, kPath, bytes);
}

bool SealJournal::wants_compaction() const {
  return end_ > kCompactionBytesMin && end_ > 3 * std::uint64_t{seal_bytes_};
}

std::optional<StorageError> SealJournal::write_frame(std::span<const std::byte> payload) {
  Bytes bytes = frame(payload);
  const std::uint64_t at = end_;
  end_ += bytes.size();
  if (end_ > file_bytes_) {
    file_bytes_ = (end_ / kStepBytes + 1) * kStepBytes;
    bytes.resize(file_bytes_ - at);
  }
  if (!files_.write_at(kPath, at, bytes)) return file_error(files_, "write", kPath);
  if (!planted(Fault::kJournalNotSynced) && !files_.sync(kPath)) return file_error(files_, "write", kPath);
  ++sequence_;
  return std::nullopt;
}

std::optional<StorageError> SealJournal::append(std::span<const PersistSeals* const> groups) {
  Bytes payload;
  for (const PersistSeals* group : groups) {
    for (const RecoveredSeal& seal : group->seals) {
      Entry entry{seal.run, seal.torus, seal.epoch, seal.view, {}};
      encode_seal(seal.seal, entry.seal);
      append_seal(entry, payload);
      seal_bytes_ += entry.seal.size();
      seals_.push_back(std::move(entry));
    }
  }
  return payload.empty() ? std::nullopt : write_frame(payload);
}

void SealJournal::forget(const Drop& drop) {
  // The machine of the oldest cut kept still needs the seals of the two epochs before it, and one
  // more for a leap.
  std::erase_if(seals_, [&](const Entry& entry) {
    const bool gone = entry.run != drop.run || entry.epoch.raw + 3 < drop.keep_from;
    if (gone) seal_bytes_ -= entry.seal.size();
    return gone;
  });
  drop_ = drop;
}

std::optional<StorageError> SealJournal::drop(const Drop& drop) {
  forget(drop);
  Bytes payload;
  append_drop(drop, payload);
  return write_frame(payload);
}

bool SealJournal::holds_later_frame(std::span<const std::byte> bytes, std::size_t offset) const {
  for (std::size_t at = offset; at + kFrameHeaderBytes <= bytes.size(); ++at) {
    const std::optional<Frame> frame = read_frame(bytes.subspan(at), salt_);
    if (frame && frame->sequence > sequence_) return true;
  }
  return false;
}

std::optional<std::string> SealJournal::read_payload(std::span<const std::byte> payload) {
  ByteReader reader(payload);
  while (reader.ok() && reader.remaining() >= kRecordBytesMin) {
    const auto kind = reader.get<std::uint8_t>();
    if (kind == static_cast<std::uint8_t>(RecordKind::kSeal)) {
      Entry entry;
      entry.run = reader.get<RunId>();
      entry.torus = reader.get<TorusId>();
      entry.epoch = reader.get<Epoch>();
      entry.view = reader.get<ViewNumber>();
      const auto seal = reader.get_sized(payload.size());
      ByteReader check(seal);
      if (!reader.ok() || entry.torus.raw >= kTorusCount || !decode_seal(check).ok() ||
          !check.finished()) {
        return "a seal in it cannot be read";
      }
      entry.seal.assign(seal.begin(), seal.end());
      seal_bytes_ += entry.seal.size();
      seals_.push_back(std::move(entry));
    } else if (kind == static_cast<std::uint8_t>(RecordKind::kDrop)) {
      Drop drop;
      drop.run = reader.get<RunId>();
      drop.keep_from = reader.get<CutNumber>();
      drop.serial_end = reader.get<std::uint64_t>();
      if (reader.ok()) forget(drop);
    } else {
      return "it has a record of unknown kind " + std::to_string(kind);
    }
  }
  if (!reader.ok()) return "a record in it ends before its size";
  return std::nullopt;
}

std::optional<StorageError> SealJournal::open() {
  const std::optional<Bytes> bytes = files_.read(kPath);
  if (!bytes && errno == ENOENT)
    return corrupt_error(files_, kPath, "the file is missing, and with it the seals");
  if (!bytes) return file_error(files_, "read", kPath);
  // The process before may have died between write and sync: what is acted upon from here on has to
  // be durable.
  if (!files_.sync(kPath)) return file_error(files_, "write", kPath);
  ByteReader reader(*bytes);
  const auto magic = reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  salt_ = reader.get<std::uint64_t>();
  const auto crc = reader.get<std::uint32_t>();
  if (!reader.ok() || magic != kMagic || crc != crc32c(std::span(*bytes).first(kHeaderBytes - 4))) {
    return corrupt_error(files_, kPath, "its header is not that of a journal");
  }
  if (version != kVersion) {
    return StorageError{files_.shown(kPath) + " has format " + std::to_string(version) +
                        ", this build reads " + std::to_string(kVersion) +
                        "; start the rse-node that wrote it"};
  }

  end_ = kHeaderBytes;
  while (const std::optional<Frame> frame = read_frame(std::span(*bytes).subspan(end_), salt_)) {
    if (frame->sequence != sequence_) break;
    if (const auto wrong = read_payload(frame->payload))
      return corrupt_error(files_, kPath, *wrong);
    end_ += kFrameHeaderBytes + frame->payload.size();
    ++sequence_;
  }
  file_bytes_ = bytes->size();
  const auto rest = std::span(*bytes).subspan(end_);
  if (all_zero(rest)) return std::nullopt;
  // Each frame was on disk before the next was begun. So a torn one is the last; whole ones after
  // it mean rot.
  if (holds_later_frame(*bytes, end_)) {
    return corrupt_error(
        files_, kPath,
        "the frame at byte " + std::to_string(end_) + " is damaged, and whole ones follow it");
  }
  return compact();
}

std::vector<RecoveredSeal> SealJournal::seals() const {
  std::map<std::tuple<RunId, TorusId, Epoch>, const Entry*> counting;
  for (const Entry& entry : seals_) {
    const Entry*& counts = counting[{entry.run, entry.torus, entry.epoch}];
    if (counts == nullptr || entry.view >= counts->view) counts = &entry;
  }
  std::vector<RecoveredSeal> result;
  for (const auto& [key, entry] : counting) {
    ByteReader reader(entry->seal);
    Result<Seal> seal = decode_seal(reader);
    RSE_ASSERT(seal.ok(), "read_payload() and append() must have checked it");
    result.push_back({entry->run, entry->torus, entry->epoch, entry->view, std::move(*seal)});
  }
  return result;
}

}  // namespace rse
