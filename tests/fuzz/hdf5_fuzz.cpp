// HDF5 files of stimuli. The library is known to crash and hang on damaged files, so not the
// library is on trial, but what the engine promises around it: a sentence, and a process that goes
// on.

#include "engine/base/error.hpp"
#include "engine/stimulus/array_source.hpp"
#include "engine/stimulus/hdf5_dataset.hpp"
#include "tests/fuzz/input_file.hpp"

namespace {

using namespace twinscreen;

constexpr std::chrono::milliseconds patience{200};

template <class Action>
void tolerate_errors(Action&& action)
{
    try {
        action();
    } catch (const Error& error) {  // what a bad file has to give
        if (error.kind() != Error::Kind::data) throw;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::InputFolder folder;
    const auto path = folder.write("a.h5", fuzz::input(data, size));
    tolerate_errors([&] {
        ReadFile file(path);
        ArrayHeader header = locate_hdf5_dataset(file, "pixels", patience);
        const auto source = make_array_source(std::move(file), std::move(header), "a.h5", {});
        static_cast<void>(source->draw(ItemId{source->count() - 1}, {}));
    });
    tolerate_errors(
        [&] { convert_hdf5_to_npy(path, "packed", folder.path() / "a.npy", patience); });
    return 0;
}
