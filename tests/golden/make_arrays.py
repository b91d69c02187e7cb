#!/usr/bin/env python3
"""Writes the small array files beside this script: the .npy ones with NumPy itself, the safetensors one byte by
byte after the format's description. Run it again only to add cases: python3 tests/golden/make_arrays.py"""
import json
import pathlib
import struct

import numpy as np

here = pathlib.Path(__file__).parent
x = np.arange(6, dtype=np.float32).reshape(2, 3) / 4 - 0.5

np.save(here / "f4.npy", x)
np.save(here / "f8_scalar.npy", np.array(2.5))
np.save(here / "i8.npy", np.array([-1, 1 << 40], dtype=np.int64))
np.save(here / "u1.npy", np.arange(24, dtype=np.uint8).reshape(2, 3, 4))
np.save(here / "u1_fortran.npy", np.asfortranarray(np.arange(24, dtype=np.uint8).reshape(2, 3, 4)))
np.save(here / "f4_empty.npy", np.zeros((0, 5), dtype=np.float32))
for version in ((2, 0), (3, 0)):
    with open(here / f"f4_v{version[0]}.npy", "wb") as f:
        np.lib.format.write_array(f, x, version=version)
np.save(here / "bool.npy", np.array([True, False]))
np.save(here / "big_endian.npy", x.astype(">f4"))
np.save(here / "structured.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8")]))

tensors = {"b": np.array([2.5, -1]), "n": np.array(7, dtype=np.int64), "a": x,
           "z": np.arange(3, dtype=np.uint8)}
names = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
header, data = {"__metadata__": {"k": "v \u00e9"}}, b""
for name, value in tensors.items():
    header[name] = {"dtype": names[value.dtype.name], "shape": list(value.shape),
                    "data_offsets": [len(data), len(data) + value.nbytes]}
    data += value.tobytes()
text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
text += b" " * (-len(text) % 8)
(here / "small.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
