#include "engine/comm/collectives_backends.hpp"

namespace twinscreen {

bool nccl_is_built() { return false; }

std::string gpu_identity(const Executor&) { return {}; }

std::unique_ptr<DeviceCollectives> make_nccl_collectives(Communicator&, Executor&,
                                                         std::chrono::milliseconds)
{
    throw Error(Error::Kind::communication,
                "this build has no NCCL; configure with -D TWINSCREEN_WITH_CUDA=ON (cmake "
                "--preset cuda)");
}

}  // namespace twinscreen
