// A card that is short of memory: everything that may go back goes back, then there is an error, and the card
// works on.
#ifdef OFFRAMP_CUDA_EMULATED
#include "kernels/cuda/emulate/memory.h"
#include "data/device_loader.h"
#include "nas/train/network_trainer.h"
#include "nn/record.h"
#include "tensor/storage_limit.h"
#include "tests/cuda/modes.h"
#include "tests/cuda/toy.h"

namespace offramp::cuda {
namespace {

using namespace offramp::testing;
using emulate::MemoryCap;
using Keeps = MemoryPool::Keeps;

constexpr i64 kMega = i64{1} << 20;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}
bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Tensor tensor_of(i64 bytes) { return Tensor::empty({bytes / 4}, DType::f32, Device::cuda); }

// Works as if nothing had happened.
void expect_working() {
  const Tensor x = Tensor::zeros({1000}, DType::f32, Device::cuda);
  Tensor y = tensor_of(4000);
  y.copy_from(x);
  y.fill(2);
  EXPECT_EQ(y.to(Device::cpu).values<float>()[999], 2);
}

TEST(CudaMemory, AnErrorSaysWhoHasIt) {
  MemoryPool pool(Keeps::nothing), keeper(Keeps::till_short), graph(Keeps::always);
  keeper.give(keeper.take(3 * kMega), 3 * kMega);
  graph.give(graph.take(2 * kMega), 2 * kMega);
  EXPECT_EQ(keeper.cached(), 3 * kMega);
  const MemoryCap cap(kMega);
  const std::string text = error_of([&] { pool.take(5 * kMega); });
  EXPECT_TRUE(says(text, "no memory on the card for 5242880 bytes of a tensor")) << text;
  EXPECT_TRUE(says(text, "2097152 kept for graphs")) << text;
  EXPECT_TRUE(says(text, "0 cached (3145728 before they went back)")) << text;
  EXPECT_TRUE(says(text, "4194304 free")) << text;
  pool.give(pool.take(4 * kMega), 4 * kMega);
  expect_working();
}

TEST(CudaMemory, WhatOtherPoolsKeepGoesBackFirst) {
  MemoryPool pool(Keeps::nothing), keeper(Keeps::till_short), graph(Keeps::always);
  keeper.give(keeper.take(3 * kMega), 3 * kMega);
  graph.give(graph.take(2 * kMega), 2 * kMega);
  const MemoryCap cap(kMega);
  pool.give(pool.take(3 * kMega), 3 * kMega);
  EXPECT_EQ(keeper.cached(), 0);
  EXPECT_EQ(graph.cached(), 2 * kMega);
}

TEST(CudaMemory, ASlabGoesBackWhenNobodyUsesAnyOfIt) {
  MemoryPool pool(Keeps::nothing), keeper(Keeps::till_short);
  std::byte *const a = keeper.take(1000), *const b = keeper.take(5000);
  keeper.give(a, 1000);
  const MemoryCap cap(kMega);
  EXPECT_TRUE(says(error_of([&] { pool.take(20 * kMega); }), "bytes of a tensor"));
  EXPECT_EQ(keeper.take(1000), a);  // still part of it
  keeper.give(a, 1000);
  keeper.give(b, 5000);
  pool.give(pool.take(20 * kMega), 20 * kMega);
  EXPECT_EQ(keeper.cached(), 0);
  keeper.give(keeper.take(1000), 1000);  // of a slab no larger than there is room for
}

TEST(CudaMemory, ScratchGrowsAsFarAsItCan) {
  Gpu& gpu = Gpu::instance();
  {
    const MemoryCap cap(kMega);
    const std::string text = error_of([&] { gpu.scratch(1 << 28); });
    EXPECT_TRUE(says(text, "1073741824 bytes of scratch")) << text;
    fill_bytes(gpu.stream(), gpu.scratch(1000), 0, 4000);  // there is scratch again
  }
  const auto scratch_of = [&](i64 bytes) {
    float* const data = gpu.scratch(bytes / 4);
    ASSERT_NE(data, nullptr);
    fill_bytes(gpu.stream(), data, 0, bytes);
  };
  scratch_of(8 * kMega);
  {
    const MemoryCap cap(2 * kMega);
    scratch_of(9 * kMega);  // there is no room for twice the size, nor for both at once
  }
  MemoryPool keeper(Keeps::till_short);
  keeper.give(keeper.take(16 * kMega), 16 * kMega);
  const MemoryCap cap(kMega);
  scratch_of(20 * kMega);
  EXPECT_EQ(keeper.cached(), 0);
  expect_working();
}

TEST(CudaMemory, AGraphMayHaveWhatOthersKeep) {
  Gpu& gpu = Gpu::instance();
  MemoryPool keeper(Keeps::till_short);
  keeper.give(keeper.take(3 * kMega), 3 * kMega);
  Tensor out = tensor_of(4000);
  const MemoryCap cap(kMega);
  Graph graph(gpu, [&] {
    Tensor large = tensor_of(3 * kMega);
    large.fill(3);
    out.copy_from(large.slice(0, 0, 1000));
  });
  EXPECT_EQ(keeper.cached(), 0);
  graph.launch();
  EXPECT_EQ(out.to(Device::cpu).values<float>()[7], 3);
}

// Of what others free while it captures, too.
TEST(CudaMemory, ACaptureCanMakeRoom) {
  Gpu& gpu = Gpu::instance();
  MemoryPool keeper(Keeps::till_short);
  std::byte* const block = keeper.take(3 * kMega);
  Tensor out = tensor_of(4000);
  const MemoryCap cap(kMega);
  Graph graph(gpu, [&] {
    keeper.give(block, 3 * kMega);
    Tensor large = tensor_of(3 * kMega);
    large.fill(3);
    out.copy_from(large.slice(0, 0, 1000));
  });
  EXPECT_EQ(keeper.cached(), 0);
  graph.launch();
  EXPECT_EQ(out.to(Device::cpu).values<float>()[7], 3);
}

// What was freed inside a capture is still used by every launch: it must not make room for what comes later.
TEST(CudaMemory, AGraphsOwnBlocksNeverGoBack) {
  Gpu& gpu = Gpu::instance();
  expect_working();
  const i64 before = free_memory();
  {
    const MemoryCap cap(4 * kMega);
    const std::string text = error_of([&] {
      Graph graph(gpu, [&] {
        tensor_of(2 * kMega).fill(1);
        tensor_of(3 * kMega).fill(1);
      });
    });
    EXPECT_TRUE(says(text, "3145728 bytes of a tensor")) << text;
    EXPECT_TRUE(says(text, "2097152 kept for graphs")) << text;
    Tensor all = tensor_of(3 * kMega);  // the failed graph's memory is free again
    Graph graph(gpu, [&] { all.fill(5); });
    graph.launch();
    EXPECT_EQ(all.slice(0, 7, 1).to(Device::cpu).item(), 5);
  }
  EXPECT_EQ(free_memory(), before);
  expect_working();
}

// With too little for an eager step, for its first steps, or for the capture; then again with enough.
TEST(CudaMemory, TrainingThatRanOutCanBeRepeated) {
  const data::Dataset set = toy_images(24);
  const data::Normalisation normalisation = data::channel_statistics(set);
  nas::SearchConfig config;
  config.train.batch = 6;
  nas::Regime regime = nas::train_regime(config);
  regime.epochs = 2, regime.lr = 0.02;
  Exec card(Gpu::instance(), Math::f32);
  set.on_card();
  const auto train = [&] {
    nn::EarlyExitNetwork network = largest_network(kElasticSpace, nas::task_of(set), Device::cuda);
    return nas::train_network(card, network, {set, normalisation}, config, regime, 1, "toy", {}).last_loss;
  };
  const double want = train();
  const i64 before = storage_in_use(), free = free_memory();
  int failures = 0;
  for (i64 room = 16 * 1024;; room = room * 5 / 4) {
    double got = 0;
    const std::string text = [&] {
      const MemoryCap cap(room);
      return error_of([&] { got = train(); });
    }();
    EXPECT_EQ(storage_in_use(), before);
    EXPECT_NEAR(double(free_memory()), double(free), 128 * 1024);  // scratch may have grown otherwise
    if (text.empty()) {
      EXPECT_EQ(got, want);
      break;
    }
    EXPECT_TRUE(says(text, "no memory on the card for ")) << text;
    ++failures;
    ASSERT_LT(room, 64 * kMega);
  }
  EXPECT_GT(failures, 5);
  EXPECT_EQ(train(), want);
}

}  // namespace
}  // namespace offramp::cuda
#endif
