#include "kernels/prepare_images.hpp"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/picture_batch.hpp"
#include "tests/support/support.hpp"
#include "tests/support/test_pictures.hpp"

namespace twinscreen {
namespace {

using Fit = InputTransform::Fit;
using test::every_transform;
using test::picture_of;

constexpr std::size_t plenty = std::size_t{1} << 30U;

std::vector<float> prepared(const PictureBatch& pictures, const InputTransform& canvas,
                            std::size_t number)
{
    const auto executor = make_emulated_executor();
    OwnedBatch inputs(ElementType::f32, canvas.row_shape().with_rows(pictures.rows()));
    std::ranges::fill(inputs.values<float>(), -1.0F);  // every value must be written
    prepare_images(canvas, number, pictures.bytes(), inputs.view(), *executor);
    const auto values = inputs.values<float>();
    return {values.begin(), values.end()};
}

std::vector<float> row_of(const InputTransform& canvas, const Picture& picture)
{
    OwnedBatch row(ElementType::f32, canvas.row_shape());
    apply_transform(canvas, picture, row.view());
    const auto values = row.values<float>();
    return {values.begin(), values.end()};
}

/// All pictures in one batch, followed by a blank row.
void expect_rows_of_the_host(const InputTransform& canvas, const std::vector<Picture>& pictures,
                             std::size_t most_picture_bytes = plenty)
{
    const auto executor = make_host_executor();
    const auto rows = static_cast<std::int64_t>(pictures.size());
    PictureBatch batch(*executor, {canvas}, rows + 1, most_picture_bytes);
    std::vector<float> wanted;
    for (std::int64_t row = 0; row < rows; ++row) {
        const Picture& picture = pictures[static_cast<std::size_t>(row)];
        batch.add(row, 0, 1, picture);
        const std::vector<float> values = row_of(canvas, picture);
        wanted.insert(wanted.end(), values.begin(), values.end());
    }
    wanted.resize(wanted.size() + static_cast<std::size_t>(canvas.row_shape().count()), 0.0F);

    const std::vector<float> found = prepared(batch, canvas, 0);

    ASSERT_EQ(found.size(), wanted.size());
    EXPECT_EQ(std::memcmp(found.data(), wanted.data(), wanted.size() * sizeof(float)), 0)
        << canvas.text();
}

std::vector<Picture> pictures_for(const InputTransform& canvas)
{
    std::vector<Picture> pictures;
    for (const auto& [height, width] : test::sizes_for(canvas))
        for (const int channels : {1, 3})
            pictures.push_back(picture_of<std::uint8_t>(height, width, channels));
    return pictures;
}

TEST(PrepareImages, MakesEveryBitOfTheHostFromPicturesOfMixedSizes)
{
    for (const InputTransform& canvas : every_transform())
        expect_rows_of_the_host(canvas, pictures_for(canvas));
}

TEST(PrepareImages, CopiesFinishedRowsOfDrawingsAndPreparedInputs)
{
    for (const bool channels_last : {false, true}) {
        InputTransform canvas = test::canvas_of(3, 6, 7, Fit::stretch);
        canvas.channels_last = channels_last;
        std::vector<Picture> pictures;
        pictures.push_back(picture_of<float>(9, 11, 3));
        pictures.push_back(picture_of<std::uint8_t>(9, 11, 3));
        pictures.push_back(picture_of<float>(6, 7, 3));
        pictures.back().prepared = true;

        expect_rows_of_the_host(canvas, pictures);
    }
}

TEST(PrepareImages, TakesPreparedInputsOfAnyNumberOfChannels)
{
    std::vector<Picture> pictures;
    pictures.push_back(picture_of<float>(6, 7, 5));
    pictures.back().prepared = true;

    expect_rows_of_the_host(test::canvas_of(5, 6, 7, Fit::exact), pictures);
}

TEST(PrepareImages, MakesTheSameRowsWherePicturesExceedTheirBytes)
{
    const InputTransform canvas = test::canvas_of(1, 12, 10, Fit::cover);

    for (const std::size_t most : {0, 1000, 5000})
        expect_rows_of_the_host(canvas, pictures_for(canvas), most);
}

TEST(PictureBatch, KeepsThePixelsOnceForAllCanvases)
{
    const auto executor = make_host_executor();
    const Picture picture = picture_of<std::uint8_t>(100, 100, 3);
    const std::vector<InputTransform> canvases{test::canvas_of(1, 6, 7, Fit::stretch),
                                               test::canvas_of(3, 8, 8, Fit::cover)};
    PictureBatch batch(*executor, canvases, 1, plenty);

    batch.add(0, 0, 2, picture);

    EXPECT_LT(batch.bytes().shape.count(), 2 * 30000);
    for (std::size_t number = 0; number < 2; ++number)
        EXPECT_EQ(prepared(batch, canvases[number], number), row_of(canvases[number], picture));
}

TEST(PictureBatch, KeepsTheWeightsOnceForAllPicturesOfOneSize)
{
    const auto executor = make_host_executor();
    PictureBatch batch(*executor, {test::canvas_of(1, 50, 50, Fit::stretch)}, 20, plenty);
    batch.add(0, 0, 1, picture_of<std::uint8_t>(8, 16, 1));
    const std::int64_t first = batch.bytes().shape.count();

    for (std::int64_t row = 1; row < 20; ++row)
        batch.add(row, 0, 1, picture_of<std::uint8_t>(8, 16, 1));

    EXPECT_EQ(batch.bytes().shape.count(), first + 19 * 8 * 16);
}

TEST(PictureBatch, GivesEachCanvasAPictureOfItsOwn)
{
    const auto executor = make_host_executor();
    const std::vector<InputTransform> canvases{test::canvas_of(1, 6, 7, Fit::exact),
                                               test::canvas_of(1, 8, 8, Fit::exact)};
    const Picture small = picture_of<std::uint8_t>(6, 7, 1);
    const Picture large = picture_of<float>(8, 8, 1);
    PictureBatch batch(*executor, canvases, 1, plenty);

    batch.add(0, 0, 1, small);
    batch.add(0, 1, 1, large);

    EXPECT_EQ(prepared(batch, canvases[0], 0), row_of(canvases[0], small));
    EXPECT_EQ(prepared(batch, canvases[1], 1), row_of(canvases[1], large));
}

TEST(PictureBatch, ForgetsItsRowsWhenItIsCleared)
{
    const auto executor = make_host_executor();
    const InputTransform canvas = test::canvas_of(1, 6, 7, Fit::stretch);
    PictureBatch batch(*executor, {canvas}, 3, plenty);
    for (std::int64_t row = 0; row < 3; ++row)
        batch.add(row, 0, 1, picture_of<std::uint8_t>(20, 30, 3));

    batch.clear();
    const Picture picture = picture_of<std::uint8_t>(13, 9, 1);
    batch.add(1, 0, 1, picture);

    std::vector<float> wanted(3 * 42, 0.0F);
    std::ranges::copy(row_of(canvas, picture), wanted.begin() + 42);
    EXPECT_EQ(prepared(batch, canvas, 0), wanted);
}

TEST(PictureBatch, RefusesWhatTheHostRefusesInTheSameWords)
{
    const auto executor = make_host_executor();
    const auto refusal = [&](const InputTransform& canvas, const Picture& picture) {
        PictureBatch batch(*executor, {canvas}, 1, plenty);
        return test::error_text([&] { batch.add(0, 0, 1, picture); });
    };
    const Picture bytes = picture_of<std::uint8_t>(4, 5, 1);
    Picture prepared_bytes = picture_of<std::uint8_t>(6, 6, 1);
    prepared_bytes.prepared = true;

    for (const auto& canvas :
         {test::canvas_of(1, 6, 6, Fit::exact), test::canvas_of(3, 6, 5, Fit::crop),
          test::canvas_of(2, 4, 5, Fit::stretch)})
        EXPECT_EQ(refusal(canvas, bytes), test::error_text([&] { row_of(canvas, bytes); }));
    const InputTransform canvas = test::canvas_of(1, 6, 6, Fit::exact);
    EXPECT_EQ(refusal(canvas, prepared_bytes),
              test::error_text([&] { row_of(canvas, prepared_bytes); }));
}

TEST(PictureBatch, ABlankedRowIsZerosInAllCanvases)
{
    const auto executor = make_host_executor();
    const std::vector<InputTransform> canvases{test::canvas_of(1, 6, 7, Fit::stretch),
                                               test::canvas_of(3, 8, 8, Fit::exact)};
    PictureBatch batch(*executor, canvases, 1, plenty);
    // The first canvas takes the picture, the second one refuses it.
    EXPECT_THROW(batch.add(0, 0, 2, picture_of<std::uint8_t>(20, 30, 3)), Error);

    batch.blank(0);

    EXPECT_EQ(prepared(batch, canvases[0], 0), std::vector<float>(42, 0.0F));
    EXPECT_EQ(prepared(batch, canvases[1], 1), std::vector<float>(192, 0.0F));
}

}  // namespace
}  // namespace twinscreen
