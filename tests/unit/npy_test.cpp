#include "engine/stimulus/npy.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/half.hpp"
#include "kernels/random.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

std::string npy_bytes(const std::string& dictionary, std::size_t payload)
{
    std::string bytes("\x93NUMPY\x01\x00", 8);
    bytes += static_cast<char>(dictionary.size() % 256);
    bytes += static_cast<char>(dictionary.size() / 256);
    return bytes + dictionary + std::string(payload, '\x07');
}

class Npy : public testing::Test {
protected:
    ArrayHeader header_of(const std::string& bytes)
    {
        test::write_text(folder_ / "a.npy", bytes);
        return read_npy_header(ReadFile(folder_ / "a.npy"));
    }
    /// The message without the folder of the test.
    std::string complaint_about(const std::string& bytes)
    {
        std::string text = test::error_text([&] { header_of(bytes); });
        const std::string folder = folder_.path().string() + "/";
        for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder))
            text.erase(at, folder.size());
        return text;
    }
    test::TemporaryFolder folder_;
};

TEST_F(Npy, HeaderThatIsWrittenIsReadBack)
{
    for (const ElementType type :
         {ElementType::u8, ElementType::f16, ElementType::f32, ElementType::f64}) {
        const std::string text = npy_header_text(type, {2, 3, 4});

        const ArrayHeader header = header_of(text + std::string(24 * bytes_of(type), '\0'));

        EXPECT_EQ(text.size() % 64, 0U);
        EXPECT_EQ(header.type, type);
        EXPECT_EQ(header.shape, (std::vector<std::uint64_t>{2, 3, 4}));
        EXPECT_EQ(header.offset, text.size());
    }
}

TEST_F(Npy, HeaderOfOtherWritersIsUnderstood)
{
    const ArrayHeader spaced =
        header_of(npy_bytes("{ \"shape\":(5,), \"descr\" : '|u1','fortran_order':False}\n", 5));
    std::string second =
        npy_bytes("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", 8);
    second[6] = '\x02';
    second.insert(10, 2, '\0');

    EXPECT_EQ(spaced.shape, (std::vector<std::uint64_t>{5}));
    EXPECT_EQ(header_of(second).type, ElementType::f64);
}

TEST_F(Npy, BadHeaderIsRefusedWithASentence)
{
    const std::string rewrite = "\n  write the array again with numpy.save";
    EXPECT_EQ(complaint_about("hello"), "a.npy is not a npy file (its first bytes say so)");
    EXPECT_EQ(complaint_about(""), "a.npy is not a npy file (its first bytes say so)");
    EXPECT_EQ(
        complaint_about(
            npy_bytes("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24)),
        "a.npy is stored in Fortran order (columns first), so its items are scattered. Save it "
        "again with numpy.ascontiguousarray(array)");
    EXPECT_EQ(
        complaint_about(npy_bytes("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8)),
        "a.npy holds values of type '>f4' (taken: uint8, float16, float32, float64, "
        "little-endian)\n  convert it in numpy: numpy.save(file, array.astype('float32'))");
    EXPECT_EQ(
        complaint_about(npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 11)),
        "a.npy has 78 bytes, too few for float32 values of shape [3]. The file is truncated or "
        "its header is wrong");
    EXPECT_EQ(
        complaint_about(npy_bytes(
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 16), }",
            9)),
        "a.npy has 100 bytes, too few for float64 values of shape [4294967296, 4294967296, 16]. "
        "The file is truncated or its header is wrong");
    EXPECT_EQ(
        complaint_about(npy_bytes("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 9)),
        "a.npy: the header of the npy file cannot be read (a size expected at character 51)" +
            rewrite);
    EXPECT_EQ(
        complaint_about(npy_bytes(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", 9)),
        "a.npy: the header of the npy file cannot be read (a size expected at character 51)" +
            rewrite);
    EXPECT_EQ(complaint_about(npy_bytes("{'descr': '<f4', 'shape': (1,), }", 9)),
              "a.npy: the header of the npy file cannot be read (a key is missing)" + rewrite);
}

TEST_F(Npy, HeaderCutOrChangedAnywhereIsReadOrRefusedButNeverCrashes)
{
    const std::string good = npy_header_text(ElementType::f32, {2, 3, 4}) + std::string(96, '\1');
    for (std::size_t length = 0; length < good.size(); ++length)
        EXPECT_NE(test::error_text([&] { header_of(good.substr(0, length)); }), "") << length;
    for (std::uint64_t trial = 0; trial < 500; ++trial) {
        std::string bytes = good;
        const auto bits = draw_bits({11, DrawStream::synthetic_noise, trial, 0});
        bytes[bits[0] % 90] = static_cast<char>(bits[1]);
        if (bits[2] % 2 == 0) bytes[bits[2] % 90] = static_cast<char>(bits[3]);
        try {
            const ArrayHeader header = header_of(bytes);
            EXPECT_LE(header.offset + header.values() * bytes_of(header.type), bytes.size());
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), Error::Kind::data);
        }
    }
}

TEST(Half, IsConvertedExactly)
{
    EXPECT_EQ(float_from_half(0x3C00), 1.0F);
    EXPECT_EQ(float_from_half(0xC000), -2.0F);
    EXPECT_EQ(float_from_half(0x7BFF), 65504.0F);
    EXPECT_EQ(float_from_half(0x0001), 0x1p-24F);
    EXPECT_EQ(float_from_half(0x0400), 0x1p-14F);
    EXPECT_TRUE(std::isinf(float_from_half(0x7C00)));
    EXPECT_TRUE(std::isnan(float_from_half(0x7E00)));
}

}  // namespace
}  // namespace twinscreen
