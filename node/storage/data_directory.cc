#include "node/storage/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "node/storage/crc32c.h"
#include "node/storage/cut_store.h"
#include "node/storage/seal_journal.h"
#include "node/storage/vote_slots.h"

namespace rse {

namespace {
constexpr char kIdentityPath[] = "identity";
constexpr char kScenarioPrefix[] = "scenario-";  // then the first eight bytes of the digest
constexpr std::uint64_t kIdentityMagic = 0x0A65646F6E455352;  // "RSEnode\n"
constexpr std::uint64_t kScenarioMagic = 0x0A6E63732D455352;  // "RSE-scn\n"
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kScenarioHeaderBytes = 56;

Bytes encode_identity(const Identity& identity) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.put(kIdentityMagic);
  writer.put(kVersion);
  writer.put(std::uint32_t{identity.cluster.has_value()});
  writer.put(identity.node);
  writer.put(identity.incarnation);
  writer.put(identity.cluster.value_or(ClusterId{0}));
  writer.put(crc32c(bytes));
  return bytes;
}

std::string scenario_path(const Digest256& digest) {
  std::string path = kScenarioPrefix;
  for (std::size_t i = 0; i < 8; ++i) {
    path += "0123456789abcdef"[digest.bytes[i] >> 4];
    path += "0123456789abcdef"[digest.bytes[i] & 15];
  }
  return path;
}

/// flock() on "lock", which holds the number of the process that has it.
class DirectoryLock {
 public:
  ~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  std::optional<StorageError> take(const std::string& directory) {
    const std::string path = directory + "/lock";
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) {
      return StorageError{
          "cannot open " + path + ": " + std::strerror(errno) +
          "; give the directory to the user that runs rse-node, or choose another --data-dir"};
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      char holder[32] = {};
      const ssize_t size = ::pread(fd_, holder, sizeof(holder) - 1, 0);
      const std::string process(holder, size > 0 ? std::strcspn(holder, "\n") : 0);
      return StorageError{directory + " is in use by process " +
                          (process.empty() ? "(unknown)" : process) +
                          "; stop it, or give this node its own --data-dir"};
    }
    const std::string process = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, process.data(), process.size(), 0) < 0) {
      return StorageError{"cannot write " + path + ": " + std::strerror(errno) +
                          "; free some space, then start the node again"};
    }
    return std::nullopt;
  }

 private:
  int fd_ = -1;
};
}  // namespace

struct DataDirectory::Impl {
  /// `vote_file_system`: the same files again, for the thread that writes votes. Null: nobody else writes.
  Impl(std::unique_ptr<FileSystem> file_system, std::unique_ptr<FileSystem> vote_file_system)
      : files(std::move(file_system)),
        vote_files(std::move(vote_file_system)),
        votes(vote_files ? *vote_files : *files),
        journal(*files),
        cuts(*files) {}

  std::optional<StorageError> open();
  std::optional<StorageError> make();
  std::optional<StorageError> read();
  std::optional<StorageError> read_identity(const Bytes& bytes);
  std::vector<std::string> scenario_paths();
  std::optional<StorageError> read_scenario(const std::string& path);
  std::optional<StorageError> write_identity() {
    return replace_file(*files, kIdentityPath, encode_identity(identity));
  }
  std::optional<StorageError> write_scenario(const PersistScenario& work);
  std::optional<StorageError> write_waiting();
  std::optional<StorageError> drop_cuts(const DropCuts& work);
  std::optional<StorageError> persist(std::span<const Persist> works, const BetweenPieces& between);
  /// Runs `write` unless an earlier write failed, and remembers its failure.
  template <class Write>
  std::optional<StorageError> guarded(Write&& write);

  DirectoryLock lock;
  std::unique_ptr<FileSystem> files, vote_files;
  VoteSlots votes;
  SealJournal journal;
  CutStore cuts;
  Identity identity;
  Recovered recovered;
  std::vector<std::string> warnings;
  std::vector<const PersistSeals*> waiting_seals;
  std::mutex failed_mutex;
  std::optional<StorageError> failed;
};

// --- Opening. ---

std::optional<StorageError> DataDirectory::Impl::open() {
  const auto names = files->list("");
  if (!names) return file_error(*files, "read", "");
  for (const std::string& name : *names) {
    if (name.ends_with(".tmp") && !files->remove(name)) return file_error(*files, "remove", name);
  }
  const auto bytes = files->read(kIdentityPath);
  if (!bytes && errno != ENOENT) return file_error(*files, "read", kIdentityPath);
  if (bytes) {
    if (auto error = read_identity(*bytes)) return error;
    if (auto error = read()) return error;
  } else if (auto error = make()) {
    return error;
  }
  ++identity.incarnation;
  return write_identity();
}

/// The identity is written last: a directory without one holds nothing that anyone was told is
/// safe.
std::optional<StorageError> DataDirectory::Impl::make() {
  if (auto error = cuts.create()) return error;
  const auto names = files->list("cuts");
  const bool has_cuts =
      names && std::any_of(names->begin(), names->end(), [](const std::string& name) {
        return parse_cut_name(name).has_value();
      });
  if (files->size("vote")) {
    if (auto error = votes.open()) return error;
  }
  if (files->size("journal")) {
    if (auto error = journal.open()) return error;
  }
  if (has_cuts || !scenario_paths().empty() || votes.record() || !journal.empty()) {
    return corrupt_error(*files, kIdentityPath,
                         "the file is missing, but other parts of a node's data are here");
  }
  if (auto error = votes.create()) return error;
  if (auto error = journal.create()) return error;
  do identity.node.raw = files->random();
  while (identity.node.raw == 0);
  return std::nullopt;
}

std::optional<StorageError> DataDirectory::Impl::read_identity(const Bytes& bytes) {
  ByteReader reader(bytes);
  const auto magic = reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  if (!reader.ok() || magic != kIdentityMagic)
    return corrupt_error(*files, kIdentityPath, "it is not that of a node");
  if (version != kVersion) {
    return StorageError{files->shown(kIdentityPath) + " has format " + std::to_string(version) +
                        ", this build reads " + std::to_string(kVersion) +
                        "; start the rse-node that wrote it"};
  }
  const auto has_cluster = reader.get<std::uint32_t>();
  identity.node = reader.get<NodeId>();
  identity.incarnation = reader.get<std::uint64_t>();
  const auto cluster = reader.get<ClusterId>();
  const auto crc = reader.get<std::uint32_t>();
  if (!reader.finished() || has_cluster > 1 ||
      crc != crc32c(std::span(bytes).first(bytes.size() - 4))) {
    return corrupt_error(*files, kIdentityPath, "it does not match its checksum");
  }
  if (has_cluster == 1) identity.cluster = cluster;
  return std::nullopt;
}

std::optional<StorageError> DataDirectory::Impl::read() {
  if (auto error = votes.open()) return error;
  if (auto error = journal.open()) return error;
  for (const std::string& path : scenario_paths()) {
    if (auto error = read_scenario(path)) return error;
  }
  if (auto error = cuts.open(journal.last_drop(), recovered.cuts, warnings)) return error;
  recovered.vote = votes.record();
  recovered.seals = journal.seals();
  if (const auto& drop = journal.last_drop()) {
    recovered.dropped_run = drop->run;
    recovered.dropped_before = drop->keep_from;
  }
  return std::nullopt;
}

std::vector<std::string> DataDirectory::Impl::scenario_paths() {
  std::vector<std::string> names = files->list("").value_or(std::vector<std::string>{});
  std::erase_if(names, [](const std::string& name) { return !name.starts_with(kScenarioPrefix); });
  return names;
}

std::optional<StorageError> DataDirectory::Impl::read_scenario(const std::string& path) {
  const auto bytes = files->read(path);
  if (!bytes) return file_error(*files, "read", path);
  ByteReader reader(*bytes);
  const auto magic = reader.get<std::uint64_t>();
  const auto version = reader.get<std::uint32_t>();
  const auto zero = reader.get<std::uint32_t>();
  const auto size = reader.get<std::uint64_t>();
  const auto digest = reader.get_bytes(32);
  const bool shaped = reader.ok() && magic == kScenarioMagic && version == kVersion && zero == 0 &&
                      size == reader.remaining();
  if (!shaped)
    return corrupt_error(*files, path,
                         "its header is not that of a scenario, or its end is missing");
  const auto scenario = reader.get_bytes(reader.remaining());
  const Digest256 actual = digest_of(scenario);
  if (std::memcmp(actual.bytes.data(), digest.data(), digest.size()) != 0) {
    return corrupt_error(*files, path, "it does not match its digest");
  }
  recovered.scenarios.emplace_back(scenario.begin(), scenario.end());
  return std::nullopt;
}

// --- Writing. ---

template <class Write>
std::optional<StorageError> DataDirectory::Impl::guarded(Write&& write) {
  {
    const std::lock_guard lock(failed_mutex);
    if (failed) {
      return StorageError{
          "this node writes nothing more since an earlier failure; start it again (" +
          failed->text + ")"};
    }
  }
  auto error = write();
  if (!error) return std::nullopt;
  const std::lock_guard lock(failed_mutex);
  if (!failed) failed = error;
  return error;
}

std::optional<StorageError> DataDirectory::Impl::write_scenario(const PersistScenario& work) {
  const Digest256 digest = digest_of(work.scenario);
  if (digest != work.hash) {
    return StorageError{
        "cannot store the scenario: it does not match its hash; test this machine's memory"};
  }
  Bytes bytes;
  bytes.reserve(kScenarioHeaderBytes + work.scenario.size());
  ByteWriter writer(bytes);
  writer.put(kScenarioMagic);
  writer.put(kVersion);
  writer.put(std::uint32_t{0});
  writer.put(std::uint64_t{work.scenario.size()});
  writer.put_bytes(std::as_bytes(std::span(digest.bytes)));
  writer.put_bytes(work.scenario);
  const std::string path = scenario_path(digest);
  if (auto error = replace_file(*files, path, bytes)) return error;
  bool removed = false;
  for (const std::string& other : scenario_paths()) {
    const bool kept = std::any_of(work.keep.begin(), work.keep.end(),
                                  [&](const Digest256& hash) { return other == scenario_path(hash); });
    if (other == path || kept) continue;
    if (!files->remove(other)) return file_error(*files, "remove", other);
    removed = true;
  }
  if (removed && !files->sync_directory("")) return file_error(*files, "write", "");
  return std::nullopt;
}

std::optional<StorageError> DataDirectory::Impl::write_waiting() {
  const auto groups = std::move(waiting_seals);
  waiting_seals.clear();
  if (auto error = journal.append(groups)) return error;
  return cuts.commit();
}

std::optional<StorageError> DataDirectory::Impl::drop_cuts(const DropCuts& work) {
  const SealJournal::Drop drop{work.run, work.keep_from, cuts.next_serial()};
  if (auto error = journal.drop(drop)) return error;
  if (auto error = cuts.drop(drop)) return error;
  if (!journal.wants_compaction()) return std::nullopt;
  // The rewritten journal remembers the last drop only: what the earlier ones removed must be gone
  // for good.
  if (auto error = cuts.sync_removals()) return error;
  return journal.compact();
}

std::optional<StorageError> DataDirectory::Impl::persist(std::span<const Persist> works, const BetweenPieces& between) {
  for (const Persist& work : works) {
    if (const auto* seals = std::get_if<PersistSeals>(&work.what)) {
      waiting_seals.push_back(seals);
      continue;
    }
    if (const auto* cut = std::get_if<PersistCut>(&work.what)) {
      if (between) {
        if (auto error = write_waiting()) return error;
      }
      if (auto error = cuts.add(*cut, between)) return error;
      continue;
    }
    if (auto error = write_waiting()) return error;
    std::optional<StorageError> error;
    if (const auto* vote = std::get_if<PersistVote>(&work.what)) error = votes.write(vote->record);
    if (const auto* scenario = std::get_if<PersistScenario>(&work.what))
      error = write_scenario(*scenario);
    if (const auto* drop = std::get_if<DropCuts>(&work.what)) error = drop_cuts(*drop);
    if (error) return error;
  }
  return write_waiting();
}

// --- The class itself. ---

DataDirectory::DataDirectory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
DataDirectory::~DataDirectory() = default;

std::unique_ptr<DataDirectory> DataDirectory::open(const std::string& path, StorageError& error) {
  std::error_code code;
  const std::filesystem::path root = std::filesystem::absolute(path, code).lexically_normal();
  const bool is_new = !std::filesystem::exists(root, code);
  if (!std::filesystem::create_directories(root, code) && code) {
    error = {"cannot make " + path + ": " + code.message() + "; choose another --data-dir"};
    return nullptr;
  }
  auto impl = std::make_unique<Impl>(real_file_system(root.string()), real_file_system(root.string()));
  if (is_new) {
    const auto parent = real_file_system(root.parent_path().string());
    if (!parent->sync_directory("")) {
      error = file_error(*parent, "write", "");
      return nullptr;
    }
  }
  if (auto locked = impl->lock.take(root.string())) {
    error = *locked;
    return nullptr;
  }
  if (auto failed = impl->open()) {
    error = *failed;
    return nullptr;
  }
  return std::unique_ptr<DataDirectory>(new DataDirectory(std::move(impl)));
}

std::unique_ptr<DataDirectory> DataDirectory::open(std::unique_ptr<FileSystem> files,
                                                   StorageError& error,
                                                   std::unique_ptr<FileSystem> vote_files) {
  auto impl = std::make_unique<Impl>(std::move(files), std::move(vote_files));
  if (auto failed = impl->open()) {
    error = *failed;
    return nullptr;
  }
  return std::unique_ptr<DataDirectory>(new DataDirectory(std::move(impl)));
}

const Identity& DataDirectory::identity() const { return impl_->identity; }
const std::vector<std::string>& DataDirectory::warnings() const { return impl_->warnings; }
Recovered DataDirectory::take_recovered() { return std::move(impl_->recovered); }

std::optional<StorageError> DataDirectory::set_cluster(ClusterId cluster) {
  return impl_->guarded([&] {
    impl_->identity.cluster = cluster;
    return impl_->write_identity();
  });
}

std::optional<StorageError> DataDirectory::persist(const Persist& work) {
  return persist(std::span(&work, 1));
}

std::optional<StorageError> DataDirectory::persist(std::span<const Persist> works, const BetweenPieces& between) {
  return impl_->guarded([&] { return impl_->persist(works, between); });
}

std::optional<StorageError> DataDirectory::persist_vote(const PersistVote& vote) {
  return impl_->guarded([&] { return impl_->votes.write(vote.record); });
}

}  // namespace rse
