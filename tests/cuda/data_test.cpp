// A data set in the card's memory: sent once, read by training, statistics, scoring and testing.
#include "data/device_loader.h"
#include "nas/evaluate/evaluate.h"
#include "nas/search/candidate_evaluator.h"
#include "nas/space/space.h"
#include "nn/record.h"
#include "tensor/storage_limit.h"
#include "tests/cuda/modes.h"

#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/memory.h"
#endif

namespace offramp {
namespace {

using namespace offramp::testing;

constexpr i64 kSide = 12;
constexpr const char* kSpace = R"(
name = "tiny"
resolution = "native"
[stem]
kernel = 3
stride = 2
width = 8
act = "relu"
[[stage]]
stride = 1
width = 8
depth = 1
kernel = 3
expand = 1
act = "relu"
[[stage]]
stride = 1
width = 8
depth = 1
kernel = 3
expand = 1
act = "relu"
[final]
feature = { width = 8, act = "relu" }
[[exit]]
after = 1
[[exit.module]]
type = "dense"
kernel = 3
width = 8
stride = 2
act = "relu"
)";

data::Dataset set_of(i64 count, i64 side) {
  data::Dataset set{.name = "toy", .images = Tensor::empty({count, side, side, 3}, DType::u8)};
  Rng rng(5);
  for (u8& v : set.images.values<u8>()) v = u8(rng.below(256));
  for (i64 i = 0; i < count; ++i) set.labels.push_back(i % 3);
  set.classes = {"a", "b", "c"};
  return set;
}

nn::Architecture tiny() {
  const nas::Space space = nas::Space::parse(kSpace, "tiny");
  return space.decode(space.max_genotype(), {.classes = 3, .channels = 3, .height = kSide, .width = kSide});
}

nn::EarlyExitNetwork network_on(Device device) {
  nn::FreshParameters fresh{Rng(3)};
  nn::ParametersOn source(device, fresh);
  return nn::EarlyExitNetwork(tiny(), source);
}

#ifdef OFFRAMP_CUDA_EMULATED
// What a search does with one candidate after the other: only the first one's images travel.
TEST(CudaData, ASetIsSentOnce) {
  const data::Dataset train = set_of(40, kSide), tune = set_of(50, kSide);
  const data::Normalisation normalisation = data::channel_statistics(train);
  Exec card(cuda::Gpu::instance(), cuda::Math::f32);
  nas::SearchConfig config;
  std::vector<i64> sent;
  for (int candidate = 0; candidate < 3; ++candidate) {
    nn::EarlyExitNetwork network = network_on(Device::cuda);
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
#endif

TEST(CudaData, BytesLiveAsLongAsTheSetAndBelongToItAlone) {
  OFFRAMP_NEEDS_CARD();
  const i64 before = storage_in_use();
  {
    const data::Dataset set = set_of(11, kSide);
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
  nn::EarlyExitNetwork network = network_on(Device::cuda);
  const auto plan = std::make_shared<const nn::Plan>(nn::deployable(network));
  for (const i64 side : {kSide, i64{9}}) {  // as stored; resized
    const data::Dataset set = set_of(21, side);
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
