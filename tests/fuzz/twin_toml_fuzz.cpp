#include "engine/base/error.hpp"
#include "engine/twin/bundle.hpp"
#include "kernels/runtime.hpp"
#include "tests/fuzz/input_file.hpp"

namespace {

using namespace twinscreen;

/// A bundle whose description is still missing.
class Bundle {
public:
    Bundle()
    {
        for (const char* name : {"weights.safetensors", "units.csv"})
            std::filesystem::copy_file(fuzz::workplace() / "tiny" / name, folder_.path() / name);
    }
    void load(std::span<const std::byte> description) const
    {
        folder_.write("twin.toml", description);
        try {
            static_cast<void>(load_bundle(folder_.path()));
        } catch (const Error&) {  // what a bad description has to give
        }
    }

private:
    KernelRuntime kernels_;
    fuzz::InputFolder folder_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const Bundle bundle;
    bundle.load(fuzz::input(data, size));
    return 0;
}
