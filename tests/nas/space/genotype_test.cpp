// Genotypes: canonical form, text form, counting, sampling.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "kernels/error.h"
#include "nas/space/space.h"
#include "tests/nas/space/tiny.h"

namespace offramp::nas {
namespace {

const char* const kBuiltin[] = {"aebnas", "cifar", "edanas", "nachos", "small"};

Genotype raw_sample(const Space& space, Rng& rng) {
  Genotype g;
  for (const Gene& gene : space.genes()) g.push_back(i32(rng.below(u32(gene.values.size()))));
  return g;
}

// All that a genotype means: the network and the thresholds it encodes.
struct Phenotype {
  nn::Architecture net;
  std::vector<std::optional<double>> thresholds;
  friend bool operator==(const Phenotype&, const Phenotype&) = default;
};

Phenotype phenotype(const Space& space, const Genotype& g) {
  Phenotype p{space.decode(g), {}};
  for (i64 e = 0; e < space.exits(); ++e) p.thresholds.push_back(space.threshold_gene(g, e));
  return p;
}

// Every genotype of a small space, whether or not it means anything.
template <class F>
void for_each_raw(const Space& space, F f) {
  Genotype g(space.genes().size(), 0);
  for (;;) {
    f(g);
    std::size_t i = 0;
    while (i < g.size() && std::size_t(++g[i]) == space.genes()[i].values.size()) g[i++] = 0;
    if (i == g.size()) return;
  }
}

TEST(Genotype, EqualNetworksHaveEqualCanonicalForms) {
  std::vector<Space> spaces;
  for (const char* name : kBuiltin) spaces.push_back(Space::load(name));
  spaces.push_back(Space::parse(testing::kTinySpace, "tiny.toml"));
  for (const Space& space : spaces) {
    SCOPED_TRACE(space.name());
    Rng rng(11);
    i64 same = 0, different = 0;
    for (int round = 0; round < 12; ++round) {
      const Genotype g = raw_sample(space, rng);
      const Genotype c = space.canonical(g);
      const Phenotype p = phenotype(space, g);
      EXPECT_EQ(space.canonical(c), c);
      EXPECT_EQ(phenotype(space, c), p);
      const std::vector<bool> expressed = space.expressed(g);
      for (std::size_t i = 0; i < g.size(); ++i) {
        if (!expressed[i]) {
          EXPECT_EQ(c[i], 0);
        }
        Genotype near = g;
        for (near[i] = 0; std::size_t(near[i]) < space.genes()[i].values.size(); ++near[i]) {
          const bool equal = space.canonical(near) == c;
          EXPECT_EQ(equal, phenotype(space, near) == p) << space.genes()[i].name << " of " << to_text(g);
          ++(equal ? same : different);
        }
      }
    }
    EXPECT_GT(same, 100);  // both directions were really tried
    EXPECT_GT(different, 100);
  }
}

TEST(Genotype, CountAgreesWithEnumeration) {
  const Space space = Space::parse(testing::kTinySpace, "tiny.toml");
  std::set<Genotype> canonical;
  i64 raw = 0;
  for_each_raw(space, [&](const Genotype& g) {
    ++raw;
    const Genotype c = space.canonical(g);
    if (space.any_exit_on(c)) canonical.insert(c);
  });
  EXPECT_EQ(space.count(), std::to_string(canonical.size()));
  // By hand: 2 sides; depth 1 or 2 with two kernels: 2 + 4; exit 1: absent module or 2 x 2 others, two
  // thresholds; exit 2: 1 + 6 + 6 x 4 (pool by stride; dense by kernel and stride; each second module by
  // width); not both off.
  EXPECT_EQ(space.count(), std::to_string(2 * 6 * ((1 + 2 * 5) * (1 + 31) - 1)));
  EXPECT_GT(raw, i64(2 * canonical.size()));
}

TEST(Genotype, CountOfTheBuiltInSpaces) {
  // Five stages of 9^2 + 9^3 + 9^4 blocks; each exit off, or two thresholds x 16 first x 17 second modules;
  // not all off; 11 resolutions: 7371^5 x (545^4 - 1) x 11.
  EXPECT_EQ(Space::load("aebnas").count(), "21115956091513713465320752731264");
  // The same backbones; any of four exits, not none: 7371^5 x 15.
  EXPECT_EQ(Space::load("nachos").count(), "326379832388587287765");
  EXPECT_GT(Space::load("cifar").count().size(), 20u);
  EXPECT_GE(Space::load("small").count().size(), 9u);
}

TEST(Genotype, CountWithoutExitsCountsAll) {
  const Space space = Space::parse(
      "resolution = [8, 16, 8]\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n"
      "[[stage]]\nstride = 1\nwidth = [8, 16]\ndepth = [1, 2]\nkernel = [3, 5, 7]\nexpand = 1\n",
      "plain.toml");
  EXPECT_EQ(space.count(), std::to_string(2 * 2 * (3 + 9)));
  Rng rng(1);
  EXPECT_EQ(space.decode(space.sample(rng)).stages.size(), 1u);
}

TEST(Genotype, TextForm) {
  for (const char* name : kBuiltin) {
    const Space space = Space::load(name);
    Rng rng(3);
    for (int i = 0; i < 50; ++i) {
      const Genotype g = raw_sample(space, rng);
      EXPECT_EQ(space.from_text(to_text(g)), g);
    }
  }
  const Space tiny = Space::parse(testing::kTinySpace, "tiny.toml");
  const std::string zeros = to_text(Genotype(tiny.genes().size(), 0));
  EXPECT_EQ(tiny.from_text(" " + zeros + "\n"), Genotype(tiny.genes().size(), 0));
  const struct {
    std::string text, message;
  } wrong[] = {
      {"", "wanted 16 genes, got 0"},
      {"0,0", "wanted 16 genes, got 2"},
      {zeros + ",0", "wanted 16 genes, got 17"},
      {zeros + ",", "got '' at position 16"},
      {"0,,0", "got '' at position 1"},
      {"0,x", "got 'x' at position 1"},
      {"0,1.5", "got '1.5' at position 1"},
      {"0 0", "got '0 0' at position 0"},
      {"99999999999", "got '99999999999' at position 0"},
      {"2" + zeros.substr(1), "gene 0 (stem.width): wanted 0..1, got 2"},
      {"-1" + zeros.substr(1), "gene 0 (stem.width): wanted 0..1, got -1"},
  };
  for (const auto& w : wrong) {
    try {
      tiny.from_text(w.text);
      ADD_FAILURE() << w.text << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::usage);
      EXPECT_NE(std::string(e.what()).find(w.message), std::string::npos) << e.what();
    }
  }
}

TEST(Genotype, WrongGenotypesAreRefusedEverywhere) {
  const Space space = Space::load("small");
  const Genotype short_one(space.genes().size() - 1, 0);
  Genotype high(space.genes().size(), 0);
  high.back() = 1000;
  for (const Genotype& g : {short_one, high}) {
    EXPECT_THROW(space.decode(g), Error);
    EXPECT_THROW(space.canonical(g), Error);
    EXPECT_THROW(space.expressed(g), Error);
    EXPECT_THROW(space.exit_on(g, 0), Error);
  }
}

TEST(Genotype, SamplesAreUniformPerGeneAndNeverWithoutExit) {
  const Space space = Space::load("aebnas");
  Rng rng(5), again(5);
  constexpr int kSamples = 6000;
  std::vector<std::vector<int>> seen(82, std::vector<int>(11, 0));
  for (int i = 0; i < kSamples; ++i) {
    const Genotype g = space.sample(rng);
    ASSERT_EQ(g, space.sample(again));
    ASSERT_EQ(g, space.canonical(g));
    ASSERT_TRUE(space.any_exit_on(g));
    for (std::size_t gene = 0; gene < 82; ++gene) ++seen[gene][std::size_t(g[gene])];
  }
  const auto share = [&](std::size_t gene, std::size_t choice) {
    return double(seen[gene][choice]) / kSamples;
  };
  // Five standard deviations of a share.
  const auto near = [](double share, double p) {
    return std::abs(share - p) < 5 * std::sqrt(p * (1 - p) / kSamples);
  };
  for (std::size_t s = 0; s < 5; ++s)
    for (const std::size_t gene : {9 * s, 9 * s + 1, 9 * s + 2, 9 * s + 5, 9 * s + 6})  // always expressed
      for (std::size_t choice = 0; choice < 3; ++choice)
        EXPECT_TRUE(near(share(gene, choice), 1. / 3)) << gene;
  EXPECT_TRUE(near(share(4, 1), 1. / 9));  // the fourth layer is there at depth 4 only
  EXPECT_TRUE(near(share(3, 1), 2. / 9));
  // Off with 1/3, less the share of samples without any exit that are drawn again.
  for (std::size_t e = 45; e < 49; ++e)
    EXPECT_TRUE(near(share(e, 2), (1. / 3 - 1. / 81) / (1 - 1. / 81))) << e;
  const double on = 1 - (1. / 3 - 1. / 81) / (1 - 1. / 81);
  EXPECT_TRUE(near(share(49, 2), on / 3));  // ext 10; the second 8 is spelled as the first
  EXPECT_EQ(seen[49][1], 0);
  for (std::size_t choice = 0; choice < 11; ++choice) EXPECT_TRUE(near(share(81, choice), 1. / 11)) << choice;
}

TEST(Genotype, SwitchingExits) {
  const Space space = Space::load("aebnas");
  Rng rng(9);
  for (int i = 0; i < 50; ++i) {
    const Genotype g = space.sample(rng);
    for (i64 e = 0; e < 4; ++e) {
      EXPECT_TRUE(space.can_switch_off(e));
      const Genotype off = space.with_exit(g, e, false), on = space.with_exit(g, e, true);
      EXPECT_FALSE(space.exit_on(off, e));
      EXPECT_TRUE(space.decode(off).stages[std::size_t(e)].head.empty());
      EXPECT_TRUE(space.exit_on(on, e));
      EXPECT_FALSE(space.decode(on).stages[std::size_t(e)].head.empty());
      EXPECT_EQ(on, space.canonical(on));
      for (i64 other = 0; other < 4; ++other)
        if (other != e) {
          EXPECT_EQ(space.exit_on(off, other), space.exit_on(g, other));
        }
      EXPECT_EQ(space.threshold_gene(space.with_threshold(on, e, 0.19), e), 0.2);
      EXPECT_EQ(space.threshold_gene(space.with_threshold(on, e, 0.0), e), 0.1);
      EXPECT_EQ(space.with_threshold(off, e, 0.1), off);
    }
  }
  const Space always = Space::parse(
      "resolution = 8\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n[[stage]]\nstride = 1\nwidth = 8\ndepth = "
      "1\n"
      "kernel = 3\nexpand = 1\n[[stage]]\nstride = 1\nwidth = 8\ndepth = 1\nkernel = 3\nexpand = 1\n"
      "[[exit]]\nafter = 1\n",
      "always.toml");
  EXPECT_FALSE(always.can_switch_off(0));
  EXPECT_TRUE(always.exit_on({}, 0));
  EXPECT_THROW(always.with_exit({}, 0, false), Error);
  EXPECT_EQ(always.count(), "1");
}

}  // namespace
}  // namespace offramp::nas
