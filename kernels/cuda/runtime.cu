// runtime.h over the CUDA run-time library.
#include "kernels/cuda/runtime.h"

#include <cuda_runtime.h>

#include "kernels/cuda/problem.h"
#include "kernels/error.h"

namespace offramp::cuda {
namespace {

// Launches fail when somebody waits for them: what was computed last is not far from the culprit.
void check(cudaError_t e, const char* what) {
  if (e == cudaSuccess) return;
  const std::string last = problem().text();
  throw Error(std::string("cuda: ") + what + ": " + cudaGetErrorString(e) +
              (last.empty() ? "" : " (last computed: " + last + ")"));
}
cudaStream_t native(Stream s) { return reinterpret_cast<cudaStream_t>(s); }
cudaEvent_t native(Event e) { return reinterpret_cast<cudaEvent_t>(e); }

struct Captured {
  cudaGraphExec_t exec;
  i64 nodes;
};

}  // namespace

std::string runtime_version() {
  return std::to_string(CUDART_VERSION / 1000) + "." + std::to_string(CUDART_VERSION % 1000 / 10);
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();  // no driver, no card: not an error of whoever asks next
    return 0;
  }
  return count;
}

Properties properties() {
  cudaDeviceProp p;
  check(cudaGetDeviceProperties(&p, 0), "properties of the card");
  return {.name = p.name,
          .multiprocessors = p.multiProcessorCount,
          .major = p.major,
          .minor = p.minor,
          .memory = i64(p.totalGlobalMem),
          .shared_per_block = i64(p.sharedMemPerBlockOptin),
          .l2 = p.l2CacheSize};
}

bool fenced() { return false; }

std::byte* allocate(i64 bytes) {
  void* data = nullptr;
  const cudaError_t e = cudaMalloc(&data, std::size_t(bytes));
  if (e == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(e, "memory");
  return static_cast<std::byte*>(data);
}
i64 free_memory() noexcept {
  std::size_t free = 0, all = 0;
  if (cudaMemGetInfo(&free, &all) == cudaSuccess) return i64(free);
  cudaGetLastError();
  return 0;
}
void release(std::byte* data) noexcept {
  if (cudaFree(data) != cudaSuccess) cudaGetLastError();  // not an error of whoever launches next
}
std::byte* allocate_host(i64 bytes) {
  void* data = nullptr;
  check(cudaMallocHost(&data, std::size_t(bytes)), "page-locked memory");
  return static_cast<std::byte*>(data);
}
void release_host(std::byte* data) noexcept { cudaFreeHost(data); }

Stream create_stream() {
  cudaStream_t s;
  check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
  return reinterpret_cast<Stream>(s);
}
void destroy_stream(Stream stream) noexcept { cudaStreamDestroy(native(stream)); }
void copy(Stream stream, void* to, const void* from, i64 bytes) {
  check(cudaMemcpyAsync(to, from, std::size_t(bytes), cudaMemcpyDefault, native(stream)), "copy");
}
void fill_bytes(Stream stream, void* to, int value, i64 bytes) {
  check(cudaMemsetAsync(to, value, std::size_t(bytes), native(stream)), "fill");
}
void synchronize(Stream stream) { check(cudaStreamSynchronize(native(stream)), "what ran before"); }
void wait(Stream stream, Event event) { check(cudaStreamWaitEvent(native(stream), native(event)), "wait"); }

Event create_event(bool timed) {
  cudaEvent_t e;
  check(cudaEventCreateWithFlags(&e, timed ? cudaEventDefault : cudaEventDisableTiming), "event");
  return reinterpret_cast<Event>(e);
}
void destroy_event(Event event) noexcept { cudaEventDestroy(native(event)); }
void record(Event event, Stream stream) { check(cudaEventRecord(native(event), native(stream)), "event"); }
void record_captured(Event event, Stream stream) {
  check(cudaEventRecordWithFlags(native(event), native(stream), cudaEventRecordExternal), "captured event");
}
float milliseconds(Event begin, Event end) {
  float ms = 0;
  check(cudaEventSynchronize(native(end)), "what ran before");
  check(cudaEventElapsedTime(&ms, native(begin), native(end)), "time");
  return ms;
}

void begin_capture(Stream stream) {
  check(cudaStreamBeginCapture(native(stream), cudaStreamCaptureModeRelaxed), "capture");
}
GraphExec end_capture(Stream stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(native(stream), &graph), "capture");
  auto* out = new Captured{};
  std::size_t nodes = 0;
  const cudaError_t counted = cudaGraphGetNodes(graph, nullptr, &nodes);
  const cudaError_t made = cudaGraphInstantiate(&out->exec, graph, 0);
  cudaGraphDestroy(graph);
  out->nodes = i64(nodes);
  if (counted != cudaSuccess || made != cudaSuccess) delete out;
  check(counted, "graph");
  check(made, "graph");
  return reinterpret_cast<GraphExec>(out);
}
void launch_graph(GraphExec graph, Stream stream) {
  check(cudaGraphLaunch(reinterpret_cast<Captured*>(graph)->exec, native(stream)), "graph");
}
i64 graph_nodes(GraphExec graph) { return reinterpret_cast<Captured*>(graph)->nodes; }
void destroy_graph(GraphExec graph) noexcept {
  if (!graph) return;
  auto* captured = reinterpret_cast<Captured*>(graph);
  cudaGraphExecDestroy(captured->exec);
  delete captured;
}

}  // namespace offramp::cuda
