// Early exits on the card: which samples leave at an exit, and the features of the others moved together. How
// many are left is known on the card alone; launches that follow are made for the whole batch, and their
// blocks behind the last sample left return at once (Gpu::live). On the host nn/plan decides.
#pragma once
#include "kernels/bf16.h"
#include "kernels/exec.h"
#include "kernels/types.h"

namespace offramp::kernels {

// nn/plan/confidence.h's and in its order.
enum class ExitMeasure : u8 {
  margin,
  max_probability,
  entropy,
  patience,
  cumulative,
  learned,
  learned_cumulative
};

// What samples carry from exit to exit, by their place in the batch; the first exit writes it before it is
// read.
struct ExitMemory {
  double* doubt;         // [batch] cumulative measures: product of 1 - confidence
  i32 *said, *agreeing;  // [batch] patience: the last class, and how many exits in a row gave it
  double* log_sum;       // [batch][classes] cascade: of the logarithms of probabilities
};

// For the first *count of the samples: the class of the largest logit and the confidence. Who is sure enough
// leaves, its answer is written at its place in the batch; the others keep their order.
template <class T>
struct ExitSelectCallT {
  i64 batch, classes;
  i64 outputs;        // of a row: the classes, then the logit of a learned confidence where there is one
  const T* logits;    // [batch][outputs]
  const i32* count;   // samples still there
  const i32* sample;  // [batch] place in the batch of each row
  ExitMeasure measure;
  bool cascade;  // logits are those of the geometric mean over the exits met
  i32 met;       // exits that the samples have met, this one included
  ExitMemory memory;
  float temperature, threshold;
  bool last;  // everybody leaves
  i32 exit;
  i32 *count_left, *sample_left, *row_left;  // [1], [batch], [batch]: row_left[i] = old row of the new row i
  i32* predicted;                            // [batch], as exit_taken
  float* confidence;
  i32* exit_taken;
};

// y[i] = x[row[i]] for the first *count rows of `length` values.
template <class T>
struct ExitGatherCallT {
  i64 batch, length;
  const i32 *count, *row;
  const T* x;
  T* y;
};

namespace cuda {
void exit_select(Exec& exec, const ExitSelectCallT<float>& call);
void exit_select(Exec& exec, const ExitSelectCallT<Bf16>& call);
void exit_gather(Exec& exec, const ExitGatherCallT<float>& call);
void exit_gather(Exec& exec, const ExitGatherCallT<Bf16>& call);
// sample[i] = i, *count = batch
void exit_start(Exec& exec, i64 batch, i32* count, i32* sample);
}  // namespace cuda

}  // namespace offramp::kernels
