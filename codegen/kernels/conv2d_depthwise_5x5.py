"""lam_conv2d_depthwise_5x5: depthwise convolution of 5 x 5 pixels."""

from lamella.codegen.kernels import depthwise
from lamella.codegen.operators.conv2d import Conv2d


def _suits(a: Conv2d) -> bool:
    w = a.window
    return w.kernel == (5, 5) and w.dilation == (1, 1) and w.stride[1] in (1, 2)


KERNEL = depthwise.kernel("lam_conv2d_depthwise_5x5", _suits, ("src/lam_conv2d_depthwise_5x5.c",))
