#include "nas/thresholds/calibration.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "kernels/rng.h"

namespace offramp::nas {
namespace {

struct Answers {
  i64 exits, classes;
  std::vector<float> logits;
  std::vector<i32> labels;

  std::vector<float> temperatures() const { return fit_temperatures(logits, labels, exits, classes); }
  double loss(i64 exit, float temperature) const {
    return negative_log_likelihood(logits, labels, exits, classes, exit, temperature);
  }
};

// Logits that favour the label by about `skill`, times `sureness`.
Answers random_answers(u64 seed, i64 samples, i64 exits, i64 classes, float skill, float sureness) {
  Rng rng(seed, 5);
  Answers a{exits, classes, {}, {}};
  for (i64 s = 0; s < samples; ++s) {
    a.labels.push_back(i32(rng.below(u32(classes))));
    for (i64 e = 0; e < exits; ++e)
      for (i64 c = 0; c < classes; ++c) {
        const float favour = c == a.labels.back() ? skill * float(e + 1) : 0;
        a.logits.push_back(sureness * (4 * rng.uniform() + favour));
      }
  }
  return a;
}

TEST(Calibration, NoTemperatureOfTheListIsBetter) {
  for (float sureness : {0.3f, 1.0f, 5.0f}) {
    const Answers a = random_answers(3, 300, 3, 7, 0.7f, sureness);
    const std::vector<float> found = a.temperatures();
    ASSERT_EQ(found.size(), 3u);
    for (i64 e = 0; e < 3; ++e) {
      const double best = a.loss(e, found[std::size_t(e)]);
      EXPECT_LE(best, a.loss(e, 1));
      for (float octave = 1.0f / 16; octave < 16; octave *= 2)
        for (int step = 0; step < 64; ++step)
          EXPECT_LE(best, a.loss(e, octave * (1 + float(step) / 64)) + 1e-12) << octave << " " << step;
    }
  }
}

TEST(Calibration, LogitsFourTimesAsLargeNeedFourTimesTheTemperature) {
  const Answers one = random_answers(9, 200, 2, 5, 0.8f, 1);
  Answers four = one;
  for (float& l : four.logits) l *= 4;
  for (std::size_t e = 0; e < 2; ++e) {
    ASSERT_GT(one.temperatures()[e], 0.1f);
    ASSERT_LT(one.temperatures()[e], 4.0f);
    EXPECT_EQ(four.temperatures()[e], 4 * one.temperatures()[e]);
  }
}

TEST(Calibration, EndsOfTheList) {
  Answers perfect = random_answers(1, 100, 1, 4, 0, 1);
  for (std::size_t s = 0; s < perfect.labels.size(); ++s)
    perfect.logits[s * 4 + std::size_t(perfect.labels[s])] += 9;
  EXPECT_LT(perfect.temperatures()[0], 0.5f);  // the surer the better, until the loss is 0
  Answers wrong = perfect;
  for (float& l : wrong.logits) l = -l;
  EXPECT_EQ(wrong.temperatures()[0], 16.0f);
  EXPECT_THROW(fit_temperatures(perfect.logits, perfect.labels, 2, 4), Error);
}

}  // namespace
}  // namespace offramp::nas
