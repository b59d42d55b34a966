#include "engine/base/error.hpp"
#include "engine/stimulus/decode.hpp"
#include "tests/fuzz/input_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace twinscreen;
    try {
        static_cast<void>(detail::decode_png(fuzz::input(data, size)));
    } catch (const Error&) {  // what a bad image has to give
    }
    return 0;
}
