// A training run that is saved and loaded goes on with the same bits.
#include "nn/checkpoint.h"

#include <gtest/gtest.h>

#include <unistd.h>
#include <filesystem>

#include "kernels/error.h"
#include "nn/loss.h"
#include "nn/optim/adamw.h"
#include "nn/optim/sgd.h"
#include "tensor/safetensors.h"
#include "tiny.h"

namespace offramp {
namespace {

using namespace nn;
using testing::random_images;
using testing::random_labels;
using testing::same_bits;
using testing::tiny_architecture;

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    path_ = (std::filesystem::temp_directory_path() /
             (std::string("offramp_checkpoint_") + info->name() + std::to_string(getpid()) + ".safetensors"))
                .string();
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_;
};

struct Rig {
  Exec exec{default_target()};
  FreshParameters source;
  EarlyExitNetwork network;
  std::unique_ptr<Optimizer> optimizer;
  Ema ema;

  Rig(u64 seed, bool adam)
      : source(Rng(seed)),
        network(tiny_architecture(), source),
        ema(network.named_parameters(), network.named_buffers(), 0.99) {
    if (adam)
      optimizer = std::make_unique<AdamW>(network.named_parameters());
    else
      optimizer = std::make_unique<Sgd>(network.named_parameters(), SgdOptions{.weight_decay = 1e-4});
  }
  void train(i64 begin, i64 end) {
    for (i64 step = begin; step < end; ++step) {
      const Variable x(random_images(network.architecture(), 6, u64(step)));
      const Variable loss =
          exit_loss(exec, network.forward(exec, x, Mode::train), random_labels(6, 5, u64(step)));
      optimizer->zero_grad();
      backward(exec, loss);
      optimizer->step(exec, 0.01);
      ema.update(exec);
    }
  }
  Training all() { return {.network = &network, .optimizer = optimizer.get(), .ema = &ema}; }
  std::vector<StateDict> states() { return {network_state(network), optimizer->state(), ema.state()}; }
};

TEST_F(Checkpoint, ResumesWithTheSameBits) {
  for (const bool adam : {false, true}) {
    Rig whole(1, adam), first(1, adam), second(2, adam);
    whole.train(0, 5);
    first.train(0, 3);
    save_checkpoint(path_, first.all(), {{"epoch", "3"}});
    EXPECT_EQ(load_checkpoint(path_, second.all()).at("epoch"), "3");
    second.train(3, 5);
    const auto want = whole.states(), got = second.states();
    for (size_t part = 0; part < want.size(); ++part) {
      ASSERT_EQ(want[part].size(), got[part].size());
      for (const auto& [name, tensor] : want[part])
        EXPECT_TRUE(same_bits(tensor, got[part].at(name))) << name;
    }
  }
}

TEST_F(Checkpoint, APartCanBeLoadedAlone) {
  Rig run(1, false), other(2, true);
  save_checkpoint(path_, run.all());
  load_checkpoint(path_, {.network = &other.network});
  for (const auto& [name, tensor] : network_state(run.network))
    EXPECT_TRUE(same_bits(tensor, network_state(other.network).at(name))) << name;
}

TEST_F(Checkpoint, AFileThatDoesNotFitChangesNothing) {
  Rig run(1, false), adam(2, true);
  save_checkpoint(path_, run.all());
  StateDict before;
  for (const auto& [name, tensor] : network_state(adam.network)) before.emplace(name, tensor.clone());
  EXPECT_THROW(load_checkpoint(path_, adam.all()), Error);  // the moments of another optimiser
  SafeTensors file = read_safetensors(path_);
  file.tensors["network.exit1.linear.weight"] = Tensor::zeros({5, 13});
  write_safetensors(path_, file);
  try {
    load_checkpoint(path_, {.network = &adam.network});
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), Error::Kind::input);
    for (const char* word : {path_.c_str(), "network.exit1.linear.weight", "[5,12]", "[5,13]"})
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
  for (const auto& [name, tensor] : network_state(adam.network))
    EXPECT_TRUE(same_bits(tensor, before.at(name)));
  EXPECT_THROW(load_checkpoint(path_ + ".absent", run.all()), Error);
}

}  // namespace
}  // namespace offramp
