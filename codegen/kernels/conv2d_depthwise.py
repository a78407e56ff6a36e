"""lam_conv2d_depthwise: depthwise convolution of any kernel size, stride and dilation."""

from lamella.codegen.kernels import depthwise

KERNEL = depthwise.kernel("lam_conv2d_depthwise", lambda a: True)
