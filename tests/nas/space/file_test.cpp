// Wrong and damaged space files: an Error(input) that names file, line and key, and never anything else.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "kernels/error.h"
#include "kernels/rng.h"
#include "nas/space/space.h"

namespace offramp::nas {
namespace {

// Lines are counted by the expectations below: line 1 is `name`.
const std::string kGood =
    "name = \"t\"\n"                       // 1
    "resolution = 16\n"                    // 2
    "[stem]\n"                             // 3
    "kernel = 3\n"                         // 4
    "stride = 2\n"                         // 5
    "width = 8\n"                          // 6
    "act = \"relu\"\n"                     // 7
    "[[stem.block]]\n"                     // 8
    "kernel = 3\n"                         // 9
    "expand = 1\n"                         // 10
    "width = 8\n"                          // 11
    "[[stage]]\n"                          // 12
    "stride = 1\n"                         // 13
    "width = [8, 16]\n"                    // 14
    "depth = [1, 2]\n"                     // 15
    "kernel = [3, 5]\n"                    // 16
    "expand = [2, 3]\n"                    // 17
    "se = true\n"                          // 18
    "[[stage]]\n"                          // 19
    "stride = 2\n"                         // 20
    "width = 16\n"                         // 21
    "depth = 1\n"                          // 22
    "kernel = 3\n"                         // 23
    "expand = 2\n"                         // 24
    "[final]\n"                            // 25
    "feature = { width = 32 }\n"           // 26
    "hidden = { width = 64 }\n"            // 27
    "[[exit]]\n"                           // 28
    "after = 1\n"                          // 29
    "present = [0, 1]\n"                   // 30
    "depth = [0, 1]\n"                     // 31
    "[[exit.module]]\n"                    // 32
    "type = [\"dense\", \"separable\"]\n"  // 33
    "kernel = [3, 5]\n"                    // 34
    "width = 16\n"                         // 35
    "stride = [1, 2]\n";                   // 36

std::string with(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text) {
  try {
    Space::parse(text, "dir/t.toml");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::input) << e.what();
    return e.what();
  }
  return "accepted";
}

TEST(SpaceFile, GoodFileIsGood) { EXPECT_EQ(error_of(kGood), "accepted"); }

TEST(SpaceFile, WrongValuesNameLineAndKey) {
  const struct {
    std::string text, start, contains;
  } rows[] = {
      {with("kernel = [3, 5]\nexp", "kernel = 4\nexp"), "dir/t.toml:16: stage.kernel: wanted",
       "an odd integer 1..15 or an array of 1..64 of them, got 4"},
      {with("kernel = [3, 5]\nexp", "kernel = [3,\n 6]\nexp"), "dir/t.toml:17: stage.kernel: wanted",
       "got 6"},
      {with("kernel = [3, 5]\nexp", "kernel = [3, \"five\"]\nexp"),
       "dir/t.toml:16: stage.kernel:", "got \"five\""},
      {with("kernel = [3, 5]\nexp", "kernel = []\nexp"),
       "dir/t.toml:16: stage.kernel:", "got an empty array"},
      {with("kernel = [3, 5]\nexp", "kernel = [[3]]\nexp"), "dir/t.toml:16: stage.kernel:", "got an array"},
      {with("kernel = [3, 5]\nexp", "exp"), "dir/t.toml:12: stage.kernel: wanted", "got nothing"},
      {with("kernel = [3, 5]\nexp", "kernle = [3, 5]\nexp"), "dir/t.toml:16: stage.kernle: unknown key",
       "did you mean 'kernel'?"},
      {with("kernel = [3, 5]\nexp", "kernel = -9223372036854775808\nexp"),
       "dir/t.toml:16: stage.kernel:", "got -9"},
      {with("width = [8, 16]", "width = [8, 12]"),
       "dir/t.toml:14: stage.width:", "a multiple of 8 in 8..4096"},
      {with("width = [8, 16]", "width = 8000000"), "dir/t.toml:14: stage.width:", "got 8000000"},
      {with("width = [8, 16]", "width = 8.0"), "dir/t.toml:14: stage.width:", "got 8"},
      {with("depth = [1, 2]", "depth = [0, 1]"), "dir/t.toml:15: stage.depth:", "an integer 1..16"},
      {with("depth = [1, 2]", "depth = 1000000000"), "dir/t.toml:15: stage.depth:", "got 1000000000"},
      {with("expand = [2, 3]", "expand = true"), "dir/t.toml:17: stage.expand:", "got true"},
      {with("expand = [2, 3]", "expand = 2020-01-01"), "dir/t.toml:17: stage.expand:", "got a date or time"},
      {with("se = true", "se = 1"), "dir/t.toml:18: stage.se:", "true or false, got 1"},
      {with("se = true", "act = \"swish\""), "dir/t.toml:18: stage.act:", "hard_swish"},
      {with("se = true", "act = 3"), "dir/t.toml:18: stage.act:", "got 3"},
      {with("stride = 1\n", "stride = 3\n"), "dir/t.toml:13: stage.stride:", "an integer 1..2, got 3"},
      {with("resolution = 16", "resolution = 0"), "dir/t.toml:2: resolution:", "got 0"},
      {with("resolution = 16", "resolution = \"own\""),
       "dir/t.toml:2: resolution:", "one of native, got \"own\""},
      {with("resolution = 16", "resolution = { from = 32, to = 16, step = 4 }"),
       "dir/t.toml:2: resolution.to:", "32..1024, got 16"},
      {with("resolution = 16", "resolution = { from = 1, to = 1000, step = 1 }"),
       "dir/t.toml:2: resolution.step:", "got 1000"},
      {with("resolution = 16", "resolution = { from = 1, to = 1000, step = 0 }"),
       "dir/t.toml:2: resolution.step:", "got 0"},
      {with("resolution = 16", "resolutoin = 16"), "dir/t.toml:2: resolutoin: unknown key", "'resolution'?"},
      {with("resolution = 16\n", ""), "dir/t.toml:1: resolution: wanted", "got nothing"},
      {with("name = \"t\"", "name = \"\""), "dir/t.toml:1: name:", ""},
      {with("name = \"t\"", "name = \"a\\nb\""), "dir/t.toml:1: name:", "a?b"},
      {with("name = \"t\"", "name = 5"), "dir/t.toml:1: name:", "got 5"},
      {with("[stem]\nkernel = 3", "[stem]\nkernel = 17"), "dir/t.toml:4: stem.kernel:", "got 17"},
      {with("expand = 1", "expand = 0"), "dir/t.toml:10: stem.block.expand:", "got 0"},
      {with("[[stem.block]]", "[stem.block]"), "dir/t.toml:8: stem.block: wanted",
       "[[stem.block]], got a table"},
      {with("feature = { width = 32 }", "feature = 32"), "dir/t.toml:26: final.feature:", "a table, got 32"},
      {with("feature = { width = 32 }", "feature = { width = 33 }"),
       "dir/t.toml:26: final.feature.width:", "got 33"},
      {with("hidden = { width = 64 }", "hidden = { wdith = 64 }"),
       "dir/t.toml:27: final.hidden.wdith: unknown key", "'width'?"},
      {with("after = 1", "after = 2"), "dir/t.toml:29: exit.after:", "1..1, got 2"},
      {with("after = 1", "after = 0"), "dir/t.toml:29: exit.after:", "got 0"},
      {with("present = [0, 1]", "present = [0, 1]\nshrink = 2"),
       "dir/t.toml:31: exit.shrink:", "true or false"},
      {with("present = [0, 1]", "present = [0, 1]\nact = 1"), "dir/t.toml:31: exit.act:", "hard_swish"},
      {with("resolution = 16", "resolution = 16\nlearned_confidence = 1"),
       "dir/t.toml:3: learned_confidence:", "true or false"},
      {with("type = [\"dense\", \"separable\"]\nkernel = [3, 5]\nwidth = 16\n",
            "type = \"pool\"\nnorm = false\n"),
       "dir/t.toml:34: exit.module.norm:", "a key that none of them uses"},
      {with("present = [0, 1]", "present = 0"),
       "dir/t.toml:30: exit.present:", "only choices that switch it off"},
      {with("present = [0, 1]", "present = [0, 2]"), "dir/t.toml:30: exit.present:", "got 2"},
      {with("present = [0, 1]", "threshold = [1, 1.0]"), "dir/t.toml:30: exit.threshold:", "switch it off"},
      {with("present = [0, 1]", "threshold = [0.1, 0]"), "dir/t.toml:30: exit.threshold:", "got 0"},
      {with("present = [0, 1]", "threshold = [nan, 0.5]"), "dir/t.toml:30: exit.threshold:", "got nan"},
      {with("present = [0, 1]", "present = [0, 1]\nthreshold = [0.1]"),
       "dir/t.toml:30: exit.present:", "both"},
      {with("depth = [0, 1]", "depth = [0, 2]"), "dir/t.toml:31: exit.depth:", "0..1 or an array"},
      {with("[\"dense\", \"separable\"]", "[\"dense\", \"seperable\"]"),
       "dir/t.toml:33: exit.module.type:", "did you mean \"separable\"?"},
      {with("[\"dense\", \"separable\"]", "7"), "dir/t.toml:33: exit.module.type:", "got 7"},
      {with("type = [\"dense\", \"separable\"]\n", ""), "dir/t.toml:32: exit.module.type:", "got nothing"},
      {with("[\"dense\", \"separable\"]", "\"pool\""),
       "dir/t.toml:34: exit.module.kernel:", "none of them uses"},
      {with("width = 16\nstride = [1, 2]", "times = 9\nstride = [1, 2]"),
       "dir/t.toml:35: exit.module.times:", "got 9"},
      {with("width = 16\nstride = [1, 2]", "width = 16\ntimes = 2"),
       "dir/t.toml:36: exit.module.times:", "both"},
      {with("width = 16\nstride = [1, 2]", "stride = [1, 2]"),
       "dir/t.toml:32: exit.module.width:", "got nothing"},
      {with("stride = [1, 2]\n", "ext = 8\n"), "dir/t.toml:36: exit.module.ext:", "none of them uses"},
      {kGood + "[[exit]]\nafter = 1\n", "dir/t.toml:38: exit.after:", "1 after 1"},
      {kGood + "extra = 1\n", "dir/t.toml:37: exit.module.extra: unknown key", ""},
      {kGood + "kernel = 3\n", "dir/t.toml:37: wanted TOML, got:", ""},
      {kGood + "[stem]\n", "dir/t.toml:37: wanted TOML, got:", ""},
      {kGood + "x = [1,\n", "dir/t.toml:37: wanted TOML, got:", ""},
      {kGood + "[=]\n", "dir/t.toml:37: wanted TOML, got:", ""},
      {kGood + "[.a]\n", "dir/t.toml:37: wanted TOML, got:", ""},
      {"", "dir/t.toml:", "resolution"},
      {"resolution = 8\nstage = 3\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n",
       "dir/t.toml:2: stage:", "[[stage]]"},
      {"resolution = 8\nstage = [3]\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n",
       "dir/t.toml:2: stage:", "got 3"},
      {"resolution = 8\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n",
       "dir/t.toml:", "at least one [[stage]]"},
      {"resolution = 8\n", "dir/t.toml:1: stem: wanted a table", ""},
  };
  for (const auto& row : rows) {
    const std::string error = error_of(row.text);
    EXPECT_EQ(error.rfind(row.start, 0), 0u) << "got: " << error << "\nfor: " << row.start;
    EXPECT_NE(error.find(row.contains), std::string::npos) << "got: " << error << "\nfor: " << row.contains;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
    EXPECT_LT(error.size(), 400u) << error;
  }
}

TEST(SpaceFile, CharactersBeyondAsciiStandInStringsAndComments) {
  EXPECT_EQ(error_of("\xEF\xBB\xBF# gr\xC3\xBC\xC3\x9F\n" + kGood + "# \xCF\xA2 \"\n"), "accepted");
  EXPECT_EQ(error_of(with("\"t\"", "\"gr\xC3\xBC\xC3\x9F\"")), "accepted");
  EXPECT_EQ(error_of(with("\"t\"", "\"\"\"a\"\xC3\xBC\"\"\"\"")), "accepted");
  EXPECT_EQ(error_of(with("\"t\"", "'\\\xC3\xBC'")), "accepted");
  const std::string wanted = "dir/t.toml:2: wanted TOML, got: a character that is not ASCII";
  EXPECT_EQ(error_of(with("= 16", "=\xCF\xA2 16")).rfind(wanted, 0), 0u);
  EXPECT_EQ(error_of(with("t\"\nresolution", "t\\\"\"\nr\xC3\xBCsolution")).rfind(wanted, 0), 0u);
}

TEST(SpaceFile, ResizeConvolutionsMustFit) {
  const auto module = [](const std::string& keys) {
    return kGood.substr(0, kGood.find("[[exit.module]]")) +
           "[[exit.module]]\ntype = \"resize_conv\"\ntimes = 1\n" + keys;
  };
  EXPECT_EQ(error_of(module("ext = [0, 8]\nkernel = 3\npool = [0, 1]\n")), "accepted");
  EXPECT_EQ(error_of(module("ext = 5\nkernel = 5\n")), "accepted");
  EXPECT_EQ(error_of(module("ext = [8, 6]\nkernel = [3, 5]\npool = 1\n"))
                .rfind("dir/t.toml:35: exit.module.ext:", 0),
            0u);
  EXPECT_EQ(error_of(module("ext = 4\nkernel = 5\n")).rfind("dir/t.toml:35: exit.module.ext:", 0), 0u);
  EXPECT_EQ(error_of(module("ext = 0\nkernel = 5\n")).rfind("dir/t.toml:35: exit.module.ext:", 0), 0u);
  EXPECT_EQ(error_of(module("ext = 65\nkernel = 5\n")).rfind("dir/t.toml:35: exit.module.ext:", 0), 0u);
  EXPECT_EQ(error_of(module("kernel = 5\n")).rfind("dir/t.toml:32: exit.module.ext:", 0), 0u);
  EXPECT_EQ(error_of(module("ext = 8\nkernel = 5\nresize = \"cubic\"\n"))
                .rfind("dir/t.toml:37: exit.module.resize:", 0),
            0u);
}

// Each value within its bounds, all of them together beyond what a machine holds.
TEST(SpaceFile, HugeNetworksAreRefused) {
  const std::string wide = "width = 4096\ndepth = 16\nkernel = 15\nexpand = 16\n";
  std::string text = "resolution = 1024\n[stem]\nkernel = 15\nstride = 1\nwidth = 4096\n";
  for (int s = 0; s < 16; ++s) text += "[[stage]]\nstride = 1\n" + wide;
  for (const std::string& head : {std::string("resolution = 1024"), std::string("resolution = 1")}) {
    std::string one = text;
    one.replace(0, 17, head);
    const std::string error = error_of(one);
    EXPECT_EQ(error.rfind("dir/t.toml: ", 0), 0u) << error;
    EXPECT_NE(error.find("wanted at most"), std::string::npos) << error;
  }
  std::string exits = "resolution = 8\n[stem]\nkernel = 3\nstride = 1\nwidth = 8\n";
  for (int s = 0; s < 2; ++s)
    exits += "[[stage]]\nstride = 1\nwidth = 4096\ndepth = 1\nkernel = 3\nexpand = 1\n";
  exits += "[[exit]]\nafter = 1\n";
  for (int m = 0; m < 4; ++m) exits += "[[exit.module]]\ntype = \"dense\"\nkernel = 15\ntimes = 8\n";
  EXPECT_NE(error_of(exits).find("parameters"), std::string::npos) << error_of(exits);
  EXPECT_NE(error_of(exits + "[[exit.module]]\ntype = \"pool\"\n").find("exit.module: wanted up to 4 tables"),
            std::string::npos);
  std::string choices = "resolution = [";
  for (int i = 0; i < 65; ++i) choices += "8, ";
  EXPECT_NE(error_of(choices + "]\n").find("got an array of 65"), std::string::npos);
  EXPECT_NE(error_of("x = " + std::string(100000, '[')).find("wanted TOML"), std::string::npos);
}

TEST(SpaceFile, DamagedFilesAreErrorsOrSpaces) {
  i64 refused = 0, accepted = 0;
  for (const std::string& name : Space::builtin_names()) {
    const std::string whole = Space::load(name).text();
    Rng rng(61);
    for (int i = 0; i < 600; ++i) {
      std::string text = whole;
      if (i % 3 == 0) text.resize(rng.below(u32(text.size())));
      for (u32 edits = i % 3 ? 1 + rng.below(4) : 0; edits > 0; --edits) {
        const std::size_t at = rng.below(u32(text.size()));
        if (i % 3 == 1) {
          text[at] = char(rng.below(256));
        } else {
          text[at] = "0123456789[]{}=.\"\n#-"[rng.below(20)];
        }
      }
      const std::string error = error_of(text);
      ++(error == "accepted" ? accepted : refused);
      ASSERT_EQ(error.find('\n'), std::string::npos) << error;
    }
  }
  EXPECT_GT(refused, 500);
  EXPECT_GT(accepted, 50);  // a comment, another number
}

TEST(SpaceFile, FilesThatCannotBeRead) {
  for (const char* path : {"/nonexistent/space.toml", "no_such_file.toml", "/", "./"}) {
    try {
      Space::load(path);
      ADD_FAILURE() << path;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), Error::Kind::input);
      EXPECT_EQ(std::string(e.what()).rfind(path, 0), 0u) << e.what();
    }
  }
  const std::string path = ::testing::TempDir() + "offramp_space_file_test.toml";
  std::ofstream(path, std::ios::binary) << kGood.substr(kGood.find('\n') + 1);
  const Space space = Space::load(path);
  EXPECT_EQ(space.name(), "offramp_space_file_test");  // no name inside: the file's own
  std::ofstream(path, std::ios::binary) << kGood << std::string(2 << 20, '#');
  EXPECT_THROW(Space::load(path), Error);
  std::remove(path.c_str());
}

}  // namespace
}  // namespace offramp::nas
