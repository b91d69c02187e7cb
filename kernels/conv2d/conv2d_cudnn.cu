// cuDNN as a row of the card's conv2d, dense convolutions forward; compiled only with OFFRAMP_CUDNN. Run by
// name, never selected: which algorithm it takes may depend on the batch.
#if defined(OFFRAMP_HAS_CUDNN)
#include <cudnn.h>

#include <limits>
#include <map>
#include <mutex>
#include <tuple>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/conv2d_rows.h"
#include "kernels/cuda/library_rows.h"
#include "kernels/cuda/strided.h"
#include "kernels/error.h"

namespace offramp::kernels::cuda {
namespace {

using namespace offramp::cuda;

constexpr const char* kRow = "conv2d/cudnn/cuda";

[[noreturn]] void fail(const Conv2dDims& d, const std::string& what) {
  const auto s = [](i64 v) { return std::to_string(v); };
  throw Error("cuda: " + std::string(kRow) + " (n " + s(d.n) + ", image " + s(d.h) + " x " + s(d.w) +
              ", channels " + s(d.c_in) + " -> " + s(d.c_out) + ", kernel " + s(d.kernel) + ", stride " +
              s(d.stride) + ", pad " + s(d.pad) + "): " + what);
}
void check(cudnnStatus_t status, const Conv2dDims& d, const char* what) {
  if (status != CUDNN_STATUS_SUCCESS) fail(d, std::string(what) + ": " + cudnnGetErrorString(status));
}

// Never destroyed, as the card is not.
cudnnHandle_t handle(Gpu& gpu, const Conv2dDims& d) {
  static const cudnnHandle_t made = [&] {
    cudnnHandle_t h = nullptr;
    check(cudnnCreate(&h), d, "handle");
    return h;
  }();
  check(cudnnSetStream(made, native(gpu.stream())), d, "stream");
  return made;
}

// What the library is told of a convolution, and the algorithm it is to take.
struct Choice {
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t w = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  cudnnConvolutionFwdAlgo_t algorithm{};
  i64 workspace = 0;  // bytes
};

Choice choose(cudnnHandle_t library, const Conv2dDims& d, bool half, Math math) {
  for (const i64 size : {d.n, d.h, d.w, d.c_in, d.c_out, d.kernel, d.stride, d.pad})
    if (size > std::numeric_limits<int>::max()) fail(d, "sizes must be below 2^31");
  const cudnnDataType_t type = half ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  Choice c;
  check(cudnnCreateTensorDescriptor(&c.x), d, "descriptor");
  check(cudnnCreateTensorDescriptor(&c.y), d, "descriptor");
  check(cudnnCreateFilterDescriptor(&c.w), d, "descriptor");
  check(cudnnCreateConvolutionDescriptor(&c.conv), d, "descriptor");
  check(cudnnSetTensor4dDescriptor(c.x, CUDNN_TENSOR_NHWC, type, int(d.n), int(d.c_in), int(d.h), int(d.w)),
        d, "x");
  check(cudnnSetTensor4dDescriptor(c.y, CUDNN_TENSOR_NHWC, type, int(d.n), int(d.c_out), int(conv2d_out(d).h),
                                   int(conv2d_out(d).w)),
        d, "y");
  check(cudnnSetFilter4dDescriptor(c.w, type, CUDNN_TENSOR_NHWC, int(d.c_out), int(d.c_in), int(d.kernel),
                                   int(d.kernel)),
        d, "w");
  check(cudnnSetConvolution2dDescriptor(c.conv, int(d.pad), int(d.pad), int(d.stride), int(d.stride), 1, 1,
                                        CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        d, "convolution");
  // FMA forbids tf32, which floats are otherwise rounded to.
  const cudnnMathType_t wanted = half                ? CUDNN_TENSOR_OP_MATH
                                 : math == Math::f32 ? CUDNN_FMA_MATH
                                                     : CUDNN_DEFAULT_MATH;
  check(cudnnSetConvolutionMathType(c.conv, wanted), d, "kind of multiplication");
  cudnnConvolutionFwdAlgoPerf_t found[CUDNN_CONVOLUTION_FWD_ALGO_COUNT];
  int count = 0;
  check(cudnnGetConvolutionForwardAlgorithm_v7(library, c.x, c.w, c.conv, c.y,
                                               CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &count, found),
        d, "choice of algorithm");
  // Best first. Only those that sum products of the operands as they are: transforms round in other places.
  for (int i = 0; i < count; ++i) {
    const auto& f = found[i];
    if (f.status != CUDNN_STATUS_SUCCESS || (f.algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM &&
                                             f.algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM))
      continue;
    if (wanted != CUDNN_FMA_MATH) check(cudnnSetConvolutionMathType(c.conv, f.mathType), d, "multiplication");
    c.algorithm = f.algo;
    std::size_t bytes = 0;
    if (cudnnGetConvolutionForwardWorkspaceSize(library, c.x, c.w, c.conv, c.y, c.algorithm, &bytes) !=
        CUDNN_STATUS_SUCCESS)
      continue;
    c.workspace = i64(bytes);
    return c;
  }
  fail(d, "the library has no algorithm for this convolution in NHWC");
}

// Asked once for each convolution: the library's heuristics take longer than many a convolution.
const Choice& choice(cudnnHandle_t library, const Conv2dDims& d, bool half, Math math) {
  static std::mutex mutex;
  static auto& known = *new std::map<std::tuple<i64, i64, i64, i64, i64, i64, i64, i64, bool, Math>, Choice>;
  const std::tuple key{d.n, d.h, d.w, d.c_in, d.c_out, d.kernel, d.stride, d.pad, half, math};
  const std::lock_guard lock(mutex);
  const auto at = known.find(key);
  return at != known.end() ? at->second : known.emplace(key, choose(library, d, half, math)).first->second;
}

}  // namespace

template <class T>
void conv2d_cudnn(Exec& exec, const Conv2dCallT<T>& call) {
  constexpr bool kHalf = std::is_same_v<T, Bf16>;
  Gpu& gpu = *exec.gpu();
  const Conv2dDims& d = call.dims;
  const cudnnHandle_t library = handle(gpu, d);
  const Choice& chosen = choice(library, d, kHalf, exec.math());
  // The library wants weights in one piece and of the type of x; the convolution lands aside where a residual
  // may be y.
  const WeightView dense = dense_weights(call.w.data, d);
  const bool as_it_lies = !kHalf && call.w.to_next_out == dense.to_next_out &&
                          call.w.to_next_row == dense.to_next_row && call.w.to_next_tap == dense.to_next_tap;
  const i64 rows = d.n * call.out_h * call.out_w, element = i64(sizeof(T));
  const i64 weight_bytes = as_it_lies ? 0 : d.c_out * dense.to_next_out * element,
            result_bytes = call.residual ? rows * d.c_out * element : 0;
  ScratchParts parts(gpu, ScratchParts::room(weight_bytes) + ScratchParts::room(result_bytes) +
                              ScratchParts::room(chosen.workspace));
  T* const weights = parts.take<T>(weight_bytes);
  T* const aside = parts.take<T>(result_bytes);
  void* const workspace = parts.take<std::byte>(chosen.workspace);
  if (!as_it_lies) {
    Strided walk{.axes = 4};
    const i64 extent[] = {d.c_out, d.kernel, d.kernel, d.c_in},
              to[] = {dense.to_next_out, dense.to_next_row, dense.to_next_tap, 1},
              from[] = {call.w.to_next_out, call.w.to_next_row, call.w.to_next_tap, 1};
    for (int a = 0; a < 4; ++a) walk.extent[a] = extent[a], walk.to[a] = to[a], walk.from[a] = from[a];
    strided_copy(gpu, walk, weights, call.w.data);
  }
  T* const result = call.residual ? aside : call.y;
  const float one = 1, zero = 0;
  check(cudnnConvolutionForward(library, &one, chosen.x, call.x, chosen.w,
                                as_it_lies ? static_cast<const void*>(call.w.data) : weights, chosen.conv,
                                chosen.algorithm, workspace, std::size_t(chosen.workspace), &zero, chosen.y,
                                result),
        d, "convolution");
  add_epilogue(gpu, kRow, rows, d.c_out, static_cast<const T*>(result), d.c_out, call.bias,
                              call.residual, call.act, call.y, d.c_out);
}

template void conv2d_cudnn(Exec&, const Conv2dCallT<float>&);
template void conv2d_cudnn(Exec&, const Conv2dCallT<Bf16>&);

}  // namespace offramp::kernels::cuda
#endif
