#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/image.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

/// Value of the test picture, from integers only, so that Python draws the same one.
int test_value(int y, int x, int c)
{
    return ((x * 37 + y * 91 + c * 53 + (x * y) % 17 * 29) * 7) % 256;
}

template <class T>
Picture test_picture(int height, int width, int channels)
{
    Picture picture{height, width, channels, false,
                    OwnedBatch(element_type_of<T>(), {height, width, channels})};
    auto pixel = picture.pixels.values<T>().begin();
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c) *pixel++ = static_cast<T>(test_value(y, x, c));
    return picture;
}

template <class T>
std::vector<double> resized(const Picture& picture, int height, int width, ResizeFilter filter)
{
    const Picture result = resize(picture, height, width, filter);
    const auto values = result.pixels.values<T>();
    return {values.begin(), values.end()};
}

struct Golden {
    ResizeFilter filter;
    std::vector<double> down;  // 13 x 11 to 4 x 5
    std::vector<double> up;    // its upper left 4 x 3 to 6 x 7
    std::vector<double> rgb;   // 13 x 11 x 3 to 3 x 3 x 3
};

// PIL.Image.resize of Pillow 13.0.0 on uint8.
const std::vector<Golden>& pillow()
{
    static const std::vector<Golden> golden{
        {ResizeFilter::pil_box,
         {100, 86,  103, 92,  121, 157, 119, 136, 116, 128,
          150, 122, 113, 162, 93,  147, 80,  81,  162, 203},
         {0,   0,   3,   3,   3,   6,  6,  125, 125, 75,  75,  75,  25, 25,
          125, 125, 75,  75,  75,  25, 25, 250, 250, 147, 147, 147, 44, 44,
          119, 119, 219, 219, 219, 63, 63, 119, 119, 219, 219, 219, 63, 63},
         {105, 124, 159, 94, 145, 153, 115, 134, 121, 144, 157, 118, 146, 107,
          137, 107, 158, 94, 109, 176, 99,  83,  113, 143, 184, 75,  158}},
        {ResizeFilter::pil_bilinear,
         {98,  104, 109, 99,  140, 142, 125, 141, 131, 125,
          155, 128, 124, 136, 96,  125, 81,  95,  151, 187},
         {0,   0,   2,   3,   4,   6,  6,  63,  59,  49,  39,  29,  19, 16,
          146, 138, 112, 87,  62,  37, 28, 229, 215, 175, 135, 95,  54, 41,
          185, 184, 184, 183, 128, 72, 54, 119, 133, 176, 219, 152, 85, 63},
         {106, 133, 141, 115, 130, 142, 130, 124, 125, 141, 153, 118, 133, 131,
          121, 110, 149, 100, 115, 161, 106, 109, 112, 137, 161, 100, 148}},
        {ResizeFilter::pil_bicubic,
         {96,  97,  105, 95,  144, 146, 125, 149, 131, 125,
          158, 127, 125, 139, 87,  128, 75,  87,  153, 200},
         {0,   0,   0,   0,   2,   4,  5,  54,  50,  42,  33,  24,  15, 12,
          154, 144, 118, 87,  57,  33, 22, 250, 234, 189, 135, 87,  49, 32,
          185, 189, 197, 189, 130, 68, 42, 99,  123, 184, 224, 161, 81, 49},
         {104, 133, 144, 110, 128, 144, 131, 124, 125, 145, 158, 114, 139, 127,
          122, 107, 155, 96,  113, 165, 104, 102, 111, 139, 168, 95,  150}},
    };
    return golden;
}

// adaptive_avg_pool2d, upsample_bilinear2d, upsample_bicubic2d and their _aa forms, called in C++
// from LibTorch 2.11.0 on float32.
const std::vector<Golden>& torch_values()
{
    static const std::vector<Golden> golden{
        {ResizeFilter::torch_area,
         {89.66666,  86.00000,  93.41666,  90.58334,  130.41667, 135.00000, 123.91666,
          135.83333, 126.41666, 116.16666, 148.75000, 120.83334, 115.08334, 140.91667,
          92.50000,  120.66666, 75.08334,  83.25000,  145.16667, 185.75000},
         {0.00000,   0.00000,   1.50000,   3.00000,   4.50000,   6.00000,  6.00000,
          62.50000,  62.50000,  50.75000,  39.00000,  27.25000,  15.50000, 15.50000,
          125.00000, 125.00000, 100.00000, 75.00000,  50.00000,  25.00000, 25.00000,
          250.00000, 250.00000, 198.50000, 147.00000, 95.50000,  44.00000, 44.00000,
          184.50000, 184.50000, 183.75000, 183.00000, 118.25000, 53.50000, 53.50000,
          119.00000, 119.00000, 169.00000, 219.00000, 141.00000, 63.00000, 63.00000},
         {}},
        {ResizeFilter::torch_bilinear,
         {106.65000, 186.87506, 145.50000, 72.12506,  168.97496, 115.15000, 110.82500,
          143.50000, 157.05002, 139.85001, 155.64999, 141.17500, 141.50000, 171.32497,
          59.02504,  74.55000,  40.52499,  154.87500, 160.75002, 182.00003},
         {0.00000,   0.42857,   1.71429,   3.00000,   4.28571,   5.57143,  6.00000,
          62.50000,  59.14286,  49.07143,  39.00000,  28.92857,  18.85714, 15.50000,
          145.83334, 137.42859, 112.21429, 87.00001,  61.78572,  36.57143, 28.16667,
          229.16667, 215.71428, 175.35715, 135.00000, 94.64285,  54.28571, 40.83334,
          184.50000, 184.28572, 183.64285, 183.00000, 127.49999, 71.99999, 53.50000,
          119.00000, 133.28572, 176.14285, 219.00000, 152.14285, 85.28571, 63.00000},
         {}},
        {ResizeFilter::torch_bilinear_antialias,
         {98.05270,  103.38334, 109.00267, 98.48113,  140.22920, 141.60092, 125.45685,
          141.32904, 131.01390, 125.27438, 155.09752, 127.70832, 123.65855, 135.72073,
          96.52097,  125.18665, 81.20721,  95.38292,  151.17224, 187.08759},
         {0.00000,   0.42857,   1.71429,   3.00000,   4.28571,   5.57143,  6.00000,
          62.50000,  59.14286,  49.07143,  39.00000,  28.92857,  18.85714, 15.50000,
          145.83334, 137.42859, 112.21430, 87.00001,  61.78572,  36.57143, 28.16667,
          229.16669, 215.71431, 175.35716, 135.00002, 94.64286,  54.28571, 40.83334,
          184.50000, 184.28571, 183.64285, 183.00000, 127.50000, 71.99999, 53.50000,
          119.00000, 133.28571, 176.14285, 219.00000, 152.14285, 85.28571, 63.00000},
         {}},
        {ResizeFilter::torch_bicubic,
         {117.13583, 210.02261, 152.88281, 64.91103,  174.51688, 94.71052,  94.22029,
          150.26025, 162.40128, 133.81270, 150.78004, 141.55939, 158.11865, 187.61353,
          36.10590,  59.68565,  25.07374,  165.96973, 166.49495, 173.70944},
         {-11.68168, -10.03080, -7.23870,  -3.25000,  0.73870,   3.53079,  5.18167,
          52.80726,  48.78226,  41.97484,  32.25000,  22.52515,  15.71777, 11.69274,
          163.25117, 148.91594, 124.36145, 90.33332,  57.70457,  35.59919, 22.34582,
          258.05832, 233.01994, 189.12527, 131.66667, 81.20507,  49.55551, 29.92678,
          196.92598, 197.20029, 206.57901, 189.75000, 132.61774, 71.46602, 40.57986,
          94.76905,  123.96674, 192.72557, 225.25000, 170.17094, 85.62377, 47.09093},
         {}},
        {ResizeFilter::torch_bicubic_antialias,
         {95.53587,  97.49076,  105.19363, 95.06321,  143.96210, 145.79004, 125.12690,
          148.98547, 130.80862, 125.37054, 158.44243, 126.97018, 124.98270, 138.69408,
          86.66394,  128.52725, 75.09750,  87.14410,  152.52199, 199.65782},
         {-8.84740,  -7.66662,  -5.02517,  -1.73683,  1.55151,   4.19296,  5.37374,
          53.28053,  49.85417,  42.18918,  32.64706,  23.10494,  15.43996, 12.01358,
          154.73827, 143.46510, 118.12914, 87.00002,  56.97893,  33.19422, 22.50962,
          254.46040, 234.49985, 189.26053, 135.00000, 86.27965,  48.79655, 31.77885,
          187.86992, 189.24249, 197.67735, 189.35295, 130.34578, 67.82484, 42.27490,
          99.48203,  122.38307, 184.41328, 223.73685, 161.02803, 80.21294, 48.91474},
         {}},
    };
    return golden;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& wanted,
                 double tolerance, ResizeFilter filter)
{
    ASSERT_EQ(got.size(), wanted.size()) << name_of(filter);
    for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_NEAR(got[i], wanted[i], tolerance) << name_of(filter) << ", value " << i;
}

double cubic(double x, double a)
{
    x = std::abs(x);
    if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
    if (x < 2) return a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a;
    return 0;
}

double naive_area(const std::vector<double>& in, int out_count, int o)
{
    const int n = static_cast<int>(in.size());
    double sum = 0;
    int count = 0;
    for (int i = 0; i < n; ++i)
        if ((i + 1) * out_count > o * n && i * out_count < (o + 1) * n) {
            sum += in[static_cast<std::size_t>(i)];
            ++count;
        }
    return sum / count;
}

/// One output of one axis in the most direct way: all inputs (or border repeats) with the weight
/// that the convention gives to their distance.
double naive_output(ResizeFilter filter, const std::vector<double>& in, int out_count, int o)
{
    const int n = static_cast<int>(in.size());
    const double scale = static_cast<double>(n) / out_count;
    const auto at = [&](int i) { return in[static_cast<std::size_t>(std::clamp(i, 0, n - 1))]; };
    if (filter == ResizeFilter::torch_area) return naive_area(in, out_count, o);
    double sum = 0;
    if (filter == ResizeFilter::torch_bilinear || filter == ResizeFilter::torch_bicubic) {
        const bool linear = filter == ResizeFilter::torch_bilinear;
        const double x = std::max((o + 0.5) * scale - 0.5, linear ? 0.0 : -1e9);
        const int base = static_cast<int>(std::floor(x));
        for (int i = base - 2; i <= base + 3; ++i)
            sum += at(i) * (linear ? std::max(0.0, 1 - std::abs(x - i)) : cubic(x - i, -0.75));
        return sum;
    }
    const double stretch = std::max(1.0, scale);
    double weights = 0;
    for (int i = 0; i < n; ++i) {
        const double x = (i + 0.5 - (o + 0.5) * scale) / stretch;
        double weight = cubic(x, -0.5);
        if (filter == ResizeFilter::pil_box) weight = x > -0.5 && x <= 0.5 ? 1 : 0;
        if (filter == ResizeFilter::pil_bilinear ||
            filter == ResizeFilter::torch_bilinear_antialias)
            weight = std::max(0.0, 1 - std::abs(x));
        sum += weight * at(i);
        weights += weight;
    }
    return sum / weights;
}

/// Columns, then rows; `after` is what happens to a value after each pass.
std::vector<double> naive_resize(ResizeFilter filter, int in_h, int in_w, int out_h, int out_w,
                                 const std::function<double(double)>& after)
{
    std::vector<std::vector<double>> columns(static_cast<std::size_t>(out_w));
    for (int y = 0; y < in_h; ++y) {
        std::vector<double> line;
        for (int x = 0; x < in_w; ++x) line.push_back(test_value(y, x, 0));
        for (int o = 0; o < out_w; ++o)
            columns[static_cast<std::size_t>(o)].push_back(
                in_w == out_w ? line[static_cast<std::size_t>(o)]
                              : after(naive_output(filter, line, out_w, o)));
    }
    std::vector<double> result;
    for (int o = 0; o < out_h; ++o)
        for (const std::vector<double>& column : columns)
            result.push_back(in_h == out_h ? column[static_cast<std::size_t>(o)]
                                           : after(naive_output(filter, column, out_h, o)));
    return result;
}

const ResizeFilter all_filters[] = {
    ResizeFilter::pil_box,        ResizeFilter::pil_bilinear,
    ResizeFilter::pil_bicubic,    ResizeFilter::torch_area,
    ResizeFilter::torch_bilinear, ResizeFilter::torch_bilinear_antialias,
    ResizeFilter::torch_bicubic,  ResizeFilter::torch_bicubic_antialias,
};

constexpr int sizes[][4] = {{13, 11, 4, 5}, {4, 3, 6, 7},   {20, 30, 20, 7}, {31, 17, 9, 17},
                            {9, 9, 9, 9},   {64, 1, 10, 1}, {5, 40, 8, 3},   {2, 2, 1, 1}};

double unchanged(double value) { return value; }
double to_byte(double value) { return std::clamp(std::floor(value + 0.5), 0.0, 255.0); }

TEST(Resize, GivesTheBytesOfPillow)
{
    for (const Golden& golden : pillow()) {
        const Picture grey = test_picture<std::uint8_t>(13, 11, 1);
        const Picture rgb = test_picture<std::uint8_t>(13, 11, 3);
        const Picture small = test_picture<std::uint8_t>(4, 3, 1);

        const auto down = resized<std::uint8_t>(grey, 4, 5, golden.filter);
        const auto up = resized<std::uint8_t>(small, 6, 7, golden.filter);
        const auto colour = resized<std::uint8_t>(rgb, 3, 3, golden.filter);

        expect_near(down, golden.down, 0.0, golden.filter);
        expect_near(up, golden.up, 0.0, golden.filter);
        expect_near(colour, golden.rgb, 0.0, golden.filter);
    }
}

TEST(Resize, GivesTheValuesOfTorch)
{
    constexpr double tolerance = 255e-6;  // float sums of at most 20 terms up to 255
    for (const Golden& golden : torch_values()) {
        const auto down = resized<float>(test_picture<float>(13, 11, 1), 4, 5, golden.filter);
        const auto up = resized<float>(test_picture<float>(4, 3, 1), 6, 7, golden.filter);

        expect_near(down, golden.down, tolerance, golden.filter);
        expect_near(up, golden.up, tolerance, golden.filter);
    }
}

TEST(Resize, AgreesWithADirectSumInDoubleForEveryFilterAndSize)
{
    constexpr double tolerance = 255e-5;  // weights and sums are float
    for (const ResizeFilter filter : all_filters)
        for (const auto& [in_h, in_w, out_h, out_w] : sizes) {
            const auto got =
                resized<float>(test_picture<float>(in_h, in_w, 1), out_h, out_w, filter);

            expect_near(got, naive_resize(filter, in_h, in_w, out_h, out_w, unchanged), tolerance,
                        filter);
        }
}

TEST(Resize, RoundsUint8AfterEachPassForPilAndOnceForTorch)
{
    for (const ResizeFilter filter : all_filters)
        for (const auto& [in_h, in_w, out_h, out_w] : sizes) {
            const bool pil = name_of(filter).substr(0, 3) == "pil";
            auto wanted = naive_resize(filter, in_h, in_w, out_h, out_w, pil ? to_byte : unchanged);
            for (double& value : wanted) value = to_byte(value);

            const auto got = resized<std::uint8_t>(test_picture<std::uint8_t>(in_h, in_w, 1), out_h,
                                                   out_w, filter);

            // Ties may fall either way: the weights of the engine are rounded.
            int different = 0;
            for (std::size_t i = 0; i < got.size(); ++i) {
                EXPECT_NEAR(got[i], wanted[i], 1.0) << name_of(filter);
                different += got[i] != wanted[i] ? 1 : 0;
            }
            EXPECT_LE(different, static_cast<int>(got.size()) / 10 + 2) << name_of(filter);
        }
}

TEST(Resize, TreatsTheChannelsOfAPictureAlike)
{
    for (const ResizeFilter filter : all_filters) {
        const Picture rgb = test_picture<float>(13, 11, 3);
        Picture grey = test_picture<float>(13, 11, 1);
        for (std::size_t i = 0; i < 13 * 11; ++i)
            grey.pixels.values<float>()[i] = rgb.pixels.values<float>()[3 * i + 2];

        const auto all = resized<float>(rgb, 6, 4, filter);
        const auto one = resized<float>(grey, 6, 4, filter);

        for (std::size_t i = 0; i < one.size(); ++i)
            EXPECT_NEAR(all[3 * i + 2], one[i], 1e-4) << name_of(filter);
    }
}

TEST(Resize, OfAUniformPictureIsUniform)
{
    for (const ResizeFilter filter : all_filters) {
        Picture grey = test_picture<std::uint8_t>(40, 30, 1);
        for (auto& value : grey.pixels.values<std::uint8_t>()) value = 201;

        for (const double value : resized<std::uint8_t>(grey, 7, 11, filter))
            EXPECT_EQ(value, 201.0);
    }
}

TEST(ResizeFilter, IsFoundByEveryNameAndNoOther)
{
    for (const ResizeFilter filter : all_filters)
        EXPECT_EQ(resize_filter_named(name_of(filter)), filter);
    EXPECT_EQ(test::error_text([] { resize_filter_named("lanczos"); }),
              "unknown resize filter 'lanczos'\n  known filters: pil_box, pil_bilinear, "
              "pil_bicubic, torch_area, torch_bilinear, torch_bilinear_antialias, "
              "torch_bicubic, torch_bicubic_antialias");
}

}  // namespace
}  // namespace twinscreen
