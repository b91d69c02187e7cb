// The space of AEBNAS against the figures and the gene order of its description.
#include <gtest/gtest.h>

#include <cstdio>

#include "nas/space/space.h"
#include "tests/nas/space/walker.h"

namespace offramp::nas {
namespace {

using testing::walk;

// Depth 2..4, kernel 3..7, expand 3..6 by index everywhere; no exits; resolution by index.
Genotype uniform_net(i32 depth, i32 kernel, i32 expand, i32 resolution) {
  Genotype g(82, 0);
  for (std::size_t s = 0; s < 5; ++s) {
    g[9 * s] = depth;
    for (std::size_t l = 0; l < 4; ++l) g[9 * s + 1 + l] = kernel, g[9 * s + 5 + l] = expand;
  }
  for (std::size_t e = 0; e < 4; ++e) g[45 + e] = 2;
  g[81] = resolution;
  return g;
}

std::string millions(i64 macs) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", double(macs) * 1e-6);
  return text;
}

struct Row {
  int resolution;
  bool largest;
  std::array<const char*, 5> prefix;
  std::array<i64, 5> side;  // 0: not stated
  const char* full;
};

TEST(Aebnas, MacsOfTheDocumentedNetworks) {
  const Row rows[] = {
      {32, false, {"0.77", "1.12", "1.40", "2.00", "2.54"}, {8, 4, 2, 2, 1}, "3.94"},
      {32, true, {"3.74", "5.75", "7.23", "10.69", "13.80"}, {8, 4, 2, 2, 1}, "15.20"},
      {48, false, {"1.74", "2.51", "3.15", "4.37", "5.75"}, {12, 6, 3, 3, 2}, "7.60"},
      {48, true, {"8.41", "12.81", "16.15", "22.93", "30.03"}, {12, 6, 3, 3, 2}, "31.89"},
      {64, false, {"3.09", "4.46", "5.58", "7.70", "9.33"}, {16, 8, 4, 4, 2}, "11.19"},
      {64, true, {"14.95", "22.70", "28.62", "40.07", "47.70"}, {16, 8, 4, 4, 2}, "49.55"},
      {72, false, {"3.92", "5.64", "7.31", "10.56", "13.61"}, {18, 9, 5, 5, 3}, "16.23"},
      {72, true, {"18.92", "28.70", "37.78", "55.22", "69.54"}, {18, 9, 5, 5, 3}, "72.16"},
  };
  const Space space = Space::load("aebnas");
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.resolution) + (row.largest ? " max" : " min"));
    const i32 top = row.largest ? 2 : 0;
    const nn::Architecture net = space.decode(uniform_net(top, top, top, (row.resolution - 32) / 4));
    EXPECT_EQ(net.height, row.resolution);
    EXPECT_EQ(net.width, row.resolution);
    const testing::Walk w = walk(net);
    ASSERT_EQ(w.stages.size(), 5u);
    i64 full = 0;
    for (std::size_t s = 0; s < 5; ++s) {
      EXPECT_EQ(millions(w.prefix_macs(s)), row.prefix[s]) << "stage " << s + 1;
      EXPECT_EQ(w.stages[s].side, row.side[s]) << "stage " << s + 1;
      full += w.stages[s].body_macs + w.stages[s].head_macs;
    }
    EXPECT_EQ(millions(full), row.full);
  }
}

TEST(Aebnas, MiddleNetworkOfTheBenchmarks) {
  const Space space = Space::load("aebnas");
  const testing::Walk w = walk(space.decode(uniform_net(1, 1, 1, 4)));
  EXPECT_EQ(millions(w.prefix_macs(4) + w.stages[4].head_macs), "14.58");
}

TEST(Aebnas, MacsOfTheExits) {
  // Head MACs of one module 8/k3/x1 and of two modules 10/k5/x2, classes 10.
  const char* least[] = {"0.05", "0.13", "0.52", "1.02"};
  const char* most[] = {"1.30", "3.60", "14.40", "28.2"};
  const Space space = Space::load("aebnas");
  for (std::size_t e = 0; e < 4; ++e) {
    Genotype g = uniform_net(0, 0, 0, 0);
    g[45 + e] = 0;
    i64 macs = walk(space.decode(g)).stages[e].head_macs;
    EXPECT_EQ(millions(macs), least[e]);
    for (std::size_t m = 0; m < 2; ++m)
      g[49 + 8 * e + 4 * m] = g[50 + 8 * e + 4 * m] = g[51 + 8 * e + 4 * m] = 2;
    macs = walk(space.decode(g)).stages[e].head_macs;
    EXPECT_EQ(millions(macs).substr(0, std::string(most[e]).size()), most[e]);
  }
}

// The fixed exits of EDANAS on the smallest backbone at resolution 32, in the published figures.
TEST(Edanas, MacsOfTheExits) {
  const Space space = Space::load("edanas");
  EXPECT_EQ(space.genes().size(), 50u);
  const testing::Walk every = walk(space.decode(Genotype(50, 0)));
  const testing::Walk backbone = walk(Space::load("aebnas").decode(uniform_net(0, 0, 0, 0)));
  const char* published[] = {"0.25", "0.23", "0.47", "0.91"};
  for (std::size_t e = 0; e < 4; ++e) {
    EXPECT_EQ(millions(every.stages[e].head_macs), published[e]);
    EXPECT_EQ(every.prefix_macs(e), backbone.prefix_macs(e));
  }
}

// Exits of NACHOS on the smallest backbone: three 3 x 3 convolutions of 32, 64 and 128 channels and the
// linear layer, on a map that is pooled until the exit costs less than the next one. By hand, with the
// published backbone figures: exit 4 (2 x 2) and 3 (2 x 2) are cheap enough; exit 2 (4 x 4, 1.66M) is halved
// once, exit 1 (8 x 8, 6.34M; 4 x 4 would do if exit 3 came next) twice.
TEST(Nachos, HeadsShrinkUntilTheyPay) {
  const Space space = Space::load("nachos");
  ASSERT_EQ(space.genes().size(), 49u);
  const testing::Walk backbone = walk(Space::load("aebnas").decode(uniform_net(0, 0, 0, 0)));
  const auto head = [](i64 side, i64 c) {
    return side * side * 9 * (c * 32 + 32 * 64 + 64 * 128) + 128 * (10 + 1);
  };
  const auto heads = [&](const Genotype& g) {
    const testing::Walk w = walk(space.decode(g));
    std::vector<i64> macs;
    for (std::size_t e = 0; e < 4; ++e) {
      EXPECT_EQ(w.prefix_macs(e), backbone.prefix_macs(e));
      macs.push_back(w.stages[e].head_macs);
    }
    return macs;
  };
  Genotype g(49, 0);
  for (std::size_t e = 45; e < 49; ++e) g[e] = 1;
  EXPECT_EQ(heads(g), (std::vector<i64>{head(2, 24), head(2, 40), head(2, 80), head(2, 112)}));
  // With no exit behind it but the last, nothing is too dear: 1.12M + 1.66M are less than 3.94M.
  g[45] = g[47] = g[48] = 0;
  EXPECT_EQ(heads(g), (std::vector<i64>{0, head(4, 40), 0, 0}));
  g[45] = 1, g[46] = 0;  // 0.77M + 6.34M are not, 0.77M + 1.59M are
  EXPECT_EQ(heads(g), (std::vector<i64>{head(4, 24), 0, 0, 0}));
  const nn::Architecture net = space.decode(g);
  EXPECT_TRUE(net.learned_confidence);
  const std::vector<nn::LayerSpec>& layers = net.stages[0].head;
  ASSERT_EQ(layers.size(), 7u);
  EXPECT_EQ(layers[0].kind, nn::LayerSpec::Kind::max_pool);
  EXPECT_EQ(layers[0].kernel, 2);
  EXPECT_EQ(layers[0].stride, 2);
  EXPECT_EQ(layers[1].kind, nn::LayerSpec::Kind::activation);
  EXPECT_TRUE(layers[2].bias && !layers[2].norm && layers[2].act == Act::relu);
  EXPECT_EQ(layers[6].c_out, 11);
  EXPECT_EQ(net.stages.back().head.back().c_out, 10);
}

// On any backbone: an exit that was shrunk needed it, one that costs more than the next could not be shrunk
// more.
TEST(Nachos, ShrinkingStopsAsSoonAsItMay) {
  const Space space = Space::load("nachos");
  Rng rng(3);
  std::array<int, 3> seen{};
  for (int i = 0; i < 300; ++i) {
    nn::Architecture net = space.decode(space.sample(rng));
    for (std::size_t s = 0; s + 1 < net.stages.size(); ++s) {
      if (net.stages[s].head.empty()) continue;
      std::size_t next = s + 1;
      while (net.stages[next].head.empty()) ++next;
      const bool shrunk = net.stages[s].head[0].kind == nn::LayerSpec::Kind::max_pool;
      const i64 pool = shrunk ? net.stages[s].head[0].kernel : 1;
      ++seen[std::size_t(pool / 2)];
      const auto dear = [&](const nn::Architecture& n) {
        const testing::Walk w = walk(n);
        return w.prefix_macs(s) + w.stages[s].head_macs >= w.prefix_macs(next) + w.stages[next].head_macs;
      };
      const i64 side = walk(net).stages[s].side;
      if (dear(net)) {
        EXPECT_GT(2 * pool, std::min<i64>(4, side)) << i << " stage " << s;
      }
      nn::Architecture less = net;
      if (pool == 4) less.stages[s].head[0].kernel = less.stages[s].head[0].stride = 2;
      if (pool == 2) less.stages[s].head.erase(less.stages[s].head.begin());
      if (pool > 1) {
        EXPECT_TRUE(dear(less)) << i << " stage " << s;
      }
    }
  }
  for (int count : seen) EXPECT_GT(count, 0);
}

TEST(Aebnas, GeneOrder) {
  const Space space = Space::load("aebnas");
  const std::vector<Gene>& genes = space.genes();
  ASSERT_EQ(genes.size(), 82u);
  using Values = std::vector<std::string>;
  for (std::size_t s = 0; s < 5; ++s) {
    const std::string stage = "stage" + std::to_string(s + 1);
    EXPECT_EQ(genes[9 * s].name, stage + ".depth");
    EXPECT_EQ(genes[9 * s].values, (Values{"2", "3", "4"}));
    for (std::size_t l = 0; l < 4; ++l) {
      const std::string block = stage + ".block" + std::to_string(l + 1);
      EXPECT_EQ(genes[9 * s + 1 + l].name, block + ".kernel");
      EXPECT_EQ(genes[9 * s + 1 + l].values, (Values{"3", "5", "7"}));
      EXPECT_EQ(genes[9 * s + 5 + l].name, block + ".expand");
      EXPECT_EQ(genes[9 * s + 5 + l].values, (Values{"3", "4", "6"}));
    }
  }
  for (std::size_t e = 0; e < 4; ++e) {
    const std::string exit = "stage" + std::to_string(e + 1) + ".exit";
    EXPECT_EQ(genes[45 + e].name, exit + ".threshold");
    EXPECT_EQ(genes[45 + e].values, (Values{"0.1", "0.2", "1"}));
    for (std::size_t m = 0; m < 2; ++m) {
      const std::string module = exit + ".module" + std::to_string(m + 1);
      const std::size_t at = 49 + 8 * e + 4 * m;
      EXPECT_EQ(genes[at].name, module + ".ext");
      EXPECT_EQ(genes[at].values, m == 0 ? (Values{"8", "8", "10"}) : (Values{"0", "8", "10"}));
      EXPECT_EQ(genes[at + 1].name, module + ".kernel");
      EXPECT_EQ(genes[at + 1].values, (Values{"3", "3", "5"}));
      EXPECT_EQ(genes[at + 2].name, module + ".times");
      EXPECT_EQ(genes[at + 2].values, (Values{"1", "1", "2"}));
      EXPECT_EQ(genes[at + 3].name, module + ".pool");
      EXPECT_EQ(genes[at + 3].values, (Values{"0", "0", "1"}));
    }
  }
  EXPECT_EQ(genes[81].name, "resolution");
  EXPECT_EQ(genes[81].values, (Values{"32", "36", "40", "44", "48", "52", "56", "60", "64", "68", "72"}));
}

TEST(Aebnas, LayersOfOneNetwork) {
  using nn::LayerSpec;
  using Kind = LayerSpec::Kind;
  const Space space = Space::load("aebnas");
  Genotype g = uniform_net(0, 1, 2, 0);  // depth 2, kernel 5, expand 6, side 32
  g[46] = 1;                             // exit behind stage 2, threshold 0.2
  g[57] = 2, g[58] = 2, g[59] = 2, g[60] = 2;
  const nn::Architecture net = space.decode(g, {.classes = 7, .channels = 3});
  ASSERT_EQ(net.stages.size(), 5u);
  EXPECT_EQ(net.stages[0].name, "stage1");
  EXPECT_EQ(net.stages[4].name, "final");
  EXPECT_TRUE(net.stages[0].head.empty());
  ASSERT_EQ(net.stages[0].body.size(), 4u);
  EXPECT_EQ(net.stages[0].body[0], (LayerSpec{.kind = Kind::conv,
                                              .name = "stem.conv",
                                              .c_out = 16,
                                              .kernel = 3,
                                              .stride = 2,
                                              .pad = 1,
                                              .norm = true,
                                              .act = Act::hard_swish}));
  EXPECT_EQ(net.stages[0].body[1], (LayerSpec{.kind = Kind::mbconv,
                                              .name = "stem.block1",
                                              .c_out = 16,
                                              .kernel = 3,
                                              .pad = 1,
                                              .act = Act::relu,
                                              .mid = 16}));
  EXPECT_EQ(net.stages[0].body[2], (LayerSpec{.kind = Kind::mbconv,
                                              .name = "stage1.block1",
                                              .c_out = 24,
                                              .kernel = 5,
                                              .stride = 2,
                                              .pad = 2,
                                              .act = Act::relu,
                                              .mid = 96}));
  // Squeeze-excite: 6 x 40 = 240, a quarter is 60, the next multiple of 8 is 64.
  EXPECT_EQ(net.stages[1].body[1], (LayerSpec{.kind = Kind::mbconv,
                                              .name = "stage2.block2",
                                              .c_out = 40,
                                              .kernel = 5,
                                              .pad = 2,
                                              .act = Act::relu,
                                              .mid = 240,
                                              .se = 64}));
  EXPECT_EQ(net.stages[4].body[0], (LayerSpec{.kind = Kind::mbconv,
                                              .name = "stage5.block1",
                                              .c_out = 160,
                                              .kernel = 5,
                                              .stride = 2,
                                              .pad = 2,
                                              .act = Act::hard_swish,
                                              .mid = 672,
                                              .se = 168}));
  const std::vector<LayerSpec> exit = {
      {.kind = Kind::resize,
       .name = "stage2.exit.module1.resize_conv.resize",
       .out_h = 10,
       .out_w = 10,
       .resize = kernels::ResizeKind::bicubic},
      {.kind = Kind::conv,
       .name = "stage2.exit.module1.resize_conv.conv",
       .c_out = 80,
       .kernel = 5,
       .stride = 2,
       .norm = true,
       .act = Act::relu},
      {.kind = Kind::max_pool, .name = "stage2.exit.module1.resize_conv.pool", .kernel = 2, .stride = 2},
      {.kind = Kind::global_avg_pool, .name = "stage2.exit.pool"},
      {.kind = Kind::linear, .name = "stage2.exit.linear", .c_out = 7}};
  EXPECT_EQ(net.stages[1].head, exit);
  const std::vector<LayerSpec> final = {
      {.kind = Kind::conv, .name = "final.feature", .c_out = 960, .norm = true, .act = Act::hard_swish},
      {.kind = Kind::global_avg_pool, .name = "final.pool"},
      {.kind = Kind::conv, .name = "final.hidden", .c_out = 1280, .act = Act::hard_swish},
      {.kind = Kind::linear, .name = "final.linear", .c_out = 7}};
  EXPECT_EQ(net.stages[4].head, final);
  EXPECT_EQ(space.threshold_gene(g, 1), 0.2);
  EXPECT_EQ(space.threshold_gene(g, 0), std::nullopt);
}

}  // namespace
}  // namespace offramp::nas
