#include "nas/cli/console.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace offramp::cli {
namespace {

// What `f` writes to both streams, which are files here, not terminals.
template <class F>
std::pair<std::string, std::string> written_by(F f) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  {
    Console console;
    f(console);
    console.flush();
  }
  std::string out = ::testing::internal::GetCapturedStdout();
  return {out, ::testing::internal::GetCapturedStderr()};
}

TEST(Console, ResultsAndNotesGoTheirWays) {
  const auto [out, err] = written_by([](Console& c) {
    c.note("a note");
    c.detail("not wanted");
    c.print("a result\n");
    c.options.verbose = 1;
    c.detail("wanted");
    c.options.quiet = true;
    c.note("silenced");
    c.warn("heard\nin one line");
  });
  EXPECT_EQ(out, "a result\n");
  EXPECT_EQ(err, "a note\nwanted\nwarning: heard in one line\n");
}

TEST(Console, JsonIsOneObjectWithTheSchemaFirst) {
  const auto [out, err] = written_by([](Console& c) { c.print_json({{"b", 1}, {"a", "\xff not utf-8"}}); });
  EXPECT_EQ(out.rfind("{\"schema_version\":1,\"b\":1,\"a\":", 0), 0u) << out;
  EXPECT_EQ(out.back(), '\n');
  EXPECT_FALSE(nlohmann::json::parse(out, nullptr, false).is_discarded()) << out;
}

TEST(Console, ProgressInAPipeIsAPlainLineNowAndThen) {
  const auto [out, err] = written_by([](Console& c) {
    const nas::Watch watch = c.watch();
    for (i64 i = 0; i <= 1000; ++i) watch.progress({"supernet", i, 1000, "step", "81.0 %"});
    watch.note("saved");
  });
  EXPECT_EQ(out, "");
  EXPECT_EQ(err.rfind("supernet 1000/1000", 0), 0u) << err;
  EXPECT_NE(err.find("took 0:00"), std::string::npos) << err;
  EXPECT_NE(err.find("best 81.0 %"), std::string::npos) << err;
  EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 2) << err;
  EXPECT_EQ(err.find('\r'), std::string::npos);
}

TEST(Table, NumbersToTheRight) {
  EXPECT_EQ(table({{"name", "count"}, {"a", "7"}, {"bcdef", "12.5M"}, {"g", ""}}),
            "name   count\na          7\nbcdef  12.5M\ng\n");
}

}  // namespace
}  // namespace offramp::cli
