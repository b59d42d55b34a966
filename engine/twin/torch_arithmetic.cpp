#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

#include "engine/twin/arithmetic.hpp"

namespace twinscreen {

namespace {

void allow_tf32(bool allowed)
{
    at::globalContext().setAllowTF32CuBLAS(allowed);
    at::globalContext().setAllowTF32CuDNN(allowed);
}

}  // namespace

const char* name_of(Arithmetic arithmetic) noexcept
{
    switch (arithmetic) {
        case Arithmetic::float32: return "float32";
        case Arithmetic::tf32: return "tf32";
        case Arithmetic::bfloat16: return "bfloat16";
        case Arithmetic::float16: return "float16";
    }
    return "";
}

ArithmeticScope::ArithmeticScope(Arithmetic arithmetic, const Executor& executor)
    : arithmetic_(arithmetic), on_gpu_(executor.space() == MemorySpace::device)
{
    if (arithmetic_ == Arithmetic::float32) return;
    if (arithmetic_ == Arithmetic::tf32) {
        if (on_gpu_) allow_tf32(true);
        return;
    }
    const at::DeviceType device = on_gpu_ ? at::kCUDA : at::kCPU;
    at::autocast::set_autocast_dtype(
        device, arithmetic_ == Arithmetic::bfloat16 ? at::kBFloat16 : at::kHalf);
    at::autocast::set_autocast_enabled(device, true);
}

ArithmeticScope::~ArithmeticScope()
{
    if (arithmetic_ == Arithmetic::float32) return;
    if (arithmetic_ == Arithmetic::tf32) {
        if (on_gpu_) allow_tf32(false);
        return;
    }
    at::autocast::set_autocast_enabled(on_gpu_ ? at::kCUDA : at::kCPU, false);
    at::autocast::clear_cache();
}

}  // namespace twinscreen
