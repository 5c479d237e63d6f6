// One file of a cut: which regions the cut consists of, by digest, and those of them that no older
// file holds already. Layout: format.md, "cuts/". Threads: none. Errors: values; any bytes may be
// read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "node/storage/file_system.h"
#include "torus/braid/braid_node.h"

namespace rse {

/// The fixed-size beginning of the file; region bytes follow it without gaps.
inline constexpr std::size_t kCutHeaderBytes = 8192;

/// What the name of a cut's file says, also where its header cannot be read.
struct CutName {
  std::uint64_t serial = 0;  // +1 a file, of this data directory
  RunId run;
  TorusId torus;
  CutNumber cut = 0;
};
/// Below the data directory, e.g. "cuts/17-run2-B-cut101".
std::string cut_path(const CutName& name);
/// `name` without the directory; nullopt: not the name of a cut's file.
std::optional<CutName> parse_cut_name(const std::string& name);

struct CutFile {
  struct Blob {
    std::uint8_t region = 0;  // whose digest names it
    std::uint32_t size = 0;
    std::uint64_t offset = 0;
  };
  std::uint64_t serial = 0;
  RunId run;
  TorusId torus;
  CutNumber cut = 0;
  Halves halves = 0;
  std::uint64_t file_bytes = 0;
  ViewNumber resumed;
  RegionDigests digests;
  std::vector<Blob> blobs;

  bool consists_of(std::size_t region) const { return (half_of_region(region) & halves) != 0; }
  std::string path() const { return cut_path({serial, run, torus, cut}); }
};

/// Exactly kCutHeaderBytes.
Bytes encode_cut_header(const CutFile& file);
/// nullopt: damaged. The numbers in it are consistent with each other; region bytes are not looked
/// at.
std::optional<CutFile> decode_cut_header(std::span<const std::byte> bytes);

}  // namespace rse
