#include "engine/device/gpus.hpp"

namespace twinscreen {

bool built_for_gpus() noexcept { return false; }

VisibleGpus visible_gpus()
{
    return {{},
            "this build has no CUDA; configure with -D TWINSCREEN_WITH_CUDA=ON (cmake --preset "
            "cuda)"};
}

std::unique_ptr<Executor> make_gpu_executor(int)
{
    throw Error(Error::Kind::device, visible_gpus().why_none);
}

}  // namespace twinscreen
