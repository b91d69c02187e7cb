#include "kernels/nearest.h"

#include <algorithm>
#include <vector>

#include "kernels/types.h"

namespace offramp {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

// Optimal string alignment distance: insert, delete, replace, swap neighbours.
i64 edit_distance(const std::string& a, const std::string& b) {
  const size_t width = b.size() + 1;
  std::vector<i64> before(width), last(width), row(width);
  for (size_t j = 0; j < width; ++j) last[j] = i64(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i64(i);
    for (size_t j = 1; j < width; ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string nearest(std::string_view wanted, std::span<const std::string> candidates) {
  constexpr size_t kLongest = 64;  // a longer word is not a misspelt name; also bounds the work
  if (wanted.empty() || wanted.size() > kLongest) return "";
  const std::string word = lower(wanted);
  const std::string* best = nullptr;
  i64 best_distance = i64(word.size() + 2) / 3 + 1;  // at least this close
  for (const std::string& candidate : candidates) {
    const std::string other = lower(candidate);
    if (other.size() > kLongest) continue;
    const bool prefix = word.size() >= 3 && other.compare(0, word.size(), word) == 0;
    const i64 distance = word == other ? 0 : prefix ? 1 : edit_distance(word, other);
    if (distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best ? *best : "";
}

std::string did_you_mean(std::string_view wanted, std::span<const std::string> candidates) {
  if (const std::string close = nearest(wanted, candidates); !close.empty())
    return "; did you mean '" + close + "'?";
  if (candidates.empty()) return "";
  std::string all = "; known: ";
  for (size_t i = 0; i < candidates.size(); ++i) all += (i ? ", " : "") + candidates[i];
  return all;
}

}  // namespace offramp
