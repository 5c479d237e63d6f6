#include "node/history/history_store.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdio>

namespace rse {
namespace {

constexpr int kPageBytes = 4096;
constexpr int kBusyMilliseconds = 2000;

// Torus columns are epoch, events, pending; `here` has a bit for each torus hosted by the node. Signed 64-bit integers are what
// SQLite has: larger counts come back through the same cast.
constexpr const char* kSchema = R"(
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS owner (only INTEGER PRIMARY KEY CHECK (only = 0), node INTEGER NOT NULL, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS incident (
  number INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, at INTEGER NOT NULL, unix INTEGER NOT NULL,
  node INTEGER NOT NULL, torus INTEGER, epoch INTEGER NOT NULL, text TEXT NOT NULL, teller INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS sample (
  second INTEGER PRIMARY KEY, health INTEGER NOT NULL, resident INTEGER NOT NULL, cpu INTEGER NOT NULL, rtt INTEGER NOT NULL,
  sent INTEGER NOT NULL, received INTEGER NOT NULL, here INTEGER NOT NULL,
  epoch_a INTEGER, events_a INTEGER, pending_a INTEGER, epoch_b INTEGER, events_b INTEGER, pending_b INTEGER,
  epoch_c INTEGER, events_c INTEGER, pending_c INTEGER);
)";

constexpr const char* kAddTellers = "ALTER TABLE incident ADD COLUMN teller INTEGER NOT NULL DEFAULT 0";

constexpr int kTori = 3;

std::int64_t stored(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t loaded(std::int64_t value) { return static_cast<std::uint64_t>(value); }

/// One prepared statement; parameters are bound in the order in which they are given.
class Statement {
 public:
  Statement(sqlite3* database, const char* sql) { ::sqlite3_prepare_v2(database, sql, -1, &statement_, nullptr); }
  ~Statement() { ::sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void bind(std::uint64_t value) { ::sqlite3_bind_int64(statement_, ++bound_, stored(value)); }
  void bind(std::string_view text) {
    ::sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
  }
  void bind_null() { ::sqlite3_bind_null(statement_, ++bound_); }
  bool next() { return statement_ != nullptr && (result_ = ::sqlite3_step(statement_)) == SQLITE_ROW; }
  /// For one that returns no rows, or has returned them all.
  bool done() const { return result_ == SQLITE_DONE; }
  std::uint64_t number(int column) const { return loaded(::sqlite3_column_int64(statement_, column)); }
  bool is_null(int column) const { return ::sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(::sqlite3_column_text(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, static_cast<std::size_t>(::sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  int result_ = SQLITE_ERROR;
};

bool write_incident(sqlite3* database, const v1::IncidentRecord& incident) {
  Statement insert(database, "INSERT INTO incident (kind, at, unix, node, torus, epoch, text, teller) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
  insert.bind(static_cast<std::uint64_t>(incident.kind()));
  insert.bind(incident.at_nanoseconds());
  insert.bind(incident.unix_nanoseconds());
  insert.bind(incident.node());
  if (incident.has_torus()) insert.bind(std::uint64_t{incident.torus()});
  else insert.bind_null();
  insert.bind(incident.epoch());
  insert.bind(std::string_view(incident.text()).substr(0, kHistoryTextBytesMax));
  insert.bind(incident.by());
  insert.next();
  return insert.done();
}

bool write_sample(sqlite3* database, const v1::HistorySample& sample) {
  Statement insert(database, "INSERT OR REPLACE INTO sample VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  std::uint64_t here = 0;
  for (int torus = 0; torus < std::min(sample.tori_size(), kTori); ++torus)
    if (sample.tori(torus).hosted_here()) here |= 1u << torus;
  for (const std::uint64_t value : {sample.unix_seconds(), static_cast<std::uint64_t>(sample.health()), sample.resident_bytes(),
                                    sample.cpu_nanoseconds(), sample.rtt_nanoseconds(), sample.bytes_sent(),
                                    sample.bytes_received(), here})
    insert.bind(value);
  for (int torus = 0; torus < kTori; ++torus) {
    const v1::HistorySample::Torus empty;
    const v1::HistorySample::Torus& of = torus < sample.tori_size() ? sample.tori(torus) : empty;
    for (const std::uint64_t value : {of.epoch(), of.events(), of.pending()}) insert.bind(value);
  }
  insert.next();
  return insert.done();
}

void read_incident(const Statement& row, v1::IncidentRecord& out) {
  out.set_number(row.number(0));
  if (const auto kind = static_cast<int>(row.number(1)); v1::IncidentRecord::Kind_IsValid(kind))
    out.set_kind(static_cast<v1::IncidentRecord::Kind>(kind));
  out.set_at_nanoseconds(row.number(2));
  out.set_unix_nanoseconds(row.number(3));
  out.set_node(row.number(4));
  if (!row.is_null(5)) out.set_torus(static_cast<std::uint32_t>(row.number(5)));
  out.set_epoch(row.number(6));
  out.set_text(row.text(7));
  out.set_by(row.number(8));
}

void read_sample(const Statement& row, v1::HistorySample& out) {
  out.set_unix_seconds(row.number(0));
  if (const auto health = static_cast<int>(row.number(1)); v1::StatusReply::Health_IsValid(health))
    out.set_health(static_cast<v1::StatusReply::Health>(health));
  out.set_resident_bytes(row.number(2));
  out.set_cpu_nanoseconds(row.number(3));
  out.set_rtt_nanoseconds(row.number(4));
  out.set_bytes_sent(row.number(5));
  out.set_bytes_received(row.number(6));
  for (int torus = 0; torus < kTori; ++torus) {
    v1::HistorySample::Torus& to = *out.add_tori();
    to.set_hosted_here((row.number(7) >> torus & 1u) != 0);
    to.set_epoch(row.number(8 + 3 * torus));
    to.set_events(row.number(9 + 3 * torus));
    to.set_pending(row.number(10 + 3 * torus));
  }
}

}  // namespace

struct HistoryStore::Database {
  sqlite3* handle = nullptr;
  std::string path;
  Limits limits;
  ~Database() { ::sqlite3_close_v2(handle); }

  std::string failure(const char* doing) const {
    return fmt::format("cannot {} the history in {}: {}", doing, path, handle == nullptr ? "no memory" : ::sqlite3_errmsg(handle));
  }
  bool run(const char* sql) const { return ::sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }
  bool is_damaged() const {
    const int code = ::sqlite3_errcode(handle);
    return code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  }
  bool forget_old() const {
    Statement incidents(handle, "DELETE FROM incident WHERE number <= (SELECT max(number) FROM incident) - ?");
    incidents.bind(limits.incidents);
    incidents.next();
    Statement samples(handle, "DELETE FROM sample WHERE second <= (SELECT max(second) FROM sample) - ?");
    samples.bind(limits.samples);
    samples.next();
    return incidents.done() && samples.done();
  }
  /// Files of before other nodes' incidents were kept have no column for who told them.
  bool has_tellers() const {
    return Statement(handle, "SELECT 1 FROM pragma_table_info('incident') WHERE name = 'teller'").next();
  }
  bool prepare() const {
    ::sqlite3_busy_timeout(handle, kBusyMilliseconds);
    const std::string bound = fmt::format("PRAGMA max_page_count = {};", kHistoryFileBytesMax / kPageBytes);
    return run(kSchema) && (has_tellers() || run(kAddTellers)) && run(bound.c_str());
  }
};

HistoryStore::HistoryStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
HistoryStore::~HistoryStore() = default;

std::unique_ptr<HistoryStore> HistoryStore::open(const std::string& path, Limits limits, std::string& warning, std::string& failure) {
  for (const bool again : {false, true}) {
    auto database = std::make_unique<Database>();
    database->path = path;
    database->limits = limits;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int opened = ::sqlite3_open_v2(path.c_str(), &database->handle, flags, nullptr);
    if (opened == SQLITE_OK && database->prepare()) return std::unique_ptr<HistoryStore>(new HistoryStore(std::move(database)));
    failure = database->failure("open");
    if (again || !database->is_damaged()) return nullptr;
    const std::string aside = path + ".damaged";
    warning = fmt::format("{}; it is now {} and a new one is begun", failure, aside);
    database.reset();
    for (const char* end : {"-wal", "-shm"}) std::remove((path + end).c_str());
    if (std::rename(path.c_str(), aside.c_str()) != 0) return nullptr;
  }
  return nullptr;
}

std::unique_ptr<HistoryStore> HistoryStore::open_to_read(const std::string& path, std::string& failure) {
  auto database = std::make_unique<Database>();
  database->path = path;
  const int opened = ::sqlite3_open_v2(path.c_str(), &database->handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  if (opened != SQLITE_OK) {
    failure = database->failure("open");
    return nullptr;
  }
  ::sqlite3_busy_timeout(database->handle, kBusyMilliseconds);
  return std::unique_ptr<HistoryStore>(new HistoryStore(std::move(database)));
}

std::string HistoryStore::set_owner(std::uint64_t node, const std::string& name) {
  Statement insert(database_->handle, "INSERT OR REPLACE INTO owner VALUES (0, ?, ?)");
  insert.bind(node);
  insert.bind(std::string_view(name));
  insert.next();
  return insert.done() ? std::string() : database_->failure("write");
}

std::string HistoryStore::add(std::span<const v1::IncidentRecord> incidents, std::span<const v1::HistorySample> samples) {
  sqlite3* const handle = database_->handle;
  bool done = database_->run("BEGIN");
  for (const v1::IncidentRecord& incident : incidents) done = done && write_incident(handle, incident);
  for (const v1::HistorySample& sample : samples) done = done && write_sample(handle, sample);
  done = done && database_->forget_old() && database_->run("COMMIT");
  if (done) return {};
  const std::string failure = database_->failure("write");
  database_->run("ROLLBACK");
  return failure;
}

std::string HistoryStore::read(const v1::HistoryRequest& request, v1::HistoryReply& reply) {
  if (Statement owner(database_->handle, "SELECT node, name FROM owner"); owner.next()) {
    reply.set_node(owner.number(0));
    reply.set_name(owner.text(1));
  }
  if (request.incident_count_max() > 0) {
    const std::string newest = fmt::format(
        "SELECT * FROM (SELECT number, kind, at, unix, node, torus, epoch, text, {} FROM incident WHERE ? = 0 OR number < ? "
        "ORDER BY number DESC LIMIT ?) ORDER BY number",
        database_->has_tellers() ? "teller" : "0");
    Statement rows(database_->handle, newest.c_str());
    rows.bind(request.before_number());
    rows.bind(request.before_number());
    rows.bind(std::uint64_t{std::min(request.incident_count_max(), kHistoryPageMax)});
    while (rows.next()) read_incident(rows, *reply.add_incidents());
    if (!rows.done()) return database_->failure("read");
  }
  if (request.sample_count_max() > 0) {
    const bool newest = request.from_unix_seconds() == 0;
    Statement rows(database_->handle, newest ? "SELECT * FROM (SELECT * FROM sample WHERE second >= ? ORDER BY second DESC LIMIT ?) ORDER BY second"
                                             : "SELECT * FROM sample WHERE second >= ? ORDER BY second LIMIT ?");
    rows.bind(request.from_unix_seconds());
    rows.bind(std::uint64_t{std::min(request.sample_count_max(), kHistoryPageMax)});
    while (rows.next()) read_sample(rows, *reply.add_samples());
    if (!rows.done()) return database_->failure("read");
  }
  return {};
}

}  // namespace rse
