"""lam_conv2d_depthwise_3x3: depthwise convolution of 3 x 3 pixels."""

from lamella.codegen.kernels import depthwise
from lamella.codegen.operators.conv2d import Conv2d


def _suits(a: Conv2d) -> bool:
    w = a.window
    return w.kernel == (3, 3) and w.dilation == (1, 1) and w.stride[1] in (1, 2)


KERNEL = depthwise.kernel("lam_conv2d_depthwise_3x3", _suits, ("src/lam_conv2d_depthwise_3x3.c",))
