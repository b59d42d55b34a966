#include <algorithm>

#include <gtest/gtest.h>

#include "engine/twin/mouse_network.hpp"
#include "tests/unit/twin_support.hpp"

namespace twinscreen {
namespace {

using test::relative_error;
using test::respond;

#define MOUSE_BUNDLES_OR_SKIP(bundles) \
    TWINSCREEN_BUNDLES_OR_SKIP(bundles, "convert_sensorium.py", "sensorium-mouse-v1-twins")

struct Covariates {
    OwnedBatch behaviour;
    OwnedBatch pupil;
    std::vector<NamedBatch> named() const
    {
        return {{"behavior", behaviour.view()}, {"pupil", pupil.view()}};
    }
};

Covariates covariates_of(const std::vector<double>& behaviour, const std::vector<double>& pupil)
{
    const auto rows = static_cast<std::int64_t>(pupil.size() / 2);
    return {test::batch_from<float>(behaviour, Shape{rows, 3}),
            test::batch_from<float>(pupil, Shape{rows, 2})};
}

void expect_reference(const std::filesystem::path& bundle, const std::filesystem::path& data,
                      const std::string& model)
{
    const auto folder = data / "sensorium-mouse-v1-twins/reference";
    const auto input = test::read_npy(folder / "input_12x1x36x64.npy").values;
    const Covariates covariates = covariates_of(test::read_npy(folder / "behavior_12x3.npy").values,
                                                test::read_npy(folder / "pupil_12x2.npy").values);
    const auto expected = test::read_npy(folder / (model + "_rates.npy")).values;
    Twin twin = load_bundle(bundle);

    const auto fast = respond<float>(twin, input, covariates.named());
    const auto graph = respond<float>(twin, input, covariates.named(), true);

    // rates near 0 are ELU + 1: what is relative there is the number before the +1
    EXPECT_LT(relative_error(fast, expected, 0.1), 1e-4);
    EXPECT_LT(relative_error(graph, expected, 0.1), 1e-4);
}

TEST(Sensorium, CnnGivesTheReferenceRates)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "mouse_cnn", bundles_data, "sensorium_sota_model");
}

TEST(Sensorium, LinearModelGivesTheReferenceRates)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "mouse_ln", bundles_data, "sensorium_ln_model");
}

TEST(Sensorium, CnnWithBehaviourAndPupilGivesTheReferenceRates)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "mouse_cnn_behavior", bundles_data, "sensorium_p_sota_model");
}

TEST(Sensorium, LinearModelWithBehaviourAndPupilGivesTheReferenceRates)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    expect_reference(bundles / "mouse_ln_behavior", bundles_data, "sensorium_p_ln_model");
}

/// An image given by a formula: sin(0.30 i + 0.20 j) + 0.5 cos(0.17 j - 0.05 i).
std::vector<double> analytic_image()
{
    std::vector<double> image;
    for (int i = 0; i < 36; ++i)
        for (int j = 0; j < 64; ++j)
            image.push_back(std::sin(0.30 * i + 0.20 * j) + 0.5 * std::cos(0.17 * j - 0.05 * i));
    return image;
}

struct Golden {
    const char* bundle;
    std::vector<double> first;  ///< outputs of neurons 0..5
    double mean;
    double largest;
    std::ptrdiff_t at;
};

TEST(Sensorium, AnalyticImageGivesTheGoldenRates)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    // computed once with the published Python implementation, behaviour (0.25, 0.5, 0.75), pupil
    // (0.4, -0.3); six printed digits
    const std::vector<Golden> goldens = {
        {"mouse_cnn",
         {.217141, .318196, .147789, .064679, .146273, .118952},
         .303338,
         4.51808,
         4940},
        {"mouse_cnn_behavior",
         {.309820, .069778, .171988, .941175, .177059, .082564},
         .247497,
         3.12603,
         7175},
        {"mouse_ln", {.396183, .356676, .261250, .238256, .448811, .125915}, .359708, 2.2867, 7089},
        {"mouse_ln_behavior",
         {1.53775, .043592, .521923, .285777, .329424, .453483},
         .337223,
         2.16215,
         5780},
    };
    const Covariates covariates = covariates_of({0.25, 0.5, 0.75}, {0.4, -0.3});
    for (const Golden& golden : goldens) {
        Twin twin = load_bundle(bundles / golden.bundle);

        const auto rates = respond<float>(twin, analytic_image(), covariates.named());

        for (std::size_t i = 0; i < golden.first.size(); ++i)
            EXPECT_NEAR(rates[i], golden.first[i], 1e-5) << golden.bundle;
        double mean = 0.0;
        for (const double rate : rates) mean += rate / double(rates.size());
        EXPECT_NEAR(mean, golden.mean, 2e-6) << golden.bundle;
        const auto largest = std::max_element(rates.begin(), rates.end());
        EXPECT_EQ(largest - rates.begin(), golden.at) << golden.bundle;
        EXPECT_NEAR(*largest, golden.largest, 1e-4) << golden.bundle;
    }
}

TEST(Sensorium, PupilShiftsAreTheGoldenOnes)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    const SafetensorsFile cnn(bundles / "mouse_cnn_behavior/weights.safetensors");
    const SafetensorsFile linear(bundles / "mouse_ln_behavior/weights.safetensors");

    const auto of_cnn = read_shifter(WeightReader("cnn", cnn)).shift(0.4, -0.3);
    const auto of_linear = read_shifter(WeightReader("ln", linear)).shift(0.4, -0.3);

    EXPECT_NEAR(of_cnn[0], -0.3482092, 1e-6);
    EXPECT_NEAR(of_cnn[1], -0.0062851, 1e-6);
    EXPECT_NEAR(of_linear[0], 0.1953858, 1e-6);
    EXPECT_NEAR(of_linear[1], -0.3725558, 1e-6);
}

TEST(Sensorium, GradientsMatchFiniteDifferences)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    const Covariates covariates = covariates_of({0.25, 0.5, 0.75}, {0.4, -0.3});
    for (const char* bundle : {"mouse_cnn", "mouse_ln_behavior"}) {
        Twin twin = load_bundle(bundles / bundle, Precision::f64);
        std::vector<std::size_t> some;
        for (std::size_t unit = 0; unit < 7000; unit += 70) some.push_back(unit);
        keep_units(twin, some);
        test::expect_gradient_matches_differences(twin, analytic_image(), covariates.named(), 1e-5);
    }
}

TEST(Sensorium, KeptUnitsAnswerAsBefore)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    const Covariates covariates = covariates_of({0.25, 0.5, 0.75}, {0.4, -0.3});
    Twin all = load_bundle(bundles / "mouse_cnn_behavior");
    Twin some = load_bundle(bundles / "mouse_cnn_behavior");
    const auto expected = respond<float>(all, analytic_image(), covariates.named());

    keep_units(some, {5, 4000, 7537});
    const auto found = respond<float>(some, analytic_image(), covariates.named());

    ASSERT_EQ(found.size(), 3U);
    // the vector and the scalar tail of the nonlinearity are the same arithmetic
    EXPECT_EQ(found[0], expected[5]);
    EXPECT_EQ(found[1], expected[4000]);
    EXPECT_EQ(found[2], expected[7537]);
}

TEST(Sensorium, RatesAreNotLinearSoNothingIsFolded)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    const Twin twin = load_bundle(bundles / "mouse_cnn");

    EXPECT_EQ(twin.parts[0].readout->fold({}), nullptr);
    EXPECT_TRUE(twin.parts[0].backbone->covariates().empty());
}

TEST(Sensorium, AMissingCovariateIsNamed)
{
    MOUSE_BUNDLES_OR_SKIP(bundles);
    Twin twin = load_bundle(bundles / "mouse_ln_behavior");
    ASSERT_EQ(twin.parts[0].backbone->covariates().size(), 2U);

    EXPECT_EQ(test::error_text([&] { respond<float>(twin, analytic_image()); }),
              "this twin needs the covariate 'pupil' [1, 2]\n"
              "  give it in the campaign as a constant or an item column");
}

}  // namespace
}  // namespace twinscreen
