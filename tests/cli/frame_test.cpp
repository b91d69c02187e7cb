// What every verb has in common: exit codes, error lines, help, streams.
#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

TEST(Frame, UnknownNamesGetTheNearestSpelling) {
  expect_failure("verson", 2, "did you mean 'version'");
  expect_failure("version --jsno", 2, "did you mean '--json'");
  expect_failure("space smaple small", 2, "did you mean 'sample'");
  expect_failure("space count smal", 2, "'small'");
  expect_failure("op conv2 --out-dir /nowhere", 2, "did you mean 'conv2d'");
  expect_failure("version --color allways", 2, "did you mean 'always'");
}

TEST(Frame, WrongUse) {
  expect_failure("", 2, "no verb");
  expect_failure("--json version", 2, "before the verb");
  expect_failure("version extra", 2, "unexpected argument 'extra'");
  expect_failure("space sample", 2, "SPACE");
  expect_failure("space sample small --seed", 2, "needs a value");
  expect_failure("space sample small --seed -1", 2, "--seed");
  expect_failure("space sample small -n 1.5", 2, "whole number");
  expect_failure("space sample small -n -3", 2, "outside");
  expect_failure("space sample small -n 99999999999999999999", 2, "range");
  expect_failure("op relu --device cuda --out-dir /nowhere", 2, "no CUDA");
  expect_failure("export", 2, "not in this build");
}

TEST(Frame, HelpFitsAScreenAndShowsExamplesFirst) {
  for (const std::string words :
       {"--help", "version --help", "space --help", "space list --help", "space show --help",
        "space count --help", "measure --help", "space sample --help", "space check --help", "op --help",
        "data --help", "data list --help", "data info -h", "data verify --help"}) {
    const Ran ran = offramp_run(words);
    EXPECT_EQ(ran.code, 0) << words << ran.err;
    EXPECT_EQ(ran.err, "");
    const auto lines = std::count(ran.out.begin(), ran.out.end(), '\n');
    EXPECT_GE(lines, 5) << words;
    EXPECT_LE(lines, 40) << words;
    const size_t examples = ran.out.find("examples:");
    ASSERT_NE(examples, std::string::npos) << words;
    EXPECT_LT(examples, std::min(ran.out.find("usage:"), ran.out.find("verbs:"))) << words;
    size_t begin = 0;
    for (size_t end; (end = ran.out.find('\n', begin)) != std::string::npos; begin = end + 1)
      EXPECT_LE(end - begin, 120u) << ran.out.substr(begin, end - begin);
  }
  EXPECT_EQ(offramp_run("help space sample").out, offramp_run("space sample --help").out);
  EXPECT_EQ(offramp_run("--version").out, offramp_run("version").out);
}

TEST(Frame, AFullDiskIsAFailureAndAClosedPipeIsNot) {
  EXPECT_EQ(sh("\"$offramp\" version >/dev/full").code, 1);
  EXPECT_EQ(sh("\"$offramp\" version >&-").code, 1);
  const Ran ran = sh("{ \"$offramp\" space sample small -n 20000; echo code $? >&2; } | head -n 1");
  EXPECT_NE(ran.err.find("code 0"), std::string::npos) << ran.err;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1);
}

TEST(Frame, QuietSilencesNotesOnly) {
  EXPECT_NE(offramp_run("space sample small --seed 5").err.find("seed 5"), std::string::npos);
  const Ran quiet = offramp_run("space sample small --seed 5 -q");
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(quiet.out, offramp_run("space sample small --seed 5").out);
}

TEST(Frame, CtrlCEndsWith130) {
  for (const std::string signal : {"INT", "TERM"}) {
    const Ran ran = sh("\"$offramp\" space sample small -n 10000000 >/dev/null & sleep 0.3; kill -" + signal +
                       " $!; wait $!");
    EXPECT_EQ(ran.code, 130) << signal << ran.err;
  }
}

TEST(Version, SaysWhatItIs) {
  const Ran ran = offramp_run("version --json");
  EXPECT_EQ(ran.code, 0);
  const auto v = ran.json();
  EXPECT_EQ(v["schema_version"], 1);
  for (const char* key : {"version", "git_hash", "dirty", "compiler", "flags", "targets", "target",
                          "threads_backend", "blas", "cuda", "modules"})
    EXPECT_TRUE(v.contains(key)) << key;
  EXPECT_EQ(std::count(ran.out.begin(), ran.out.end(), '\n'), 1);
  EXPECT_EQ(sh("OFFRAMP_TARGET=portable \"$offramp\" version --json").json()["target"], "portable");
  EXPECT_EQ(sh("OFFRAMP_TARGET=sse9 \"$offramp\" version").code, 2);
}

TEST(Version, NeedsOnlyTheCRuntime) {
  const Ran ran = sh("ldd \"$offramp\"");
  if (ran.code != 0) GTEST_SKIP() << "no ldd, or a static binary: " << ran.out;
  size_t begin = 0;
  for (size_t end; (end = ran.out.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = ran.out.substr(begin, end - begin);
    bool known = false;
    for (const char* name :
         {"linux-vdso", "ld-linux", "libc.so", "libm.so", "libstdc++.so", "libgomp.so", "libgcc_s.so",
          "libpthread.so", "libdl.so", "libomp.so", "libasan.so", "libubsan.so", "libtsan.so"})
      known = known || line.find(name) != std::string::npos;
    EXPECT_TRUE(known) << line;
  }
}

}  // namespace
}  // namespace offramp::testing
