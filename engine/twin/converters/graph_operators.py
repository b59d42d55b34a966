"""The operators that a graph may call: ATen's names, with the overload unless it is the default.

All of them are pure functions of their arguments that return one tensor: nothing here reads a file,
draws a number or has state. The engine allows the same list; a name that is not on it is refused.
"""

OPERATORS = frozenset("""
    conv1d conv2d conv3d conv_transpose2d.input linear
    matmul bmm addmm baddbmm einsum scaled_dot_product_attention

    batch_norm layer_norm group_norm instance_norm rms_norm linalg_vector_norm

    relu relu6 gelu silu elu selu celu mish hardswish hardsigmoid hardtanh leaky_relu prelu softplus
    sigmoid tanh log_sigmoid softmax.int log_softmax.int glu

    max_pool1d max_pool2d avg_pool1d avg_pool2d avg_pool3d
    adaptive_avg_pool1d adaptive_avg_pool2d
    upsample_nearest2d upsample_bilinear2d upsample_bicubic2d
    pixel_shuffle pixel_unshuffle channel_shuffle constant_pad_nd pad

    view reshape flatten.using_ints unflatten.int permute transpose.int squeeze.dim unsqueeze
    expand repeat cat stack slice.Tensor narrow select.int contiguous roll flip index_select
    grid_sampler

    mean.dim sum.dim_IntList amax amin var.correction std.correction

    add.Tensor add.Scalar sub.Tensor sub.Scalar rsub.Scalar mul.Tensor mul.Scalar
    div.Tensor div.Scalar pow.Tensor_Scalar pow.Tensor_Tensor
    neg abs sqrt rsqrt exp log log1p expm1 reciprocal square sin cos erf sign floor ceil
    clamp clamp_min clamp_max maximum minimum
    where.self gt.Scalar lt.Scalar ge.Scalar le.Scalar eq.Scalar masked_fill.Scalar
""".split())
