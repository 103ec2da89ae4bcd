use ffsvc_kernels::Conv2d;

/// A convolution of these input and output channels that keeps the size of one image where the kernel is odd.
pub(crate) fn convolution(channels: [usize; 2], size: [usize; 2], kernel: [usize; 2]) -> Conv2d {
    Conv2d {
        batch: 1,
        channels_in: channels[0],
        channels_out: channels[1],
        size,
        kernel,
        stride: [1; 2],
        padding: kernel.map(|taps| taps / 2),
        dilation: [1; 2],
        groups: 1,
    }
}
