#include "autograd/ops/common.h"

#include <algorithm>
#include <vector>

#include "kernels/cuda/strided.h"
#include "kernels/parallel.h"

namespace offramp::ops {

Tensor times_upstream(Backward& back, Tensor gradient) {
  const double upstream = back.gy_is_one() || is_dry(back.exec()) ? 1.0 : back.gy().item();
  if (upstream == 1) return gradient;
  const Device device = gradient.device();
  gradient = gradient.to(Device::cpu).clone();
  dispatch("loss", gradient, [&](auto zero) {
    using T = decltype(zero);
    for (T& v : gradient.template values<T>()) v = T(ParamOf<T>(v) * ParamOf<T>(upstream));
  });
  return gradient.to(device);
}

Tensor column_sum(Exec& exec, const Tensor& rows) {
  const i64 c = rows.extent(-1), count = rows.count() / std::max<i64>(c, 1);
  Tensor out = Tensor::empty({c}, param_dtype(rows.dtype()), rows.device());
  if (is_dry(exec)) return out;
  if constexpr (cuda::kBuilt)
    if (exec.gpu()) {
      if (rows.dtype() == DType::bf16)
        cuda::column_sum(*exec.gpu(), count, c, rows.data<Bf16>(), out.data<float>());
      else
        cuda::column_sum(*exec.gpu(), count, c, rows.data<float>(), out.data<float>());
      return out;
    }
  dispatch_real("column_sum", rows, [&](auto zero) {
    using T = decltype(zero);
    const i64 grain = std::max<i64>(1, 16384 / std::max<i64>(c, 1)), chunks = (count + grain - 1) / grain;
    std::vector<T> partial(size_t(std::max<i64>(chunks, 1) * c), T(0));
    const T* in = rows.data<T>();
    parallel_for(exec, count, grain, [&](i64 begin, i64 end, int) {
      T* sum = partial.data() + begin / grain * c;
      for (i64 r = begin; r < end; ++r)
        for (i64 j = 0; j < c; ++j) sum[j] += in[r * c + j];
    });
    T* total = out.data<T>();
    std::copy_n(partial.data(), c, total);
    for (i64 k = 1; k < chunks; ++k)
      for (i64 j = 0; j < c; ++j) total[j] += partial[size_t(k * c + j)];
  });
  return out;
}

}  // namespace offramp::ops
