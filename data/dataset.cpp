#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/error.h"

namespace offramp::data {

const CardBytes::Tensors& Dataset::on_card() const {
  if (card.kept_) return *card.kept_;
  if (const auto part = std::move(card.part_)) {
    const Tensor indices = Tensor::from<i64>(part->indices, {size()}).to(Device::cuda);
    card.kept_.reset(
        new CardBytes::Tensors{part->whole.images.rows(indices), part->whole.labels.rows(indices)});
  } else {
    card.kept_.reset(new CardBytes::Tensors{images.contiguous().to(Device::cuda),
                                            Tensor::from<i64>(labels, {size()}).to(Device::cuda)});
  }
  return *card.kept_;
}

Dataset subset(const Dataset& all, std::span<const i64> indices) {
  for (i64 i : indices)
    if (i < 0 || i >= all.size())
      throw Error("subset of " + all.name + ": sample " + std::to_string(i) + " of " +
                  std::to_string(all.size()));
  Dataset out{.name = all.name,
              .images = all.images.rows(Tensor::from<i64>(indices, {i64(indices.size())})),
              .classes = all.classes};
  out.labels.reserve(indices.size());
  for (i64 i : indices) {
    out.labels.push_back(all.labels[size_t(i)]);
    if (!all.difficulty.empty()) out.difficulty.push_back(all.difficulty[size_t(i)]);
  }
  if (all.card.kept_)
    out.card.part_.reset(new CardBytes::Part{*all.card.kept_, {indices.begin(), indices.end()}});
  return out;
}

std::vector<i64> stratified(std::span<const i64> labels, i64 count, Rng rng) {
  const i64 n = i64(labels.size());
  if (count < 0 || count > n)
    throw usage_error("wanted " + std::to_string(count) + " samples, the set has " + std::to_string(n));
  std::vector<std::vector<i64>> members;
  for (i64 i = 0; i < n; ++i) {
    const size_t label = size_t(labels[size_t(i)]);
    if (label >= members.size()) members.resize(label + 1);
    members[label].push_back(i);
  }
  // Every class gets the whole part of its share, then the largest remainders (the lower class first) one
  // more.
  std::vector<i64> take(members.size());
  std::vector<size_t> by_remainder(members.size());
  i64 left = count;
  for (size_t c = 0; c < members.size(); ++c) {
    take[c] = count * i64(members[c].size()) / n;
    left -= take[c];
  }
  std::iota(by_remainder.begin(), by_remainder.end(), size_t{0});
  std::stable_sort(by_remainder.begin(), by_remainder.end(), [&](size_t a, size_t b) {
    return count * i64(members[a].size()) % n > count * i64(members[b].size()) % n;
  });
  for (i64 i = 0; i < left; ++i) ++take[by_remainder[size_t(i)]];

  std::vector<i64> out;
  out.reserve(size_t(count));
  for (size_t c = 0; c < members.size(); ++c) {
    Rng draw = rng.derive(c);
    std::vector<i64>& pool = members[c];
    for (size_t i = 0; i < size_t(take[c]); ++i) {
      std::swap(pool[i], pool[i + draw.below(u32(pool.size() - i))]);
      out.push_back(pool[i]);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<i64> others(i64 n, std::span<const i64> taken) {
  std::vector<i64> out;
  size_t at = 0;
  for (i64 i = 0; i < n; ++i) {
    if (at < taken.size() && taken[at] == i)
      ++at;
    else
      out.push_back(i);
  }
  return out;
}

std::vector<i64> class_histogram(const Dataset& set) {
  std::vector<i64> out(set.classes.size());
  for (i64 label : set.labels) ++out.at(size_t(label));
  return out;
}

Normalisation channel_statistics(const Dataset& set) {
  const i64 c = set.channels(), pixels = set.size() * set.height() * set.width();
  if (pixels == 0) throw Error("channel statistics of an empty set");
  // A histogram per channel: exact, and one pass over the bytes.
  std::vector<i64> histogram(size_t(c) * 256);
  const u8* p = set.images.data<u8>();
  if (c == 1) {
    for (i64 i = 0; i < pixels; ++i) ++histogram[p[i]];
  } else {
    for (i64 i = 0; i < pixels; ++i)
      for (i64 k = 0; k < c; ++k) ++histogram[size_t(k * 256 + p[i * c + k])];
  }
  Normalisation out;
  for (i64 k = 0; k < c; ++k) {
    i64 sum = 0, squares = 0;
    for (i64 v = 0; v < 256; ++v) {
      const i64 times = histogram[size_t(k * 256 + v)];
      sum += v * times;
      squares += v * v * times;
    }
    const double mean = double(sum) / double(pixels);
    const double variance = double(squares) / double(pixels) - mean * mean;
    out.mean.push_back(float(mean / 255));
    out.std.push_back(variance > 1e-6 ? float(std::sqrt(variance) / 255) : 1.0f);
  }
  return out;
}

}  // namespace offramp::data
