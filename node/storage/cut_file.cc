#include "node/storage/cut_file.h"

#include <charconv>

#include "node/storage/crc32c.h"

namespace rse {

namespace {
constexpr std::uint64_t kMagic = 0x0A7475632D455352;  // "RSE-cut\n"
constexpr std::uint32_t kVersion = 2;

/// Takes a decimal number without sign or leading zero off the front of `text`.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || (text.front() == '0' && end != text.data() + 1)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take_word(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}
}  // namespace

std::string cut_path(const CutName& name) {
  return "cuts/" + std::to_string(name.serial) + "-run" + std::to_string(name.run.raw) + "-" +
         letter_of(name.torus) + "-cut" + std::to_string(name.cut);
}

std::optional<CutName> parse_cut_name(const std::string& name) {
  std::string_view text = name;
  CutName result;
  const auto serial = take_number(text);
  if (!serial || !take_word(text, "-run")) return std::nullopt;
  const auto run = take_number(text);
  if (!run || !take_word(text, "-") || text.empty() || text.front() < 'A' || text.front() > 'C')
    return std::nullopt;
  result.torus.raw = static_cast<std::uint8_t>(text.front() - 'A');
  text.remove_prefix(1);
  if (!take_word(text, "-cut")) return std::nullopt;
  const auto cut = take_number(text);
  if (!cut || !text.empty()) return std::nullopt;
  result.serial = *serial;
  result.run.raw = *run;
  result.cut = *cut;
  return result;
}

Bytes encode_cut_header(const CutFile& file) {
  Bytes checked;
  checked.reserve(kCutHeaderBytes);
  ByteWriter writer(checked);
  writer.put(file.serial);
  writer.put(file.run);
  writer.put(file.cut);
  writer.put(file.torus);
  writer.put(file.halves);
  writer.put(static_cast<std::uint16_t>(file.blobs.size()));
  writer.put(std::uint32_t{0});
  writer.put(file.file_bytes);
  writer.put(file.resumed);
  for (const Digest256& digest : file.digests.of)
    writer.put_bytes(std::as_bytes(std::span(digest.bytes)));
  for (const CutFile::Blob& blob : file.blobs) {
    writer.put(std::uint32_t{blob.region});
    writer.put(blob.size);
    writer.put(blob.offset);
  }
  constexpr std::size_t kPrefixBytes = 16;
  RSE_ASSERT(checked.size() + kPrefixBytes <= kCutHeaderBytes,
             "the header has room for every region");
  checked.resize(kCutHeaderBytes - kPrefixBytes);
  Bytes bytes;
  bytes.reserve(kCutHeaderBytes);
  ByteWriter out(bytes);
  out.put(kMagic);
  out.put(kVersion);
  out.put(crc32c(checked));
  out.put_bytes(checked);
  return bytes;
}

std::optional<CutFile> decode_cut_header(std::span<const std::byte> bytes) {
  if (bytes.size() != kCutHeaderBytes) return std::nullopt;
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  const auto crc = reader.get<std::uint32_t>();
  if (magic != kMagic || version != kVersion || crc != crc32c(bytes.subspan(16)))
    return std::nullopt;
  CutFile file;
  file.serial = reader.get<std::uint64_t>();
  file.run = reader.get<RunId>();
  file.cut = reader.get<CutNumber>();
  file.torus = reader.get<TorusId>();
  file.halves = reader.get<Halves>();
  const auto blob_count = reader.get<std::uint16_t>();
  reader.get<std::uint32_t>();
  file.file_bytes = reader.get<std::uint64_t>();
  file.resumed = reader.get<ViewNumber>();
  if (file.torus.raw >= kTorusCount || file.halves == 0 || file.halves > kBothHalves ||
      blob_count > kRegionCount) {
    return std::nullopt;
  }
  for (Digest256& digest : file.digests.of) {
    const auto from = reader.get_bytes(digest.bytes.size());
    std::memcpy(digest.bytes.data(), from.data(), from.size());
  }
  std::uint64_t offset = kCutHeaderBytes;
  for (std::size_t i = 0; i < blob_count; ++i) {
    const auto region = reader.get<std::uint32_t>();
    const auto size = reader.get<std::uint32_t>();
    const auto at = reader.get<std::uint64_t>();
    if (region >= kRegionCount || size > kRegionBytesMax || at != offset) return std::nullopt;
    file.blobs.push_back({static_cast<std::uint8_t>(region), size, at});
    offset += size;
  }
  if (!reader.ok() || offset != file.file_bytes) return std::nullopt;
  return file;
}

}  // namespace rse
