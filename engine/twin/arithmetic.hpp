#pragma once

#include "engine/device/executor.hpp"

namespace twinscreen {

/// The type of what convolutions and matrix products of networks take and give where they take
/// whole batches. They add up in float32 in every case; whatever follows the network is float32.
///
///   float32    24 bits of mantissa
///   tf32       11 bits, range of float32; on NVIDIA GPUs, elsewhere as float32
///   bfloat16   8 bits, range of float32
///   float16    11 bits, values up to 65504
enum class Arithmetic { float32, tf32, bfloat16, float16 };

/// "bfloat16"
const char* name_of(Arithmetic arithmetic) noexcept;

/// While it lives, this thread's networks multiply in this way; one at a time.
class ArithmeticScope {
public:
    ArithmeticScope(Arithmetic arithmetic, const Executor& executor);
    ~ArithmeticScope();
    ArithmeticScope(const ArithmeticScope&) = delete;
    ArithmeticScope& operator=(const ArithmeticScope&) = delete;

private:
    Arithmetic arithmetic_;
    bool on_gpu_;
};

}  // namespace twinscreen
