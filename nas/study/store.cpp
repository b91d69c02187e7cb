#include "nas/study/store.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>

#include "kernels/error.h"
#include "nas/parse.h"
#include "nas/study/database.h"
#include "nas/study/text_list.h"
#include "nas/study/writer_lock.h"

namespace offramp::nas {
namespace {

constexpr i64 kApplication = 0x4F464652;  // "OFFR": tells an archive from any other SQLite file

// Of the tables pending, candidate and rung.
#define OFFRAMP_PROPOSAL_FIELDS                                                \
  "generation INTEGER NOT NULL, origin TEXT NOT NULL, parents TEXT NOT NULL, " \
  "predicted TEXT NOT NULL, predicted_by TEXT NOT NULL"
// Of the tables candidate and rung.
#define OFFRAMP_CANDIDATE_FIELDS                                                                        \
  OFFRAMP_PROPOSAL_FIELDS                                                                               \
  ", seed TEXT NOT NULL, weights TEXT NOT NULL, "                                                       \
  "state TEXT NOT NULL, reason TEXT NOT NULL, objectives TEXT NOT NULL, violation REAL, accuracy_tune " \
  "REAL, "                                                                                              \
  "avg_macs REAL, full_macs INTEGER NOT NULL, params INTEGER NOT NULL, latency_us REAL, "               \
  "exit_shares TEXT NOT NULL, exit_accuracies TEXT NOT NULL, thresholds TEXT NOT NULL, seconds REAL, "  \
  "train_macs INTEGER NOT NULL, epochs INTEGER NOT NULL, rungs_left INTEGER NOT NULL"

constexpr const char* kSchema =
    "CREATE TABLE study(key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE candidate(id INTEGER PRIMARY KEY, genotype TEXT NOT NULL UNIQUE, " OFFRAMP_CANDIDATE_FIELDS
    ");"
    "CREATE TABLE pending(id INTEGER PRIMARY KEY, genotype TEXT NOT NULL, " OFFRAMP_PROPOSAL_FIELDS
    ");"
    "CREATE TABLE rung(id INTEGER NOT NULL, genotype TEXT NOT NULL, " OFFRAMP_CANDIDATE_FIELDS
    ", PRIMARY KEY(id, rungs_left));"
    "CREATE TABLE training(phase TEXT PRIMARY KEY NOT NULL, macs INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE generation(generation INTEGER PRIMARY KEY, hypervolume REAL, evaluations INTEGER NOT NULL, "
    "failures INTEGER NOT NULL, best_at_target REAL, best_id INTEGER NOT NULL, "
    "train_macs INTEGER NOT NULL, seconds REAL);"
    "CREATE TABLE front(generation INTEGER NOT NULL, id INTEGER NOT NULL, PRIMARY KEY(generation, id)) "
    "WITHOUT ROWID;"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, unix_seconds REAL NOT NULL, kind TEXT NOT NULL, "
    "text TEXT NOT NULL);";
#undef OFFRAMP_CANDIDATE_FIELDS
#undef OFFRAMP_PROPOSAL_FIELDS

#define OFFRAMP_PROPOSAL_COLUMNS "id, generation, genotype, origin, parents, predicted, predicted_by"
constexpr const char* kProposalColumns = OFFRAMP_PROPOSAL_COLUMNS;
constexpr const char* kCandidateColumns = OFFRAMP_PROPOSAL_COLUMNS
    ", seed, weights, state, reason, objectives, violation, "
    "accuracy_tune, avg_macs, full_macs, params, latency_us, exit_shares, exit_accuracies, thresholds, "
    "seconds, train_macs, epochs, rungs_left";
#undef OFFRAMP_PROPOSAL_COLUMNS

// Record is a Proposal or a CandidateRecord: their first columns are the same.
template <class Record>
void read_proposal(Statement& row, Record& r) {
  r.id = row.integer();
  r.generation = row.integer();
  parse_list(row.text(), r.genotype);
  r.origin = row.text();
  parse_list(row.text(), r.parents);
  parse_list(row.text(), r.predicted);
  parse_list(row.text(), r.predicted_by);
}

template <class Record>
Statement& bind_proposal(Statement& row, const Record& r) {
  return row.bind(r.id)
      .bind(r.generation)
      .bind(text_of(r.genotype))
      .bind(r.origin)
      .bind(text_of(r.parents))
      .bind(text_of(r.predicted))
      .bind(text_of(r.predicted_by));
}

CandidateRecord read_candidate(Statement& row) {
  CandidateRecord c;
  read_proposal(row, c);
  c.seed = parse_seed(row.text(), "seed");
  c.weights = row.text();
  const std::string state = row.text();
  if (state != "scored" && state != "failed") throw input_error("state \"" + state + "\" is unknown");
  c.state = state == "scored" ? CandidateRecord::State::scored : CandidateRecord::State::failed;
  c.reason = row.text();
  parse_list(row.text(), c.objectives);
  c.violation = row.real();
  c.accuracy_tune = row.real();
  c.avg_macs = row.real();
  c.full_macs = row.integer();
  c.params = row.integer();
  c.latency_us = row.real();
  parse_list(row.text(), c.exit_shares);
  parse_list(row.text(), c.exit_accuracies);
  parse_list(row.text(), c.thresholds);
  c.seconds = row.real();
  c.train_macs = row.integer();
  c.epochs = row.integer();
  c.rungs_left = row.integer();
  return c;
}

bool readable_without_log(const std::string& path) {
  std::error_code ignored;
  return !std::filesystem::exists(path + "-wal", ignored) ||
         std::filesystem::file_size(path + "-wal", ignored) == 0;
}

// '?', '#' and '%' have a meaning in the URI form of a file name.
std::string uri_of(const std::string& path) {
  std::string uri = "file:";
  for (char c : path) {
    if (c == '?')
      uri += "%3f";
    else if (c == '#')
      uri += "%23";
    else if (c == '%')
      uri += "%25";
    else
      uri += c;
  }
  return uri + "?immutable=1";
}

}  // namespace

struct Store::Impl {
  Impl(std::string file, WriterLock held, int flags, const std::string& name)
      : path(std::move(file)), lock(std::move(held)), db(name, flags) {}
  ~Impl() {
    if (!writes) return;
    // Back to a single file, which can also be read from a folder that cannot be written. Fails while
    // somebody reads; then the log simply stays.
    sqlite3_busy_timeout(db.handle(), 0);
    sqlite3_exec(db.handle(), "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE", nullptr, nullptr,
                 nullptr);
  }

  void prepare_to_write() {
    // NORMAL: a killed process loses nothing; a power cut may lose the last commits, never the file's order,
    // and a resumed search evaluates those candidates again.
    db.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON");
    writes = true;
  }

  void check() {
    const i64 application = db.number("PRAGMA application_id"), version = db.number("PRAGMA user_version");
    if (application != kApplication)
      throw input_error("archive " + path + ": not an archive of a search (application id " +
                        std::to_string(application) + "); give the run directory's archive.sqlite");
    if (version != kVersion)
      throw input_error("archive " + path + ": has version " + std::to_string(version) +
                        ", this program reads version " + std::to_string(kVersion) +
                        "; use the program that wrote it");
    const std::string health = db.text("PRAGMA quick_check(1)");
    if (health != "ok")
      throw input_error("archive " + path + ": damaged (" + health.substr(0, health.find('\n')) +
                        "); restore it from a copy or start a new run");
  }

  // What `body` reads, or an error that names the file.
  template <class Body>
  auto reading(Body&& body) const {
    try {
      return body();
    } catch (const Error& error) {
      throw input_error("archive " + path + ": damaged: " + error.what());
    }
  }

  CandidateRecord read(Statement& row) const {
    return reading([&] { return read_candidate(row); });
  }

  void insert(const std::string& table, const CandidateRecord& c) {
    const std::string sql = "INSERT INTO " + table + "(" + kCandidateColumns +
                            ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    Statement row(db, sql.c_str());
    bind_proposal(row, c)
        .bind(std::to_string(c.seed))
        .bind(c.weights)
        .bind(c.state == CandidateRecord::State::scored ? "scored" : "failed")
        .bind(c.reason)
        .bind(text_of(c.objectives))
        .bind(c.violation)
        .bind(c.accuracy_tune)
        .bind(c.avg_macs)
        .bind(c.full_macs)
        .bind(c.params)
        .bind(c.latency_us)
        .bind(text_of(c.exit_shares))
        .bind(text_of(c.exit_accuracies))
        .bind(text_of(c.thresholds))
        .bind(c.seconds)
        .bind(c.train_macs)
        .bind(c.epochs)
        .bind(c.rungs_left)
        .finish();
  }
  Statement select(const std::string& from) const {
    return Statement(db, (std::string("SELECT ") + kCandidateColumns + " FROM " + from).c_str());
  }
  std::optional<CandidateRecord> first(Statement& row) const {
    if (!row.step()) return std::nullopt;
    return read(row);
  }
  std::vector<CandidateRecord> all(Statement row) const {
    std::vector<CandidateRecord> records;
    while (row.step()) records.push_back(read(row));
    return records;
  }

  std::string path;
  WriterLock lock;
  Database db;
  bool writes = false;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Store Store::create(const std::string& path) {
  WriterLock lock(path);
  auto impl = std::make_unique<Impl>(path, std::move(lock), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, path);
  // A file without a table is what is left when a process dies while creating it.
  if (impl->db.number("SELECT count(*) FROM sqlite_master") != 0)
    throw usage_error("archive " + path + ": there is a study already; resume it or choose another folder");
  impl->prepare_to_write();
  const std::string script = "BEGIN IMMEDIATE; PRAGMA application_id=" + std::to_string(kApplication) +
                             "; PRAGMA user_version=" + std::to_string(kVersion) + ";" + kSchema + "COMMIT;";
  impl->db.run(script.c_str());
  return Store(std::move(impl));
}

Store Store::open(const std::string& path, Access access) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error))
    throw input_error("archive " + path + ": no such file; give the folder of a run");
  std::unique_ptr<Impl> impl;
  if (access == Access::write) {
    WriterLock lock(path);
    impl = std::make_unique<Impl>(path, std::move(lock), SQLITE_OPEN_READWRITE, path);
  } else {
    // Looking on needs a little file beside a log in use. Where the folder forbids it and no log is left, the
    // file alone is complete.
    const std::string folder = std::filesystem::path(path).parent_path().string();
    const bool writable = ::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0;
    const bool alone = !writable && readable_without_log(path);
    impl = std::make_unique<Impl>(path, WriterLock(), SQLITE_OPEN_READONLY | (alone ? SQLITE_OPEN_URI : 0),
                                  alone ? uri_of(path) : path);
  }
  impl->check();
  if (access == Access::write) impl->prepare_to_write();
  return Store(std::move(impl));
}

void Store::set_meta(const std::string& key, const std::string& value) {
  Statement(impl_->db, "INSERT INTO study VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value")
      .bind(key)
      .bind(value)
      .finish();
}

std::optional<std::string> Store::meta(const std::string& key) const {
  Statement row(impl_->db, "SELECT value FROM study WHERE key=?");
  row.bind(key);
  if (!row.step()) return std::nullopt;
  return row.text();
}

void Store::atomically(const std::function<void()>& body) {
  impl_->db.run("SAVEPOINT whole");
  try {
    body();
    impl_->db.run("RELEASE whole");
  } catch (...) {
    // A full disk may have undone everything already.
    sqlite3_exec(impl_->db.handle(), "ROLLBACK TO whole; RELEASE whole", nullptr, nullptr, nullptr);
    throw;
  }
}

void Store::add(const CandidateRecord& c) {
  atomically([&] {
    impl_->insert("candidate", c);
    Statement(impl_->db, "DELETE FROM pending WHERE id=?").bind(c.id).finish();
  });
}

void Store::replace(const CandidateRecord& c) {
  atomically([&] {
    Statement(impl_->db, "DELETE FROM candidate WHERE id=?").bind(c.id).finish();
    impl_->insert("candidate", c);
    Statement(impl_->db, "DELETE FROM rung WHERE id=? AND rungs_left<?")
        .bind(c.id)
        .bind(c.rungs_left)
        .finish();
  });
}

void Store::set_pending(std::span<const Proposal> proposals) {
  atomically([&] {
    impl_->db.run("DELETE FROM pending");
    const std::string sql =
        std::string("INSERT INTO pending(") + kProposalColumns + ") VALUES(?,?,?,?,?,?,?)";
    for (const Proposal& p : proposals) {
      if (candidate(p.id)) continue;
      Statement row(impl_->db, sql.c_str());
      bind_proposal(row, p).finish();
    }
  });
}

std::vector<Proposal> Store::proposals(i64 generation) const {
  const std::string columns = kProposalColumns;
  Statement row(impl_->db, ("SELECT " + columns + " FROM candidate WHERE generation=?1 UNION ALL SELECT " +
                            columns + " FROM pending WHERE generation=?1 ORDER BY id")
                               .c_str());
  row.bind(generation);
  std::vector<Proposal> all;
  while (row.step()) impl_->reading([&] { read_proposal(row, all.emplace_back()); });
  return all;
}

void Store::add_rung(const CandidateRecord& c) { impl_->insert("rung", c); }

std::optional<CandidateRecord> Store::find(const Genotype& genotype) const {
  Statement row = impl_->select("candidate WHERE genotype=?");
  row.bind(text_of(genotype));
  return impl_->first(row);
}

std::optional<CandidateRecord> Store::candidate(i64 id) const {
  Statement row = impl_->select("candidate WHERE id=?");
  row.bind(id);
  return impl_->first(row);
}

std::optional<CandidateRecord> Store::rung(i64 id, i64 rungs_left) const {
  Statement row = impl_->select("rung WHERE id=? AND rungs_left=?");
  row.bind(id).bind(rungs_left);
  return impl_->first(row);
}

std::vector<CandidateRecord> Store::candidates() const {
  return impl_->all(impl_->select("candidate ORDER BY id"));
}

std::vector<CandidateRecord> Store::rungs() const {
  return impl_->all(impl_->select("rung ORDER BY id, rungs_left DESC"));
}

i64 Store::begun() const {
  return impl_->db.number(
      "SELECT 1 + coalesce(max(id), -1) FROM (SELECT id FROM candidate UNION ALL SELECT id FROM rung)");
}

void Store::reopen() {
  const std::string drop = std::string("DELETE FROM study WHERE key IN ('") + kMetaFinished + "','" +
                           kMetaInfeasible + "') OR key GLOB 'final *' OR key GLOB 'curve *'; DELETE FROM training WHERE phase<>'" +
                           kPhaseSupernet + "'";
  atomically([&] { impl_->db.run(drop.c_str()); });
}

i64 Store::candidate_count() const { return impl_->db.number("SELECT count(*) FROM candidate"); }

void Store::set(const GenerationRecord& g) {
  atomically([&] {
    Statement(impl_->db, "INSERT OR REPLACE INTO generation VALUES(?,?,?,?,?,?,?,?)")
        .bind(g.generation)
        .bind(g.hypervolume)
        .bind(g.evaluations)
        .bind(g.failures)
        .bind(g.best_at_target)
        .bind(g.best_id)
        .bind(g.train_macs)
        .bind(g.seconds)
        .finish();
    Statement(impl_->db, "DELETE FROM front WHERE generation=?").bind(g.generation).finish();
    for (i64 id : g.front)
      Statement(impl_->db, "INSERT INTO front VALUES(?,?)").bind(g.generation).bind(id).finish();
  });
}

std::vector<GenerationRecord> Store::generations() const {
  Statement row(
      impl_->db,
      "SELECT generation, hypervolume, evaluations, failures, best_at_target, best_id, train_macs, seconds "
      "FROM generation ORDER BY generation");
  Statement member(impl_->db, "SELECT generation, id FROM front ORDER BY generation, id");
  std::map<i64, std::vector<i64>> fronts;
  while (member.step()) {
    const i64 generation = member.integer();
    fronts[generation].push_back(member.integer());
  }
  std::vector<GenerationRecord> all;
  while (row.step()) {
    GenerationRecord g;
    g.generation = row.integer();
    g.hypervolume = row.real();
    g.evaluations = row.integer();
    g.failures = row.integer();
    g.best_at_target = row.real();
    g.best_id = row.integer();
    g.train_macs = row.integer();
    g.seconds = row.real();
    g.front = std::move(fronts[g.generation]);
    all.push_back(std::move(g));
  }
  return all;
}

void Store::set_training_macs(const std::string& phase, i64 macs) {
  Statement(impl_->db, "INSERT OR REPLACE INTO training VALUES(?,?)").bind(phase).bind(macs).finish();
}

TrainingCost Store::training_cost() const {
  TrainingCost cost;
  Statement row(impl_->db, "SELECT phase, macs FROM training");
  while (row.step()) {
    const bool supernet = row.text() == kPhaseSupernet;
    (supernet ? cost.supernet : cost.finals) += row.integer();
  }
  cost.candidates = impl_->db.number("SELECT coalesce(sum(train_macs), 0) FROM candidate");
  return cost;
}

void Store::add_event(const std::string& kind, const std::string& text) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  add({.unix_seconds = now.count(), .kind = kind, .text = text});
}

void Store::add(const EventRecord& event) {
  Statement(impl_->db, "INSERT INTO event(unix_seconds, kind, text) VALUES(?,?,?)")
      .bind(event.unix_seconds)
      .bind(event.kind)
      .bind(event.text)
      .finish();
}

std::vector<EventRecord> Store::events() const {
  Statement row(impl_->db, "SELECT unix_seconds, kind, text FROM event ORDER BY id");
  std::vector<EventRecord> all;
  while (row.step()) {
    EventRecord e;
    e.unix_seconds = row.real();
    e.kind = row.text();
    e.text = row.text();
    all.push_back(std::move(e));
  }
  return all;
}

}  // namespace offramp::nas
