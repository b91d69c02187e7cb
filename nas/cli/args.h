// Command-line arguments of one verb. A thin face over CLI11, which is included in args.cpp alone.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/types.h"
#include "nas/cli/console.h"
#include "nas/parse.h"

namespace offramp::cli {

using Words = std::vector<std::string>;

class Args {
 public:
  // `path` is what was typed: "space cost". `examples` are whole command lines, shown first by --help.
  // Adds --json -q -v --color, stored in console.options, and --help.
  Args(Console& console, std::string path, std::string summary, std::vector<std::string> examples);
  ~Args();
  Args(const Args&) = delete;
  Args& operator=(const Args&) = delete;

  // What stands before `path` in help and messages: "offramp " unless said otherwise.
  Args& program(const std::string& name);

  // Positional words, in order of the calls. `name` in capitals: "SPACE".
  Args& word(const std::string& name, std::string& value, const std::string& help, bool required = true);
  Args& words(const std::string& name, std::vector<std::string>& values,
              const std::string& help);  // one or more

  // `names` is "--seed S" or "-n,--count N": names, then the placeholder. A value may follow a space or '='.
  // i64 takes k, M, G (17M); values keep their initial content when the flag is absent. Out of range: usage
  // error.
  Args& flag(const std::string& name, bool& value, const std::string& help);
  Args& option(const std::string& names, std::string& value, const std::string& help);
  Args& option(const std::string& names, double& value, const std::string& help);
  Args& option(const std::string& names, u64& value, const std::string& help);
  Args& option(const std::string& names, i64& value, const std::string& help, i64 low = 0,
               i64 high = i64{1} << 50);
  Args& option(const std::string& names, std::optional<i64>& value, const std::string& help, i64 low = 0,
               i64 high = i64{1} << 50);
  Args& choice(const std::string& names, std::string& value, std::vector<std::string> allowed,
               const std::string& help);
  Args& repeated(const std::string& names, std::vector<std::string>& values, const std::string& help);

  // Flags with one meaning everywhere.
  Args& threads(int& value);  // --threads N, default: all cores
  Args& seed(u64& value);     // --seed S
  // --device cpu|cuda[:0], refused by a build without CUDA, and --precision
  Args& device(std::string& value, std::string& precision, const std::string& initial);
  Args& data_dir(std::string& value);       // --data-dir DIR
  Args& required(const std::string& flag);  // the option must be given

  Args& notes(const std::string& text);  // printed at the end of --help

  // False: help was asked for and printed. Throws Error(usage) naming the word that is wrong and the nearest
  // one.
  bool parse(const Words& words);
  bool given(const std::string& flag) const;  // after parse

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using nas::parse_count;
using nas::parse_integers;
using nas::parse_number;
using nas::parse_seed;
using nas::split_assignment;

}  // namespace offramp::cli
