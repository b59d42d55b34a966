#include "kernels/permuted_labels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "engine/base/error.hpp"
#include "kernels/draw_words.hpp"
#include "kernels/vectorise.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t words = label_block / 4;  // one gives four permutations
constexpr std::size_t lanes = 16;               // partial sums: fixed, whatever the processor
// Sums of 4 areas, of their 4 squares and of their 6 products.
constexpr std::size_t sum_count = 2 * most_labels + LabelCorrelations::most_pairs;
using LaneSums = std::array<std::array<double, lanes>, sum_count>;

/// A fraction of 2^32 as digits: the swap at each place is the next digit to the base of the labels
/// that are left there.
struct SwapBases {
    std::array<std::uint32_t, 3> base{};
    std::array<std::array<std::uint32_t, 3>, 3> last{};  // fraction with a digit of at most 0, 1, 2

    explicit SwapBases(std::uint32_t labels)
    {
        constexpr std::uint64_t all_ones = 0xFFFFFFFFU;
        for (std::uint32_t place = 0; place < 3; ++place) {
            base[place] = place < labels ? labels - place : 1;
            for (std::uint64_t digit = 0; digit < 3; ++digit)
                last[place][digit] = static_cast<std::uint32_t>(
                    std::min(all_ones, (((digit + 1) << 32U) - 1) / base[place]));
        }
    }
};

// GCC and Clang turn these into the widest vectors of the processor; loops over arrays stay narrow.
using Floats = float __attribute__((vector_size(lanes * sizeof(float))));
using Words = std::uint32_t __attribute__((vector_size(lanes * sizeof(std::uint32_t))));

template <class Vector, class T>
void load(Vector& vector, const T* values)
{
    std::memcpy(&vector, values, sizeof(vector));
}

TWINSCREEN_VECTOR_CLONES
void fill_codes(const std::uint32_t* __restrict__ drawn, const SwapBases& bases,
                LabelCode* __restrict__ codes)
{
    for (std::size_t word = 0; word < words; word += lanes) {
        Words fraction;
        load(fraction, drawn + word);
        for (std::size_t quarter = 0; quarter < 4; ++quarter) {
            Words code{};
            for (std::size_t place = 0; place < 3; ++place) {
                Words swap{};
                for (std::size_t digit = 0; digit < 3 - place; ++digit)
                    swap += fraction > bases.last[place][digit] ? Words{} + 1 : Words{};
                code |= swap << static_cast<unsigned>(2 * place);
                fraction *= bases.base[place];
            }
            std::memcpy(codes + quarter * words + word, &code, sizeof(code));
        }
    }
}

/// Adds one block of images. Products are summed in float over 32 images a lane, then in double.
///
/// columns  [most_labels, padded]  from the first image of the block on
TWINSCREEN_VECTOR_CLONES
void add_block(const float* __restrict__ columns, std::size_t padded,
               const LabelCode* __restrict__ codes, LaneSums& total)
{
    std::array<Floats, sum_count> sums{};
    for (std::size_t first = 0; first < label_block; first += lanes) {
        Words code;
        load(code, codes + first);
        const Words s0 = code & 3;
        const Words s1 = (code >> 2) & 3;
        const Words s2 = code >> 4;
        Floats a;
        Floats b;
        Floats c;
        Floats d;
        load(a, columns + first);
        load(b, columns + padded + first);
        load(c, columns + 2 * padded + first);
        load(d, columns + 3 * padded + first);
        // As `relabel`: a swaps with the s0-th after it, then b, then c.
        const Floats a0 = a;
        a = s0 == 1 ? b : a;
        a = s0 == 2 ? c : a;
        a = s0 == 3 ? d : a;
        b = s0 == 1 ? a0 : b;
        c = s0 == 2 ? a0 : c;
        d = s0 == 3 ? a0 : d;
        const Floats b0 = b;
        b = s1 == 1 ? c : b;
        b = s1 == 2 ? d : b;
        c = s1 == 1 ? b0 : c;
        d = s1 == 2 ? b0 : d;
        const Floats c0 = c;
        c = s2 == 0 ? c0 : d;
        d = s2 == 0 ? d : c0;
        sums[0] += a;
        sums[1] += b;
        sums[2] += c;
        sums[3] += d;
        sums[4] += a * a;
        sums[5] += b * b;
        sums[6] += c * c;
        sums[7] += d * d;
        sums[8] += a * b;
        sums[9] += a * c;
        sums[10] += a * d;
        sums[11] += b * c;
        sums[12] += b * d;
        sums[13] += c * d;
    }
    for (std::size_t sum = 0; sum < sum_count; ++sum)
        for (std::size_t lane = 0; lane < lanes; ++lane)
            total[sum][lane] += static_cast<double>(sums[sum][lane]);
}

LabelCorrelations::Pairs correlations_of(const LaneSums& lane_sums, double images)
{
    std::array<double, sum_count> sums{};
    for (std::size_t sum = 0; sum < sum_count; ++sum)
        for (const double lane : lane_sums[sum]) sums[sum] += lane;
    LabelCorrelations::Pairs pairs{};
    std::size_t pair = 0;
    for (std::size_t a = 0; a < most_labels; ++a)
        for (std::size_t b = a + 1; b < most_labels; ++b, ++pair) {
            const double aa = sums[most_labels + a] - sums[a] * sums[a] / images;
            const double bb = sums[most_labels + b] - sums[b] * sums[b] / images;
            const double ab = sums[2 * most_labels + pair] - sums[a] * sums[b] / images;
            pairs[pair] = ab / std::sqrt(aa * bb);
        }
    return pairs;
}

/// Deviations from the mean of an area; empty where it does not vary but by rounding.
std::vector<double> deviations(std::span<const float> responses, std::size_t areas,
                               std::size_t area)
{
    std::vector<double> values;
    double sum = 0.0;
    for (std::size_t at = area; at < responses.size(); at += areas) {
        values.push_back(static_cast<double>(responses[at]));
        sum += values.back();
    }
    const auto images = static_cast<double>(values.size());
    const double mean = sum / images;
    double squares = 0.0;
    for (double& value : values) {
        value -= mean;
        squares += value * value;
    }
    if (!(squares > 1e-24 * mean * mean * images)) values.clear();
    return values;
}

double correlation(const std::vector<double>& x, const std::vector<double>& y)
{
    if (x.empty() || y.empty()) return std::numeric_limits<double>::quiet_NaN();
    double xx = 0.0;
    double yy = 0.0;
    double xy = 0.0;
    for (std::size_t at = 0; at < x.size(); ++at) {
        xx += x[at] * x[at];
        yy += y[at] * y[at];
        xy += x[at] * y[at];
    }
    return xy / std::sqrt(xx * yy);
}

}  // namespace

void draw_labels(DrawAddress at, std::uint32_t block, std::uint32_t labels,
                 std::span<LabelCode, label_block> codes)
{
    TWINSCREEN_REQUIRE(labels >= 2 && labels <= most_labels, internal,
                       "labels of {} areas cannot be permuted (2 to {})", labels, most_labels);
    std::array<std::uint32_t, words> drawn;
    draw_words(at, block * static_cast<std::uint32_t>(words / 4), drawn);
    fill_codes(drawn.data(), SwapBases(labels), codes.data());
}

LabelCorrelations::LabelCorrelations(std::span<const float> responses, std::uint32_t areas)
    : images_(responses.size() / areas),
      areas_(areas),
      padded_((images_ + label_block - 1) / label_block * label_block),
      columns_(most_labels * padded_, 0.0F)
{
    TWINSCREEN_REQUIRE(areas >= 2 && areas <= most_labels && images_ >= 2, internal,
                       "labels of {} areas in {} images", areas, images_);
    double sum = 0.0;
    for (const float value : responses) sum += static_cast<double>(value);
    TWINSCREEN_REQUIRE(!std::isnan(sum), internal, "responses to relabel contain NaN");
    const double mean = sum / static_cast<double>(responses.size());
    for (std::size_t image = 0; image < images_; ++image)
        for (std::size_t area = 0; area < areas; ++area)
            columns_[area * padded_ + image] =
                static_cast<float>(static_cast<double>(responses[image * areas + area]) - mean);

    // Sums of single floats would lose areas that vary little beside their distance.
    std::array<std::vector<double>, most_labels> apart;
    for (std::size_t area = 0; area < areas; ++area)
        apart[area] = deviations(responses, areas, area);
    for (std::size_t a = 0; a < areas; ++a)
        for (std::size_t b = a + 1; b < areas; ++b)
            observed_[label_pair(a, b)] = correlation(apart[a], apart[b]);
}

LabelCorrelations::Pairs LabelCorrelations::permuted(DrawAddress at) const
{
    LaneSums sums{};
    std::array<LabelCode, label_block> codes{};
    for (std::size_t first = 0; first < padded_; first += label_block) {
        draw_labels(at, static_cast<std::uint32_t>(first / label_block), areas_, codes);
        add_block(columns_.data() + first, padded_, codes.data(), sums);
    }
    return correlations_of(sums, static_cast<double>(images_));
}

}  // namespace twinscreen
