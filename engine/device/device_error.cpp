#include "engine/device/device_error.hpp"

#include <algorithm>
#include <array>

namespace twinscreen {
namespace {

struct Meaning {
    int code;  // a cudaError_t; its values are part of CUDA's interface
    std::string_view cause;
    std::string_view next_step;
};

constexpr std::string_view resume =
    "sealed shards are kept: start the same command again, on another GPU or node if it happens "
    "again";

constexpr std::array<Meaning, 14> meanings{{
    {2, "the GPU has no memory left",
     "give [run] batch_items a smaller number, or share the GPU with nobody"},
    {3, "the CUDA runtime cannot start", "does nvidia-smi answer on this node?"},
    {34, "only the stub of the CUDA driver was found",
     "the folder of CUDA's stubs must not be in LD_LIBRARY_PATH"},
    {35, "this node has no NVIDIA driver, or one too old for CUDA 13 (580 and newer will do)",
     "does nvidia-smi answer? An administrator updates the driver, or [run] device = \"cpu\""},
    {46, "the GPU is taken: it is in exclusive mode and another process holds it",
     "end the other process (nvidia-smi shows it), or ask the batch system for another GPU"},
    {100, "no GPU is visible to this process",
     "ask the batch system for one (--gpus), look at CUDA_VISIBLE_DEVICES and nvidia-smi, or "
     "[run] device = \"cpu\""},
    {101, "CUDA_VISIBLE_DEVICES names no GPU of this node",
     "correct or unset CUDA_VISIBLE_DEVICES"},
    {209, "this build holds no code for the GPU's compute capability",
     "build with -D CMAKE_CUDA_ARCHITECTURES=native on this node"},
    {214, "the GPU reports memory that cannot be corrected (ECC)", resume},
    {220, "the link between GPUs reports an error (NVLink)", resume},
    {700, "a kernel used memory that is not its own", resume},
    {719, "a kernel failed on the GPU", resume},
    {802, "the system has not finished starting its GPUs", "wait, or ask an administrator"},
    {999, "the GPU or its driver failed for a reason that CUDA does not know", resume},
}};

}  // namespace

Error device_error(int code, std::string_view text, std::string_view doing)
{
    const auto known = std::find_if(meanings.begin(), meanings.end(),
                                    [code](const Meaning& m) { return m.code == code; });
    if (known == meanings.end())
        return {Error::Kind::device, fmt::format("{}: CUDA error {} ({})", doing, code, text),
                std::string(resume)};
    return {Error::Kind::device,
            fmt::format("{}: {} (CUDA error {}, {})", doing, known->cause, code, text),
            std::string(known->next_step)};
}

void throw_device_error(int code, std::string_view text, std::string_view doing)
{
    constexpr int out_of_memory = 2;  // cudaErrorMemoryAllocation
    const Error error = device_error(code, text, doing);
    if (code == out_of_memory) throw OutOfDeviceMemory(error);
    throw error;
}

}  // namespace twinscreen
