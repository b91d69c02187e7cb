// train, tune, eval, predict, profile: what they print, that they agree with one another, what they refuse.
#include <cmath>

#include "data/catalog.h"
#include "data/decode.h"
#include "nas/space/space.h"
#include "nn/plan/model.h"
#include "tensor/npy.h"
#include "tests/cli/shell.h"
#include "tests/data/files.h"

namespace offramp::testing {
namespace {

using Json = nlohmann::json;

std::string genotype() { return nas::to_text(nas::Space::load("small").min_genotype()); }  // two early exits

// Trains on the generated images; `more` goes behind.
std::string train(const TempDir& dir, const std::string& name, const std::string& more) {
  const Ran ran = offramp_run("train --data synthetic --space small --genotype " + genotype() + " --out " +
                              dir / name + " --json " + more);
  EXPECT_EQ(ran.code, 0) << ran.err;
  const Json json = ran.json();
  for (const char* key :
       {"schema_version", "model", "seed", "genotype", "accuracy_tune", "avg_macs", "full_macs", "params"})
    EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_NE(ran.err.find("seed "), std::string::npos) << ran.err;
  return dir / name;
}
std::string untrained(const TempDir& dir, const std::string& name = "m.safetensors") {
  return train(dir, name, "--epochs 0 --set train.samples=256 --set tune.samples=100");
}

void expect_keys(const Json& json, const std::vector<const char*>& keys) {
  for (const char* key : keys) EXPECT_TRUE(json.contains(key)) << key << " in " << json;
}

// What eval prints adds up.
void check_eval(const Json& e, i64 samples) {
  expect_keys(
      e, {"schema_version", "data", "split", "samples", "accuracy", "final_accuracy", "avg_macs",
          "total_macs", "avg_macs_own_head", "full_macs", "params", "confidence", "thresholds", "exits"});
  EXPECT_EQ(e["schema_version"], 1);
  EXPECT_EQ(e["samples"], samples);
  EXPECT_EQ(e["confidence"], "margin");
  EXPECT_EQ(e["thresholds"].size() + 1, e["exits"].size());
  double shares = 0, right = 0, macs = 0;
  for (const Json& exit : e["exits"]) {
    const double share = exit["share"];
    shares += share;
    if (share == 0) {
      EXPECT_TRUE(exit["accuracy"].is_null());
      continue;
    }
    right += share * double(exit["accuracy"]);
    macs += share * double(exit["leave_macs"]);
  }
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_NEAR(right, e["accuracy"], 1e-9);
  EXPECT_NEAR(macs, e["avg_macs"], 1e-3);
  EXPECT_TRUE(e["total_macs"].is_number_integer());
  EXPECT_EQ(double(e["total_macs"]) / double(samples), double(e["avg_macs"]));
  EXPECT_LE(double(e["avg_macs"]), double(e["full_macs"]));
  EXPECT_LE(double(e["avg_macs_own_head"]), double(e["avg_macs"]));
}

TEST(ModelVerbs, ATrainedNetworkSpendsMoreOnHardImages) {
  const TempDir dir;
  const std::string model =
      train(dir, "m.safetensors", "--epochs 5 --batch 64 --set train.samples=4000 --set tune.samples=1000");
  const Ran ran = offramp_run("eval --model " + model + " --json --predictions " + dir / "p.npy" +
                              " --logits " + dir / "l.npy");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json e = ran.json();
  check_eval(e, 4000);
  EXPECT_GT(e["accuracy"], 0.35);
  EXPECT_LT(double(e["avg_macs"]), double(e["full_macs"]));
  double last = -1;
  ASSERT_EQ(e["by_difficulty"].size(), 4u);
  for (std::size_t d = 0; d < 4; ++d) {
    const Json& level = e["by_difficulty"][d];
    EXPECT_EQ(level["difficulty"], d);
    EXPECT_EQ(level["samples"], 1000);
    EXPECT_GT(double(level["mean_exit"]), last) << e["by_difficulty"];
    last = level["mean_exit"];
  }

  // Predictions are what the figures are made of; logits hold the same answers.
  const Tensor p = read_npy(dir / "p.npy"), l = read_npy(dir / "l.npy");
  const i64 exits = i64(e["exits"].size());
  ASSERT_EQ(p.shape(), (Shape{4000, 2}));
  ASSERT_EQ(p.dtype(), DType::i64);
  ASSERT_EQ(l.shape(), (Shape{4000, exits, 10}));
  ASSERT_EQ(l.dtype(), DType::f32);
  const data::Dataset test = data::load("synthetic", {.want_train = false}).test;
  i64 right = 0, total = 0, final_right = 0;
  for (i64 s = 0; s < 4000; ++s) {
    const i64 label = p.data<i64>()[2 * s], exit = p.data<i64>()[2 * s + 1];
    ASSERT_GE(exit, 0);
    ASSERT_LT(exit, exits);
    const float* row = l.data<float>() + (s * exits + exit) * 10;
    ASSERT_EQ(std::max_element(row, row + 10) - row, label);
    const float* end = l.data<float>() + (s * exits + exits - 1) * 10;
    final_right += std::max_element(end, end + 10) - end == test.labels[std::size_t(s)];
    right += label == test.labels[std::size_t(s)];
    total += i64(e["exits"][std::size_t(exit)]["leave_macs"]);
  }
  EXPECT_EQ(double(right) / 4000, double(e["accuracy"]));
  EXPECT_EQ(double(final_right) / 4000, double(e["final_accuracy"]));
  EXPECT_EQ(total, i64(e["total_macs"]));

  // The same bits at any batch size and number of threads.
  ASSERT_EQ(offramp_run("eval --model " + model + " -q --batch 7 --threads 1 --predictions " +
                        dir / "p7.npy" + " --logits " + dir / "l7.npy")
                .code,
            0);
  EXPECT_TRUE(slurp(dir / "p.npy") == slurp(dir / "p7.npy"));
  EXPECT_TRUE(slurp(dir / "l.npy") == slurp(dir / "l7.npy"));

  // predict gives the same class, exit and MACs for the same pixels, from every kind of file.
  std::string words = "predict --json --model " + model;
  const i64 bytes = 32 * 32 * 3;
  for (i64 s = 0; s < 24; ++s) {
    const std::string pixels(reinterpret_cast<const char*>(test.image(s)), std::size_t(bytes));
    words += " " + (s % 2 ? dir.write(std::to_string(s) + ".png", data::testing::png(32, 32, 3, pixels))
                          : dir.write(std::to_string(s) + ".bmp", data::testing::bmp(32, 32, pixels)));
  }
  write_npy(dir / "stack.npy", test.images.slice(0, 0, 100).contiguous());
  write_npy(dir / "one.npy", test.images.slice(0, 3, 1).contiguous().reshape({32, 32, 3}));
  const Ran predicted = offramp_run(words + " " + dir / "stack.npy" + " " + dir / "one.npy");
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const Json results = predicted.json()["results"];
  ASSERT_EQ(results.size(), 24u + 100 + 1);
  std::vector<i64> seen(std::size_t(exits), 0);
  for (std::size_t r = 0; r < results.size(); ++r) {
    const i64 s = r < 24 ? i64(r) : r < 124 ? i64(r) - 24 : 3;
    expect_keys(results[r], {"file", "class", "label", "confidence", "exit", "macs"});
    EXPECT_EQ(results[r]["class"], p.data<i64>()[2 * s]) << r;
    EXPECT_EQ(results[r]["exit"], p.data<i64>()[2 * s + 1]) << r;
    const std::size_t exit = results[r]["exit"];
    EXPECT_EQ(results[r]["macs"], e["exits"][exit]["leave_macs"]);
    ++seen[exit];
  }
  EXPECT_GT(std::count_if(seen.begin(), seen.end(), [](i64 n) { return n > 0; }), 1)
      << "all left at one exit";

  // Thresholds for a target: from the stored curve, by tune, and with exits off.
  const i64 target = i64(0.8 * double(e["avg_macs"]));
  const std::string at = " --target-macs " + std::to_string(target);
  const Json cheap = offramp_run("eval --model " + model + " --split tune --json" + at).json();
  check_eval(cheap, 1000);
  EXPECT_LE(double(cheap["avg_macs"]), double(target));
  const Ran tuned = offramp_run("tune --model " + model + at + " --curve --sweep --json --out " +
                                dir / "tuned.safetensors");
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  expect_keys(tuned.json(),
              {"schema_version", "model", "samples", "accuracy", "avg_macs", "thresholds", "curve", "sweep"});
  EXPECT_EQ(tuned.json()["sweep"].size(), 39u);
  EXPECT_LE(double(tuned.json()["avg_macs"]), double(target));
  const Json after = offramp_run("eval --split tune --json --model " + dir / "tuned.safetensors").json();
  EXPECT_EQ(after["thresholds"], tuned.json()["thresholds"]);
  EXPECT_EQ(after["accuracy"], tuned.json()["accuracy"]);
  EXPECT_EQ(after["avg_macs"], tuned.json()["avg_macs"]);
  double macs = 0, accuracy = -1;
  const Json answer = tuned.json();  // outlives the loop
  for (const Json& point : answer["curve"]) {
    EXPECT_GT(double(point["avg_macs"]), macs);
    EXPECT_GT(double(point["accuracy"]), accuracy);
    macs = point["avg_macs"], accuracy = point["accuracy"];
    ASSERT_EQ(point["thresholds"].size(), 2u);
  }

  // An exit that is off is neither left at nor charged.
  nn::Model changed = nn::load_model(model);
  changed.thresholds = {std::nullopt, 0.3f};
  nn::save_model(dir / "off.safetensors", changed);
  const Json off = offramp_run("eval --json --model " + dir / "off.safetensors").json();
  check_eval(off, 4000);
  ASSERT_EQ(off["thresholds"].size(), 2u);
  EXPECT_TRUE(off["thresholds"][0].is_null());
  EXPECT_EQ(off["thresholds"][1], 0.3f);
  EXPECT_EQ(off["exits"][0]["share"], 0.0);
  EXPECT_GT(double(off["exits"][1]["share"]), 0);
  const auto costs = nn::exit_costs(*changed.plan);
  EXPECT_EQ(i64(off["exits"][1]["leave_macs"]), costs[1].prefix_macs + costs[1].head_macs);
}

TEST(ModelVerbs, PredictConvertsAndResizesAsEvalDoes) {
  const TempDir dir;
  const std::string model = untrained(dir);
  // Five copies of one image per class: whichever goes into the test split, it is that image.
  std::string words = "predict --json --model " + model;
  for (int k = 0; k < 4; ++k) {
    const std::string name = std::string("photos/") + char('a' + k) + "/";
    const std::string image = data::testing::png(20, 24, 3, data::testing::random_bytes(u64(k), 20 * 24 * 3));
    for (int copy = 0; copy < 5; ++copy) dir.write(name + std::to_string(copy) + ".png", image);
    words += " " + dir / (name + "0.png");
  }
  const Ran eval = offramp_run("eval --json --model " + model + " --data folder:" + dir / "photos" +
                               " --predictions " + dir / "p.npy");
  ASSERT_EQ(eval.code, 0) << eval.err;
  check_eval(eval.json(), 4);
  EXPECT_FALSE(eval.json().contains("by_difficulty"));
  const Tensor p = read_npy(dir / "p.npy");
  const Ran predicted = offramp_run(words);
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const Json results = predicted.json()["results"];
  ASSERT_EQ(results.size(), 4u);
  for (i64 k = 0; k < 4; ++k) {
    EXPECT_EQ(results[std::size_t(k)]["class"], p.data<i64>()[2 * k]);
    EXPECT_EQ(results[std::size_t(k)]["exit"], p.data<i64>()[2 * k + 1]);
  }
  // A JPEG is its pixels; a grey image is three equal channels.
  const std::string jpeg = OFFRAMP_SOURCE_DIR "/tests/golden/ramp.jpg";
  write_npy(dir / "jpeg.npy", data::decode_image(jpeg, 3));
  Tensor grey = Tensor::empty({9, 8}, DType::u8), colour = Tensor::empty({9, 8, 3}, DType::u8);
  for (i64 i = 0; i < 72; ++i) {
    grey.data<u8>()[i] = u8(i * 3);
    for (i64 c = 0; c < 3; ++c) colour.data<u8>()[i * 3 + c] = u8(i * 3);
  }
  write_npy(dir / "grey.npy", grey);
  write_npy(dir / "colour.npy", colour);
  const Ran both = offramp_run("predict --json --model " + model + " " + jpeg + " " + dir / "jpeg.npy" + " " +
                               dir / "grey.npy" + " " + dir / "colour.npy");
  ASSERT_EQ(both.code, 0) << both.err;
  const Json same = both.json()["results"];
  ASSERT_EQ(same.size(), 4u);
  for (std::size_t i : {0, 2}) {
    EXPECT_EQ(same[i]["confidence"], same[i + 1]["confidence"]);
    EXPECT_EQ(same[i]["class"], same[i + 1]["class"]);
  }
}

TEST(ModelVerbs, Profile) {
  const TempDir dir;
  const std::string model = untrained(dir);
  const Json whole = offramp_run("profile --json --batch 3 --threads 2 --model " + model).json();
  expect_keys(whole, {"schema_version", "batch", "threads", "device", "target", "latency_us", "macs",
                      "memory_bytes", "calls"});
  EXPECT_EQ(whole["batch"], 3);
  EXPECT_EQ(whole["threads"], 2);
  EXPECT_EQ(whole["device"], "cpu");
  for (const char* key : {"median", "p10", "p90", "runs"}) EXPECT_GT(double(whole["latency_us"][key]), 0);
  const Json& memory = whole["memory_bytes"];
  EXPECT_EQ(i64(memory["peak"]), i64(memory["weights"]) + i64(memory["arena"]));
  const Json full = offramp_run("eval --json --model " + model).json()["full_macs"];
  EXPECT_EQ(i64(whole["macs"]), 3 * i64(full));
  i64 macs = 0;
  for (const Json& call : whole["calls"]) {
    expect_keys(call, {"kernel", "dims", "macs", "bytes", "us"});
    macs += i64(call["macs"]);
    // The row that ran is of the family that its dimensions name, and of this target.
    const std::string kernel = call["kernel"], dims = call["dims"];
    EXPECT_EQ(kernel.substr(0, kernel.find('/')), dims.substr(0, dims.find(' '))) << kernel << " | " << dims;
  }
  EXPECT_EQ(macs, whole["macs"]);
  i64 last = 0;
  for (int exit = 0; exit < 3; ++exit) {
    const Json path =
        offramp_run("profile --json --model " + model + " --exit " + std::to_string(exit)).json();
    EXPECT_GT(i64(path["macs"]), last);
    last = path["macs"];
  }
  EXPECT_EQ(last, full);
  const Json random = offramp_run("profile --json --space small --genotype " + genotype()).json();
  EXPECT_EQ(random["macs"], full);
  const Json step =
      offramp_run("profile --json --train --batch 8 --space small --genotype " + genotype()).json();
  EXPECT_GT(double(step["step_ms"]["median"]), 0);
  EXPECT_NEAR(double(step["images_per_s"]), 8e3 / double(step["step_ms"]["median"]),
              1e-6 * double(step["images_per_s"]));
}

// What tune counts is what eval and predict do: for every way of being sure, thresholds from the stored
// curve.
TEST(ModelVerbs, EveryConfidenceIsTunedStoredAndHonoured) {
  const TempDir dir;
  const std::string model =
      train(dir, "m.safetensors", "--epochs 1 --batch 64 --set train.samples=1000 --set tune.samples=400");
  for (const std::string flags :
       {"margin", "max_probability", "entropy", "patience", "cumulative", "cumulative --calibrate",
        "margin --cascade", "entropy --calibrate --cascade"}) {
    SCOPED_TRACE(flags);
    const std::string out = dir / "tuned.safetensors", confidence = flags.substr(0, flags.find(' '));
    const Ran tuned =
        offramp_run("tune --json --curve --model " + model + " --confidence " + flags + " --out " + out);
    ASSERT_EQ(tuned.code, 0) << tuned.err;
    const bool calibrated = flags.find("--calibrate") != std::string::npos;
    EXPECT_EQ(tuned.json()["temperature"].size(), calibrated ? 3u : 0u);
    const Json curve = tuned.json()["curve"];
    ASSERT_GT(curve.size(), 1u);
    i64 early = 0;
    for (std::size_t i = 0; i < curve.size(); i += 1 + curve.size() / 3) {
      const std::string target = std::to_string(i64(std::ceil(double(curve[i]["avg_macs"]))));
      const Json e =
          offramp_run("eval --json --split tune --model " + out + " --target-macs " + target).json();
      EXPECT_EQ(e["confidence"], confidence);
      EXPECT_EQ(e["temperature"], tuned.json()["temperature"]);
      EXPECT_EQ(e["cascade"], flags.find("--cascade") != std::string::npos);
      EXPECT_EQ(e["thresholds"], curve[i]["thresholds"]);
      EXPECT_EQ(e["accuracy"], curve[i]["accuracy"]);
      EXPECT_EQ(e["avg_macs"], curve[i]["avg_macs"]);
      early += double(e["exits"].back()["share"]) < 1;
    }
    EXPECT_GT(early, 0);
    const Json own = offramp_run("eval --json --split tune --model " + out).json();
    EXPECT_EQ(own["accuracy"], tuned.json()["accuracy"]);
    EXPECT_EQ(own["avg_macs"], tuned.json()["avg_macs"]);
  }
  // What is not asked for stays as the model has it.
  const Json again = offramp_run("tune --json --model " + dir / "tuned.safetensors").json();
  EXPECT_EQ(again["confidence"], "entropy");
  EXPECT_EQ(again["temperature"].size(), 3u);
  EXPECT_EQ(again["cascade"], true);
  const Json plain =
      offramp_run("tune --json --no-calibrate --no-cascade --model " + dir / "tuned.safetensors").json();
  EXPECT_EQ(plain["temperature"].size(), 0u);
  EXPECT_EQ(plain["cascade"], false);
  EXPECT_EQ(offramp_run("tune --json --model " + model + " --confidence max_prob").code, 0);
  EXPECT_EQ(offramp_run("eval --json --model " + model).json()["confidence"], "max_probability");
}

// Whichever tuner: what it counts is what eval does with its thresholds.
TEST(ModelVerbs, EveryTunerIsHonoured) {
  const TempDir dir;
  const std::string model =
      train(dir, "m.safetensors", "--epochs 1 --batch 64 --set train.samples=1000 --set tune.samples=400");
  const Json free =
      offramp_run("tune --json --curve --model " + model + " --out " + dir / "t.safetensors").json();
  const double low = free["curve"][0]["avg_macs"], high = free["curve"].back()["avg_macs"];
  const std::string target = std::to_string(i64(std::ceil((low + high) / 2)));
  double exact = 0;
  for (const std::string kind :
       {"exact", "coordinate", "shares", "grid", "grid --penalty one-sided", "shared"}) {
    SCOPED_TRACE(kind);
    const std::string out = dir / "tuned.safetensors";
    const Ran ran = offramp_run("tune --json --model " + model + " --out " + out + " --target-macs " +
                                target + " --kind " + kind);
    if (kind == "shared" && ran.code == 4) continue;  // 0.1 at every exit need not be enough
    ASSERT_EQ(ran.code, 0) << ran.err;
    const Json tuned = ran.json();
    EXPECT_EQ(tuned["kind"], kind.substr(0, kind.find(' ')));
    const Json e = offramp_run("eval --json --split tune --model " + out).json();
    EXPECT_EQ(e["thresholds"], tuned["thresholds"]);
    EXPECT_EQ(e["accuracy"], tuned["accuracy"]);
    EXPECT_EQ(e["avg_macs"], tuned["avg_macs"]);
    if (kind.substr(0, 4) == "grid") continue;
    EXPECT_LE(double(tuned["avg_macs"]), std::stod(target));
    if (kind == "exact") exact = tuned["accuracy"];
    EXPECT_LE(double(tuned["accuracy"]), exact);
  }
}

TEST(ModelVerbs, BadInputIsOneLineAndItsCode) {
  const TempDir dir;
  const std::string model = untrained(dir), good = slurp(model), g = genotype();
  const std::string cut = dir.write("cut.safetensors", good.substr(0, good.size() / 2));
  std::string flipped = good;
  flipped[good.find("\"plan\\\"") + 1] ^= 1;
  const std::string broken = dir.write("broken.safetensors", flipped);
  for (const std::string verb : {"eval", "tune", "profile", "predict x.png"}) {
    expect_failure(verb + " --model /nowhere/m.safetensors", 3, "/nowhere/m.safetensors");
    expect_failure(verb + " --model " + cut, 3, "cut.safetensors");
    expect_failure(verb + " --model " + broken, 3, "broken.safetensors");
    expect_failure(verb + " --model " + dir.path(), 3, dir.path());
    expect_failure(verb, 2, verb == "profile" ? "--model" : "--model");
  }
  const std::string m = " --model " + model;
  expect_failure("eval --data nothing" + m, 2, "nothing");
  expect_failure("eval --data cifar10 --data-dir " + dir.path() + m, 3, "cifar10");
  expect_failure("eval --split tset" + m, 2, "did you mean 'test'");
  expect_failure("eval --target-macs 10" + m, 4, "10 MACs");
  expect_failure("eval --target-macs -5" + m, 2, "--target-macs");
  expect_failure("eval --predictions /proc/p.npy" + m, 1, "/proc/p.npy");
  expect_failure("tune --target-macs 10" + m, 4, "10 MACs");
  expect_failure("tune --out /proc/t.safetensors" + m, 1, "/proc/t.safetensors");
  expect_failure("tune --confidence mood" + m, 2, "mood");
  expect_failure("tune --kind exakt" + m, 2, "did you mean 'exact'");
  expect_failure("tune --kind grid" + m, 2, "target");
  expect_failure("tune --kind shared --min-accuracy 2" + m, 2, "--min-accuracy");
  expect_failure("tune --min-accuracy 0.5" + m, 2, "--kind shared");
  expect_failure("tune --kind shared --target-macs 10" + m, 4, "10 MACs");
  expect_failure("tune --target-us 10" + m, 2, "--latency-table");
  expect_failure("tune --latency-table /nowhere/l.tsv" + m, 3, "/nowhere/l.tsv");
  expect_failure("tune --latency-table l.tsv --target-macs 10" + m, 2, "exclude each other");
  expect_failure("train --out " + dir / "n.safetensors" + " --set tune.kind=grid --genotype " + g, 2,
                 "target_macs");
  EXPECT_TRUE(slurp(model) == good) << "a failed tune changed the model";
  expect_failure("profile --exit 9" + m, 2, "--exit 9");
  expect_failure("profile --batch 0" + m, 2, "--batch");
  expect_failure("profile --train" + m, 2, "--train");
  expect_failure("profile --space small --genotype 1,2", 2, "genes");
  expect_failure("profile --space smal --genotype " + g, 2, "did you mean 'small'");
  EXPECT_EQ(sh("\"$offramp\" eval --json" + m + " >/dev/full").code, 1);

  const auto predict = [&](const std::string& name, const std::string& bytes) {
    expect_failure("predict" + m + " " + dir.write(name, bytes), 3, name);
  };
  const auto npy = [](const std::string& header, const std::string& data) {
    std::string h = header;
    h.resize((h.size() + 11 + 63) / 64 * 64 - 11, ' ');
    h += '\n';
    return std::string("\x93NUMPY\x01\0", 8) + char(h.size() & 255) + char(h.size() >> 8) + h + data;
  };
  const auto u1 = [&](const std::string& shape, const std::string& data) {
    return npy("{'descr': '|u1', 'fortran_order': False, 'shape': " + shape + ", }", data);
  };
  EXPECT_EQ(offramp_run("predict" + m + " " + dir.write("ok.npy", u1("(2, 3)", "abcdef"))).code, 0);
  predict("empty.png", "");
  predict("text.jpg", "no image at all");
  predict("cut.png", data::testing::png(8, 8, 3, std::string(192, 'x')).substr(0, 60));
  predict("empty.npy", "");
  predict("zero.npy", u1("(0, 32, 32, 3)", ""));
  predict("flat.npy", u1("(6,)", "abcdef"));
  predict("deep.npy", u1("(1, 1, 1, 1, 6)", "abcdef"));
  predict("channels.npy", u1("(1, 1, 6)", "abcdef"));
  predict("short.npy", u1("(2, 4)", "abcdef"));
  predict("vast.npy", u1("(1000000000, 1000000000, 3)", "abcdef"));
  predict("overflow.npy", u1("(4294967296, 4294967296, 4294967296, 3)", "abcdef"));
  predict("negative.npy", u1("(-1, 3)", "abcdef"));
  predict("header.npy", std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12) + "{");
  write_npy(dir / "float.npy", Tensor::full({4, 4, 3}, 0.5));
  expect_failure("predict" + m + " " + dir / "float.npy", 3, "uint8");
  expect_failure("predict" + m + " " + dir.path(), 3, dir.path());
  expect_failure("predict" + m + " /nowhere/x.png", 3, "/nowhere/x.png");
  expect_failure("predict" + m, 2, "IMAGE");

  const std::string t = "train --data synthetic --space small --epochs 0 ";
  expect_failure(t + "--genotype 0,1 --out " + dir / "new", 2, "genes");
  expect_failure(t + "--genotype " + g + ",x --out " + dir / "new", 2, "");
  expect_failure(t + "--genotype " + g, 2, "--out");
  expect_failure(t + "--genotype " + g + " --out /proc/new", 1, "/proc/new");
  expect_failure(t + "--genotype " + g + " --out " + dir.path(), 1, dir.path());
  expect_failure(t + "--genotype " + g + " --set train.samples=9M --out " + dir / "new", 2, "samples");
  expect_failure(t + "--genotype " + g + " --set train.sample=9 --out " + dir / "new", 2, "train.samples");
  expect_failure("train --data mnist --data-dir " + dir.path() + " --genotype " + g + " --out " + dir / "new",
                 3, "mnist");
  EXPECT_FALSE(std::filesystem::exists(dir / "new"));
}

TEST(ModelVerbs, AStaticNetworkHasOneExit) {
  const TempDir dir;
  const nas::Space space = nas::Space::load("small");
  nas::Genotype bare = space.min_genotype();
  for (i64 e = 0; e < space.exits(); ++e) bare = space.with_exit(bare, e, false);
  const Ran ran = offramp_run(
      "train --data synthetic --space small --epochs 1 --set train.samples=256 --set "
      "tune.samples=100 --genotype " +
      nas::to_text(bare) + " --out " + dir / "m.safetensors");
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Json e = offramp_run("eval --json --model " + dir / "m.safetensors").json();
  check_eval(e, 4000);
  EXPECT_EQ(e["thresholds"], Json::array());
  EXPECT_EQ(e["avg_macs"], e["full_macs"]);
  EXPECT_EQ(e["accuracy"], e["final_accuracy"]);
}

}  // namespace
}  // namespace offramp::testing
