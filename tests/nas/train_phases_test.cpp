// Phases of training: which parameters move, what it costs, and that an interruption leaves no trace.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>

#include "data/catalog.h"
#include "nas/train/support.h"
#include "tests/nas/search_run.h"

namespace offramp::nas {
namespace {

// The space small, whose exits learn a confidence.
std::string learned_space() {
  const std::string text = Space::load("small").text();
  return "learned_confidence = true\n" + text;
}

class TrainPhases : public SearchRun {
 protected:
  TrainPhases()
      : config_(request("run").config),
        splits_(data::load("mnist", {.dirs = {dir_ / "data"}, .train_samples = 192, .tune_samples = 80})),
        normalisation_(data::channel_statistics(splits_.train)),
        space_(Space::parse(learned_space(), "learned.toml")) {
    config_.train.augment = false;
  }

  nn::EarlyExitNetwork fresh() const { return fresh(space_.min_genotype()); }
  nn::EarlyExitNetwork fresh(const Genotype& genotype) const {
    nn::FreshParameters source{Rng(3)};
    return nn::EarlyExitNetwork(space_.decode(genotype, task_of(splits_.train)), source);
  }
  TrainReport trained(nn::EarlyExitNetwork& network, const Regime& regime, const std::string& checkpoint = "",
                      const Watch& watch = {}, i64* macs = nullptr) {
    Exec exec(default_target(), 1);
    return train_network(exec, network, {splits_.train, normalisation_, teacher_}, config_, regime, 5, "net",
                         watch, checkpoint, macs);
  }
  // Names of the parameters that differ.
  static std::set<std::string> moved(const nn::EarlyExitNetwork& a, const nn::EarlyExitNetwork& b) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < a.named_parameters().size(); ++i) {
      const auto x = a.named_parameters()[i].variable.value().values<float>(),
                 y = b.named_parameters()[i].variable.value().values<float>();
      if (!std::equal(x.begin(), x.end(), y.begin())) names.insert(a.named_parameters()[i].name);
    }
    return names;
  }
  static bool of_exit(const std::string& name) { return name.find(".exit.") != std::string::npos; }

  SearchConfig config_;
  data::Splits splits_;
  data::Normalisation normalisation_;
  Space space_;
  nn::EarlyExitNetwork* teacher_ = nullptr;
  const Regime regime_{.epochs = 2, .backbone_epochs = 2, .lr = 0.05, .clip = 5, .recalibrate = 64};
};

TEST_F(TrainPhases, EachPhaseMovesItsOwn) {
  const nn::EarlyExitNetwork start = fresh();
  for (const char* loss : {"sum", "expected"}) {
    SCOPED_TRACE(loss);
    config_.train.loss = loss;
    config_.train.freeze_backbone = false;
    nn::EarlyExitNetwork backbone = fresh(), mixed = fresh(), frozen = fresh(), exits = fresh();
    Regime first = regime_, second = regime_;
    first.epochs = 0;
    second.backbone_epochs = 0;
    trained(backbone, first);
    std::size_t of_trunk = 0, all = 0;
    for (const nn::NamedParameter& p : start.named_parameters()) ++all, of_trunk += !of_exit(p.name);
    EXPECT_EQ(moved(start, backbone).size(), of_trunk);
    for (const std::string& name : moved(start, backbone)) EXPECT_FALSE(of_exit(name)) << name;

    trained(mixed, regime_);
    EXPECT_EQ(moved(backbone, mixed).size(), all);

    config_.train.freeze_backbone = true;
    trained(frozen, regime_);
    EXPECT_EQ(moved(backbone, frozen).size(), all - of_trunk);
    for (const std::string& name : moved(backbone, frozen)) EXPECT_TRUE(of_exit(name)) << name;
    trained(exits, second);  // on a backbone as it was found
    for (const std::string& name : moved(start, exits)) EXPECT_TRUE(of_exit(name)) << name;
    EXPECT_FALSE(moved(start, exits).empty());
  }
}

TEST_F(TrainPhases, InterruptedAnywhereTheyEndTheSame) {
  config_.train.loss = "expected";
  config_.target_macs = 100'000;
  config_.train.schedule = "constant";
  for (bool freeze : {false, true}) {
    config_.train.freeze_backbone = freeze;
    config_.confidence.warmup = 1;
    nn::EarlyExitNetwork whole = fresh();
    i64 macs = 0, macs_of_parts = 0;
    trained(whole, regime_, "", {}, &macs);
    // 3 batches of 64 an epoch; behind the backbone's epochs the support set is left out: 2 batches.
    const nn::Architecture& a = whole.architecture();
    EXPECT_EQ(macs, 64 * (2 * 3 * forward_macs(backbone_of(a)) + 2 * 2 * forward_macs(a)));

    const std::string checkpoint = dir_ / ("at" + std::to_string(freeze));
    std::atomic<bool> stop{false};
    Watch watch;
    watch.stop = &stop;
    const std::pair<std::string, i64> stops[] = {
        {"net backbone", 4}, {"net backbone", 6}, {"net", 1}, {"net", 3}};
    for (const auto& [phase, done] : stops) {
      SCOPED_TRACE(phase + " " + std::to_string(done));
      stop = false;
      watch.on_progress = [&](const Progress& p) { stop = stop || (p.phase == phase && p.done >= done); };
      nn::EarlyExitNetwork part = fresh();  // as in a new process
      EXPECT_EQ(thrown_by([&] { trained(part, regime_, checkpoint, watch, &macs_of_parts); }).kind,
                Error::Kind::interrupted);
    }
    nn::EarlyExitNetwork last = fresh();
    trained(last, regime_, checkpoint, {}, &macs_of_parts);
    EXPECT_TRUE(moved(whole, last).empty());
    EXPECT_EQ(macs_of_parts, macs);
  }
}

// Taught by it alone, nothing learns from labels. It sees images of its own size, and its passes cost.
TEST_F(TrainPhases, ATeacherTeachesEveryExit) {
  nn::FreshParameters source{Rng(4)};
  Task wider = task_of(splits_.train);
  wider.height = wider.width = 36;
  nn::EarlyExitNetwork teacher(space_.decode(space_.min_genotype(), wider), source);
  config_.train.distill = 1;
  Regime regime = regime_;
  regime.epochs = 1;
  const auto trained_on = [&](i64 shift, i64* macs) {
    data::Splits shifted = splits_;
    std::swap(splits_, shifted);
    for (i64& label : splits_.train.labels) label = (label + shift) % 10;
    nn::EarlyExitNetwork network = fresh();
    trained(network, regime, "", {}, macs);
    std::swap(splits_, shifted);
    return network;
  };
  for (const bool backbone_first : {false, true}) {
    regime.backbone_epochs = backbone_first ? 1 : 0;
    i64 alone = 0, taught = 0;
    teacher_ = nullptr;
    const nn::EarlyExitNetwork own = trained_on(0, &alone);
    EXPECT_FALSE(moved(own, trained_on(1, nullptr)).empty());
    teacher_ = &teacher;
    const nn::EarlyExitNetwork other = trained_on(0, &taught);
    EXPECT_FALSE(moved(own, other).empty());
    EXPECT_TRUE(moved(other, trained_on(1, nullptr)).empty());
    EXPECT_EQ(taught - alone,
              64 * 3 * (regime.epochs + regime.backbone_epochs) * teaching_macs(teacher.architecture()));
  }
}

// A schedule that does not fall, a cost that pulls, peaks that are followed: each makes another network.
TEST_F(TrainPhases, EveryKeyIsHeard) {
  config_.train.loss = "expected";
  config_.train.freeze_backbone = true;
  config_.target_macs = 1000;  // less than any exit costs: the cost is felt
  const auto network = [&](auto&& change) {
    const SearchConfig before = config_;
    change(config_);
    nn::EarlyExitNetwork net = fresh();
    trained(net, regime_);
    config_ = before;
    return net;
  };
  std::vector<nn::EarlyExitNetwork> nets;
  nets.push_back(network([](SearchConfig&) {}));
  nets.push_back(network([](SearchConfig& c) { c.train.schedule = "constant"; }));
  nets.push_back(network([](SearchConfig& c) { c.confidence.cost_gradient = false; }));
  nets.push_back(network([](SearchConfig& c) { c.confidence.truth = 0; }));
  nets.push_back(network([](SearchConfig& c) { c.confidence.classes = 0.5; }));
  nets.push_back(network([](SearchConfig& c) { c.confidence.warmup = 1; }));
  nets.push_back(network([](SearchConfig& c) { c.confidence.peak = 0; }));
  for (std::size_t i = 0; i < nets.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) EXPECT_FALSE(moved(nets[i], nets[j]).empty()) << i << " " << j;
  // With no gradient the weight of the cost is nothing but a figure.
  EXPECT_TRUE(moved(nets[2], network([](SearchConfig& c) { c.target_macs = 0; })).empty());
}

TEST_F(TrainPhases, ConfidenceLearnsToBeTrue) {
  nn::EarlyExitNetwork net = fresh(space_.max_genotype());
  trained(net, {.epochs = 2, .lr = 0.02, .clip = 5, .recalibrate = 192});  // right about some
  config_.train.loss = "expected";
  config_.train.freeze_backbone = true;
  config_.confidence = {.classes = 0, .truth = 1, .cost = 0, .peak = 0};
  trained(net, {.epochs = 12, .lr = 0.1, .clip = 5, .recalibrate = 192});
  Exec exec(default_target(), 1);
  const TrainingData data{splits_.train, normalisation_};
  recalibrate(exec, net, data, 192, 64);
  data::Loader loader(splits_.train, normalisation_, {.batch = 192, .height = 28, .width = 28});
  loader.start(0);
  data::Batch batch;
  ASSERT_TRUE(loader.next(batch));
  const Answers answers = answers_of(exec, net, Part::all, Variable(batch.images), nn::Mode::evaluate, false);
  double of[2] = {0, 0}, count[2] = {0, 0};  // wrong, right
  for (std::size_t e = 0; e < answers.confidence.size(); ++e) {
    const Tensor logits = answers.logits[e].value().contiguous(),
                 own = answers.confidence[e].value().contiguous();
    for (i64 s = 0; s < batch.size(); ++s) {
      const float* row = std::as_const(logits).data<float>() + s * 10;
      const bool right = std::max_element(row, row + 10) - row == batch.labels.values<i64>()[std::size_t(s)];
      of[right] += 1 / (1 + std::exp(-double(own.values<float>()[std::size_t(s)])));
      ++count[right];
    }
  }
  ASSERT_GT(count[0], 10);
  ASSERT_GT(count[1], 10);
  EXPECT_GT(of[1] / count[1], of[0] / count[0] + 0.1);
}

TEST_F(TrainPhases, WithoutALearnedConfidenceThereIsNoExpectedLoss) {
  config_.train.loss = "expected";
  space_ = Space::load("small");
  nn::EarlyExitNetwork net = fresh();
  EXPECT_EQ(thrown_by([&] { trained(net, regime_); }).kind, Error::Kind::usage);
  EXPECT_EQ(thrown_by([&] { require_consistent(config_, space_); }).kind, Error::Kind::usage);
  config_.train.loss = "sum";
  EXPECT_NO_THROW(require_consistent(config_, space_));
  config_.tune.confidence = "learned";
  EXPECT_EQ(thrown_by([&] { require_consistent(config_, space_); }).kind, Error::Kind::usage);
  EXPECT_NO_THROW(require_consistent(config_, Space::load("nachos")));
}

TEST_F(TrainPhases, SupportHasAsManyOfEachClass) {
  const SupportSplit split = split_support(splits_.train, 0.2, 9);
  EXPECT_EQ(data::class_histogram(split.support), std::vector<i64>(10, 3));  // 0.2 x 192 / 10
  EXPECT_EQ(split.train.size() + split.support.size(), splits_.train.size());
  EXPECT_EQ(split_support(splits_.train, 0.2, 9).support.labels, split.support.labels);
  // Accuracies by class, counted again one class at a time.
  Exec exec(default_target(), 1);
  nn::EarlyExitNetwork net = fresh();
  trained(net, regime_);
  const TrainingData support{split.support, normalisation_};
  const Tensor accuracies = class_accuracies(exec, net, Part::all, support, 64);
  const auto got = accuracies.values<double>();
  data::Loader loader(split.support, normalisation_, {.batch = 30, .height = 28, .width = 28});
  loader.start(0);
  data::Batch batch;
  ASSERT_TRUE(loader.next(batch));
  const auto logits = net.forward(exec, Variable(batch.images), nn::Mode::recalibrate);
  ASSERT_EQ(accuracies.shape(), (Shape{i64(logits.size()) - 1, 10}));
  for (std::size_t e = 0; e + 1 < logits.size(); ++e)
    for (i64 label = 0; label < 10; ++label) {
      const Tensor x = logits[e].value().contiguous();
      double right = 0;
      for (i64 s = 0; s < 30; ++s) {
        const float* row = std::as_const(x).data<float>() + s * 10;
        right +=
            split.support.labels[std::size_t(s)] == label && std::max_element(row, row + 10) - row == label;
      }
      EXPECT_DOUBLE_EQ(got[e * 10 + std::size_t(label)], right / 3);
    }
}

}  // namespace
}  // namespace offramp::nas
