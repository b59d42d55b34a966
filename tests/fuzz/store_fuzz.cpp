// Stores that a run finds. The input is a list of changes to a sound one, three bytes each: where
// (two bytes), and what is written there; its first byte chooses the format version.
//
// What the examination of a file lets pass is opened by every rank, without a child around it. So
// here is a child, and a crash in it is a finding.

#include <cstdio>
#include <cstdlib>

#include <hdf5.h>

#include "engine/base/child_process.hpp"
#include "engine/base/read_file.hpp"
#include "engine/store/hdf5_handle.hpp"
#include "engine/store/stage_layout.hpp"
#include "engine/store/verify.hpp"
#include "tests/fuzz/input_file.hpp"
#include "tests/support/store_fixture.hpp"

namespace {

using namespace twinscreen;

constexpr std::chrono::milliseconds patience{200};
constexpr std::chrono::milliseconds more_patience{5000};

std::string bytes_of_file(const std::filesystem::path& file)
{
    return read_text(ReadFile(file), std::uint64_t{1} << 20U);
}

/// A half-finished store; HDF5 is called in a child, because it must not know the file already.
std::string half_finished(const test::StoreFixture& fixture, bool is_version_1)
{
    run_in_child("the sound store", {}, [&] {
        const auto communicator = make_local_communicator();
        const auto sink = fixture.open(*communicator);
        fixture.run(*sink, ShardId{1});
        sink->close();
        if (!is_version_1) return std::string{};
        Hdf5Handle file(H5Fopen(fixture.file.c_str(), H5F_ACC_RDWR, hdf5_serial_access().id()),
                        H5Fclose);
        H5Adelete(file.id(), "version");
        hdf5_write_number_attribute(file.id(), "version", 1);
        return std::string{};
    });
    const std::string bytes = bytes_of_file(fixture.file);
    std::filesystem::remove(fixture.file);
    return bytes;
}

/// As every rank does with a file that was examined; what it says is not asked.
std::string go_on(const test::StoreFixture& fixture)
{
    try {
        const auto communicator = make_local_communicator();
        fixture.finish(*fixture.open(*communicator));
    } catch (const Error&) {  // what a bad file has to give
    }
    return "ended";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const fuzz::InputFolder folder;
    static const test::StoreFixture fixture(folder.path() / "responses.h5");
    static const std::string sound[] = {half_finished(fixture, false),
                                        half_finished(fixture, true)};
    if (size == 0) return 0;
    std::string bytes = sound[data[0] % 2];
    for (std::size_t at = 1; at + 3 <= size; at += 3)
        bytes[(data[at] + 256U * data[at + 1]) % bytes.size()] = static_cast<char>(data[at + 2]);
    folder.write("responses.h5", std::as_bytes(std::span(bytes)));
    try {
        const auto layout = read_stage_layout(fixture.file, patience);
        if (!layout) return 0;
        static_cast<void>(verify_stage(fixture.file, *layout));
    } catch (const Error& error) {
        if (error.kind() != Error::Kind::store) throw;
        return 0;
    }
    // An Error of the child's end is not caught here.
    run_in_child("a store that was let pass", more_patience, [&] { return go_on(fixture); });
    return 0;
}
