// NumPy's .npy files. Source: numpy.lib.format, versions 1.0 to 3.0.
#pragma once
#include <string>

#include "tensor/tensor.h"

namespace offramp {

// Little-endian f4, f8, i8 and u1, C or Fortran order. Throws Error(input) naming file and offset; length of
// the header, shape and file size are checked before anything is allocated.
Tensor read_npy(const std::string& path);

// Version 1.0, C order, atomically.
void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace offramp
