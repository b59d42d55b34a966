#include "engine/base/error.hpp"
#include "engine/stimulus/array_source.hpp"
#include "tests/fuzz/input_file.hpp"

namespace {

using namespace twinscreen;

void read_array(const std::filesystem::path& path, const ArrayOptions& options)
{
    try {
        ReadFile file(path);
        ArrayHeader header = read_npy_header(file);
        const auto source = make_array_source(std::move(file), std::move(header), "a.npy", options);
        static_cast<void>(source->draw(ItemId{0}, {}));
        static_cast<void>(source->draw(ItemId{source->count() - 1}, {}));
        static_cast<void>(source->identity());
    } catch (const Error&) {  // what a bad file has to give
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::InputFolder folder;
    const auto path = folder.write("a.npy", fuzz::input(data, size));
    read_array(path, {});
    read_array(path, {ArrayLayout::nchw, 0.0, 1.0, false});
    read_array(path, {ArrayLayout::nhw, {}, {}, true});
    return 0;
}
