#include "engine/twin/safetensors.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "engine/twin/limits.hpp"
#include "engine/twin/weights.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

std::string with_length(const std::string& header, const std::string& data)
{
    const std::uint64_t length = header.size();
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    return bytes + header + data;
}

std::string floats(const std::vector<float>& values)
{
    std::string bytes(values.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

const char* const two_tensors = R"({"__metadata__":{"session":"190923"},)"
                                R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b":{"dtype":"F32","shape":[],"data_offsets":[24,28]}})";

std::string good_file() { return with_length(two_tensors, floats({1, 2, 3, 4, 5, 6, 7})); }

class Safetensors : public ::testing::Test {
protected:
    std::filesystem::path write(const std::string& bytes)
    {
        test::write_text(file_, bytes);
        return file_;
    }
    /// What is said about a header with the given data, without the file name.
    std::string complaint(const std::string& header, const std::string& data = {})
    {
        write(with_length(header, data));
        const std::string text = test::error_text([&] { SafetensorsFile opened(file_); });
        EXPECT_EQ(text.rfind(file_.string() + ": ", 0), 0U) << text;
        return text.substr(file_.string().size() + 2);
    }

    test::TemporaryFolder folder_;
    std::filesystem::path file_ = folder_ / "w.safetensors";
};

TEST_F(Safetensors, TensorsAndMetadataAreReadBack)
{
    const SafetensorsFile file(write(good_file()));
    const WeightReader reader("toy", file);

    EXPECT_EQ(file.metadata().at("session"), "190923");
    EXPECT_EQ(reader.read("a", {2, -1}).values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(reader.read("b", {}).values, (std::vector<double>{7}));
    EXPECT_EQ(file.tensors().at("a").shape_text(), "[2, 3]");
}

TEST_F(Safetensors, EveryTruncationIsRefused)
{
    const std::string bytes = good_file();
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        write(bytes.substr(0, length));

        EXPECT_THROW(SafetensorsFile opened(file_), Error) << length;
    }
}

TEST_F(Safetensors, FlippedBytesNeverDoMoreThanRaiseAnError)
{
    const std::string bytes = good_file();
    std::uint32_t state = 1;
    int refused = 0;
    for (int round = 0; round < 1000; ++round) {
        std::string damaged = bytes;
        for (int flips = 0; flips <= round % 4; ++flips) {
            state = state * 1664525U + 1013904223U;
            damaged[(state >> 8) % damaged.size()] = static_cast<char>(state >> 24);
        }
        write(damaged);
        try {
            const SafetensorsFile file(file_);
            std::uint64_t sum = 0;
            for (const auto& [name, view] : file.tensors())
                for (const std::byte byte : view.bytes) sum += static_cast<unsigned>(byte);
            EXPECT_LT(sum, 255U * bytes.size());
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::data);
            ++refused;
        }
    }
    EXPECT_GT(refused, 250);
}

TEST_F(Safetensors, HeadersThatLieAreNamed)
{
    EXPECT_EQ(complaint("[]"), "the header is not a JSON object");
    EXPECT_EQ(complaint(R"({"a":1})"), "tensor 'a': its entry is not a JSON object");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                        floats({1})),
              "the header names 'a' twice");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}})", "x"),
              "tensor 'a': element type F8_E4M3 is not supported (supported: U8, I32, I64, U64, "
              "F16, BF16, F32, F64)");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", floats({1})),
              "tensor 'a': shape holds something else than integers >= 0");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],)"
                        R"("data_offsets":[0,4]}})",
                        floats({1})),
              "tensor 'a': its shape overflows");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})", "12345"),
              "tensor 'a': shape [1] of float32 needs 4 bytes, data_offsets gives 5");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", floats({1})),
              "tensor 'a': ends at byte 8 of the data, the file holds 4 (truncated?)");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", floats({1})),
              "tensor 'a': data_offsets is not [begin, end]");
}

TEST_F(Safetensors, TensorsMustCoverTheDataOnce)
{
    EXPECT_EQ(complaint(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                        R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                        floats({1, 2, 3})),
              "tensor 'b' overlaps another tensor");
    EXPECT_EQ(
        complaint(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", floats({1, 2})),
        "4 bytes before tensor 'a' belong to no tensor");
    EXPECT_EQ(
        complaint(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", floats({1, 2})),
        "the last 4 bytes belong to no tensor");
}

TEST_F(Safetensors, AHeaderAboveTheLimitIsRefusedBeforeItIsRead)
{
    std::string bytes(16, '\0');
    const std::uint64_t length = largest_tensor_header + 1;
    std::memcpy(bytes.data(), &length, 8);
    write(bytes);

    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(file_); }),
              file_.string() +
                  ": claims a header of 16777217 bytes, at most 16777216 are read "
                  "(is it a safetensors file?)");
}

TEST_F(Safetensors, DeepNestingIsOnlyAnError)
{
    EXPECT_EQ(complaint(std::string(200'000, '[')), "the header is nested more than 3 deep");
    EXPECT_EQ(complaint(R"({"a":{"shape":[[[1]]]}})"), "the header is nested more than 3 deep");
}

TEST_F(Safetensors, TheNumberOfTensorsAndTheirNamesHaveLimits)
{
    std::string header = "{\"0\":0";
    for (std::size_t tensor = 1; tensor <= most_tensors; ++tensor)
        header += fmt::format(",\"{}\":0", tensor);
    EXPECT_EQ(complaint(header + "}"), "the header names more than 65536 tensors");

    const std::string name(longest_tensor_name + 1, 'n');
    EXPECT_EQ(
        complaint("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x"),
        "a tensor has a name of 257 bytes, '" + name.substr(0, 64) + "...' (at most 256)");
    EXPECT_EQ(complaint(R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],)"
                        R"("data_offsets":[0,1]}})",
                        "x"),
              "tensor 'a': shape is not a list of at most 16 numbers");
}

TEST_F(Safetensors, WhatWasOpenedStaysWhateverHappensToTheFile)
{
    const SafetensorsFile file(write(good_file()));
    const std::vector<std::byte> before(file.data().begin(), file.data().end());

    test::write_text(file_, with_length(two_tensors, floats({9, 9, 9, 9, 9, 9, 9})));
    std::filesystem::resize_file(file_, 0);  // reading a mapping would now end the process

    EXPECT_TRUE(std::equal(before.begin(), before.end(), file.data().begin(), file.data().end()));
    EXPECT_EQ(WeightReader("toy", file).read("b", {}).values, (std::vector<double>{7}));
}

TEST_F(Safetensors, AFileThatNoMemoryHoldsIsRefusedBeforeItIsRead)
{
    write(good_file());
    std::filesystem::resize_file(file_, std::uintmax_t{1} << 42U);  // of holes

    EXPECT_NE(test::error_text([&] { SafetensorsFile opened(file_); }).find("4096.0 GiB of memory"),
              std::string::npos);
}

TEST_F(Safetensors, MissingFilesAndFoldersAreNamed)
{
    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(folder_ / "none"); }),
              "cannot open " + (folder_ / "none").string() +
                  " (No such file or directory). Check the path and its rights");
    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(folder_.path()); }),
              folder_.path().string() + " is not an ordinary file");
}

TEST_F(Safetensors, WeightsNameBundleTensorFoundAndExpected)
{
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const double too_large_for_a_float = 1e300;
    std::string wide(sizeof(double), '\0');
    std::memcpy(wide.data(), &too_large_for_a_float, sizeof(double));
    write(with_length(R"({"conv.kernel":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                      R"("steps":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},)"
                      R"("wide":{"dtype":"F64","shape":[1],"data_offsets":[16,24]}})",
                      floats({1, nan, 0, 0}) + wide));
    const SafetensorsFile file(file_);
    const WeightReader reader("toy", file);

    EXPECT_EQ(test::error_text([&] { reader.read("conv.kernal", {2}); }),
              "bundle 'toy': tensor 'conv.kernal' is missing (w.safetensors holds 3 tensors)\n"
              "  nearest name: 'conv.kernel'");
    EXPECT_EQ(test::error_text([&] {
                  reader.read("conv.kernel", {5, 5, -1});
              }),
              "bundle 'toy': tensor 'conv.kernel' has shape [2], expected [5, 5, any]");
    EXPECT_EQ(test::error_text([&] { reader.read("conv.kernel", {2}); }),
              "bundle 'toy': tensor 'conv.kernel' holds nan at element 1, expected finite values");
    EXPECT_EQ(test::error_text([&] { reader.read("wide", {1}); }),
              "bundle 'toy': tensor 'wide' holds 1e+300 at element 0, expected finite values");
    EXPECT_EQ(test::error_text([&] { reader.read("steps", {1}); }),
              "bundle 'toy': tensor 'steps' holds int64, expected float32 or float64");
}

}  // namespace
}  // namespace twinscreen
