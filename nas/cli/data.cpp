// offramp data list|info|verify: what images there are.
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/catalog.h"
#include "kernels/error.h"
#include "nas/cli/data_dirs.h"
#include "nas/cli/verb.h"

namespace offramp::cli {
namespace {

using nlohmann::ordered_json;

constexpr char kNameHelp[] = "a known data set ('offramp data list'), or folder:PATH";

std::string size_text(i64 height, i64 width, i64 channels) {
  if (height == 0) return "";
  return std::to_string(height) + "x" + std::to_string(width) + "x" + std::to_string(channels);
}
std::string count_text(i64 count) { return count ? std::to_string(count) : ""; }

void run_list(Console& console, const Words& words) {
  std::string dir;
  Args args(console, "data list", "data sets known, and where they were found",
            {"offramp data list", "offramp data list --data-dir ~/images"});
  args.data_dir(dir);
  if (!args.parse(words)) return;
  const std::vector<std::string> dirs = data_dirs(dir);
  ordered_json sets = ordered_json::array();
  std::vector<std::vector<std::string>> rows{{"data", "images", "classes", "train", "test", "where"}};
  for (const data::DatasetInfo& info : data::known_datasets()) {
    const data::Found found = data::find(info.name, dirs);
    sets.push_back({{"name", info.name},
                    {"description", info.description},
                    {"found", found.found},
                    {"folder", found.folder},
                    {"looked", found.looked},
                    {"train", info.train},
                    {"test", info.test},
                    {"height", info.height},
                    {"width", info.width},
                    {"channels", info.channels},
                    {"classes", info.classes},
                    {"source", info.source}});
    rows.push_back({info.name, size_text(info.height, info.width, info.channels), count_text(info.classes),
                    count_text(info.train), count_text(info.test),
                    !found.found           ? "not found; " + info.source
                    : found.folder.empty() ? "built in"
                                           : found.folder});
  }
  if (console.options.json) return console.print_json({{"search_dirs", dirs}, {"datasets", sets}});
  std::string text = table(rows) + "\nlooked in:";
  for (const std::string& d : dirs) text += " " + d;
  console.print(text + "\n");
}

// Mean and standard deviation per channel of two sets taken together.
data::Normalisation pooled(const data::Dataset& a, const data::Dataset& b) {
  if (b.size() == 0) return data::channel_statistics(a);
  const data::Normalisation one = data::channel_statistics(a), two = data::channel_statistics(b);
  const double share = double(a.size()) / double(a.size() + b.size());
  data::Normalisation both;
  for (size_t c = 0; c < one.mean.size(); ++c) {
    const double m1 = one.mean[c], m2 = two.mean[c], s1 = one.std[c], s2 = two.std[c];
    const double mean = share * m1 + (1 - share) * m2;
    const double square = share * (s1 * s1 + m1 * m1) + (1 - share) * (s2 * s2 + m2 * m2);
    both.mean.push_back(float(mean));
    both.std.push_back(float(std::sqrt(std::max(0.0, square - mean * mean))));
  }
  return both;
}

void run_info(Console& console, const Words& words) {
  std::string name, dir;
  data::LoadOptions options;
  options.seed = 1;
  Args args(console, "data info", "counts, class histogram and channel statistics",
            {"offramp data info fashion-mnist", "offramp data info folder:photos --json"});
  args.word("NAME", name, kNameHelp).data_dir(dir).seed(options.seed);
  if (!args.parse(words)) return;
  options.dirs = data_dirs(dir);
  console.note("seed " + std::to_string(options.seed));
  const data::Found found = data::find(name, options.dirs);
  const data::Splits splits = data::load(name, options);
  const data::Normalisation statistics = pooled(splits.train, splits.tune);

  ordered_json by_split;
  std::vector<std::vector<std::string>> rows{{"class", "train", "tune", "test"}};
  for (const std::string& c : splits.train.classes) rows.push_back({c});
  std::vector<std::string> total{"all"};
  for (const auto& [split, set] : {std::pair<const char*, const data::Dataset*>{"train", &splits.train},
                                   {"tune", &splits.tune},
                                   {"test", &splits.test}}) {
    const std::vector<i64> histogram = data::class_histogram(*set);
    by_split[split] = {{"samples", set->size()}, {"histogram", histogram}};
    for (size_t c = 0; c < histogram.size() && c + 1 < rows.size(); ++c)
      rows[c + 1].push_back(std::to_string(histogram[c]));
    total.push_back(std::to_string(set->size()));
  }
  rows.push_back(total);
  const data::Dataset& any = splits.train;
  if (console.options.json)
    return console.print_json({{"data", name},
                               {"folder", found.folder},
                               {"files", found.files},
                               {"height", any.height()},
                               {"width", any.width()},
                               {"channels", any.channels()},
                               {"classes", any.classes},
                               {"splits", by_split},
                               {"mean", statistics.mean},
                               {"std", statistics.std},
                               {"seed", options.seed}});
  std::string text = name + ": " + size_text(any.height(), any.width(), any.channels()) + ", " +
                     std::to_string(any.classes.size()) + " classes" +
                     (found.folder.empty() ? "" : ", from " + found.folder) + "\n";
  for (size_t c = 0; c < statistics.mean.size(); ++c) {
    char line[96];
    std::snprintf(line, sizeof line, "channel %zu: mean %.4f, std %.4f (training images, 0..1)\n", c,
                  double(statistics.mean[c]), double(statistics.std[c]));
    text += line;
  }
  console.print(text + table(rows));
}

void run_verify(Console& console, const Words& words) {
  std::string name, dir;
  Args args(console, "data verify",
            "sizes, magic numbers and checksums of the files; exit code 3 when one is wrong",
            {"offramp data verify cifar10 --data-dir ~/data"});
  args.word("NAME", name, kNameHelp).data_dir(dir);
  if (!args.parse(words)) return;
  const std::vector<data::Check> checks = data::verify(name, data_dirs(dir));
  ordered_json listed = ordered_json::array();
  std::string text, wrong;
  for (const data::Check& check : checks) {
    listed.push_back({{"file", check.file}, {"what", check.what}, {"passed", check.passed}});
    text += std::string(check.passed ? "ok     " : "WRONG  ") + check.file + ": " + check.what + "\n";
    if (!check.passed) wrong = check.file + ": " + check.what;
  }
  if (console.options.json)
    console.print_json({{"data", name}, {"ok", wrong.empty()}, {"checks", listed}});
  else
    console.print(text);
  if (!wrong.empty()) throw input_error("verification failed: " + wrong + "; get the file again");
}

constexpr auto kActions = std::to_array<Verb>({
    {"list", "data sets known, and where they were found", run_list},
    {"info", "counts, class histogram, channel statistics", run_info},
    {"verify", "sizes and checksums of the files", run_verify},
    {"fetch", "download a data set", nullptr},
});

}  // namespace

void run_data(Console& console, const Words& words) {
  dispatch_actions(console, kActions, "data", "what images there are",
                   {"offramp data list", "offramp data info fashion-mnist"}, words);
}

}  // namespace offramp::cli
