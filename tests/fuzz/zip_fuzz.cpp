#include <algorithm>

#include "engine/base/error.hpp"
#include "engine/stimulus/image_source.hpp"
#include "tests/fuzz/input_file.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace twinscreen;
    static const fuzz::InputFolder folder;
    try {
        const auto images =
            collect_zip(ReadFile(folder.write("images.zip", fuzz::input(data, size))));
        static_cast<void>(images->digest());
        for (std::uint64_t image = 0; image < std::min<std::uint64_t>(images->count(), 8); ++image)
            try {
                static_cast<void>(images->decode(image));
            } catch (const Error&) {  // one bad image must not keep us from the next
            }
    } catch (const Error&) {  // what a bad file has to give
    }
    return 0;
}
