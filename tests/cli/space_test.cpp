#include "nas/space/space.h"

#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

TEST(SpaceVerb, ListShowCount) {
  const auto list = offramp_run("space list --json").json();
  EXPECT_EQ(list["schema_version"], 1);
  EXPECT_GE(list["spaces"].size(), 3u);
  const auto show = offramp_run("space show aebnas --json").json();
  EXPECT_EQ(show["genes"].size(), 82u);
  EXPECT_EQ(offramp_run("space count aebnas").out, nas::Space::load("aebnas").count() + "\n");
  EXPECT_EQ(offramp_run("space show small --toml").out, nas::Space::load("small").text());
}

TEST(SpaceVerb, SamplesReplayAndLengthDoesNotMatter) {
  const auto ten = offramp_run("space sample aebnas -n 10 --seed 7 --json").json();
  EXPECT_EQ(ten["space"], "aebnas");
  ASSERT_EQ(ten["genotypes"].size(), 10u);
  const nas::Space space = nas::Space::load("aebnas");
  for (const nas::Genotype genotype : ten["genotypes"]) EXPECT_EQ(space.canonical(genotype), genotype);
  const auto three = offramp_run("space sample aebnas -n 3 --seed 7 --json").json();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(three["genotypes"][i], ten["genotypes"][i]);
  EXPECT_NE(offramp_run("space sample aebnas -n 3 --seed 8 --json").json()["genotypes"], three["genotypes"]);
}

// method.md 1.14 prints millions with two digits.
std::string millions(i64 macs) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", double(macs) / 1e6);
  return text;
}

TEST(SpaceVerb, CostOfStaticNetworks) {
  const nas::Space space = nas::Space::load("aebnas");
  for (const auto& [genotype, full] :
       {std::pair{space.min_genotype(), "3.94"}, {space.max_genotype(), "72.16"}}) {
    nas::Genotype bare = genotype;
    for (i64 e = 0; e < space.exits(); ++e) bare = space.with_exit(bare, e, false);
    const auto cost = offramp_run("space cost aebnas --genotype " + nas::to_text(bare) + " --json").json();
    EXPECT_EQ(cost["exits"].size(), 1u);
    EXPECT_EQ(cost["exits"][0]["name"], "final");
    EXPECT_EQ(millions(cost["full_macs"]), full);
    EXPECT_EQ(cost["genotype"].get<nas::Genotype>(), bare);
  }
}

TEST(SpaceVerb, CostsAddUp) {
  const nas::Space space = nas::Space::load("aebnas");
  const auto cost =
      offramp_run("space cost aebnas --genotype " + nas::to_text(space.max_genotype()) + " --json").json();
  EXPECT_EQ(cost["schema_version"], 1);
  EXPECT_EQ(cost["resolution"], 72);
  EXPECT_GT(cost["params"], 0);
  ASSERT_EQ(cost["exits"].size(), 5u);
  const char* prefix[] = {"18.92", "28.70", "37.78", "55.22"};
  i64 heads = 0, last = 0;
  for (size_t e = 0; e < 5; ++e) {
    const auto& exit = cost["exits"][e];
    if (e < 4) {
      EXPECT_EQ(millions(exit["prefix_macs"]), prefix[e]);
    }
    heads += i64(exit["head_macs"]);
    EXPECT_EQ(i64(exit["leave_macs"]), i64(exit["prefix_macs"]) + heads);
    EXPECT_GT(i64(exit["leave_macs"]), last);
    last = exit["leave_macs"];
  }
  EXPECT_EQ(cost["full_macs"], last);
  const std::string more = " --classes 100 --channels 1 --json";
  const auto grey =
      offramp_run("space cost aebnas --genotype " + nas::to_text(space.max_genotype()) + more).json();
  EXPECT_LT(grey["exits"][0]["prefix_macs"], cost["exits"][0]["prefix_macs"]);
  EXPECT_GT(grey["exits"][4]["head_macs"], cost["exits"][4]["head_macs"]);
}

TEST(SpaceVerb, WrongInput) {
  expect_failure("space cost small", 2, "--genotype");
  expect_failure("space cost small --genotype 0,1", 2, "");
  expect_failure("space cost small --genotype 0,x", 2, "");
  expect_failure("space cost small --genotype \"$(\"$offramp\" space sample small -q),0\"", 2, "");
  expect_failure("space cost small --genotype \"$(\"$offramp\" space sample small -q)\" --classes 0", 2,
                 "--classes");
  expect_failure("space check /nonexistent/space.toml", 3, "/nonexistent/space.toml");
  expect_failure("space check nonexistent", 3, "nonexistent");
  const TempDir dir;
  const std::string text = nas::Space::load("small").text();
  EXPECT_EQ(offramp_run("space check " + dir.write("mine.toml", text)).code, 0);
  expect_failure("space check " + dir.write("cut.toml", text.substr(0, text.size() / 2)), 3, "cut.toml");
  expect_failure("space check " + dir.write("empty.toml", ""), 3, "empty.toml");
  expect_failure("space check " + dir.write("noise.toml", std::string("\0\xff\x01[[[", 6)), 3, "noise.toml");
}

}  // namespace
}  // namespace offramp::testing
