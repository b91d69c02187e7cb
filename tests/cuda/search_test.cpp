// A search on the card, stopped again and again: the same result, byte for byte, as one that ran through.
#include <atomic>

#include "tests/cuda/toy.h"
#include "tests/nas/search_run.h"
#include "tests/support/device.h"

namespace offramp::nas {
namespace {

class CudaSearch : public SearchRun {
 protected:
  SearchRequest tiny(const std::string& name) const {
    SearchRequest r = request(name);
    dir_.write("tiny.toml", testing::kElasticSpace);
    r.config.space = dir_ / "tiny.toml";
    r.config.search.evals = 4;
    r.config.search.population = 2;
    r.config.train.samples = 16;
    r.config.train.batch = 8;
    r.config.tune.samples = 20;
    r.config.candidate.recalibrate = 8;
    r.config.final.recalibrate = 8;
    r.config.final.epochs = 3;
    r.config.final.count = 1;
    return r;
  }
  static void go_on(const SearchRequest& r, const Watch& watch = {}) {
    Exec exec(cuda::Gpu::instance(), cuda::Math::bf16);
    continue_run(exec, r, watch);
  }
};

TEST_F(CudaSearch, StoppedAndResumedGivesTheSameBits) {
  OFFRAMP_NEEDS_CARD();
  const SearchRequest one = tiny("whole"), parts = tiny("parts");
  create_run(one, false);
  go_on(one);

  // Two steps an epoch: inside the first, behind a checkpoint, among candidates, in a final training whose
  // step is captured by then.
  const std::pair<std::string, i64> stops[] = {
      {"supernet", 1}, {"supernet", 3}, {"search", 2}, {"final 1/1", 5}};
  create_run(parts, false);
  std::size_t at = 0;
  for (bool done = false; !done;) {
    std::atomic<bool> stop{false};
    Watch watch;
    watch.stop = &stop;
    watch.on_progress = [&](const Progress& p) {
      if (at < std::size(stops) && p.phase == stops[at].first && p.done >= stops[at].second) stop = true;
    };
    const Thrown t = thrown_by([&] { go_on(parts, watch); });
    if (t.kind) {
      ASSERT_EQ(*t.kind, Error::Kind::interrupted) << t.message;
      ASSERT_LT(at++, std::size(stops));
    } else {
      done = true;
    }
  }
  EXPECT_EQ(at, std::size(stops));
  expect_same(one.out, parts.out);
}

}  // namespace
}  // namespace offramp::nas
