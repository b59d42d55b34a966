#include <algorithm>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/image.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

template <class T>
Picture test_picture(int height, int width, int channels)
{
    Picture picture{height, width, channels, false,
                    OwnedBatch(element_type_of<T>(), {height, width, channels})};
    auto pixel = picture.pixels.values<T>().begin();
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c)
                *pixel++ =
                    static_cast<T>(((x * 37 + y * 91 + c * 53 + (x * y) % 17 * 29) * 7) % 256);
    return picture;
}

InputTransform canvas(int channels, int height, int width, InputTransform::Fit fit)
{
    InputTransform transform;
    transform.channels = channels;
    transform.height = height;
    transform.width = width;
    transform.fit = fit;
    return transform;
}

std::vector<float> row_of(const InputTransform& transform, const Picture& picture)
{
    OwnedBatch row(ElementType::f32, transform.row_shape());
    apply_transform(transform, picture, row.view());
    const auto values = row.values<float>();
    return {values.begin(), values.end()};
}

using Fit = InputTransform::Fit;

TEST(Transform, MakesTheGreyValuesOfPillow)
{
    // Image.convert("L") of Pillow 13.0.0
    const std::vector<float> wanted{94,  97,  100, 103, 106, 109, 112, 115, 118, 92,  95,
                                    190, 140, 119, 145, 95,  196, 146, 96,  151, 101, 202};

    EXPECT_EQ(row_of(canvas(1, 2, 11, Fit::exact), test_picture<std::uint8_t>(2, 11, 3)), wanted);
}

TEST(Transform, MakesGreyBeforeItResizesAndRoundsBoth)
{
    // Image.convert("L").resize((4, 3), BILINEAR) of Pillow 13.0.0
    const std::vector<float> wanted{128, 127, 120, 132, 148, 136, 127, 134, 144, 123, 112, 126};

    EXPECT_EQ(row_of(canvas(1, 3, 4, Fit::stretch), test_picture<std::uint8_t>(13, 11, 3)), wanted);
}

TEST(Transform, SubtractsTheMeanAndDividesByTheScaleOfEachChannel)
{
    InputTransform transform = canvas(3, 5, 4, Fit::exact);
    transform.mean = {10.0F, 20.0F, 30.0F};
    transform.scale = {2.0F, 3.0F, 4.0F};
    const Picture bytes = test_picture<std::uint8_t>(5, 4, 3);
    const Picture floats = test_picture<float>(5, 4, 3);

    const std::vector<float> first = row_of(transform, bytes);
    transform.channels_last = true;
    const std::vector<float> last = row_of(transform, bytes);

    for (std::size_t pixel = 0; pixel < 20; ++pixel)
        for (std::size_t c = 0; c < 3; ++c) {
            const float value = bytes.pixels.values<std::uint8_t>()[pixel * 3 + c];
            const float wanted = (value - transform.mean[c]) / transform.scale[c];
            EXPECT_EQ(first[c * 20 + pixel], wanted);
            EXPECT_EQ(last[pixel * 3 + c], wanted);
        }
    EXPECT_EQ(row_of(transform, floats), last);
}

TEST(Transform, RepeatsAGreyPictureInAllChannels)
{
    const Picture grey = test_picture<std::uint8_t>(6, 7, 1);

    const std::vector<float> row = row_of(canvas(3, 6, 7, Fit::exact), grey);

    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 42; ++i)
            EXPECT_EQ(row[c * 42 + i], static_cast<float>(grey.pixels.values<std::uint8_t>()[i]));
}

TEST(Transform, CropsTheCentreWithTheSmallerHalfOfTheSurplusCutFirst)
{
    const Picture grey = test_picture<std::uint8_t>(9, 8, 1);

    const std::vector<float> row = row_of(canvas(1, 4, 3, Fit::crop), grey);

    for (std::size_t y = 0; y < 4; ++y)
        for (std::size_t x = 0; x < 3; ++x)
            EXPECT_EQ(row[y * 3 + x],
                      static_cast<float>(grey.pixels.values<std::uint8_t>()[(y + 2) * 8 + x + 2]));
}

template <class T>
void expect_centre_of_the_whole(ResizeFilter filter, int h, int w)
{
    InputTransform transform = canvas(1, 12, 10, Fit::cover);
    transform.filter = filter;
    const Picture picture = test_picture<T>(h, w, 1);
    const double scale = std::max(12.0 / h, 10.0 / w);
    const int height = std::max(12, static_cast<int>(h * scale + 0.5));
    const int width = std::max(10, static_cast<int>(w * scale + 0.5));
    const Picture whole = resize(picture, height, width, filter);

    const std::vector<float> row = row_of(transform, picture);

    for (int y = 0; y < 12; ++y)
        for (int x = 0; x < 10; ++x)
            EXPECT_NEAR(row[static_cast<std::size_t>(y * 10 + x)],
                        whole.pixels.values<T>()[static_cast<std::size_t>(
                            (y + (height - 12) / 2) * width + x + (width - 10) / 2)],
                        1e-4);
}

TEST(Transform, CoversTheCanvasWithTheCentreOfTheResizedPicture)
{
    for (const auto& [h, w] : {std::pair{30, 47}, std::pair{61, 22}, std::pair{5, 4}}) {
        expect_centre_of_the_whole<float>(ResizeFilter::pil_bicubic, h, w);
        expect_centre_of_the_whole<std::uint8_t>(ResizeFilter::pil_bicubic, h, w);
        expect_centre_of_the_whole<float>(ResizeFilter::torch_bilinear, h, w);
    }
}

TEST(Transform, CopiesPreparedInputsWithoutNormalisingThem)
{
    InputTransform transform = canvas(3, 2, 2, Fit::cover);
    transform.mean = {1.0F, 2.0F, 3.0F};
    Picture picture = test_picture<float>(2, 2, 3);
    picture.prepared = true;
    const auto values = picture.pixels.values<float>();

    const std::vector<float> row = row_of(transform, picture);

    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(row[c * 4 + i], values[i * 3 + c]);
}

TEST(Transform, RefusesWhatDoesNotFitWithASentence)
{
    const Picture small = test_picture<std::uint8_t>(4, 5, 1);
    Picture prepared = test_picture<float>(4, 5, 1);
    prepared.prepared = true;

    EXPECT_EQ(
        test::error_text([&] { row_of(canvas(1, 6, 6, Fit::exact), small); }),
        "the picture has 4 x 5 pixels, the twin takes exactly 6 x 6 (fit = \"exact\"). Resize "
        "the pictures, or set fit = \"cover\" in the twin's transform");
    EXPECT_EQ(test::error_text([&] { row_of(canvas(1, 6, 5, Fit::crop), small); }),
              "the picture has 4 x 5 pixels, too few to crop 6 x 5 (fit = \"crop\"). Use larger "
              "pictures, or set fit = \"cover\" in the twin's transform");
    EXPECT_EQ(
        test::error_text([&] { row_of(canvas(3, 4, 5, Fit::cover), prepared); }),
        "a prepared input has shape [4, 5, 1] (height, width, channels), the twin takes [4, 5, "
        "3]. Prepare it for this twin, or give pictures and leave `prepared` out");
}

TEST(Transform, GivesTheSameRowsFromManyThreads)
{
    const Picture picture = test_picture<std::uint8_t>(61, 47, 3);
    const std::vector<float> wanted = row_of(canvas(1, 20, 30, Fit::cover), picture);
    std::vector<int> wrong(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < 50; ++i) {
                // Another size in between, so that the caches of weights turn over.
                row_of(canvas(1, 10 + i, 10, Fit::stretch), picture);
                wrong[t] += row_of(canvas(1, 20, 30, Fit::cover), picture) == wanted ? 0 : 1;
            }
        });
    for (std::thread& thread : threads) thread.join();

    EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(MeanLuminance, IsTheMeanOverPixelsAndChannels)
{
    Picture rgb = test_picture<std::uint8_t>(1, 2, 3);
    const std::vector<std::uint8_t> values{255, 0, 0, 10, 20, 30};
    std::copy(values.begin(), values.end(), rgb.pixels.values<std::uint8_t>().begin());
    Picture prepared = test_picture<float>(1, 1, 3);
    prepared.prepared = true;
    prepared.pixels.values<float>()[0] = -1.0F;
    prepared.pixels.values<float>()[1] = 2.0F;
    prepared.pixels.values<float>()[2] = 5.0F;

    EXPECT_NEAR(mean_luminance(rgb), (265.0 + 20.0 + 30.0) / 6, 1e-9);
    EXPECT_NEAR(mean_luminance(prepared), 2.0, 1e-12);
}

TEST(InputTransform, HasTheSameTextOnlyForTheSameInput)
{
    const InputTransform a = canvas(1, 6, 6, Fit::exact);
    InputTransform b = a;
    InputTransform c = a;
    b.mean = {1.0F};
    c.scale = {1.0F};

    EXPECT_EQ(a.text(), canvas(1, 6, 6, Fit::exact).text());
    EXPECT_NE(a.text(), b.text());
    EXPECT_NE(b.text(), c.text());
}

}  // namespace
}  // namespace twinscreen
