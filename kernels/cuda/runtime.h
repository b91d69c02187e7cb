// The part of the CUDA run-time that the house needs, in two bodies: runtime.cu (a card) and
// emulate/runtime.cpp (the host plays the card, for tests on machines without one). Everything is checked; a
// failure is an Error that says what was tried. Memory is on the device unless said otherwise.
#pragma once
#include <cstddef>
#include <string>

#include "kernels/types.h"

namespace offramp::cuda {

// Opaque handles (cudaStream_t, cudaEvent_t, cudaGraphExec_t).
using Stream = struct StreamTag*;
using Event = struct EventTag*;
using GraphExec = struct GraphExecTag*;

struct Properties {
  std::string name;
  int multiprocessors = 0, major = 0, minor = 0;
  i64 memory = 0, shared_per_block = 0, l2 = 0;  // bytes; shared: the most one block can be given
};

std::string runtime_version();  // "13.0"; of an emulated card "emulated"
int device_count();             // 0 without a card or without its driver; never throws
Properties properties();

// True where blocks must not be cached or cut from larger ones: each stands before a page that nobody may
// touch.
bool fenced();
// nullptr when memory is short.
std::byte* allocate(i64 bytes);
// In bytes, as far as nobody else takes them; 0 where the card does not say.
i64 free_memory() noexcept;
void release(std::byte* data) noexcept;  // waits for the card
std::byte* allocate_host(i64 bytes);     // page-locked, so that copies are asynchronous
void release_host(std::byte* data) noexcept;

Stream create_stream();
void destroy_stream(Stream stream) noexcept;
// `to` and `from` may each be host or device memory. The host's must stay until the copy has run
// (synchronize).
void copy(Stream stream, void* to, const void* from, i64 bytes);
void fill_bytes(Stream stream, void* to, int value, i64 bytes);
void synchronize(Stream stream);
void wait(Stream stream, Event event);  // later work of the stream waits for the event

Event create_event(bool timed);
void destroy_event(Event event) noexcept;
void record(Event event, Stream stream);
// Inside a capture: every launch of the graph records the event anew.
void record_captured(Event event, Stream stream);
float milliseconds(Event begin, Event end);  // waits for both

// What is launched on the stream between the two becomes a graph instead of being run.
void begin_capture(Stream stream);
GraphExec end_capture(Stream stream);
void launch_graph(GraphExec graph, Stream stream);
i64 graph_nodes(GraphExec graph);
void destroy_graph(GraphExec graph) noexcept;

}  // namespace offramp::cuda
