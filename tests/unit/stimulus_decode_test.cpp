#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>
#include <turbojpeg.h>

#include "engine/stimulus/contact_sheet.hpp"
#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "engine/stimulus/zip_archive.hpp"
#include "kernels/random.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

Picture picture_of(int height, int width, int channels)
{
    Picture picture{height, width, channels, false,
                    OwnedBatch(ElementType::u8, {height, width, channels})};
    const auto values = picture.pixels.values<std::uint8_t>();
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<std::uint8_t>((i * i / 7 + 31 * i) % 256);
    return picture;
}

std::string png_of(const Picture& picture)
{
    const test::TemporaryFolder folder;
    write_png(picture, folder / "a.png");
    return test::read_text(folder / "a.png");
}

std::string jpeg_of(const Picture& picture, int sampling, int flags = 0)
{
    tjhandle encoder = tjInitCompress();
    unsigned char* out = nullptr;
    unsigned long bytes = 0;
    tjCompress2(encoder, picture.pixels.values<std::uint8_t>().data(), picture.width, 0,
                picture.height, picture.channels == 1 ? TJPF_GRAY : TJPF_RGB, &out, &bytes,
                sampling, 92, flags);
    std::string result(reinterpret_cast<char*>(out), bytes);
    tjFree(out);
    tjDestroy(encoder);
    return result;
}

Picture decode(const std::string& bytes) { return decode_image(std::as_bytes(std::span(bytes))); }

std::vector<int> values_in(const Picture& picture)
{
    const auto values = picture.pixels.values<std::uint8_t>();
    return {values.begin(), values.end()};
}

std::string from_hex(std::string_view hex)
{
    std::string bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
    return bytes;
}

TEST(Decode, GivesBackThePixelsOfAPng)
{
    for (const int channels : {1, 3}) {
        const Picture picture = picture_of(9, 7, channels);

        const Picture decoded = decode(png_of(picture));

        EXPECT_EQ(decoded.channels, channels);
        EXPECT_EQ(decoded.height, 9);
        EXPECT_EQ(decoded.width, 7);
        EXPECT_EQ(values_in(decoded), values_in(picture));
    }
}

TEST(Decode, ExpandsPalettesLaysAlphaOverMidGreyAndRounds16Bits)
{
    // Written by Pillow 13.0.0 (2 x 1 pixels each).
    // RGBA
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d4948445200000002000000010806000000f4227f8a0000001149444154789c"
            "633891c2f0ff3f434a03001344040fc95d11570000000049454e44ae426082"))),
        (std::vector<int>{200, 100, 0, 192, 64, 114}));
    // LA
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d49484452000000020000000108040000005e2bb7010000000d49444154789c"
            "633062f8e500000301016d5cfc9a9f0000000049454e44ae426082"))),
        (std::vector<int>{128, 158}));
    // P
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d4948445200000002000000010803000000c3fc8fb800000300504c54450102"
            "0328323c000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000b565e2b0000000b"
            "49444154789c636060040000040002bf7a3f4a0000000049454e44ae426082"))),
        (std::vector<int>{1, 2, 3, 40, 50, 60}));
    // P+tRNS
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d4948445200000002000000010803000000c3fc8fb800000300504c54450102"
            "0328323c000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
            "00000000000000000000000000000000000000000000000000000000000000000000000b565e2b00000001"
            "74524e530040e6d8660000000b49444154789c636060040000040002bf7a3f4a0000000049454e44ae4260"
            "82"))),
        (std::vector<int>{128, 128, 128, 40, 50, 60}));
    // I;16
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d494844520000000200000001100000000081d9fc150000000d49444154789c"
            "63fcffbfb10900088703037ced48af0000000049454e44ae426082"))),
        (std::vector<int>{255, 128}));
    // 1
    EXPECT_EQ(
        values_in(decode(from_hex(
            "89504e470d0a1a0a0000000d4948445200000002000000010100000000dc5942270000000a49444154789c"
            "63700000004200412937f4ef0000000049454e44ae426082"))),
        (std::vector<int>{0, 255}));
}

TEST(Decode, GivesNearlyThePixelsOfAJpegAndTellsGreyFromColour)
{
    Picture smooth{24, 31, 3, false, OwnedBatch(ElementType::u8, {24, 31, 3})};
    for (std::size_t i = 0; i < 24 * 31; ++i)
        for (std::size_t c = 0; c < 3; ++c)
            smooth.pixels.values<std::uint8_t>()[3 * i + c] =
                static_cast<std::uint8_t>(3 * (i % 31) + 4 * (i / 31) + 20 * c);

    const Picture colour = decode(jpeg_of(smooth, TJSAMP_444));

    ASSERT_EQ(colour.channels, 3);
    const auto a = values_in(colour);
    const auto b = values_in(smooth);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 8);
    EXPECT_EQ(decode(jpeg_of(picture_of(8, 8, 1), TJSAMP_GRAY)).channels, 1);
}

TEST(Decode, RefusesAFileCutAnywhere)
{
    for (const std::string& whole :
         {png_of(picture_of(6, 5, 3)), jpeg_of(picture_of(16, 16, 3), TJSAMP_420),
          jpeg_of(picture_of(9, 11, 1), TJSAMP_GRAY)}) {
        for (std::size_t length = 0; length < whole.size(); ++length)
            EXPECT_NE(test::error_text([&] { decode(whole.substr(0, length)); }), "") << length;
    }
}

TEST(Decode, OfChangedBytesGivesAPictureOrAnErrorButNeverCrashes)
{
    int refused = 0;
    for (const std::string& whole :
         {png_of(picture_of(6, 5, 3)), jpeg_of(picture_of(16, 16, 3), TJSAMP_420)}) {
        for (std::uint64_t trial = 0; trial < 3000; ++trial) {
            std::string bytes = whole;
            const auto bits = draw_bits({5, DrawStream::synthetic_noise, trial, 0});
            bytes[bits[0] % bytes.size()] = static_cast<char>(bits[1]);
            bytes[bits[2] % bytes.size()] = static_cast<char>(bits[3]);
            try {
                const Picture picture = decode(bytes);
                EXPECT_EQ(picture.pixels.shape().count(),
                          std::int64_t{picture.height} * picture.width * picture.channels);
            } catch (const Error& error) {
                EXPECT_EQ(error.kind(), Error::Kind::data);
                ++refused;
            }
        }
    }
    EXPECT_GT(refused, 2000);
}

TEST(Decode, OfAJpegDoesNotDependOnTheImagesBefore)
{
    const std::string good = jpeg_of(picture_of(16, 16, 3), TJSAMP_420);
    const std::vector<int> wanted = values_in(decode(good));
    // Without its quantisation tables an image must not be decoded with those of another.
    std::string without = good;
    for (std::size_t at = without.find("\xFF\xDB"); at != std::string::npos;
         at = without.find("\xFF\xDB"))
        without.erase(at, 2 + 256U * static_cast<unsigned char>(without[at + 2]) +
                              static_cast<unsigned char>(without[at + 3]));
    for (std::size_t at = 0; at < good.size(); ++at) {
        std::string bad = good;
        bad[at] = '\xFF';
        try {
            decode(bad);
        } catch (const Error&) {
            EXPECT_EQ(values_in(decode(good)), wanted) << at;
        }
    }
    EXPECT_NE(test::error_text([&] { decode(without); }).find("the JPEG"), std::string::npos);
}

TEST(Decode, RefusesHugeSizesWithoutAskingForTheMemory)
{
    std::string png = png_of(picture_of(2, 2, 1));
    png[18] = '\x40';  // width 0x00004002, and a checksum that no longer fits
    EXPECT_EQ(test::error_text([&] { decode(png); }),
              "the PNG data are damaged or cut (IHDR: CRC error)");
    EXPECT_EQ(test::error_text([] { decode(test::fuzz_input("png/claims_256_megapixels")); }),
              "the PNG data are damaged or cut (16384 x 16384 pixels in 66 bytes)");
    EXPECT_EQ(test::error_text([] {
                  decode(test::fuzz_input("jpeg/claims_256_megapixels"));
              }).find("the JPEG data are damaged or cut (16384 x 16384 pixels in "),
              0U);
    EXPECT_EQ(
        test::error_text([] { detail::require_reasonable_size(70'000, 10); }),
        "the image says it has 70000 x 10 pixels (1..65500 a side, at most 268435456 in all)");
    EXPECT_EQ(
        test::error_text([] { detail::require_reasonable_size(60'000, 60'000); }),
        "the image says it has 60000 x 60000 pixels (1..65500 a side, at most 268435456 in all)");
}

TEST(Decode, TakesTheMostThatDeflateCanShrink)
{
    const Picture black = decode(test::fuzz_input("png/one_bit_2048"));

    EXPECT_EQ(black.pixels.shape().text(), "[2048, 2048, 3]");
}

/// A grey progressive JPEG of 8 x 8 pixels: the bits of each coefficient come one by one, each in a
/// scan of its own, without anything to object to.
std::string jpeg_of_scans(int scans)
{
    using namespace std::string_literals;
    std::string jpeg = "\xFF\xD8\xFF\xDB\x00\x43\x00"s + std::string(64, '\x01');
    jpeg += "\xFF\xC2\x00\x0B\x08\x00\x08\x00\x08\x01\x01\x11\x00"s;
    for (const char table : {'\x00', '\x10'})  // one code of one bit, for the value 0
        jpeg += "\xFF\xC4\x00\x14"s + table + '\x01' + std::string(16, '\x00');
    const auto scan = [](int coefficient, int before, int now) {
        return "\xFF\xDA\x00\x08\x01\x01\x00"s + std::string(2, static_cast<char>(coefficient)) +
               static_cast<char>(before * 16 + now) + '\x7F';
    };
    jpeg += scan(0, 0, 0);
    for (int number = 1; number < scans; ++number) {
        const int bit = (number - 1) % 10;
        jpeg += scan(1 + (number - 1) / 10, bit == 0 ? 0 : 10 - bit, 9 - bit);
    }
    return jpeg + "\xFF\xD9";
}

TEST(Decode, RefusesAJpegOfMoreThan500Scans)
{
    EXPECT_EQ(decode(jpeg_of_scans(500)).pixels.shape().text(), "[8, 8, 1]");
    EXPECT_EQ(test::error_text([] { decode(jpeg_of_scans(502)); }),
              "the JPEG data are damaged or cut (Progressive JPEG image has more than 500 scans)");
}

TEST(Decode, SaysWhatAFileIsNot)
{
    EXPECT_EQ(test::error_text([] { decode(""); }), "the file is empty");
    EXPECT_EQ(test::error_text([] { decode("GIF89a"); }),
              "the file is neither PNG nor JPEG (its first bytes say so, whatever its name)\n  "
              "convert it to PNG or JPEG");
}

TEST(Decode, OfRealJpegsGivesTheBytesOfPillow)
{
    TWINSCREEN_DATA_OR_SKIP(data);
    const ZipArchive archive(ReadFile(data / "v4-compact-models/images_190923.zip"));
    const test::NpyArray reference =
        test::read_npy(data / "v4-compact-models/reference/images_190923_600to663_u8.npy");
    std::vector<std::byte> bytes;
    std::size_t different = 0;
    for (std::size_t image = 0; image < 64; ++image) {
        archive.read(archive.images()[600 + image], bytes);

        const std::vector<int> values = values_in(decode_image(bytes));

        for (std::size_t i = 0; i < values.size(); ++i)
            different += values[i] != static_cast<int>(reference.values[image * values.size() + i]);
    }
    EXPECT_EQ(different, 0U);
}

TEST(ContactSheet, HoldsThumbnailsLabelsAndCaptions)
{
    std::vector<SheetRow> rows;
    for (const char* label : {"V1", "V4"}) {
        rows.push_back({label, {}});
        for (int i = 0; i < 3; ++i)
            rows.back().cells.push_back({picture_of(20, 30, i == 0 ? 3 : 1), "#12 3.5"});
    }

    const Picture sheet = contact_sheet(rows, "title", 40);

    EXPECT_EQ(sheet.channels, 3);
    const std::vector<int> values = values_in(sheet);
    EXPECT_GT(std::count(values.begin(), values.end(), 32), 50);  // label and title
    EXPECT_GT(std::count(values.begin(), values.end(), 96), 50);  // captions
    EXPECT_EQ(values.front(), 255);
    EXPECT_EQ(sheet.height, 12 + 14 + 16 + 2 * (40 + 4 + 7) + 8 + 12);
}

}  // namespace
}  // namespace twinscreen
