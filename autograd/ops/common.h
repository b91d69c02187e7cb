// What the implementations of the operations share. Not for use outside this folder.
#pragma once
#include <initializer_list>
#include <string>
#include <utility>

#include "autograd/variable.h"
#include "kernels/cuda/built.h"
#include "kernels/error.h"
#include "kernels/recorder.h"

namespace offramp::ops {

[[noreturn]] inline void refuse(const char* op, const std::string& wanted, const std::string& got) {
  throw input_error(std::string(op) + ": " + wanted + " wanted, got " + got);
}

// Runs body(T{}) with T = float or double, the element type of x.
template <class Body>
decltype(auto) dispatch_real(const char* op, const Tensor& x, Body&& body) {
  if (x.dtype() == DType::f32) return body(float{});
  if (x.dtype() == DType::f64) return body(double{});
  refuse(op, "f32 or f64 elements", std::string(dtype_name(x.dtype())));
}

// The same for activations, which on the card may be Bf16.
template <class Body>
decltype(auto) dispatch(const char* op, const Tensor& x, Body&& body) {
  if constexpr (cuda::kBuilt)
    if (x.dtype() == DType::bf16) return body(Bf16{});
  return dispatch_real(op, x, std::forward<Body>(body));
}

inline bool is_dry(const Exec& exec) { return exec.recorder && exec.recorder->dry; }

// The element type of parameters beside activations of type `t`, and of their gradients.
inline DType param_dtype(DType t) { return t == DType::bf16 ? DType::f32 : t; }

// The device of the result: meta when any operand is, else where all of them are. Throws when the operands'
// types differ (parameters of a bf16 tensor are f32), when they lie on different devices or not where `exec`
// computes, or when there is no memory to compute with and no dry recorder to catch the call.
inline Device common_device(const char* op, const Exec& exec, std::initializer_list<const Tensor*> operands) {
  const Tensor& first = **operands.begin();
  Device device = first.device();
  for (const Tensor* t : operands) {
    if (!t->defined()) continue;
    if (t->dtype() != first.dtype() && t->dtype() != param_dtype(first.dtype()))
      refuse(op, "operands of type " + std::string(dtype_name(first.dtype())),
             std::string(dtype_name(t->dtype())));
    if (t->device() == Device::meta)
      device = Device::meta;
    else if (t->device() != first.device() && device != Device::meta)
      throw usage_error(std::string(op) + ": some tensors lie on the card, others on the host");
  }
  if (device != Device::meta && (device == Device::cuda) != (exec.gpu() != nullptr))
    throw usage_error(std::string(op) + ": tensors on the " + (exec.gpu() ? "host" : "card") +
                      " cannot be computed with on the " + (exec.gpu() ? "card" : "host"));
  if (device == Device::meta && !is_dry(exec))
    throw usage_error(std::string(op) +
                      ": tensors without memory can only be recorded (dry recorder), not computed");
  return device;
}

inline const Tensor& tensor_or_none(const Variable& v) {
  static const Tensor none;
  return v.defined() ? v.value() : none;
}

template <class T>
const T* data_or_null(const Tensor& t) {
  return t.defined() ? t.data<T>() : nullptr;
}

inline void require_rank(const char* op, const char* name, const Tensor& t, i64 rank) {
  if (t.rank() != rank)
    refuse(op, std::string(name) + " of rank " + std::to_string(rank), "shape " + t.shape().str());
}

// The tensor itself when its elements lie in row-major order without gaps, else a copy. On meta tensors too.
inline Tensor packed(const Tensor& t) {
  if (!t.defined() || t.is_contiguous()) return t;
  if (t.device() == Device::meta) return Tensor::empty(t.shape(), t.dtype(), t.device());
  return t.contiguous();
}

// A gradient of a loss that was computed with the loss itself. Almost always the loss is the end of the graph
// and nothing is left to do.
Tensor times_upstream(Backward& back, Tensor gradient);

// Sum over the rows of a contiguous tensor [...,c]: the gradient of a bias. Chunks depend on the shape alone
// and are added in order.
Tensor column_sum(Exec& exec, const Tensor& rows);

}  // namespace offramp::ops
