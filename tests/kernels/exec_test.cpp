#include "kernels/exec.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "kernels/recorder.h"

namespace offramp {
namespace {

TEST(Exec, AtLeastOneThread) {
  EXPECT_EQ(Exec(Target::portable, 0).threads(), 1);
  EXPECT_EQ(Exec(Target::portable, -3).threads(), 1);
  EXPECT_EQ(Exec(Target::portable, 5).threads(), 5);
}

TEST(Exec, ScratchIsAlignedAndKeepsItsMemory) {
  Exec exec(Target::portable, 2);
  float* large = exec.shared_scratch(1000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(large) % 64, 0u);
  large[999] = 1;
  EXPECT_EQ(exec.shared_scratch(10), large);
  EXPECT_EQ(exec.shared_scratch(1000), large);
  float* grown = exec.shared_scratch(100000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(grown) % 64, 0u);
  grown[99999] = 1;
}

TEST(Exec, BuffersOfWorkersAreApart) {
  Exec exec(Target::portable, 2);
  float* shared = exec.shared_scratch(64);
  float *first = exec.worker_scratch(0, 64), *second = exec.worker_scratch(1, 64);
  for (int i = 0; i < 64; ++i) shared[i] = 1, first[i] = 2, second[i] = 3;
  for (int i = 0; i < 64; ++i) {
    EXPECT_EQ(shared[i], 1);
    EXPECT_EQ(first[i], 2);
    EXPECT_EQ(second[i], 3);
  }
}

TEST(Recorder, NotesInOrderAndSumsCosts) {
  Exec exec(Target::portable);
  EXPECT_TRUE(note(exec, "ignored", {.macs = 1}));
  Recorder recorder;
  exec.recorder = &recorder;
  EXPECT_TRUE(note(exec, "a", {.macs = 2, .bytes_read = 3}));
  recorder.dry = true;
  EXPECT_FALSE(note(exec, "b", {.macs = 5, .other_ops = 7}));
  ASSERT_EQ(recorder.calls.size(), 2u);
  EXPECT_EQ(recorder.calls[0].kernel, "a");
  EXPECT_EQ(recorder.calls[1].kernel, "b");
  EXPECT_EQ(recorder.total(), (Cost{.macs = 7, .other_ops = 7, .bytes_read = 3}));
}

}  // namespace
}  // namespace offramp
