#include "tests/fuzz/incomplete_bundle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace twinscreen;
    static const fuzz::IncompleteBundle bundle("tiny", "twin.toml");
    bundle.load(fuzz::input(data, size));
    return 0;
}
