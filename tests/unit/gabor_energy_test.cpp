#include "engine/twin/gabor_energy.hpp"

#include <algorithm>
#include <numbers>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "tests/unit/twin_support.hpp"

namespace twinscreen {
namespace {

using test::respond;

constexpr double pi = std::numbers::pi;

Twin gabor(const std::string& parameters, Precision precision = Precision::f32)
{
    ConfigDocument campaign = ConfigDocument::parse(
        "[twin]\nfamily = \"gabor_energy\"\n" + parameters, "campaign.toml", ".");
    ConfigSection section = campaign.root().child("twin");
    Twin twin = make_twin(section, precision);
    campaign.throw_if_invalid();
    return twin;
}

TEST(GaborEnergy, CountsTheMemoryOfItsCellsAsWellAsThatOfItsFilters)
{
    std::string frequencies = "0.01";
    for (int i = 0; i < 100; ++i) frequencies += ", 0.01";

    // 7 * 10^7 pairs of 64 pixels and 2.7 * 10^10 cells
    EXPECT_NE(test::error_text([&] {
                  gabor(
                      "size = 8\npositions = 64\nspacing = 0.001\norientations = 180\n"
                      "phases = 360\nspatial_frequencies = [" +
                      frequencies + "]\n");
              }).find("the gabor_energy population needs 10"),
              std::string::npos);
}

/// A grating that fills the canvas; phase is that of its centre.
std::vector<double> grating(int size, double degrees_per_pixel, double cycles_per_degree,
                            double orientation, double phase, double contrast)
{
    std::vector<double> image;
    const double middle = (size - 1) / 2.0;
    for (int i = 0; i < size; ++i)
        for (int j = 0; j < size; ++j) {
            const double x = (j - middle) * degrees_per_pixel;
            const double y = (middle - i) * degrees_per_pixel;
            const double across = -x * std::sin(orientation) + y * std::cos(orientation);
            image.push_back(contrast * std::cos(2 * pi * cycles_per_degree * across - phase));
        }
    return image;
}

const std::string one_place = "positions = 1\nsize = 48\n";

std::size_t unit_at(const Twin& twin, const std::string& kind, double orientation, double frequency,
                    double phase = 0.0)
{
    for (std::size_t row = 0; row < twin.units.rows(); ++row)
        if (twin.units.text("kind", row) == kind &&
            std::abs(twin.units.number("orientation", row) - orientation) < 1e-9 &&
            std::abs(twin.units.number("spatial_frequency", row) - frequency) < 1e-9 &&
            (kind == "complex" || std::abs(twin.units.number("phase", row) - phase) < 1e-9))
            return row;
    ADD_FAILURE() << "no such unit";
    return 0;
}

TEST(GaborEnergy, DefaultsGiveAPopulationOfV1Cells)
{
    const Twin twin = gabor("");

    EXPECT_EQ(twin.units.rows(), 25U * 3 * 8 * 5);
    EXPECT_EQ(twin.units.text("area", 0), "V1");
    EXPECT_EQ(twin.units.text("id", 1), "p00/sf0.5/ori0/ph0");
    EXPECT_EQ(twin.units.find("orientation")->unit, "deg");
    EXPECT_EQ(twin.spec.response_unit, "spikes/s");
    EXPECT_DOUBLE_EQ(twin.parts[0].backbone->input().degrees_per_pixel, 0.1);
}

TEST(GaborEnergy, PairsAreOrthogonalOfEqualNormAndBlindToUniformScreens)
{
    GaborParameters parameters;
    parameters.size = 33;
    parameters.positions = 3;
    parameters.spacing = 1.3;  // the outer fields are cut by the edge of the canvas
    const GaborPopulation population(parameters);
    const std::size_t columns = 2 * population.pairs();

    for (std::size_t pair = 0; pair < population.pairs(); ++pair) {
        double even = 0, odd = 0, both = 0, even_sum = 0, odd_sum = 0;
        for (std::size_t at = 0; at < population.pixels(); ++at) {
            const double* f = &population.filters()[at * columns + 2 * pair];
            even += f[0] * f[0];
            odd += f[1] * f[1];
            both += f[0] * f[1];
            even_sum += f[0];
            odd_sum += f[1];
        }
        EXPECT_NEAR(odd / even, 1.0, 1e-9);
        EXPECT_NEAR(both / even, 0.0, 1e-9);
        EXPECT_NEAR(even_sum, 0.0, 1e-9);
        EXPECT_NEAR(odd_sum / std::sqrt(odd), 0.0, 1e-2);
    }
}

TEST(GaborEnergy, ResponsesEqualANaiveEvaluation)
{
    Twin twin = gabor(one_place + "orientations = 4\n");
    GaborParameters parameters;
    parameters.positions = 1;
    parameters.size = 48;
    parameters.orientations = 4;
    const GaborPopulation population(parameters);
    const auto image = grating(48, 0.1, 1.7, 0.6, 0.3, 0.5);

    const auto found = respond<float>(twin, image);

    const std::size_t columns = 2 * population.pairs();
    std::vector<double> linear(columns, 0.0);
    double pool = parameters.semi_saturation * parameters.semi_saturation;
    for (std::size_t c = 0; c < columns; ++c) {
        for (std::size_t at = 0; at < image.size(); ++at)
            linear[c] += image[at] * population.filters()[at * columns + c];
        pool += linear[c] * linear[c];
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto& cell = population.cells()[i];
        const double even = linear[2 * cell.pair];
        const double odd = linear[2 * cell.pair + 1];
        const double half = std::max(0.0, even * std::cos(cell.phase) + odd * std::sin(cell.phase));
        const double drive = cell.complex ? even * even + odd * odd : half * half;
        EXPECT_NEAR(found[i], parameters.max_rate * drive / pool, 1e-4);
    }
}

TEST(GaborEnergy, TheClosedFormOptimumBeatsEveryPerturbation)
{
    const std::string parameters =
        one_place + "orientations = 4\nspatial_frequencies = [2.0]\nnormalisation = false\n";
    Twin twin = gabor(parameters, Precision::f64);
    GaborParameters same;
    same.positions = 1;
    same.size = 48;
    same.orientations = 4;
    same.spatial_frequencies = {2.0};
    const GaborPopulation population(same);
    unsigned state = 7;
    for (const std::size_t unit : {std::size_t{0}, std::size_t{7}}) {  // complex, simple
        for (const double phase : {0.0, 1.1}) {
            const auto best = population.optimal_contrast(unit, phase);
            const double top = respond<double>(twin, best)[unit];
            for (int trial = 0; trial < 20; ++trial) {
                std::vector<double> other = best;
                double norm = 0.0;
                for (double& value : other) {
                    state = state * 1664525U + 1013904223U;
                    value += 0.01 * (double(state >> 8) / double(1U << 24) - 0.5);
                    norm += value * value;
                }
                for (double& value : other) value /= std::sqrt(norm);
                EXPECT_LT(respond<double>(twin, other)[unit], top);
            }
        }
    }
    // all optimal images of a complex cell are equally good
    EXPECT_NEAR(respond<double>(twin, population.optimal_contrast(0, 0.0))[0],
                respond<double>(twin, population.optimal_contrast(0, 2.0))[0], 1e-9);
}

TEST(GaborEnergy, CellsPreferTheirOwnOrientationAndFrequency)
{
    Twin twin = gabor(one_place);
    const std::size_t unit = unit_at(twin, "complex", 45.0, 2.0);
    const auto answer = [&](double frequency, double orientation) {
        return respond<float>(twin,
                              grating(48, 0.1, frequency, orientation * pi / 180, 0.0, 0.5))[unit];
    };

    const double preferred = answer(2.0, 45.0);

    EXPECT_GT(preferred, 2 * answer(2.0, 67.5));
    EXPECT_GT(answer(2.0, 67.5), answer(2.0, 90.0));
    EXPECT_LT(answer(2.0, 135.0), 0.02 * preferred);
    EXPECT_GT(preferred, 2 * answer(1.0, 45.0));
    EXPECT_GT(preferred, 2 * answer(4.0, 45.0));
}

TEST(GaborEnergy, ComplexCellsIgnorePhaseAndSimpleCellsFollowIt)
{
    Twin twin = gabor(one_place);
    const std::size_t complex = unit_at(twin, "complex", 0.0, 2.0);
    const std::size_t simple = unit_at(twin, "simple", 0.0, 2.0, 90.0);
    const auto at_phase = [&](double phase) {
        return respond<float>(twin, grating(48, 0.1, 2.0, 0.0, phase, 0.5));
    };

    const auto zero = at_phase(0.0);
    const auto quarter = at_phase(pi / 2);
    const auto three_quarters = at_phase(3 * pi / 2);

    EXPECT_NEAR(quarter[complex] / zero[complex], 1.0, 0.03);
    EXPECT_GT(quarter[simple], 20.0);
    EXPECT_LT(zero[simple], 0.01 * quarter[simple]);
    EXPECT_EQ(three_quarters[simple], 0.0);
}

TEST(GaborEnergy, NormalisationSaturatesWithContrast)
{
    Twin normalised = gabor(one_place);
    Twin plain = gabor(one_place + "normalisation = false\n");
    const std::size_t unit = unit_at(normalised, "complex", 0.0, 2.0);
    const auto answer = [&](Twin& twin, double contrast) {
        return respond<float>(twin, grating(48, 0.1, 2.0, 0.0, 0.0, contrast))[unit];
    };

    EXPECT_NEAR(answer(plain, 1.0), 1.0, 0.02);  // by definition of the gain
    EXPECT_NEAR(answer(plain, 1.0) / answer(plain, 0.5), 4.0, 1e-3);
    EXPECT_LT(answer(normalised, 1.0) / answer(normalised, 0.5), 1.2);
    EXPECT_GT(answer(normalised, 0.1) / answer(normalised, 0.05), 2.5);
    EXPECT_LT(answer(normalised, 1.0), 60.0);
}

TEST(GaborEnergy, GradientsMatchFiniteDifferences)
{
    const auto image = grating(48, 0.1, 1.7, 0.6, 0.3, 0.5);
    for (const char* rule : {"true", "false"}) {
        Twin twin = gabor(one_place + "normalisation = " + rule + "\n", Precision::f64);
        test::expect_gradient_matches_differences(twin, image, {}, 1e-5);
    }
}

TEST(GaborEnergy, KeptUnitsStillFeelTheWholePool)
{
    Twin all = gabor(one_place);
    Twin some = gabor(one_place + "units = \"kind == 'complex' and orientation == 45\"\n");
    const auto image = grating(48, 0.1, 2.0, 0.4, 0.0, 0.5);
    const auto expected = respond<float>(all, image);

    const auto found = respond<float>(some, image);

    ASSERT_EQ(found.size(), 3U);
    EXPECT_EQ(found[2], expected[unit_at(all, "complex", 45.0, 2.0)]);
    EXPECT_EQ(some.parts[0].backbone, all.parts[0].backbone);
    EXPECT_EQ(all.parts[0].readout->fold({}), nullptr);
}

TEST(GaborEnergy, MistakesAreReportedTogether)
{
    const std::string text = test::error_text(
        [] { gabor("spatial_frequencies = [1.0, 4.0]\norientations = 0\nbandwith = 1.5\n"); });

    EXPECT_NE(text.find("below 2.97 cycles/deg, where half of the bandwidth reaches the "
                        "Nyquist frequency of the canvas"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("orientations = 0"), std::string::npos) << text;
}

TEST(GaborEnergy, AMisspeltKeyIsRefused)
{
    const std::string text = test::error_text([] { gabor("bandwith = 1.5\n"); });

    EXPECT_NE(text.find("did you mean 'bandwidth'?"), std::string::npos) << text;
}

}  // namespace
}  // namespace twinscreen
