#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/support/store_fixture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

TEST(StorePython, PlainH5pyAndXarrayFindNamesAxesAndValues)
{
    const char* python = std::getenv("TWINSCREEN_PYTHON");
    const char* source = std::getenv("TWINSCREEN_SOURCE");
    if (python == nullptr || !std::filesystem::exists(python) || source == nullptr)
        GTEST_SKIP() << "no Python with h5py and xarray: set TWINSCREEN_PYTHON";
    test::TemporaryFolder folder;
    const test::StoreFixture fixture(folder / "responses.h5");
    const auto communicator = make_local_communicator();
    fixture.finish(*fixture.open(*communicator));

    const std::string command =
        fmt::format("'{}' -B '{}/tests/integration/store_opens_in_python.py' '{}'", python, source,
                    fixture.file.string());

    EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace twinscreen
