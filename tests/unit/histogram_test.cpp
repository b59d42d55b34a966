#include "kernels/histogram.hpp"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/normal.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

ConstBatch batch_of(const std::vector<float>& values, std::size_t columns)
{
    return {values.data(), ElementType::f32,
            Shape{static_cast<std::int64_t>(values.size() / columns),
                  static_cast<std::int64_t>(columns)}};
}

std::vector<std::uint64_t> counts_of(const Histogram& histogram)
{
    const auto counts = values_of<std::uint64_t>(histogram.counts());
    return {counts.begin(), counts.end()};
}

TEST(Histogram, CountsBinsEdgesAndWhatLiesOutside)
{
    const float nan = std::numeric_limits<float>::quiet_NaN();
    Histogram histogram({0.0F, 1.0F, 2.0F}, 1);

    histogram.add_rows(batch_of({-0.1F, 0.0F, 0.99F, 1.0F, 2.0F, 2.1F, nan}, 1));

    EXPECT_EQ(counts_of(histogram), (std::vector<std::uint64_t>{1, 2, 2, 1}));
}

TEST(Histogram, OfEvenAndOfUnevenEdgesAgreesWithComparisons)
{
    constexpr std::size_t columns = 70;
    std::vector<float> values(columns * 50);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = normal_draws({5, DrawStream::synthetic_noise, i, 0})[0];
    std::vector<float> even = Histogram::even_edges(-1.7F, 2.3F, 13);
    std::vector<float> uneven{-2.0F, -0.5F, 0.0F, 0.1F, 3.0F};
    values[3] = even[5];
    values[4] = std::nextafter(even[6], -10.0F);

    for (const std::vector<float>& edges : {even, uneven}) {
        Histogram histogram(edges, columns);
        histogram.add_rows(batch_of(values, columns));

        std::vector<std::uint64_t> wanted(columns * (edges.size() + 1), 0);
        for (std::size_t i = 0; i < values.size(); ++i) {
            std::size_t counter = 0;
            while (counter < edges.size() && values[i] >= edges[counter]) ++counter;
            if (values[i] == edges.back()) --counter;
            ++wanted[(i % columns) * (edges.size() + 1) + counter];
        }
        EXPECT_EQ(counts_of(histogram), wanted);
    }
}

TEST(Histogram, OfTwoPartsMergedEqualsOnePass)
{
    const std::vector<float> values{0.1F, 0.9F, 0.5F, 7.0F};
    const std::vector<float> edges = Histogram::even_edges(0.0F, 1.0F, 4);
    Histogram whole(edges, 2);
    Histogram a(edges, 2);
    Histogram b(edges, 2);
    whole.add_rows(batch_of(values, 2));
    a.add_rows(batch_of({values[0], values[1]}, 2));
    b.add_rows(batch_of({values[2], values[3]}, 2));

    a.merge(b);

    EXPECT_EQ(counts_of(a), counts_of(whole));
}

TEST(Histogram, RefusesEdgesThatDoNotGrow)
{
    EXPECT_EQ(test::error_text([] {
                  Histogram({0.0F, 0.0F}, 1);
              }),
              "histogram edge 1 is 0 (edges must be finite and grow)");
}

}  // namespace
}  // namespace twinscreen
