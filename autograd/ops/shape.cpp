#include "autograd/ops/shape.h"

#include "autograd/ops/common.h"

namespace offramp::ops {

Variable reshape(const Variable& x, const Shape& shape) {
  if (shape.count() != x.value().count())
    refuse("reshape", "a shape of " + std::to_string(x.value().count()) + " elements", shape.str());
  Tensor y = packed(x.value()).reshape(shape);
  if (!x.requires_grad()) return Variable(y);
  return Variable::result(y, {x}, [](Backward& back) { back.add_gy(0); });
}

Variable flatten(const Variable& x) {
  const Tensor& t = x.value();
  if (t.rank() < 1 || t.count() == 0)
    refuse("flatten", "input [n,...] with at least one value", t.shape().str());
  return t.rank() == 2 ? x : reshape(x, {t.extent(0), t.count() / t.extent(0)});
}

Variable prefix_view(const Variable& w, const Prefix& prefix) {
  constexpr const char* kOp = "prefix_view";
  const Tensor& whole = w.value();
  const i64 rank = whole.rank();
  if (rank != 1 && rank != 2 && rank != 4)
    refuse(kOp, "a parameter [c], [out,in] or [out,k,k,in]", whole.shape().str());
  if ((rank == 1 && prefix.in) || (rank != 4 && prefix.kernel))
    refuse(kOp, "a part of the axes there are", "shape " + whole.shape().str());
  Variable view = w;
  const auto narrow = [&](i64 axis, i64 begin, i64 length) {
    const i64 extent = whole.extent(axis);
    if (length < 1 || begin + length > extent)
      refuse(kOp, "at most " + std::to_string(extent) + " along axis " + std::to_string(axis),
             std::to_string(length));
    if (length != extent) view = Variable::slice(view, axis, begin, length);
  };
  if (prefix.out) narrow(0, 0, prefix.out);
  if (prefix.in) narrow(rank - 1, 0, prefix.in);
  if (prefix.kernel) {
    const i64 kernel = whole.extent(1);
    if (prefix.kernel > kernel || (kernel - prefix.kernel) % 2)
      refuse(kOp, "a centred part of a kernel of " + std::to_string(kernel), std::to_string(prefix.kernel));
    const i64 skip = (kernel - prefix.kernel) / 2;
    narrow(1, skip, prefix.kernel);
    narrow(2, skip, prefix.kernel);
  }
  return view;
}

}  // namespace offramp::ops
