// The rank statistic by which surrogates are judged.
#include "nas/surrogate/kendall.h"

#include <gtest/gtest.h>

#include <vector>

namespace offramp::nas {
namespace {

using V = std::vector<double>;

TEST(Kendall, OneForTheSameOrderMinusOneForTheReverse) {
  EXPECT_EQ(rank_agreement(V{1, 2, 3, 9}, V{-5, 0, 0.5, 100}).tau(), 1);
  EXPECT_EQ(rank_agreement(V{1, 2, 3, 9}, V{4, 3, 2, 1}).tau(), -1);
  EXPECT_TRUE(std::isnan(rank_agreement(V{1, 1, 1}, V{1, 2, 3}).tau()));
}

TEST(Kendall, CountsTiesAsTauBDoes) {
  // scipy.stats.kendalltau([12,2,1,12,2], [1,4,7,1,0]) = -0.47140452079103173 (its documentation's example)
  const Agreement a = rank_agreement(V{12, 2, 1, 12, 2}, V{1, 4, 7, 1, 0});
  EXPECT_NEAR(a.tau(), -0.47140452079103173, 1e-15);
  EXPECT_EQ(a.pairs, 10);
  EXPECT_EQ(a.tied_a, 2);
  EXPECT_EQ(a.tied_b, 1);
  EXPECT_EQ(a.agree, 2);
  EXPECT_EQ(a.disagree, 6);
}

}  // namespace
}  // namespace offramp::nas
