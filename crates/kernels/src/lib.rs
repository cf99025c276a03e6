//! WGSL kernels, their CPU twins, and the device layer that runs them.
