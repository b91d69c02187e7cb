#!/usr/bin/env python3
"""Writes ramp.jpg and ramp_progressive.jpg beside this script (needs Pillow): red grows with the column, green with the row, blue is 100."""
import pathlib

from PIL import Image

image = Image.new("RGB", (24, 16))
image.putdata([(10 * col, 15 * row, 100) for row in range(16) for col in range(24)])
image.save(pathlib.Path(__file__).parent / "ramp.jpg", quality=95, subsampling=0)
image.save(pathlib.Path(__file__).parent / "ramp_progressive.jpg", quality=95, subsampling=2, progressive=True)
