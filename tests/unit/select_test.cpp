#include "kernels/select.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/random.hpp"

namespace twinscreen {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

/// Few different values, so that there are many ties; some NaN and infinities.
std::vector<float> test_rows(std::size_t rows, std::size_t columns)
{
    std::vector<float> values(rows * columns);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto bits = draw_bits({3, DrawStream::synthetic_noise, i, 0});
        values[i] = static_cast<float>(bits[0] % 40) - 20.0F;
        if (bits[1] % 29 == 0) values[i] = nan;
        if (bits[1] % 31 == 0) values[i] = infinity;
        if (bits[1] % 37 == 0) values[i] = -infinity;
    }
    return values;
}

ConstBatch batch_of(const std::vector<float>& values, std::size_t first_row, std::size_t rows,
                    std::size_t columns)
{
    return {values.data() + first_row * columns, ElementType::f32,
            Shape{static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns)}};
}

std::vector<Ranked> naive(const std::vector<float>& values, std::size_t columns, std::size_t column,
                          std::size_t kept, Extreme extreme)
{
    std::vector<Ranked> all;
    for (std::size_t row = 0; row < values.size() / columns; ++row)
        if (const float value = values[row * columns + column]; !std::isnan(value))
            all.push_back({value, 100 + row});
    std::stable_sort(all.begin(), all.end(), [&](const Ranked& a, const Ranked& b) {
        return extreme == Extreme::largest ? a.value > b.value : a.value < b.value;
    });
    all.resize(std::min(kept, all.size()));
    return all;
}

TEST(Selection, KeepsTheExtremesOfASortWithTiesByItemNumber)
{
    constexpr std::size_t columns = 131;  // two blocks and a rest
    const std::vector<float> values = test_rows(200, columns);
    for (const Extreme extreme : {Extreme::largest, Extreme::smallest}) {
        Selection selection(extreme, columns, 7);

        selection.add_rows(batch_of(values, 0, 90, columns), 100);
        selection.add_rows(batch_of(values, 90, 110, columns), 190);

        for (std::size_t c = 0; c < columns; ++c)
            EXPECT_EQ(selection.column(c), naive(values, columns, c, 7, extreme));
    }
}

TEST(Selection, OfShardsStoredLoadedAndMergedEqualsOnePass)
{
    constexpr std::size_t columns = 9;
    const std::vector<float> values = test_rows(120, columns);
    Selection merged(Extreme::smallest, columns, 5);
    for (std::size_t first = 0; first < 120; first += 3) {
        Selection shard(Extreme::smallest, columns, 5);
        shard.add_rows(batch_of(values, first, 3, columns), 100 + first);
        OwnedBatch stored_values(ElementType::f32, {columns, 5});
        OwnedBatch stored_items(ElementType::u64, {columns, 5});
        shard.store(stored_values.view(), stored_items.view());

        merged.merge(Selection::load(Extreme::smallest, stored_values.view(), stored_items.view()));
    }

    for (std::size_t c = 0; c < columns; ++c)
        EXPECT_EQ(merged.column(c), naive(values, columns, c, 5, Extreme::smallest));
}

TEST(Selection, OfFewerValuesThanPlacesSaysWhichAreEmpty)
{
    const std::vector<float> values{nan, 4.0F};
    Selection selection(Extreme::largest, 1, 3);
    OwnedBatch stored_values(ElementType::f32, {1, 3});
    OwnedBatch stored_items(ElementType::u64, {1, 3});

    selection.add_rows(batch_of(values, 0, 2, 1), 100);
    selection.store(stored_values.view(), stored_items.view());

    EXPECT_EQ(selection.column(0), (std::vector<Ranked>{{4.0F, 101}}));
    EXPECT_EQ(stored_items.values<std::uint64_t>()[0], 101U);
    EXPECT_EQ(stored_items.values<std::uint64_t>()[1], Selection::no_item);
    EXPECT_TRUE(std::isnan(stored_values.values<float>()[2]));
}

}  // namespace
}  // namespace twinscreen
