// Whole searches on a tiny data set that looks like MNIST.
#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "kernels/exec.h"
#include "kernels/rng.h"
#include "nas/search/engine.h"
#include "nas/study/store.h"
#include "tests/data/files.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp::nas {

namespace fs = std::filesystem;
using offramp::testing::slurp;
using offramp::testing::TempDir;
using offramp::testing::Thrown;
using offramp::testing::thrown_by;

// Ten classes: a bright square at one of ten places, in noise that hides some of them.
inline void write_images(const TempDir& dir, const std::string& images, const std::string& labels, u32 count,
                         u64 seed) {
  std::string pixels, marks;
  Rng rng(seed);
  for (u32 i = 0; i < count; ++i) {
    const u32 label = i % 10, row = label / 4 * 9, col = label % 4 * 7, noise = 64 + 64 * (i / 10 % 3);
    std::string image(28 * 28, '\0');
    for (char& p : image) p = char(rng.below(noise));
    for (u32 y = 0; y < 7; ++y)
      for (u32 x = 0; x < 6; ++x) image[(row + y) * 28 + col + x] = char(120 + rng.below(100));
    pixels += image;
    marks += char(label);
  }
  dir.write(images, data::testing::idx({count, 28, 28}, pixels));
  dir.write(labels, data::testing::idx({count}, marks));
}

class SearchRun : public ::testing::Test {
 protected:
  SearchRun() {
    write_images(dir_, "data/train-images-idx3-ubyte", "data/train-labels-idx1-ubyte", 400, 1);
    write_images(dir_, "data/t10k-images-idx3-ubyte", "data/t10k-labels-idx1-ubyte", 60, 2);
  }

  SearchRequest request(const std::string& name) const {
    SearchRequest r{.out = dir_ / name, .data_dirs = {dir_ / "data"}, .build = "test"};
    SearchConfig& c = r.config;
    c.data = "mnist";
    c.seed = 11;
    c.supernet.epochs = 2;
    c.supernet.random_subnets = 1;
    c.search.evals = 10;
    c.search.sampler = "nsga2";
    c.search.population = 4;
    c.candidate.recalibrate = 64;
    c.final.epochs = 2;
    c.final.count = 2;
    c.train.samples = 192;
    c.train.batch = 64;
    c.tune.samples = 80;
    return r;
  }

  static SearchResult go(const SearchRequest& r, int threads = 1, const Watch& watch = {}) {
    Exec exec(default_target(), threads);
    return continue_run(exec, r, watch);
  }
  static SearchResult whole(const SearchRequest& r, int threads = 1) {
    create_run(r, false);
    return go(r, threads);
  }

  // What a run promises to be the same again.
  static std::map<std::string, std::string> results(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const char* name : {"front.csv", "chosen.safetensors", "supernet.safetensors"})
      if (fs::exists(out + "/" + name))
        files[name] = slurp(out + "/" + name);  // not every run has a supernet
    for (const auto& entry : fs::directory_iterator(out + "/models"))
      files[entry.path().filename()] = slurp(entry.path());
    return files;
  }
  static void expect_same(const std::string& a, const std::string& b) {
    const auto x = results(a), y = results(b);
    ASSERT_EQ(x.size(), y.size());
    for (const auto& [name, bytes] : x) {
      ASSERT_TRUE(y.count(name)) << name;
      EXPECT_FALSE(bytes.empty()) << name;
      EXPECT_TRUE(bytes == y.at(name)) << name;
    }
    const auto p = archive(a).candidates(), q = archive(b).candidates();
    ASSERT_EQ(p.size(), q.size());
    for (std::size_t i = 0; i < p.size(); ++i) {
      EXPECT_EQ(p[i].genotype, q[i].genotype);
      EXPECT_EQ(p[i].origin, q[i].origin);
      EXPECT_EQ(p[i].parents, q[i].parents);
      EXPECT_EQ(p[i].predicted, q[i].predicted);
      EXPECT_EQ(p[i].predicted_by, q[i].predicted_by);
      EXPECT_EQ(p[i].seed, q[i].seed);
      EXPECT_EQ(p[i].objectives, q[i].objectives);
      EXPECT_EQ(p[i].thresholds, q[i].thresholds);
      EXPECT_EQ(p[i].exit_shares, q[i].exit_shares);
      EXPECT_EQ(p[i].train_macs, q[i].train_macs);
      EXPECT_EQ(p[i].epochs, q[i].epochs);
      EXPECT_EQ(p[i].rungs_left, q[i].rungs_left);
    }
    const auto r = archive(a).rungs(), s = archive(b).rungs();
    ASSERT_EQ(r.size(), s.size());
    for (std::size_t i = 0; i < r.size(); ++i) {
      EXPECT_EQ(r[i].id, s[i].id);
      EXPECT_EQ(r[i].epochs, s[i].epochs);
      EXPECT_EQ(r[i].objectives, s[i].objectives);
      EXPECT_EQ(r[i].thresholds, s[i].thresholds);
      EXPECT_EQ(r[i].train_macs, s[i].train_macs);
    }
    const TrainingCost ca = archive(a).training_cost(), cb = archive(b).training_cost();
    EXPECT_EQ(ca.supernet, cb.supernet);
    EXPECT_EQ(ca.candidates, cb.candidates);
    EXPECT_EQ(ca.finals, cb.finals);
    const auto g = archive(a).generations(), h = archive(b).generations();
    ASSERT_EQ(g.size(), h.size());
    for (std::size_t i = 0; i < g.size(); ++i) {
      EXPECT_EQ(g[i].hypervolume, h[i].hypervolume);
      EXPECT_EQ(g[i].evaluations, h[i].evaluations);
      EXPECT_EQ(g[i].front, h[i].front);
      EXPECT_EQ(g[i].train_macs, h[i].train_macs);
      EXPECT_EQ(g[i].best_id, h[i].best_id);
    }
  }
  static Store archive(const std::string& out) {
    return Store::open(out + "/archive.sqlite", Store::Access::read);
  }
  static std::map<std::string, std::string> every_file(const std::string& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(out))
      if (entry.is_regular_file()) files[entry.path()] = slurp(entry.path());
    return files;
  }

  TempDir dir_;
};

}  // namespace offramp::nas
