"""Post-training quantisation: a float ONNX model and samples of its input become a QDQ model in 8 bits.

onnxruntime quantises (weights per channel, biases, where the pairs of Quantize and Dequantize stand). Which ranges its
tensors get, whether layers are equalised before and biases corrected, is found here: every combination is tried, and the
one whose outputs are nearest to the float model's on samples that no range was found on is taken.
"""

from lamella.calibration.floats import is_float, ports
from lamella.calibration.quantize import Calibrated, LayerNoise, Trial, calibrate

__all__ = ["Calibrated", "LayerNoise", "Trial", "calibrate", "is_float", "ports"]
