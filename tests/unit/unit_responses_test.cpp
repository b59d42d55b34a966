#include <gtest/gtest.h>

#include "tests/support/kernel_cases.hpp"

namespace twinscreen {
namespace {

using test::GaborCase;
using test::ProjectionCase;
using test::RowsCase;
using test::SampleCase;

TEST(UnitResponses, GaborCellsDivideTheirDriveByTheEnergyOfTheirPool)
{
    const auto executor = make_emulated_executor();
    const GaborCase c;
    const auto filters = c.filters<double>();
    const auto found = c.responses<double>(*executor);

    for (std::int64_t row = 0; row < c.rows; ++row)
        for (std::size_t cell = 0; cell < c.pair.size(); ++cell) {
            const double* of_row = &filters[static_cast<std::size_t>(row * 12)];
            double pooled = 0.0;
            for (int i = 0; i < 6; ++i) pooled += std::pow(of_row[6 * c.place[cell] + i], 2);
            const double even = of_row[2 * c.pair[cell]];
            const double odd = of_row[2 * c.pair[cell] + 1];
            const double linear = std::max(0.0, c.cosine[cell] * even + c.sine[cell] * odd);
            const double drive =
                std::isnan(c.cosine[cell]) ? even * even + odd * odd : linear * linear;
            EXPECT_NEAR(found[static_cast<std::size_t>(row) * c.pair.size() + cell],
                        60.0 * drive / (0.04 + pooled), 1e-12);
        }
}

/// Bilinear in a map with zeros around it.
double sampled(const SampleCase& c, const std::vector<float>& maps, std::int64_t row, double x,
               double y, std::int64_t channel)
{
    const double column = (x + 1.0) / 2.0 * double(c.width - 1);
    const double line = (y + 1.0) / 2.0 * double(c.height - 1);
    double sum = 0.0;
    for (std::int64_t h = 0; h < c.height; ++h)
        for (std::int64_t w = 0; w < c.width; ++w) {
            const double weight = std::max(0.0, 1.0 - std::abs(line - double(h))) *
                                  std::max(0.0, 1.0 - std::abs(column - double(w)));
            sum += weight * double(maps[static_cast<std::size_t>(
                                ((row * c.height + h) * c.width + w) * c.channels + channel)]);
        }
    return sum;
}

TEST(UnitResponses, SampledUnitsReadTheMapAtTheirPlaceAndMoveWithTheEye)
{
    const auto executor = make_emulated_executor();
    const SampleCase c;
    const auto maps = c.maps();
    for (const bool shifted : {false, true}) {
        const auto found = c.responses(*executor, shifted);
        for (std::int64_t row = 0; row < c.rows; ++row)
            for (std::int64_t unit = 0; unit < 4; ++unit) {
                const auto at = static_cast<std::size_t>(row * 2);
                const auto place = static_cast<std::size_t>(unit * 2);
                const double x = c.positions[place] + (shifted ? double(c.shifts()[at]) : 0.0);
                const double y =
                    c.positions[place + 1] + (shifted ? double(c.shifts()[at + 1]) : 0.0);
                double drive = double(c.bias()[static_cast<std::size_t>(unit)]);
                for (std::int64_t channel = 0; channel < c.channels; ++channel)
                    drive +=
                        double(
                            c.features()[static_cast<std::size_t>(unit * c.channels + channel)]) *
                        sampled(c, maps, row, x, y, channel);
                EXPECT_NEAR(found[static_cast<std::size_t>(row * 4 + unit)],
                            (drive > 0.0 ? drive : std::expm1(drive)) + 1.0, 1e-5);
            }
    }
}

template <class T>
void expect_projection_of_the_host()
{
    const auto executor = make_emulated_executor();
    const ProjectionCase c;
    const auto values = c.values<T>();
    std::vector<T> wanted(static_cast<std::size_t>(c.rows * c.projection.outputs()));
    for (std::size_t row = 0; row < static_cast<std::size_t>(c.rows); ++row)
        c.projection.project(std::span(values).subspan(row * 1000, 1000),
                             std::span(wanted).subspan(row * 64, 64));
    EXPECT_TRUE(test::same_bits(c.projected<T>(*executor), wanted));
}

TEST(UnitResponses, AProjectionByOutputsGivesEveryBitOfTheOneByInputs)
{
    expect_projection_of_the_host<float>();
    expect_projection_of_the_host<double>();
}

TEST(ResponseRows, OutputsBecomeColumnsOfUnitsAndMeansOfAreas)
{
    const auto executor = make_emulated_executor();
    const RowsCase c;
    const auto outputs = c.outputs();
    const auto two = test::values_from<float>(8, static_cast<std::size_t>(c.rows * 2));
    const RowsCase::Tables found = c.made(*executor);

    for (std::size_t row = 0; row < static_cast<std::size_t>(c.rows); ++row) {
        std::vector<float> units(9, 0.0F);
        for (std::size_t i = 0; i < 4; ++i) {
            if (row >= 2) units[5 + i] = outputs[(row - 2) * 4 + i];
        }
        for (std::size_t i = 0; i < 4; ++i) units[1 + i] = outputs[row * 4 + i];
        for (std::size_t unit = 0; unit < 9; ++unit)
            EXPECT_EQ(found.units[row * 9 + unit], units[unit]) << row << " " << unit;

        const double again2 = row >= 1 ? double(two[(row - 1) * 2]) : 0.0;
        const double again0 = row >= 1 ? double(two[(row - 1) * 2 + 1]) : 0.0;
        const double area0 =
            double(two[row * 2 + 1]) + again0 + 0.5 * double(units[1]) + 0.5 * double(units[4]);
        const double area2 = double(two[row * 2]) + again2 +
                             (double(units[2]) + double(units[3]) + double(units[8])) / 3.0;
        EXPECT_NEAR(found.areas[row * 3], area0, 1e-6);
        EXPECT_EQ(found.areas[row * 3 + 1], 0.0F);
        EXPECT_NEAR(found.areas[row * 3 + 2], area2, 1e-6);
    }
}

TEST(PlacedFolds, HaveEveryBitOfTheAccumulatorsOfTheHost)
{
    const auto executor = make_emulated_executor();
    const test::FoldsCase c;
    const auto wanted = c.by_the_accumulators();

    EXPECT_EQ(c.where_it_works(*executor), wanted);
    EXPECT_EQ(wanted.moments[4], 0.0) << "a unit without a response";
    EXPECT_GT(wanted.moments[5], 0.0) << "a unit whose first responses are missing";
}

TEST(ResponseRows, ThatAreNotValidBecomeNan)
{
    const auto found = test::blanked(*make_emulated_executor());

    EXPECT_EQ(found[0] + found[1], 3.0F);
    for (std::size_t at = 2; at < 6; ++at) EXPECT_TRUE(std::isnan(found[at]));
}

TEST(ResponseRows, AreAddedToAnAreaWithTheirShare)
{
    const auto found = test::shared_sums(*make_emulated_executor());

    for (std::size_t row = 0; row < 2; ++row)
        for (std::size_t column = 0; column < 5; ++column) {
            const std::size_t at = (row * 5 + column) * 2;
            const float value = column < 3 ? float(row * 3 + column + 1) : 0.0F;
            EXPECT_EQ(found[at], 100.0F);
            EXPECT_EQ(found[at + 1], 100.0F + 0.75F * value);
        }
}

}  // namespace
}  // namespace twinscreen
