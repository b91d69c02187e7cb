// Plain structs of the loss of a network with several exits.
#pragma once
#include "kernels/bf16.h"
#include "kernels/types.h"

namespace offramp::kernels {

inline constexpr int kMostExits = 16;

// One exit's part: of_labels * cross entropy + of_teacher * T^2 KL(teacher || exit), both means over the
// rows.
template <class T>
struct ExitTermT {
  const T* x = nullptr;        // logits [rows,classes]
  const T* teacher = nullptr;  // logits [rows,classes]; read where of_teacher > 0
  ParamOf<T> of_labels = 0, of_teacher = 0;
  T* gx = nullptr;  // [rows,classes], overwritten with d loss / d x; null: not wanted
};

template <class T>
struct ExitLossCallT {
  i64 rows, classes;
  int exits;
  ExitTermT<T> exit[kMostExits];
  const i64* target;  // [rows], each in [0,classes)
  ParamOf<T> label_smoothing = 0, temperature = 1;
  ParamOf<T>* loss;  // one value, overwritten
};
using ExitLossCall = ExitLossCallT<float>;

}  // namespace offramp::kernels
