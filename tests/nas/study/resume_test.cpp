// A search that looks its evaluations up in the archive continues to the result of one that was never
// interrupted.
#include <gtest/gtest.h>

#include "nas/search/front.h"
#include "nas/search/nsga2.h"
#include "nas/study/store.h"
#include "tests/support/temp_dir.h"

namespace offramp::nas {
namespace {

struct Stopped {};

// Some networks fail; scores are doubles without a short decimal form.
CandidateRecord evaluate(const Proposal& proposal) {
  CandidateRecord record{.id = proposal.id,
                         .generation = proposal.generation,
                         .genotype = proposal.genotype,
                         .origin = proposal.origin,
                         .parents = proposal.parents};
  double up = 0, down = 0;
  for (std::size_t i = 0; i < proposal.genotype.size(); ++i) {
    up += proposal.genotype[i] / (3.0 + double(i));
    down += (3 - proposal.genotype[i]) / 7.0;
  }
  record.objectives = {up, down};
  if (proposal.genotype[2] == 3) record.state = CandidateRecord::State::failed, record.reason = "diverged";
  return record;
}

// Stops by throwing after `budget` new evaluations.
Front search(Store& store, i64 evaluations, i64 budget) {
  Nsga2 nsga2({std::vector<i32>(8, 4)}, {.seed = 12, .population = 16});
  Front front;
  for (i64 done = 0; done < evaluations;) {
    std::vector<Evaluation> told;
    for (const Proposal& proposal : nsga2.ask(evaluations - done)) {
      std::optional<CandidateRecord> record = store.find(proposal.genotype);
      if (!record) {
        if (budget-- == 0) throw Stopped{};
        store.add(evaluate(proposal));
        record = store.find(proposal.genotype);
      }
      EXPECT_EQ(record->id, proposal.id);
      const bool failed = record->state == CandidateRecord::State::failed;
      told.push_back(
          {record->id, failed ? Outcome(Failed{record->reason}) : Outcome(Scored{record->objectives})});
      front.insert(record->id, told.back().outcome);
      ++done;
    }
    nsga2.tell(told);
  }
  return front;
}

TEST(Resume, SameResultAsWithoutInterruption) {
  offramp::testing::TempDir dir;
  Store whole = Store::create(dir / "whole.sqlite");
  const Front want = search(whole, 200, 1000);

  const std::string path = dir / "parts.sqlite";
  Store::create(path);
  bool done = false;
  Front got;
  for (int part = 0; part < 20 && !done; ++part) {
    Store store = Store::open(path, Store::Access::write);
    try {
      got = search(store, part < 3 ? 70 : 200, 17);  // first with fewer evaluations in mind
      done = part >= 3;
    } catch (const Stopped&) {
    }
  }
  ASSERT_TRUE(done);
  EXPECT_EQ(got.points(), want.points());
  const Store parts = Store::open(path, Store::Access::read);
  const std::vector<CandidateRecord> a = whole.candidates(), b = parts.candidates();
  ASSERT_EQ(a.size(), 200u);
  ASSERT_EQ(b.size(), 200u);
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].genotype, b[i].genotype);
    EXPECT_EQ(a[i].parents, b[i].parents);
    EXPECT_EQ(a[i].objectives, b[i].objectives);
    EXPECT_EQ(a[i].state, b[i].state);
  }
}

}  // namespace
}  // namespace offramp::nas
