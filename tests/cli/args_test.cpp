#include "nas/cli/args.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "kernels/nearest.h"
#include "tests/support/error_kind.h"

namespace offramp::cli {
namespace {

using offramp::testing::kind_of;

TEST(ParseCount, Suffixes) {
  EXPECT_EQ(parse_count("17M", "x"), 17'000'000);
  EXPECT_EQ(parse_count("1.1M", "x"), 1'100'000);
  EXPECT_EQ(parse_count("0.5k", "x"), 500);
  EXPECT_EQ(parse_count("2G", "x"), 2'000'000'000);
  EXPECT_EQ(parse_count("0", "x"), 0);
  EXPECT_EQ(parse_count("-3", "x", -10), -3);
  for (const char* bad :
       {"", "k", "1.5", "1.0001k", "7x", "1e3", "0x10", "nan", "infM", " 5", "5 ", "1kk", "--5"})
    EXPECT_EQ(kind_of([&] { parse_count(bad, "x"); }), Error::Kind::usage) << bad;
  EXPECT_EQ(kind_of([&] { parse_count("11", "x", 0, 10); }), Error::Kind::usage);
  EXPECT_EQ(kind_of([&] { parse_count("9e99G", "x"); }), Error::Kind::usage);
}

TEST(ParseIntegers, Lists) {
  EXPECT_EQ(parse_integers("3, -5,0", "x"), (std::vector<i64>{3, -5, 0}));
  for (const char* bad : {"", ",", "1,", "1,,2", "1 2", "a"})
    EXPECT_EQ(kind_of([&] { parse_integers(bad, "x"); }), Error::Kind::usage) << bad;
}

TEST(Args, OneOrMoreWords) {
  for (const Words& given : {Words{"a.png"}, Words{"a.png", "b.png", "c.png"}}) {
    Console console;
    std::vector<std::string> files;
    std::string model;
    Args args(console, "verb", "summary", {"offramp verb"});
    args.option("--model M", model, "").words("IMAGE", files, "");
    Words words = given;
    words.insert(words.begin() + 1, {"--model", "m", "-q"});
    ASSERT_TRUE(args.parse(words));
    EXPECT_EQ(files, given);
    EXPECT_EQ(model, "m");
  }
  Console console;
  std::vector<std::string> files;
  Args args(console, "verb", "summary", {"offramp verb"});
  args.words("IMAGE", files, "");
  EXPECT_EQ(kind_of([&] { args.parse({}); }), Error::Kind::usage);
}

TEST(Args, ValuesRepeatsAndDefaults) {
  Console console;
  std::string first, second = "unset", text;
  std::vector<std::string> many;
  i64 count = 4;
  double real = 0;
  u64 seed = 0;
  bool flag = false;
  Args args(console, "verb", "summary", {"offramp verb"});
  args.word("FIRST", first, "").word("SECOND", second, "", false).repeated("--attr A=B", many, "");
  args.option("-n,--count N", count, "").option("--real R", real, "").seed(seed).flag("--flag", flag, "");
  args.option("--text T", text, "");
  ASSERT_TRUE(args.parse({"one", "--attr", "a=1", "-n2k", "--attr=b=[x]", "--real", "-0.5", "--seed",
                          "18446744073709551615", "--text", "-x", "--text", "", "-vv"}));
  EXPECT_EQ(first, "one");
  EXPECT_EQ(second, "unset");
  EXPECT_EQ(many, (std::vector<std::string>{"a=1", "b=[x]"}));
  EXPECT_EQ(count, 2000);
  EXPECT_EQ(real, -0.5);
  EXPECT_EQ(seed, ~u64{0});
  EXPECT_EQ(text, "");  // the last one counts
  EXPECT_FALSE(flag);
  EXPECT_EQ(console.options.verbose, 2);
  EXPECT_TRUE(args.given("--attr"));
  EXPECT_FALSE(args.given("--flag"));
}

TEST(Nearest, SlipsOfThePen) {
  const std::vector<std::string> names{"cifar10", "cifar100", "fashion-mnist", "mnist", "svhn"};
  EXPECT_EQ(nearest("cifra10", names), "cifar10");
  EXPECT_EQ(nearest("CIFAR100", names), "cifar100");
  EXPECT_EQ(nearest("fashion", names), "fashion-mnist");
  EXPECT_EQ(nearest("imagenet", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(did_you_mean("zzz", names), "; known: cifar10, cifar100, fashion-mnist, mnist, svhn");
}

TEST(Format, Counts) {
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1.00k");
  EXPECT_EQ(format_count(3'940'000), "3.94M");
  EXPECT_EQ(format_count(17'400'000), "17.4M");
  EXPECT_EQ(format_count(999'999), "1.00M");
  EXPECT_EQ(format_count(12'300'000'000'000), "12.3T");
  EXPECT_EQ(format_count(i64{1} << 62), "4612P");
  EXPECT_EQ(format_seconds(3723), "1:02:03");
  EXPECT_EQ(one_line("a\nb\tc"), "a b c");
}

}  // namespace
}  // namespace offramp::cli
