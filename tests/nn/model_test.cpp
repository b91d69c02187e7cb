// The model file: what is saved comes back bit for bit; what is damaged is refused with one line, and nothing
// else happens.
#include "nn/plan/model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "nn/record.h"
#include "tensor/safetensors.h"
#include "tests/nn/sample_network.h"
#include "tests/support/error_kind.h"
#include "tests/support/temp_dir.h"

namespace offramp {
namespace {

using namespace offramp::testing;
using Json = nlohmann::ordered_json;

nn::Model sample_model(bool learned = false) {
  nn::EarlyExitNetwork net = sample_network(1, learned);
  nn::Model model{.plan = std::make_shared<const nn::Plan>(nn::deployable(net)),
                  .space = "some \"space\" \xc3\xa4",
                  .genotype = {0, 2, 1},
                  .class_names = {"a", "b", "", "\xff", "e"},
                  .mean = {0.1f, 0.2f, 1.0f / 3},
                  .std = {0.3f, 0.25f, 1e-3f},
                  .rule = {nn::Confidence::entropy, {0.5f, 1.0f / 3, 7.0f}, true},
                  .thresholds = {0.1f, std::nullopt},
                  .curve = {{{std::nullopt, 0.7f}, 0.5, 123}, {{0.3f, 0.4f}, 1.0 / 3, i64{1} << 60}},
                  .curve_samples = 17,
                  .data = "synthetic",
                  .split_seed = ~u64{0},
                  .train_samples = 100,
                  .tune_samples = 20,
                  .seed = u64{1} << 63,
                  .build = "test"};
  return model;
}

std::vector<float> logits_of(const nn::Model& model) {
  const i64 n = 3;
  const std::vector<float> images = sample_images(n);
  Exec exec(Target::portable, 1);
  nn::EarlyExitRunner runner(model.plan, Target::portable, n);
  std::vector<float> logits(size_t(n * i64(runner.exits().size()) * model.plan->classes));
  runner.run_all(exec, images.data(), n, logits.data());
  return logits;
}

TEST(ModelFile, ComesBackAsItWasSaved) {
  const TempDir dir;
  const nn::Model model = sample_model();
  nn::save_model(dir / "a", model);
  nn::save_model(dir / "again", model);
  EXPECT_EQ(slurp(dir / "a"), slurp(dir / "again"));
  const nn::Model back = nn::load_model(dir / "a");
  EXPECT_EQ(logits_of(back), logits_of(model));
  EXPECT_EQ(back.space, model.space);
  EXPECT_EQ(back.genotype, model.genotype);
  EXPECT_EQ(back.class_names[0], "a");
  EXPECT_EQ(back.mean, model.mean);
  EXPECT_EQ(back.std, model.std);
  EXPECT_EQ(back.rule, model.rule);
  EXPECT_EQ(back.thresholds, model.thresholds);
  ASSERT_EQ(back.curve.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.curve[i].thresholds, model.curve[i].thresholds);
    EXPECT_EQ(back.curve[i].accuracy, model.curve[i].accuracy);
    EXPECT_EQ(back.curve[i].total_macs, model.curve[i].total_macs);
  }
  EXPECT_EQ(back.curve_samples, 17);
  EXPECT_EQ(back.split_seed, model.split_seed);
  EXPECT_EQ(back.seed, model.seed);
  EXPECT_EQ(back.train_samples, 100);
  EXPECT_EQ(back.tune_samples, 20);
  const auto costs = nn::exit_costs(*model.plan), costs_back = nn::exit_costs(*back.plan);
  ASSERT_EQ(costs.size(), costs_back.size());
  for (size_t e = 0; e < costs.size(); ++e) {
    EXPECT_EQ(costs[e].name, costs_back[e].name);
    EXPECT_EQ(costs[e].leave_macs, costs_back[e].leave_macs);
  }
  nn::save_model(dir / "b", back);
  const nn::Model third = nn::load_model(dir / "b");
  nn::save_model(dir / "c", third);
  EXPECT_EQ(slurp(dir / "b"), slurp(dir / "c"));
}

class DamagedModel : public ::testing::Test {
 protected:
  DamagedModel() {
    nn::Model model = sample_model();
    model.class_names[3] = "d";
    nn::save_model(dir_ / "good", model);
    good_ = slurp(dir_ / "good");
    u64 header = 0;
    std::memcpy(&header, good_.data(), 8);
    header_ = size_t(header) + 8;
    file_ = read_safetensors(dir_ / "good");
  }

  // Loads; a model that comes back must also run. True when it was refused.
  bool refused(const std::string& path, const std::string& what) {
    const Thrown t = thrown_by([&] {
      const nn::Model model = nn::load_model(path);
      nn::require_valid(*model.plan);
      if (model.plan->buffers[0] == 14 * 12 * 3 && ++runs_ % 16 == 1) logits_of(model);
    });
    if (!t.kind) return false;
    EXPECT_EQ(*t.kind, Error::Kind::input) << what << ": " << t.message;
    EXPECT_NE(t.message.find(path), std::string::npos) << what << ": " << t.message;
    return true;
  }
  bool refused_bytes(const std::string& bytes, const std::string& what) {
    return refused(dir_.write("damaged", bytes), what);
  }
  // The same tensors under another description.
  bool refused_json(const std::string& text, const std::string& what) {
    SafeTensors file = file_;
    file.metadata["offramp"] = text;
    write_safetensors(dir_ / "edited", file);
    return refused(dir_ / "edited", what);
  }
  Json json() const { return Json::parse(file_.metadata.at("offramp")); }
  void expect_refused(const std::string& what, const std::function<void(Json&)>& edit) {
    Json edited = json();
    edit(edited);
    EXPECT_TRUE(refused_json(edited.dump(), what)) << what;
  }

  TempDir dir_;
  std::string good_;
  size_t header_ = 0;  // bytes before the tensors
  SafeTensors file_;
  int runs_ = 0;
};

// A file says no more than it must, so that programs that know neither temperatures nor cascades read it.
TEST(ModelFile, VersionIsTheOldestThatWillDo) {
  const TempDir dir;
  nn::Model model = sample_model();
  const auto json = [&] {
    nn::save_model(dir / "m", model);
    return Json::parse(read_safetensors(dir / "m").metadata.at("offramp"));
  };
  EXPECT_EQ(json()["format_version"], 2);
  for (nn::Confidence kind : nn::kConfidences) {
    if (nn::is_learned(kind)) continue;
    model.rule = {kind};
    const Json plain = json();
    EXPECT_EQ(plain["format_version"], 1);
    EXPECT_FALSE(plain.contains("temperature") || plain.contains("cascade"));
    EXPECT_EQ(nn::load_model(dir / "m").rule, model.rule);
  }
}

TEST(ModelFile, LearnedConfidencesHaveAVersionOfTheirOwn) {
  const TempDir dir;
  nn::Model model = sample_model(/*learned=*/true);
  const auto metadata = [&] { return Json::parse(read_safetensors(dir / "m").metadata.at("offramp")); };
  const auto refused = [&](auto&& change) {
    SafeTensors file = read_safetensors(dir / "m");
    Json json = metadata();
    change(json);
    file.metadata["offramp"] = json.dump();
    write_safetensors(dir / "changed", file);
    return thrown_by([&] { nn::load_model(dir / "changed"); }).kind == Error::Kind::input;
  };
  for (nn::Confidence kind : nn::kConfidences) {
    model.rule = {kind};
    nn::save_model(dir / "m", model);
    EXPECT_EQ(metadata()["format_version"], 3);
    const nn::Model back = nn::load_model(dir / "m");
    EXPECT_EQ(back.rule, model.rule);
    EXPECT_TRUE(back.plan->learned_confidence);
    EXPECT_EQ(logits_of(back), logits_of(model));
    // A reader of older versions would take the confidence for a class.
    for (i64 version : {1, 2, 4})
      EXPECT_TRUE(refused([&](Json& j) { j["format_version"] = version; })) << version;
    EXPECT_TRUE(refused([](Json& j) { j["plan"]["learned_confidence"] = false; }));
    EXPECT_TRUE(refused([](Json& j) { j["plan"]["learned_confidence"] = 1; }));
    EXPECT_TRUE(refused([](Json& j) { j["plan"].erase("learned_confidence"); }));
  }
  // A measure that the exits do not have.
  model = sample_model();
  model.rule = {nn::Confidence::margin};
  nn::save_model(dir / "m", model);
  EXPECT_FALSE(refused([](Json&) {}));
  EXPECT_TRUE(refused([](Json& j) { j["confidence"] = "learned"; }));
}

TEST_F(DamagedModel, EveryCutIsRefused) {
  EXPECT_FALSE(refused_bytes(good_, "as it was"));
  for (size_t length = 0; length < good_.size(); length += length < 64 ? 1 : 61)
    EXPECT_TRUE(refused_bytes(good_.substr(0, length), "cut")) << length << " of " << good_.size();
  EXPECT_TRUE(refused_bytes(good_.substr(0, good_.size() - 1), "last byte"));
  EXPECT_TRUE(refused_bytes(good_ + "x", "a byte more"));
}

TEST_F(DamagedModel, FlippedBitsNeverCrash) {
  size_t count = 0;
  for (size_t bit = 0; bit < header_ * 8; bit += bit < 8 * 64 ? 1 : 37, ++count) {
    std::string bad = good_;
    bad[bit / 8] = char(bad[bit / 8] ^ (1 << bit % 8));
    refused_bytes(bad, "bit " + std::to_string(bit));
  }
  for (size_t at = header_; at < good_.size(); at += 997) {
    std::string bad = good_;
    bad[at] = char(bad[at] ^ 0x40);
    EXPECT_FALSE(refused_bytes(bad, "weights carry no checksum"));
  }
  EXPECT_GT(count, 1000u);
}

// Every value of the description, one after the other, replaced by what does not belong there.
TEST_F(DamagedModel, EveryValueReplaced) {
  const Json good = json();
  std::vector<Json::json_pointer> places;
  const std::function<void(const Json&, const Json::json_pointer&)> walk =
      [&](const Json& at, const Json::json_pointer& path) {
        if (!path.empty()) places.push_back(path);
        if (at.is_object())
          for (const auto& [key, value] : at.items()) walk(value, path / key);
        if (at.is_array())
          for (size_t i = 0; i < at.size(); ++i) walk(at[i], path / i);
      };
  walk(good, Json::json_pointer());
  const Json junk[] = {-1,
                       0,
                       1,
                       3,
                       i64{1} << 40,
                       std::numeric_limits<i64>::min(),
                       std::numeric_limits<u64>::max(),
                       0.5,
                       -1e300,
                       "text",
                       "",
                       nullptr,
                       true,
                       Json::array(),
                       Json::object(),
                       Json::array({Json::array({1})})};
  ASSERT_GT(places.size(), 300u);
  // Values of a wrong type are refused wherever they stand (null is a threshold, {} nowhere right).
  size_t turn = 0;
  for (const auto& place : places) {
    const std::string name = place.to_string();
    Json edited = good;
    edited[place] = Json::object();
    EXPECT_TRUE(refused_json(edited.dump(), name)) << name;
    for (int i = 0; i < 3; ++i) {
      const Json& value = junk[turn++ % std::size(junk)];
      edited[place] = value;
      refused_json(edited.dump(), name + " = " + value.dump());
    }
    // A missing key or element.
    Json cut = good;
    Json& parent = cut[place.parent_pointer()];
    if (parent.is_object()) {
      parent.erase(place.back());
      const bool optional = place.back() == "bias" || place.back() == "activation" || place.back() == "z" ||
                            place.back() == "eps";
      EXPECT_TRUE(refused_json(cut.dump(), name + " erased") || optional) << name << " erased";
    }
  }
}

TEST_F(DamagedModel, Targeted) {
  expect_refused("not a number", [](Json& j) { j["mean"][0] = nullptr; });
  EXPECT_TRUE(refused_json("", "empty"));
  EXPECT_TRUE(refused_json("null", "null"));
  EXPECT_TRUE(refused_json("[]", "list"));
  EXPECT_TRUE(refused_json("{\"format_version\":NaN}", "NaN"));
  std::string huge = json().dump();
  huge.replace(huge.find("\"mean\":[") + 8, 0, "1e999,");
  EXPECT_TRUE(refused_json(huge, "1e999"));
  expect_refused("beyond float", [](Json& j) { j["mean"][0] = 1e300; });
  expect_refused("std 0", [](Json& j) { j["std"][0] = 0; });
  expect_refused("std negative", [](Json& j) { j["std"][1] = -0.5; });
  expect_refused("version", [](Json& j) { j["format_version"] = 3; });
  expect_refused("version 0", [](Json& j) { j["format_version"] = 0; });
  expect_refused("class missing", [](Json& j) { j["class_names"].erase(0); });
  expect_refused("threshold more", [](Json& j) { j["thresholds"].push_back(0.5); });
  expect_refused("curve without samples", [](Json& j) { j["curve_samples"] = 0; });
  expect_refused("negative curve", [](Json& j) { j["curve"][0]["total_macs"] = -5; });
  expect_refused("confidence", [](Json& j) { j["confidence"] = "mood"; });
  expect_refused("temperature 0", [](Json& j) { j["temperature"][1] = 0; });
  expect_refused("temperature missing", [](Json& j) { j["temperature"].erase(0); });
  expect_refused("no temperatures", [](Json& j) { j.erase("temperature"); });
  expect_refused("cascade", [](Json& j) { j["cascade"] = 1; });
  expect_refused("negative samples", [](Json& j) { j["train_samples"] = -1; });
  expect_refused("gene", [](Json& j) { j["genotype"][0] = -1; });
  expect_refused("unknown step", [](Json& j) { j["plan"]["stages"][0]["body"][0]["op"] = "system"; });
  expect_refused("unknown tensor", [](Json& j) { j["plan"]["stages"][0]["body"][0]["w"] = "nobody"; });
  expect_refused("another tensor", [](Json& j) {
    j["plan"]["stages"][0]["body"][0]["w"] = j["plan"]["stages"][0]["body"][1]["w"];
  });
  expect_refused("wide image", [](Json& j) { j["plan"]["width"] = 13; });
  expect_refused("vast image", [](Json& j) { j["plan"]["width"] = i64{1} << 62; });
  expect_refused("vast buffer", [](Json& j) { j["plan"]["buffers"][1] = i64{1} << 62; });
  expect_refused("vast unused buffer", [](Json& j) { j["plan"]["buffers"].push_back(i64{1} << 25); });
  expect_refused("no stage", [](Json& j) { j["plan"]["stages"] = Json::array(); });
  expect_refused("last head gone", [](Json& j) { j["plan"]["stages"].back()["head"] = Json::array(); });
  expect_refused("stage twice", [](Json& j) { j["plan"]["stages"].push_back(j["plan"]["stages"].back()); });
  expect_refused("step twice", [](Json& j) {
    Json& body = j["plan"]["stages"][0]["body"];
    body.insert(body.begin(), body[0]);
  });
  expect_refused("output in place of input", [](Json& j) {
    Json& step = j["plan"]["stages"][0]["body"][0];
    step["y"] = step["x"];
  });
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 200'000; ++i) deep += open;
    EXPECT_TRUE(refused_json(deep, "deep, never closed"));
    Json edited = json();
    std::string text = edited.dump(), nest(100'000, '['), unnest(100'000, ']');
    text.replace(text.find("\"mean\":[") + 8, 0, nest + unnest + ",");
    EXPECT_TRUE(refused_json(text, "deep"));
  }
  // The last of two equal keys, or an error: nothing else.
  std::string twice = json().dump();
  twice.insert(1, "\"plan\":5,\"mean\":[],");
  refused_json(twice, "keys twice");
}

TEST_F(DamagedModel, WrongTensors) {
  const auto with = [&](const std::string& what, const std::function<void(SafeTensors&)>& edit) {
    SafeTensors file = file_;
    edit(file);
    write_safetensors(dir_ / "tensors", file);
    EXPECT_TRUE(refused(dir_ / "tensors", what)) << what;
  };
  const std::string name = json()["plan"]["stages"][0]["body"][0]["w"];
  with("missing", [&](SafeTensors& f) { f.tensors.erase(name); });
  with("other type",
       [&](SafeTensors& f) { f.tensors[name] = Tensor::full(f.tensors[name].shape(), 1, DType::f64); });
  with("too small", [&](SafeTensors& f) { f.tensors[name] = Tensor::full({3}, 1); });
  with("empty", [&](SafeTensors& f) { f.tensors[name] = Tensor::full({0}, 1); });
  with("transposed", [&](SafeTensors& f) {
    const Shape s = f.tensors[name].shape();
    f.tensors[name] = f.tensors[name].reshape({s[3], s[1], s[2], s[0]});
  });
  with("no description", [](SafeTensors& f) { f.metadata.clear(); });
  EXPECT_TRUE(refused(dir_ / "nowhere", "no file"));
  EXPECT_TRUE(refused(dir_.path(), "a folder"));
  EXPECT_TRUE(refused_bytes("", "empty"));
}

}  // namespace
}  // namespace offramp
