#include "nas/study/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "nas/study/database.h"
#include "nas/study/text_list.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp::nas {
namespace {

using offramp::testing::kind_of;
using offramp::testing::slurp;
using offramp::testing::TempDir;
using offramp::testing::thrown_by;

CandidateRecord scored(i64 id) {
  CandidateRecord c;
  c.id = id;
  c.generation = id / 4;
  c.genotype = {i32(id), 2, 0, 1};
  c.origin = id ? "variation" : "seed";
  if (id) c.parents = {id - 1, 0};
  c.predicted = {1.0 / 3, NAN, 5e-324};
  c.predicted_by = {"rbf", "gp", "carts"};
  c.seed = ~u64{0} - u64(id);
  c.weights = "supernet";
  c.accuracy_tune = 0.1 + 0.2 + 1e-17 * double(id);
  c.avg_macs = 1.0 / 3;
  c.objectives = {1 - c.accuracy_tune, c.avg_macs, 5e-324, 1.7976931348623157e308};
  c.violation = 0.1;
  c.full_macs = (i64{1} << 62) + 1;  // does not fit a double
  c.params = 123456789012345;
  c.exit_shares = {0.25, 1.0 / 7, 0.607};
  c.exit_accuracies = {0.5, 0.75, 0.875};
  c.thresholds = {0.1f, std::nullopt, std::nextafter(1.0f, 0.0f)};
  c.seconds = 1.25;
  c.train_macs = (i64{1} << 53) + 1;
  c.latency_us = 1.0 / 7;
  c.epochs = 4, c.rungs_left = 2;
  return c;
}

bool same_bits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

void expect_same(const CandidateRecord& a, const CandidateRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.generation, b.generation);
  EXPECT_EQ(a.genotype, b.genotype);
  EXPECT_EQ(a.origin, b.origin);
  EXPECT_EQ(a.parents, b.parents);
  ASSERT_EQ(a.predicted.size(), b.predicted.size());
  for (std::size_t i = 0; i < a.predicted.size(); ++i) EXPECT_TRUE(same_bits(a.predicted[i], b.predicted[i]));
  EXPECT_EQ(a.predicted_by, b.predicted_by);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.weights, b.weights);
  EXPECT_EQ(a.state, b.state);
  EXPECT_EQ(a.reason, b.reason);
  ASSERT_EQ(a.objectives.size(), b.objectives.size());
  for (std::size_t i = 0; i < a.objectives.size(); ++i)
    EXPECT_TRUE(same_bits(a.objectives[i], b.objectives[i]));
  EXPECT_TRUE(same_bits(a.violation, b.violation));
  EXPECT_TRUE(same_bits(a.accuracy_tune, b.accuracy_tune));
  EXPECT_TRUE(same_bits(a.avg_macs, b.avg_macs));
  EXPECT_EQ(a.full_macs, b.full_macs);
  EXPECT_EQ(a.params, b.params);
  EXPECT_EQ(a.exit_shares, b.exit_shares);
  EXPECT_EQ(a.exit_accuracies, b.exit_accuracies);
  EXPECT_EQ(a.thresholds, b.thresholds);
  EXPECT_TRUE(same_bits(a.seconds, b.seconds));
  EXPECT_EQ(a.train_macs, b.train_macs);
  EXPECT_TRUE(same_bits(a.latency_us, b.latency_us));
  EXPECT_EQ(a.epochs, b.epochs);
  EXPECT_EQ(a.rungs_left, b.rungs_left);
}

TEST(TextList, ReadsBackTheSameBits) {
  const std::vector<double> values{0.1, -0.0, 5e-324, 1.0 / 3, 1e300, INFINITY, NAN};
  std::vector<double> read;
  parse_list(text_of(values), read);
  ASSERT_EQ(read.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_TRUE(same_bits(read[i], values[i])) << values[i];
  const Thresholds thresholds{std::nullopt, 0.1f, std::numeric_limits<float>::lowest()};
  Thresholds again;
  parse_list(text_of(thresholds), again);
  EXPECT_EQ(again, thresholds);
  EXPECT_EQ(text_of(Thresholds{0.5f, std::nullopt}), "0.5,null");
  std::vector<i64> integers{1};
  parse_list("", integers);
  EXPECT_TRUE(integers.empty());
  for (const char* bad : {"1,,2", "1,", ",", "x", "1 2", "99999999999999999999", "1.5"})
    EXPECT_EQ(kind_of([&] { parse_list(bad, integers); }), Error::Kind::input) << bad;
}

TEST(Store, GivesBackWhatWasPutIn) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  CandidateRecord nan = scored(1), failed;
  nan.objectives = {NAN, -0.0};
  nan.accuracy_tune = NAN;
  failed.id = 2;
  failed.genotype = {9, 9, 9, 9};
  failed.origin = "random";
  failed.state = CandidateRecord::State::failed;
  failed.reason = "loss is NaN at step 12; it's \"over\"";
  const auto check = [&](const Store& store) {
    EXPECT_EQ(store.candidate_count(), 3);
    const std::vector<CandidateRecord> all = store.candidates();
    ASSERT_EQ(all.size(), 3u);
    expect_same(all[0], scored(0));
    expect_same(all[1], nan);
    expect_same(all[2], failed);
    ASSERT_TRUE(store.find({9, 9, 9, 9}));
    expect_same(*store.find({9, 9, 9, 9}), failed);
    expect_same(*store.candidate(0), scored(0));
    EXPECT_FALSE(store.find({9, 9, 9}));
    EXPECT_FALSE(store.candidate(3));
    EXPECT_EQ(store.meta("config"), "[search]\nevals = 5\n");
    EXPECT_EQ(store.meta("seed"), "18446744073709551615");
    EXPECT_FALSE(store.meta("other"));
    const std::vector<GenerationRecord> generations = store.generations();
    ASSERT_EQ(generations.size(), 2u);
    EXPECT_EQ(generations[0].hypervolume, 0.25);
    EXPECT_TRUE(std::isnan(generations[0].best_at_target));
    EXPECT_EQ(generations[1].hypervolume, 1.0 / 3);
    EXPECT_EQ(generations[0].front, (std::vector<i64>{2, 5, 6}));
    EXPECT_EQ(generations[1].front, (std::vector<i64>{5, 41}));
    EXPECT_EQ(generations[1].evaluations, 80);
    EXPECT_EQ(generations[1].failures, 1);
    EXPECT_EQ(generations[1].best_id, 79);
    EXPECT_EQ(generations[1].train_macs, (i64{1} << 53) + 1);
    EXPECT_EQ(generations[1].seconds, 2.5);
    const std::vector<EventRecord> events = store.events();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].kind, "start");
    EXPECT_EQ(events[1].text, "2 threads");
    EXPECT_GT(events[1].unix_seconds, 1e9);
  };
  {
    Store store = Store::create(path);
    store.set_meta("config", "old");
    store.set_meta("config", "[search]\nevals = 5\n");
    store.set_meta("seed", "18446744073709551615");
    store.add(failed);
    store.add(scored(0));
    store.add(nan);
    store.set(GenerationRecord{1, 0.1, {3, 5}, 2, 3, 4, 5, 6, 7});
    store.set(GenerationRecord{1, 1.0 / 3, {41, 5}, 80, 1, 0.75, 79, (i64{1} << 53) + 1, 2.5});
    store.set(GenerationRecord{0, 0.25, {5, 2, 6}, 40, 0, NAN, -1, 0, 1});
    store.add_event("start", "");
    store.add_event("resume", "2 threads");
    check(store);
    check(Store::open(path, Store::Access::read));  // beside the writer
  }
  // Closed: one file, and one that asks for no log beside it (bytes 18 and 19 of the format).
  EXPECT_FALSE(std::filesystem::exists(path + "-wal"));
  EXPECT_EQ(slurp(path).substr(18, 2), "\1\1");
  check(Store::open(path, Store::Access::read));
  check(Store::open(path, Store::Access::write));
}

TEST(Store, WhatIsWrittenAtomicallyIsWholeOrNotThere) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  struct Cut {};
  {
    Store store = Store::create(path);
    store.add_event("start", "");
    EXPECT_THROW(store.atomically([&] {
      store.set(GenerationRecord{.generation = 0, .front = {1, 2}});
      store.add(scored(1));
      store.atomically([&] { store.add_event("surrogate", "tau"); });
      throw Cut{};
    }),
                 Cut);
    store.atomically([&] {
      store.set(GenerationRecord{.generation = 1, .front = {3}});
      // The inner part fails by itself.
      EXPECT_THROW(store.atomically([&] {
        store.add_event("surrogate", "lost");
        throw Cut{};
      }),
                   Cut);
      store.add_event("surrogate", "kept");
    });
  }
  const Store store = Store::open(path, Store::Access::read);
  EXPECT_EQ(store.candidate_count(), 0);
  ASSERT_EQ(store.generations().size(), 1u);
  EXPECT_EQ(store.generations()[0].front, std::vector<i64>{3});
  ASSERT_EQ(store.events().size(), 2u);
  EXPECT_EQ(store.events()[1].text, "kept");
}

TEST(Store, WhatIsDecidedIsKeptUntilItIsEvaluated) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  const auto proposal = [](i64 id, i64 generation) {
    return Proposal{.id = id,
                    .generation = generation,
                    .genotype = scored(id).genotype,
                    .origin = "surrogate",
                    .parents = {0, 2},
                    .predicted = {0.1, 1.0 / 3},
                    .predicted_by = {"rbf", "gp"}};
  };
  std::vector<Proposal> second{proposal(4, 1), proposal(5, 1), proposal(6, 1)};
  {
    Store store = Store::create(path);
    store.set_pending(std::vector<Proposal>{proposal(0, 0), proposal(1, 0)});
    EXPECT_EQ(store.begun(), 0);
    for (i64 id : {0, 1, 2, 3}) store.add(scored(id));
    store.set_pending(second);
    EXPECT_EQ(store.proposals(1), second);
    CandidateRecord evaluated = scored(5);  // says itself how it was proposed
    evaluated.predicted = {0.5};
    store.add(evaluated);
    EXPECT_EQ(store.begun(), 6);
    CandidateRecord rung = scored(6);
    store.add_rung(rung);
    EXPECT_EQ(store.begun(), 7);
  }
  Store store = Store::open(path, Store::Access::write);
  second[1].origin = "variation", second[1].parents = scored(5).parents;
  second[1].predicted = {0.5}, second[1].predicted_by = scored(5).predicted_by;
  EXPECT_EQ(store.proposals(1), second);
  EXPECT_EQ(store.proposals(0).size(), 4u);
  EXPECT_TRUE(store.proposals(2).empty());
  store.set_pending(second);  // what is evaluated is not pending
  EXPECT_EQ(store.proposals(1), second);
}

TEST(Store, AReopenedStudyHasNoEnd) {
  TempDir dir;
  Store store = Store::create(dir / "archive.sqlite");
  for (const char* key : {kMetaFinished, kMetaInfeasible, kMetaClasses, kMetaConfig})
    store.set_meta(key, "x");
  store.set_meta(meta_of_final(3), "1 2 3");
  store.set_training_macs(kPhaseSupernet, 7);
  store.set_training_macs(phase_of_final(3), 20);
  store.reopen();
  for (const std::string& key : {std::string(kMetaFinished), std::string(kMetaInfeasible), meta_of_final(3)})
    EXPECT_FALSE(store.meta(key)) << key;
  EXPECT_TRUE(store.meta(kMetaClasses));
  EXPECT_TRUE(store.meta(kMetaConfig));
  EXPECT_EQ(store.training_cost().total(), 7);
}

TEST(Store, ACandidateReplacedHasNoRungsThatItWasStoppedShortOf) {
  TempDir dir;
  Store store = Store::create(dir / "archive.sqlite");
  CandidateRecord c = scored(1);
  for (i64 left : {2, 1, 0}) {
    c.rungs_left = left;
    store.add_rung(c);
  }
  store.add(c);
  c.rungs_left = 1;
  store.replace(c);
  EXPECT_EQ(store.candidate(1)->rungs_left, 1);
  EXPECT_EQ(store.rungs().size(), 2u);
  EXPECT_EQ(store.candidate_count(), 1);
}

TEST(Store, TrainingCostByPhase) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  {
    Store store = Store::create(path);
    EXPECT_EQ(store.training_cost().total(), 0);
    store.set_training_macs(kPhaseSupernet, 7);
    store.set_training_macs(kPhaseSupernet, 1000);  // trained again after an interruption
    store.set_training_macs(phase_of_final(3), 20);
    store.set_training_macs(phase_of_final(14), 30);
    for (i64 id : {0, 1}) {
      CandidateRecord c = scored(id);
      c.train_macs = 100 + id;
      store.add(c);
    }
  }
  const TrainingCost cost = Store::open(path, Store::Access::read).training_cost();
  EXPECT_EQ(cost.supernet, 1000);
  EXPECT_EQ(cost.candidates, 201);
  EXPECT_EQ(cost.finals, 50);
  EXPECT_EQ(cost.total(), 1251);
}

TEST(Store, NothingIsAddedTwice) {
  TempDir dir;
  Store store = Store::create(dir / "archive.sqlite");
  store.add(scored(3));
  CandidateRecord same_id = scored(3), same_genotype = scored(4);
  same_id.genotype = {7};
  same_genotype.genotype = scored(3).genotype;
  EXPECT_EQ(kind_of([&] { store.add(same_id); }), Error::Kind::failed);
  EXPECT_EQ(kind_of([&] { store.add(same_genotype); }), Error::Kind::failed);
  EXPECT_EQ(store.candidate_count(), 1);
}

TEST(Store, OneWriterAnyReaders) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  Store writer = Store::create(path);
  const auto refused = thrown_by([&] { Store::open(path, Store::Access::write); });
  EXPECT_EQ(refused.kind, Error::Kind::failed);
  EXPECT_NE(refused.message.find("another process"), std::string::npos) << refused.message;
  EXPECT_THROW(Store::create(path), Error);
  const Store reader = Store::open(path, Store::Access::read);
  writer.add(scored(0));
  EXPECT_EQ(reader.candidate_count(), 1);  // a reader sees what is committed
  EXPECT_THROW(Store::open(path, Store::Access::read).add(scored(1)), Error);
}

TEST(Store, NeverCreatesOverAStudy) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  Store::create(path).add(scored(0));
  const std::string before = slurp(path);
  EXPECT_EQ(kind_of([&] { Store::create(path); }), Error::Kind::usage);
  EXPECT_EQ(slurp(path), before);
  // An empty file is what a process leaves that died while creating it.
  dir.write("empty.sqlite", "");
  EXPECT_EQ(kind_of([&] { Store::open(dir / "empty.sqlite", Store::Access::write); }), Error::Kind::input);
  Store::create(dir / "empty.sqlite").add(scored(0));
}

// The child reports each candidate after it was stored; the parent kills it at some moment.
TEST(Store, AKilledProcessLosesNothingThatWasStored) {
  for (int round = 0; round < 5; ++round) {
    TempDir dir;
    const std::string path = dir / "archive.sqlite";
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        Store store = Store::create(path);
        for (i64 id = 0;; ++id) {
          store.add(scored(id));
          if (write(pipe_ends[1], &id, sizeof id) != i64(sizeof id)) break;
        }
      } catch (...) {
      }
      _exit(1);
    }
    close(pipe_ends[1]);
    i64 last = -1;
    const i64 wanted = 3 + 37 * round;
    while (last < wanted && read(pipe_ends[0], &last, sizeof last) == i64(sizeof last)) {
    }
    if (last == wanted) {
      EXPECT_THROW(Store::open(path, Store::Access::write), Error);  // it is alive
    }
    kill(child, SIGKILL);
    for (i64 id; read(pipe_ends[0], &id, sizeof id) == i64(sizeof id);) last = id;
    close(pipe_ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_GE(last, wanted);

    EXPECT_GE(Store::open(path, Store::Access::read).candidate_count(), last + 1);  // the log is read, too
    Store store = Store::open(path, Store::Access::write);  // the lock died with its holder
    const std::vector<CandidateRecord> all = store.candidates();
    ASSERT_GE(i64(all.size()), last + 1);
    ASSERT_LE(i64(all.size()), last + 2);  // at most the one that was stored but not yet reported
    for (std::size_t i = 0; i < all.size(); ++i) expect_same(all[i], scored(i64(i)));
    store.add(scored(i64(all.size())));
  }
}

TEST(Store, WrongFilesAreNamedInOneLine) {
  TempDir dir;
  EXPECT_EQ(kind_of([&] { Store::open(dir / "nothing.sqlite", Store::Access::read); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { Store::open(dir.path(), Store::Access::read); }), Error::Kind::input);
  const std::string text = dir.write("text.sqlite", std::string(5000, 'x'));
  for (auto access : {Store::Access::read, Store::Access::write})
    EXPECT_EQ(kind_of([&] { Store::open(text, access); }), Error::Kind::input);
  EXPECT_EQ(kind_of([&] { Store::create(text); }), Error::Kind::input);
  EXPECT_EQ(slurp(text), std::string(5000, 'x'));
  EXPECT_EQ(kind_of([&] { Store::create(dir / "no/such/folder/archive.sqlite"); }), Error::Kind::input);

  const std::string other = dir / "other.sqlite";
  Database(other, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE).run("CREATE TABLE t(x)");
  EXPECT_EQ(kind_of([&] { Store::open(other, Store::Access::read); }), Error::Kind::input);

  const std::string newer = dir / "newer.sqlite";
  Store::create(newer);
  for (const char* version : {"99", "3"}) {
    Database(newer, SQLITE_OPEN_READWRITE).run((std::string("PRAGMA user_version=") + version).c_str());
    const auto refused = thrown_by([&] { Store::open(newer, Store::Access::write); });
    EXPECT_EQ(refused.kind, Error::Kind::input);
    EXPECT_NE(refused.message.find(std::string("version ") + version), std::string::npos) << refused.message;
  }
}

// Whatever 64 bytes are overwritten, and wherever the file is cut: an error of ours, or every row still
// reads.
TEST(Store, DamageIsAnErrorNeverACrash) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite";
  {
    Store store = Store::create(path);
    for (i64 id = 0; id < 150; ++id) store.add(scored(id));
  }
  const std::string good = slurp(path);
  ASSERT_GT(good.size(), 20000u);
  int refused = 0;
  const auto try_bytes = [&](const std::string& bytes) {
    const std::string file = dir.write("damaged.sqlite", bytes);
    const auto thrown = thrown_by([&] {
      Store store = Store::open(file, Store::Access::read);
      (void)store.candidates();
      (void)store.generations();
      (void)store.proposals(3);
      (void)store.find(scored(77).genotype);
    });
    if (!thrown.kind) return;
    ++refused;
    EXPECT_EQ(*thrown.kind, Error::Kind::input) << thrown.message;
  };
  for (std::size_t at = 0; at + 64 <= good.size(); at += 1021)
    for (char fill : {'\0', '\xFF', 'Q'}) {
      std::string bad = good;
      bad.replace(at, 64, std::string(64, fill));
      try_bytes(bad);
    }
  for (std::size_t size :
       {std::size_t{1}, std::size_t{99}, std::size_t{4096}, good.size() / 2, good.size() - 1})
    try_bytes(good.substr(0, size));
  EXPECT_GT(refused, 20);
}

TEST(Store, AFolderThatCannotBeWritten) {
  TempDir dir;
  const std::string path = dir / "archive.sqlite", logged = dir / "a?b#c%20d.sqlite";
  Store::create(path).add(scored(0));
  // As left by a writer that closed while somebody was reading: still in the mode that wants a log.
  Store::create(logged).add(scored(0));
  Database(logged, SQLITE_OPEN_READWRITE).run("PRAGMA journal_mode=WAL");
  ASSERT_EQ(slurp(logged).substr(18, 2), "\2\2");
  std::filesystem::remove(path + "-lock");
  std::filesystem::permissions(path, std::filesystem::perms(0444));
  std::filesystem::permissions(dir.path(), std::filesystem::perms(0555));
  const pid_t child = fork();  // permissions bind only an ordinary user, so become one
  ASSERT_GE(child, 0);
  if (child == 0) {
    int wrong = 0;
    if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) _exit(99);
    try {
      wrong |= Store::open(path, Store::Access::read).candidate_count() != 1;
      wrong |= Store::open(logged, Store::Access::read).candidate_count() != 1;
    } catch (const Error&) {
      wrong |= 2;
    }
    try {
      Store::open(path, Store::Access::write);
      wrong |= 4;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::input) wrong |= 8;
    }
    try {
      Store::create(dir / "another.sqlite");
      wrong |= 16;
    } catch (const Error& error) {
      if (error.kind() != Error::Kind::input) wrong |= 32;
    }
    _exit(wrong);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 99) GTEST_SKIP() << "cannot become an ordinary user here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace offramp::nas
