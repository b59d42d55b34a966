#include "engine/base/error.hpp"
#include "engine/twin/safetensors.hpp"
#include "tests/fuzz/input_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace twinscreen;
    static const fuzz::InputFolder folder;
    unsigned sum = 0;
    try {
        const SafetensorsFile file(folder.write("weights.safetensors", fuzz::input(data, size)));
        for (const auto& [name, view] : file.tensors())
            for (const std::byte byte : view.bytes) sum += std::to_integer<unsigned>(byte);
    } catch (const Error&) {  // what a bad file has to give
    }
    static volatile unsigned keep;  // the tensors' bytes must really be read
    keep = sum;
    static_cast<void>(keep);
    return 0;
}
