// A typed n-dimensional array: a view (shape, strides, offset) of shared storage. Copying shares; clone()
// copies.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "kernels/exec.h"
#include "tensor/dtype.h"
#include "tensor/shape.h"
#include "tensor/storage.h"

namespace offramp {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage, defined() is false

  // Contents of empty() are undefined. A meta tensor has unique addresses but no memory behind them: it can
  // be passed to a dry recorder, never read.
  static Tensor empty(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);
  static Tensor full(Shape shape, double value, DType dtype = DType::f32);
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);  // copies; throws when the counts differ

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  i64 rank() const { return shape_.rank(); }
  i64 extent(i64 i) const { return shape_[i]; }
  i64 count() const { return shape_.count(); }
  const Extents& strides() const { return strides_; }  // in elements
  DType dtype() const { return dtype_; }
  Device device() const;
  bool is_contiguous() const;  // row-major without gaps

  // First element. Throws Error when T is not the dtype. data() of a meta tensor is an address, not memory.
  template <class T>
  T* data();
  template <class T>
  const T* data() const;
  // Contiguous elements of host memory as a span; throws Error when not contiguous or not there.
  template <class T>
  std::span<T> values();
  template <class T>
  std::span<const T> values() const;
  // The same as raw memory, for files.
  std::span<std::byte> bytes();
  std::span<const std::byte> bytes() const;
  double item()
      const;  // the single element of a one-element tensor, any dtype; of the card's memory: waits for it

  // Views: same storage. Each throws Error when the request does not fit.
  Tensor reshape(const Shape& shape) const;                  // contiguous only
  Tensor reshape(std::initializer_list<i64> extents) const;  // the same; one extent may be -1
  Tensor slice(i64 axis, i64 begin, i64 length) const;
  Tensor permute(std::vector<i64> axes) const;
  bool shares_storage(const Tensor& other) const { return storage_ && storage_ == other.storage_; }

  Tensor contiguous() const;  // itself when contiguous, else a copy
  Tensor clone() const;       // a contiguous copy
  // A copy of the parts along axis 0 that `index`, i64 [n] in the same memory, names. Of a contiguous tensor;
  // on the card the indices are not looked at.
  Tensor rows(const Tensor& index) const;
  // A converted copy (itself when the dtype agrees). To integers: truncated, saturated, NaN becomes 0. On the
  // card f32 and bf16 are converted into each other, u8 into f32.
  Tensor to(DType dtype) const;
  // A copy in the memory of that device, contiguous (itself when it is there already). From the card it
  // waits.
  Tensor to(Device device) const;
  // Writing into a meta tensor does nothing; reading one throws.
  // Same shape and dtype; any strides on either side, contiguous between host and card. A copy to the card
  // returns when the host's memory may be written again.
  void copy_from(const Tensor& source);
  void fill(double value);
  void add_(const Tensor& source);  // this += source; same shape, floating point; any strides

 private:
  Shape shape_;
  Extents strides_;
  DType dtype_ = DType::f32;
  i64 offset_ = 0;  // in elements
  std::shared_ptr<Storage> storage_;
};

struct TensorSum {
  Tensor sum, term;
};
// Each sum += term, as Tensor::add_; floats on the card in few launches. No two sums have an element in
// common.
void add_all(std::span<TensorSum> list);

// The memory that a context computes in.
inline Device memory_of(const Exec& exec) { return exec.gpu() ? Device::cuda : Device::cpu; }

}  // namespace offramp
