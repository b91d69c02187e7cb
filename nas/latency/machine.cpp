#include "nas/latency/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "kernels/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace offramp::nas {
namespace {

constexpr std::array<std::string_view, 3> kResidences = {"private", "shared", "memory"};

std::string cpu_name() {
#if defined(__x86_64__)
  unsigned words[12] = {}, a, b, c, d;
  bool named = true;
  for (unsigned i = 0; i < 3; ++i) {
    unsigned* w = words + 4 * i;
    named = named && __get_cpuid(0x80000002 + i, w, w + 1, w + 2, w + 3);
  }
  char brand[sizeof words + 1] = {};
  std::memcpy(brand, words, sizeof words);
  std::string name = named ? brand : "x86-64";
  for (char& ch : name)
    if (static_cast<unsigned char>(ch) < 0x20) ch = ' ';
  while (!name.empty() && name.back() == ' ') name.pop_back();
  name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
  if (__get_cpuid(1, &a, &b, &c, &d)) {
    const unsigned family = (a >> 8 & 15) + ((a >> 8 & 15) == 15 ? a >> 20 & 255 : 0);
    const unsigned model = (a >> 4 & 15) | (a >> 16 & 15) << 4;
    name += " (" + std::to_string(family) + "-" + std::to_string(model) + "-" + std::to_string(a & 15) + ")";
  }
  return name;
#else
  utsname system{};
  uname(&system);
  return system.machine;
#endif
}

i64 cache_bytes(int name, i64 otherwise) {
  const long bytes = sysconf(name);
  return bytes > 0 ? i64(bytes) : otherwise;
}

}  // namespace

LatencyMachine this_machine(Target target, int threads) {
  LatencyMachine m{.cpu = cpu_name(), .target = target, .threads = threads};
  m.fingerprint = kernel_fingerprint();
  m.private_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, i64{1} << 20);
  // The last cache is shared with strangers: half of it is counted on.
  m.shared_bytes = std::max(cache_bytes(_SC_LEVEL3_CACHE_SIZE, i64{16} << 20) / 2, m.private_bytes);
  return m;
}

std::string_view residence_name(Residence residence) { return kResidences[std::size_t(residence)]; }

Residence parse_residence(std::string_view name) {
  for (std::size_t i = 0; i < kResidences.size(); ++i)
    if (kResidences[i] == name) return Residence(i);
  throw input_error("'" + std::string(name) + "' is no place for weights: wanted private, shared or memory");
}

Residence residence_of(const LatencyMachine& machine, i64 weight_bytes) {
  if (weight_bytes <= machine.private_bytes) return Residence::private_cache;
  return weight_bytes <= machine.shared_bytes ? Residence::shared_cache : Residence::memory;
}

}  // namespace offramp::nas
