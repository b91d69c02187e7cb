// The fields of every kind of dims by name, in order: the one list behind the text form of a step, the model
// file and what errors of the card say. f(name, field) is called for each; enums and bools come as
// themselves.
#pragma once
#include "kernels/act/act_call.h"
#include "kernels/binary/binary_call.h"
#include "kernels/conv2d/conv2d_call.h"
#include "kernels/depthwise/depthwise_call.h"
#include "kernels/gemm/gemm_call.h"
#include "kernels/mbconv/mbconv_call.h"
#include "kernels/norm/norm_call.h"
#include "kernels/normed/normed_call.h"
#include "kernels/pool/pool_call.h"
#include "kernels/resize/resize_call.h"
#include "kernels/softmax/softmax_call.h"

namespace offramp::kernels {

template <class F>
void fields(Conv2dDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c_in", d.c_in), f("c_out", d.c_out), f("kernel", d.kernel);
  f("stride", d.stride), f("pad", d.pad), f("groups", d.groups);
}
template <class F>
void fields(DepthwiseDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("kernel", d.kernel), f("stride", d.stride),
      f("pad", d.pad);
}
template <class F>
void fields(GemmDims& d, F&& f) {
  f("m", d.m), f("n", d.n), f("k", d.k);
}
template <class F>
void fields(PoolDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("kernel", d.kernel), f("stride", d.stride),
      f("pad", d.pad);
  f("kind", d.kind);
}
template <class F>
void fields(GlobalPoolDims& d, F&& f) {
  f("n", d.n), f("hw", d.hw), f("c", d.c);
}
template <class F>
void fields(NormDims& d, F&& f) {
  f("rows", d.rows), f("c", d.c);
}
template <class F>
void fields(ActDims& d, F&& f) {
  f("count", d.count), f("act", d.act);
}
template <class F>
void fields(BinaryDims& d, F&& f) {
  f("n", d.n), f("hw", d.hw), f("c", d.c), f("kind", d.kind), f("broadcast", d.broadcast);
}
template <class F>
void fields(ResizeDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c", d.c), f("out_h", d.out_h), f("out_w", d.out_w),
      f("kind", d.kind);
}
template <class F>
void fields(SoftmaxDims& d, F&& f) {
  f("rows", d.rows), f("classes", d.classes), f("log", d.log);
}
template <class F>
void fields(NormedDims& d, F&& f) {
  f("rows", d.rows), f("c_in", d.c_in), f("c_out", d.c_out), f("hw", d.hw);
}
template <class F>
void fields(MBConvDims& d, F&& f) {
  f("n", d.n), f("h", d.h), f("w", d.w), f("c_in", d.c_in), f("mid", d.mid), f("c_out", d.c_out);
  f("kernel", d.kernel), f("stride", d.stride), f("pad", d.pad), f("reduced", d.reduced);
  f("expands", d.expands);
}

}  // namespace offramp::kernels
