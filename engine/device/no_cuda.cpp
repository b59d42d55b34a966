#include "engine/device/executor.hpp"

namespace twinscreen {

std::unique_ptr<Executor> make_gpu_executor(int ordinal)
{
    throw Error(Error::Kind::device,
                fmt::format("this build has no CUDA (needed for GPU {})", ordinal),
                "configure with -DTWINSCREEN_WITH_CUDA=ON, or set device = \"cpu\"");
}

}  // namespace twinscreen
