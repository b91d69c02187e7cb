// A data set in the card's memory: sent once, read by training, statistics, scoring and testing.
#include "data/device_loader.h"
#include "nas/evaluate/evaluate.h"
#include "nas/search/candidate_evaluator.h"
#include "nn/record.h"
#include "tensor/storage_limit.h"
#include "tests/cuda/modes.h"
#include "tests/cuda/toy.h"
#include "tests/nn/tiny.h"

#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/memory.h"
#endif

namespace offramp {
namespace {

using namespace offramp::testing;

constexpr i64 kSide = kToySide;
const nas::Task kTask{.classes = 3, .channels = 3, .height = kSide, .width = kSide};

#ifdef OFFRAMP_CUDA_EMULATED
// What a search does with one candidate after the other: only the first one's images travel.
TEST(CudaData, ASetIsSentOnce) {
  const data::Dataset train = toy_images(40), tune = toy_images(50);
  const data::Normalisation normalisation = data::channel_statistics(train);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  nas::SearchConfig config;
  std::vector<i64> sent;
  for (int candidate = 0; candidate < 3; ++candidate) {
    nn::EarlyExitNetwork network = largest_network(kElasticSpace, kTask, Device::cuda);
    const i64 before = cuda::emulate::bytes_sent();
    nas::recalibrate(card, network, {train, normalisation}, 16, 8);
    // The plan comes from the host and its weights go back: sent, but no images.
    auto plan = std::make_shared<const nn::Plan>(nn::deployable(network));
    i64 weights = 0;
    for (const nn::PlanWeight& w : plan->weights) weights += w.value.count() * 4;
    nas::score_plan(card, plan, tune, normalisation, nas::tuning_of(config), {});
    sent.push_back(cuda::emulate::bytes_sent() - before - weights);
  }
  const i64 images = train.images.count() + tune.images.count();
  EXPECT_GE(sent[0], images);
  EXPECT_LE(sent[0], images + images / 2);
  for (int candidate : {1, 2}) {
    EXPECT_GT(sent[size_t(candidate)], 0);  // order and tables
    EXPECT_LT(sent[size_t(candidate)], images / 2) << candidate;
  }
}

// A support set is drawn anew for each candidate; its images and those that stay are there already.
TEST(CudaData, ASplitOfASetIsNotSent) {
  const data::Dataset train = toy_images(60, 2 * kSide);  // larger than what the network takes
  const data::Normalisation normalisation = data::channel_statistics(train);
  nas::SearchConfig config;
  config.train.batch = 8;
  config.train.loss = "expected", config.train.freeze_backbone = true;
  config.confidence.support = 0.3, config.confidence.warmup = 1;
  nas::Regime regime = nas::train_regime(config);
  regime.epochs = 3, regime.backbone_epochs = 1, regime.recalibrate = 16;
  const std::string space = "learned_confidence = true\n" + std::string(kElasticSpace);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  train.on_card();
  for (u64 candidate = 0; candidate < 2; ++candidate) {
    nn::EarlyExitNetwork network = largest_network(space.c_str(), kTask, Device::cuda);
    const i64 before = cuda::emulate::bytes_sent();
    nas::train_network(card, network, {train, normalisation}, config, regime, candidate, "toy", {});
    const i64 sent = cuda::emulate::bytes_sent() - before;
    EXPECT_GT(sent, 8 * train.size());  // the split's indices, the order of each epoch, tables
    EXPECT_LT(sent, train.images.count() / 2) << candidate;
  }
}

TEST(CudaData, APartOfASetIsTakenOnTheCard) {
  const std::vector<i64> taken{3, 4, 9, 0, 16};
  data::Dataset part, copy;
  {
    const data::Dataset set = toy_images(17, 5);
    set.on_card();
    part = data::subset(set, taken);
    copy = part;
  }
  const i64 before = cuda::emulate::bytes_sent();
  const data::CardBytes::Tensors there = part.on_card();
  EXPECT_EQ(cuda::emulate::bytes_sent() - before, 8 * i64(taken.size()));
  EXPECT_TRUE(same_bits(there.images.to(Device::cpu), part.images));
  EXPECT_TRUE(same_bits(there.labels.to(Device::cpu), Tensor::from<i64>(part.labels, {part.size()})));
  copy.labels[1] = 2;  // a copy may be changed
  EXPECT_EQ(copy.on_card().labels.to(Device::cpu).values<i64>()[1], 2);
}
#endif

TEST(CudaData, BytesLiveAsLongAsTheSetAndBelongToItAlone) {
  OFFRAMP_NEEDS_CARD();
  const i64 before = storage_in_use();
  {
    const data::Dataset set = toy_images(11);
    const i64 alone = storage_in_use();
    const Tensor images = set.on_card().images;
    EXPECT_TRUE(set.on_card().images.shares_storage(images));
    EXPECT_GE(storage_in_use() - alone, set.images.count());

    data::Dataset other = set;
    other.labels[3] = 2;
    EXPECT_FALSE(other.on_card().images.shares_storage(images));
    EXPECT_EQ(other.on_card().labels.to(Device::cpu).values<i64>()[3], 2);
    const data::Dataset moved = std::move(other);
    const i64 now = storage_in_use();
    moved.on_card();
    EXPECT_EQ(storage_in_use(), now);
  }
  EXPECT_EQ(storage_in_use(), before);
}

struct Answers {
  std::shared_ptr<const nas::ExitLogits> all;
  nas::TakenExits taken;
};
Answers answers_of(Exec& card, const std::shared_ptr<const nn::Plan>& plan, data::BatchSource& source) {
  nn::EarlyExitRunner runner(plan, card.target(), 5);  // images of a batch are taken in several groups
  Answers out{nas::answer_all(card, runner, source, {}), {}};
  out.taken = nas::take_exits(card, runner, source, {0.4f}, {}, {});
  return out;
}

// Scores do not depend on who normalises: the host, or the card from its bytes.
TEST(CudaData, ScoresFromBytesAreThoseOfTheHostsBatches) {
  OFFRAMP_NEEDS_CARD();
  nn::EarlyExitNetwork network = largest_network(kElasticSpace, kTask, Device::cuda);
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(network));
  for (const i64 side : {kSide, i64{9}}) {  // as stored; resized
    const data::Dataset set = toy_images(21, side);
    const data::Normalisation normalisation = data::channel_statistics(set);
    const data::LoaderOptions options{.batch = 8, .height = kSide, .width = kSide};
    for (const cuda::Math math : {cuda::Math::f32, cuda::Math::tf32, cuda::Math::bf16}) {
      SCOPED_TRACE(std::to_string(side) + " pixels, mode " + std::to_string(int(math)));
      Exec card(cuda::Gpu::instance(), math);
      data::Loader host(set, normalisation, options);
      const auto bytes = data::source_of(card, set, normalisation, options);
      ASSERT_NE(dynamic_cast<data::DeviceLoader*>(bytes.get()), nullptr);
      const Answers want = answers_of(card, plan, host), got = answers_of(card, plan, *bytes);
      EXPECT_EQ(got.all->labels, want.all->labels);
      EXPECT_EQ(got.taken.labels, set.labels);
      if (side == kSide) {
        EXPECT_EQ(got.all->values, want.all->values);
        for (size_t i = 0; i < want.taken.outcomes.size(); ++i) {
          EXPECT_EQ(got.taken.outcomes[i].predicted, want.taken.outcomes[i].predicted) << i;
          EXPECT_EQ(got.taken.outcomes[i].confidence, want.taken.outcomes[i].confidence) << i;
          EXPECT_EQ(got.taken.outcomes[i].exit, want.taken.outcomes[i].exit) << i;
        }
      } else {
        const double rounding = math == cuda::Math::f32 ? 1e-5 : math == cuda::Math::tf32 ? 1e-3 : 1e-2;
        EXPECT_TRUE(near(got.all->values, want.all->values, rounding));
      }
    }
  }
}

}  // namespace
}  // namespace offramp
