#include "node/storage/cut_store.h"

#include "torus/braid/planted_fault.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <tuple>

namespace rse {

namespace {
constexpr char kDirectory[] = "cuts";
constexpr std::size_t kPieceBytes = 512u << 10;  // each waits for the disk: what comes meanwhile waits for one piece at most

bool same_cut(const CutFile& a, const CutFile& b) {
  return a.run == b.run && a.torus == b.torus && a.cut == b.cut;
}

std::string describe(RunId run, TorusId torus, CutNumber cut) {
  return std::string("cut ") + std::to_string(cut) + " of torus " + letter_of(torus) + " in run " +
         std::to_string(run.raw);
}
}  // namespace

std::optional<StorageError> CutStore::create() {
  if (!files_.make_directory(kDirectory)) return file_error(files_, "make", kDirectory);
  return std::nullopt;
}

// --- Reading at start. ---

std::optional<StorageError> CutStore::read_names(const std::optional<SealJournal::Drop>& drop,
                                                 std::vector<std::string>& damaged) {
  const auto names = files_.list(kDirectory);
  if (!names) return file_error(files_, "read", kDirectory);
  if (drop) next_serial_ = drop->serial_end;
  for (const std::string& name : *names) {
    const std::string path = std::string(kDirectory) + "/" + name;
    if (name.ends_with(".tmp")) {
      if (!files_.remove(path)) return file_error(files_, "remove", path);
      continue;
    }
    const std::optional<CutName> named = parse_cut_name(name);
    if (!named) continue;  // not ours
    next_serial_ = std::max(next_serial_, named->serial + 1);
    const auto header = files_.read_part(path, 0, kCutHeaderBytes);
    std::optional<CutFile> file = header ? decode_cut_header(*header) : std::nullopt;
    if (file && file->path() == path && files_.size(path) == file->file_bytes) {
      const bool live = !drop || !drop->covers(file->serial, file->run, file->cut);
      index(*file);
      files_by_serial_.emplace(file->serial, Entry{std::move(*file), path, live});
      continue;
    }
    unreadable_.push_back(*named);
    if (!drop || !drop->covers(named->serial, named->run, named->cut)) {
      damaged.push_back(path + (file ? " has lost its end or its name"
                                     : " has a header that does not match its checksum"));
    }
  }
  return std::nullopt;
}

std::optional<Bytes> CutStore::read_region(const Digest256& digest) {
  const auto found = places_.find(digest);
  if (found == places_.end()) return std::nullopt;
  while (!found->second.empty()) {
    const Place place = found->second.front();
    auto bytes = files_.read_part(files_by_serial_.at(place.serial).path, place.offset, place.size);
    if (bytes && digest_of(*bytes) == digest) return bytes;
    found->second.erase(found->second.begin());
  }
  places_.erase(found);
  return std::nullopt;
}

/// Empty, or what is wrong with it.
std::optional<std::string> CutStore::read_cut(const Entry& entry, RecoveredCut& cut) {
  const CutFile& file = entry.file;
  cut = {file.run, file.torus, file.cut, file.halves, file.digests, {}, file.resumed};
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    if (!file.consists_of(region)) continue;
    auto bytes = read_region(file.digests.of[region]);
    if (!bytes) {
      return entry.path + ": region " + std::to_string(region) + " of " +
             describe(file.run, file.torus, file.cut) + " is missing or does not match its digest";
    }
    cut.regions.push_back({static_cast<std::uint8_t>(region), std::move(*bytes)});
  }
  return std::nullopt;
}

std::optional<StorageError> CutStore::open(const std::optional<SealJournal::Drop>& drop,
                                           std::vector<RecoveredCut>& recovered,
                                           std::vector<std::string>& warnings) {
  std::vector<std::string> damaged;
  if (auto error = read_names(drop, damaged)) return error;
  std::vector<CutName> lost = unreadable_;
  std::erase_if(lost, [&](const CutName& name) {
    return drop && drop->covers(name.serial, name.run, name.cut);
  });
  supersede();

  // Only regions that have just been read and verified may serve later cuts.
  std::unordered_map<Digest256, std::vector<Place>, DigestHash> verified;
  for (auto& [serial, entry] : files_by_serial_) {
    if (!entry.live) continue;
    RecoveredCut cut;
    if (const auto wrong = read_cut(entry, cut)) {
      entry.live = false;
      entry.broken = true;
      damaged.push_back(*wrong);
      lost.push_back({serial, entry.file.run, entry.file.torus, entry.file.cut});
      continue;
    }
    for (const Region& region : cut.regions) {
      const Digest256& digest = cut.digests.of[region.index];
      verified[digest] = {places_.at(digest).front()};
    }
    recovered.push_back(std::move(cut));
  }
  places_ = std::move(verified);

  for (std::size_t i = 0; i < lost.size(); ++i) {
    const auto whole =
        std::find_if(recovered.begin(), recovered.end(), [&](const RecoveredCut& cut) {
          return cut.run == lost[i].run && cut.torus == lost[i].torus;
        });
    if (whole == recovered.end()) return corrupt_error(files_, kDirectory, damaged[i]);
    warnings.push_back("set aside " + describe(lost[i].run, lost[i].torus, lost[i].cut) +
                       ", going on from " + describe(whole->run, whole->torus, whole->cut) + ": " +
                       damaged[i]);
  }
  if (!files_.sync_directory(kDirectory)) return file_error(files_, "write", kDirectory);
  return remove_unneeded();
}

// --- Writing. ---

std::optional<CutStore::Place> CutStore::find(const Digest256& digest) const {
  const auto found = places_.find(digest);
  if (found == places_.end()) return std::nullopt;
  return found->second.front();
}

void CutStore::index(const CutFile& file) {
  for (const CutFile::Blob& blob : file.blobs) {
    std::vector<Place>& places = places_[file.digests.of[blob.region]];
    const auto newer = [&](const Place& place) { return place.serial > file.serial; };
    places.insert(std::find_if_not(places.begin(), places.end(), newer),
                  {file.serial, blob.offset, blob.size});
  }
}

/// Of each file, the bytes that `newest` and the newest cuts of the other tori read from it.
std::map<std::uint64_t, std::uint64_t> CutStore::used_bytes(const CutFile& newest) const {
  std::array<const CutFile*, kTorusCount> cuts{};
  for (const auto& [serial, entry] : files_by_serial_) {
    if (entry.live) cuts[entry.file.torus.raw] = &entry.file;
  }
  cuts[newest.torus.raw] = &newest;
  std::vector<Place> places;
  for (const CutFile* cut : cuts) {
    for (std::size_t region = 0; cut != nullptr && region < kRegionCount; ++region) {
      if (!cut->consists_of(region)) continue;
      if (const auto place = find(cut->digests.of[region])) places.push_back(*place);
    }
  }
  const auto key = [](const Place& place) { return std::pair(place.serial, place.offset); };
  std::ranges::sort(places, {}, key);
  std::map<std::uint64_t, std::uint64_t> used;
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || key(places[i]) != key(places[i - 1])) used[places[i].serial] += places[i].size;
  }
  return used;
}

std::optional<StorageError> CutStore::add(const PersistCut& cut, const BetweenPieces& between) {
  CutFile file;
  file.run = cut.run;
  file.torus = cut.torus;
  file.cut = cut.cut;
  file.halves = cut.halves;
  file.digests = cut.digests;
  file.resumed = cut.resumed;
  if (std::any_of(added_.begin(), added_.end(),
                  [&](const CutFile& added) { return same_cut(added, file); })) {
    if (auto error = commit()) return error;
  }
  for (const auto& [serial, entry] : files_by_serial_) {
    if (!entry.live || !same_cut(entry.file, file) || !(entry.file.digests == file.digests))
      continue;
    file.halves |= entry.file.halves;
    if (file.halves == entry.file.halves && file.resumed == entry.file.resumed) return std::nullopt;  // there already
  }
  file.serial = next_serial_++;
  return write(file, cut, between);
}

std::optional<StorageError> CutStore::write(CutFile& file, const PersistCut& cut, const BetweenPieces& between) {
  std::array<const Region*, kRegionCount> given{};
  for (const auto& region : cut.regions) {
    if (region->index < kRegionCount) given[region->index] = region.get();
  }
  const auto used = used_bytes(file);
  const auto mostly_dead = [&](std::uint64_t serial) {
    return 2 * used.at(serial) < files_by_serial_.at(serial).file.file_bytes;
  };
  std::set<Digest256> written;
  std::vector<const Region*> blobs;
  std::uint64_t offset = kCutHeaderBytes;
  std::size_t unpaused = 0;
  for (std::size_t region = 0; region < kRegionCount; ++region) {
    const Digest256& digest = file.digests.of[region];
    if (!file.consists_of(region) || written.contains(digest)) continue;
    const auto place = find(digest);
    if (place && (given[region] == nullptr || !mostly_dead(place->serial))) continue;
    const auto failed = [&](const char* why) {
      return StorageError{"cannot store region " + std::to_string(region) + " of " + describe(file.run, file.torus, file.cut) +
                          ": " + why};
    };
    if (given[region] == nullptr) return failed("its bytes were not given; this is a bug");
    if (digest_of(given[region]->bytes) != digest) {
      return failed("it does not match its digest; test this machine's memory");
    }
    const auto size = static_cast<std::uint32_t>(given[region]->bytes.size());
    file.blobs.push_back({static_cast<std::uint8_t>(region), size, offset});
    blobs.push_back(given[region]);
    written.insert(digest);
    offset += size;
    unpaused += size;
    if (between && unpaused >= kPieceBytes) {
      unpaused = 0;
      if (auto error = between()) return error;
    }
  }
  file.file_bytes = offset;

  const std::string path = file.path();
  const std::string temporary = path + ".tmp";
  Bytes buffer = encode_cut_header(file);
  if (!files_.write_new(temporary, {})) return file_error(files_, "write", temporary);
  const auto flush = [&] {
    const bool done = files_.append(temporary, buffer);
    buffer.clear();
    return done;
  };
  for (const Region* blob : blobs) {
    buffer.insert(buffer.end(), blob->bytes.begin(), blob->bytes.end());
    if (buffer.size() < kPieceBytes) continue;
    if (!flush()) return file_error(files_, "write", temporary);
    if (!between) continue;
    if (!files_.sync(temporary)) return file_error(files_, "write", temporary);
    if (auto error = between()) return error;
  }
  if (!buffer.empty() && !flush()) return file_error(files_, "write", temporary);
  if (!files_.sync(temporary)) return file_error(files_, "write", temporary);
  if (!files_.rename(temporary, path)) return file_error(files_, "write", path);
  added_.push_back(std::move(file));
  return std::nullopt;
}

std::optional<StorageError> CutStore::commit() {
  if (added_.empty()) return std::nullopt;
  if (!planted(Fault::kCutNamesNotSynced) && !files_.sync_directory(kDirectory)) return file_error(files_, "write", kDirectory);
  removals_unsynced_ = false;
  // Only now may later cuts refer to these regions: before, the file could vanish while a later one
  // stays.
  for (CutFile& file : added_) {
    index(file);
    const std::string path = file.path();
    files_by_serial_.emplace(file.serial, Entry{std::move(file), path});
  }
  added_.clear();
  supersede();
  return remove_unneeded();
}

// --- Forgetting. ---

/// Of the same cut, written again with more halves or after a resumption, the last one counts.
void CutStore::supersede() {
  std::set<std::tuple<RunId, TorusId, CutNumber>> seen;
  for (auto at = files_by_serial_.rbegin(); at != files_by_serial_.rend(); ++at) {
    Entry& entry = at->second;
    if (entry.live && !seen.emplace(entry.file.run, entry.file.torus, entry.file.cut).second)
      entry.live = false;
  }
}

std::optional<StorageError> CutStore::drop(const SealJournal::Drop& drop) {
  RSE_ASSERT(added_.empty(), "commit() comes before drop()");
  for (auto& [serial, entry] : files_by_serial_) {
    if (drop.covers(serial, entry.file.run, entry.file.cut)) entry.live = entry.broken = false;
  }
  for (const CutName& name : unreadable_) {
    if (!drop.covers(name.serial, name.run, name.cut)) continue;
    if (!files_.remove(cut_path(name))) return file_error(files_, "remove", cut_path(name));
    removals_unsynced_ = true;
  }
  std::erase_if(unreadable_,
                [&](const CutName& name) { return drop.covers(name.serial, name.run, name.cut); });
  return remove_unneeded();
}

std::optional<StorageError> CutStore::remove_unneeded() {
  const auto needs_itself = [](const auto& file) { return file.second.live || file.second.broken; };
  if (std::ranges::all_of(files_by_serial_, needs_itself)) return std::nullopt;
  std::set<std::uint64_t> needed;
  for (const auto& [serial, entry] : files_by_serial_) {
    if (entry.live || entry.broken) needed.insert(serial);
    for (std::size_t region = 0; entry.live && region < kRegionCount; ++region) {
      if (!entry.file.consists_of(region)) continue;
      const auto place = find(entry.file.digests.of[region]);
      RSE_ASSERT(place.has_value(), "a kept cut has all its regions");
      needed.insert(place->serial);
    }
  }
  for (auto at = files_by_serial_.begin(); at != files_by_serial_.end();) {
    if (needed.contains(at->first)) {
      ++at;
      continue;
    }
    for (const CutFile::Blob& blob : at->second.file.blobs) {
      const auto found = places_.find(at->second.file.digests.of[blob.region]);
      if (found == places_.end()) continue;
      std::erase_if(found->second, [&](const Place& place) { return place.serial == at->first; });
      if (found->second.empty()) places_.erase(found);
    }
    if (!files_.remove(at->second.path)) return file_error(files_, "remove", at->second.path);
    removals_unsynced_ = true;
    at = files_by_serial_.erase(at);
  }
  return std::nullopt;
}

std::optional<StorageError> CutStore::sync_removals() {
  if (!removals_unsynced_) return std::nullopt;
  if (!files_.sync_directory(kDirectory)) return file_error(files_, "write", kDirectory);
  removals_unsynced_ = false;
  return std::nullopt;
}

}  // namespace rse
