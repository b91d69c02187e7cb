// Bodies of language.h for nvcc.
#pragma once
#include <cuda_runtime.h>

#include <map>
#include <mutex>

namespace offramp::cuda {

inline cudaStream_t native(Stream s) { return reinterpret_cast<cudaStream_t>(s); }

template <class... P, class... A>
void launch(Gpu& gpu, const Launch& l, void (*kernel)(P...), A&&... arguments) {
  if (l.grid < 1 || l.grid_y < 1 || l.grid_z < 1) return;  // nothing to do
  constexpr i64 kDefault = 48 * 1024, kStatic = 8 * 1024;  // what a kernel declares itself counts too
  if (l.shared > kDefault - kStatic) {
    // More than the default must be asked for, and what is asked for later replaces it: only ever raised.
    static std::mutex mutex;
    static std::map<const void*, i64> allowed;
    const void* const key = reinterpret_cast<const void*>(kernel);
    const std::lock_guard lock(mutex);
    if (i64& bytes = allowed[key]; bytes < l.shared) {
      if (const cudaError_t e =
              cudaFuncSetAttribute(key, cudaFuncAttributeMaxDynamicSharedMemorySize, int(l.shared)))
        throw launch_error(l, cudaGetErrorString(e));
      bytes = l.shared;
    }
  }
  gpu.launch_begins(l.op, l.grid * l.grid_y * l.grid_z);
  cudaLaunchAttribute together{};
  together.id = cudaLaunchAttributeCooperative;
  together.val.cooperative = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(unsigned(l.grid), unsigned(l.grid_y), unsigned(l.grid_z));
  config.blockDim = dim3(unsigned(l.block));
  config.dynamicSmemBytes = size_t(l.shared);
  config.stream = native(gpu.stream());
  config.attrs = &together;
  config.numAttrs = l.together;
  const cudaError_t e = cudaLaunchKernelEx(&config, kernel, P(std::forward<A>(arguments))...);
  gpu.launch_ends();
  if (!e) return;
  cudaGetLastError();  // told here, not by whoever asks next
  throw launch_error(l, cudaGetErrorString(e));
}

template <class T>
__device__ __forceinline__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char offramp_dynamic_shared[];
  return reinterpret_cast<T*>(offramp_dynamic_shared);
}

// The upper half of *arrived turns over when the last block adds its share; the lower half is then zero
// again.
__device__ __forceinline__ void grid_barrier(u32* arrived) {
  __syncthreads();
  if (threadIdx.x == 0) {
    constexpr u32 kTurn = 0x80000000u;
    const u32 blocks = gridDim.x * gridDim.y * gridDim.z;
    const bool first = blockIdx.x == 0 && blockIdx.y == 0 && blockIdx.z == 0;
    __threadfence();
    const u32 before = atomicAdd(arrived, first ? kTurn - (blocks - 1) : 1u);
    while (((before ^ *static_cast<volatile u32*>(arrived)) & kTurn) == 0) {
    }
    __threadfence();
  }
  __syncthreads();
}

__device__ __forceinline__ void check_aligned(const void*, int) {}

__device__ __forceinline__ u32 shared_address(const void* p) { return u32(__cvta_generic_to_shared(p)); }

// `valid` false: the 16 bytes become zero and nothing is read.
__device__ __forceinline__ void copy_async16(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 16 : 0));
}
__device__ __forceinline__ void copy_async4(void* to, const void* from, bool valid = true) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;\n" ::"r"(shared_address(to)), "l"(from),
               "r"(valid ? 4 : 0));
}
__device__ __forceinline__ void copy_async_commit() { asm volatile("cp.async.commit_group;\n" ::); }
template <int n>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(n));
}

// d += a b, m16n8k16, rows of a and columns of b, bf16 pairs in a register.
__device__ __forceinline__ void mma_bf16(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// d = a b
__device__ __forceinline__ void mma_bf16_first(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile(
      "{\n.reg .f32 z;\nmov.f32 z, 0f00000000;\n"
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{z,z,z,z};\n}\n"
      : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// d += a b, m16n8k8, values as to_tf32 gives them.
__device__ __forceinline__ void mma_tf32(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// Rounded to 10 bits of mantissa, to nearest, ties away from zero.
__device__ __forceinline__ u32 to_tf32(float v) {
  u32 out;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(out) : "f"(v));
  return out;
}

// 8x8 matrices of 16-bit values; lane i gives the address of row i%8 of matrix i/8 (16 bytes each).
__device__ __forceinline__ void ldmatrix_x4(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}
__device__ __forceinline__ void ldmatrix_x4_transposed(u32 (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row)));
}

// Two floats as a register of bf16, `low` in the lower half.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
  u32 out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}

}  // namespace offramp::cuda
