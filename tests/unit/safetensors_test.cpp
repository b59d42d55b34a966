#include "engine/twin/safetensors.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

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
    const std::uint64_t length = 100'000'001;
    std::memcpy(bytes.data(), &length, 8);
    write(bytes);

    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(file_); }),
              file_.string() +
                  ": claims a header of 100000001 bytes, the format allows 100000000 "
                  "(is it a safetensors file?)");
}

TEST_F(Safetensors, DeepNestingIsOnlyAnError)
{
    EXPECT_THROW(SafetensorsFile opened(write(with_length(std::string(200'000, '['), {}))), Error);
}

TEST_F(Safetensors, MissingFilesAndFoldersAreNamed)
{
    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(folder_ / "none"); }),
              (folder_ / "none").string() + ": cannot be opened (No such file or directory)");
    EXPECT_EQ(test::error_text([&] { SafetensorsFile opened(folder_.path()); }),
              folder_.path().string() + ": is not a regular file");
}

TEST_F(Safetensors, WeightsNameBundleTensorFoundAndExpected)
{
    const float nan = std::numeric_limits<float>::quiet_NaN();
    write(with_length(R"({"conv.kernel":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                      R"("steps":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}})",
                      floats({1, nan, 0, 0})));
    const SafetensorsFile file(file_);
    const WeightReader reader("toy", file);

    EXPECT_EQ(test::error_text([&] { reader.read("conv.kernal", {2}); }),
              "bundle 'toy': tensor 'conv.kernal' is missing (w.safetensors holds 2 tensors)\n"
              "  nearest name: 'conv.kernel'");
    EXPECT_EQ(test::error_text([&] {
                  reader.read("conv.kernel", {5, 5, -1});
              }),
              "bundle 'toy': tensor 'conv.kernel' has shape [2], expected [5, 5, any]");
    EXPECT_EQ(test::error_text([&] { reader.read("conv.kernel", {2}); }),
              "bundle 'toy': tensor 'conv.kernel' holds nan at element 1, expected finite values");
    EXPECT_EQ(test::error_text([&] { reader.read("steps", {1}); }),
              "bundle 'toy': tensor 'steps' holds int64, expected float32 or float64");
}

}  // namespace
}  // namespace twinscreen
