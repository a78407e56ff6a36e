"""Loops that carry float32 values."""

from functools import partial

from lamella.codegen import onnx_loops

READERS = {"Scan": partial(onnx_loops.read, floats=True)}
