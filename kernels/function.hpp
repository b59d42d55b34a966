#pragma once

/// Marks a kernel body that compiles for the host and for any device.
#if defined(__CUDACC__) || defined(__HIPCC__)
#define TWINSCREEN_FUNCTION __host__ __device__
#else
#define TWINSCREEN_FUNCTION
#endif
