// measure: the table of this machine as a file.
#include <filesystem>

#include "tests/cli/shell.h"

namespace offramp::testing {
namespace {

// A space of a few networks, so that its table is complete in a moment.
constexpr const char* kFew = R"toml(
name = "few"
resolution = 16
[stem]
kernel = 3
stride = 2
width = 8
[[stage]]
stride = 2
width = 16
depth = [1, 2]
kernel = 3
expand = 2
[[stage]]
stride = 2
width = 16
depth = 1
kernel = 3
expand = 2
[[exit]]
after = 1
present = [0, 1]
depth = 1
[[exit.module]]
type = "pointwise"
width = 8
)toml";

TEST(MeasureVerb, BuildsCompletesAndRefuses) {
  const TempDir dir;
  const std::string space = dir.write("few.toml", kFew), table = dir / "t.tsv";
  const std::string words = "measure --each 1 --space " + space + " --out " + table;
  const Ran first = offramp_run(words + " --json");
  ASSERT_EQ(first.code, 0) << first.err;
  const auto json = first.json();
  EXPECT_EQ(json["schema_version"], 1);
  EXPECT_EQ(json["table"], table);
  EXPECT_GT(json["keys"], 10);
  EXPECT_GT(json["networks"], 0);
  EXPECT_EQ(json["threads"], 1);
  EXPECT_TRUE(json["complete"]);
  const std::string text = slurp(table);
  EXPECT_NE(text.find("\nfingerprint\t" + json["fingerprint"].get<std::string>() + "\n"), std::string::npos);

  // Nothing is missing: nothing is measured again.
  ASSERT_EQ(offramp_run(words + " -q").code, 0);
  EXPECT_EQ(slurp(table), text);

  // Another CPU's table is not written over; one of other kernels is begun anew, saying so.
  const std::string cpu = "cpu\t" + json["cpu"].get<std::string>();
  std::string other = text;
  dir.write("t.tsv", other.replace(other.find(cpu), cpu.size(), "cpu\tanother"));
  expect_failure(words, 2, "another");
  std::string old = text;
  const std::string print = json["fingerprint"].get<std::string>();
  dir.write("t.tsv", old.replace(old.find(print), print.size(), "0000000000000000"));
  const Ran anew = offramp_run(words);
  EXPECT_EQ(anew.code, 0) << anew.err;
  EXPECT_NE(anew.err.find("other kernels"), std::string::npos) << anew.err;
  EXPECT_NE(slurp(table).find(print), std::string::npos);

  dir.write("t.tsv", text.substr(0, text.size() / 2));
  expect_failure(words, 3, "t.tsv");
  EXPECT_EQ(offramp_run(words + " -q --force").code, 0);

  expect_failure("measure --out " + table, 2, "--space");
  expect_failure("measure --space smal --out " + table, 2, "did you mean 'small'");
  expect_failure("measure --keys " + dir / "none.txt" + " --out " + table, 3, "none.txt");
  expect_failure("measure --space small --out /nowhere/t.tsv", 1, "/nowhere");
}

}  // namespace
}  // namespace offramp::testing
