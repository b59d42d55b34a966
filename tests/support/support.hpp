#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/error.hpp"

namespace twinscreen::test {

/// A folder of its own under the system's temporary folder, removed at the end.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

/// The folder of real data: ${TWINSCREEN_DATA}, else ../shared/data beside the source tree.
std::optional<std::filesystem::path> data_folder();

/// The text of an Error thrown by `action`; fails the test if nothing is thrown.
template <class Action>
std::string error_text(Action&& action)
{
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    ADD_FAILURE() << "expected an Error, nothing was thrown";
    return {};
}

/// The bytes of a committed input of a fuzzer: "png/RGB".
std::string fuzz_input(const std::string& name);

void write_text(const std::filesystem::path& file, const std::string& text);
std::string read_text(const std::filesystem::path& file);

/// Values of a little-endian .npy file as doubles, and its shape: independent of the engine's
/// own reader.
struct NpyArray {
    std::vector<std::size_t> shape;
    std::vector<double> values;
};
NpyArray read_npy(const std::filesystem::path& file);

}  // namespace twinscreen::test

/// Skips the running test aloud when the real data are not at hand.
#define TWINSCREEN_DATA_OR_SKIP(variable)                                           \
    const auto variable##_found = ::twinscreen::test::data_folder();                \
    if (!variable##_found)                                                          \
        GTEST_SKIP() << "real data not found: set TWINSCREEN_DATA to their folder"; \
    const std::filesystem::path variable = *variable##_found
