#include "engine/base/error.hpp"
#include "engine/twin/bundle.hpp"
#include "kernels/runtime.hpp"
#include "tests/fuzz/input_file.hpp"

namespace {

using namespace twinscreen;

/// A graph bundle whose graph is still missing.
class Bundle {
public:
    Bundle()
    {
        for (const char* name :
             {"twin.toml", "weights.safetensors", "units.csv", "samples.safetensors"})
            std::filesystem::copy_file(fuzz::workplace() / "graph" / name, folder_.path() / name);
    }
    void load(std::span<const std::byte> graph) const
    {
        folder_.write("graph.json", graph);
        try {
            static_cast<void>(load_bundle(folder_.path()));
        } catch (const Error&) {  // what a bad graph has to give
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
