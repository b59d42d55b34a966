#include "engine/twin/field_readout.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "engine/twin/stored_trace.hpp"
#include "tests/unit/graph_bundle.hpp"

namespace twinscreen {
namespace {

using test::arbitrary;
using test::GraphBundle;
using test::relative_error;
using test::SmallTensor;

std::vector<double> doubles(const SmallTensor& tensor)
{
    return {tensor.values.begin(), tensor.values.end()};
}

double g(double t) { return std::log(1.0 + std::abs(t)) * std::tanh(t); }

/// A readout of taps with arbitrary tensors, and the maps that it reads.
struct Case {
    NetworkEntry entry;
    std::map<std::string, SmallTensor> tensors;
    std::vector<std::vector<double>> maps;  ///< by tap: [rows, channels, height, width]
    std::int64_t rows = 0;

    std::int64_t features() const
    {
        std::int64_t sum = 0;
        for (const NetworkTap& tap : entry.taps) sum += tap.row.extent[0];
        return sum;
    }
    double value(const std::string& tensor, std::int64_t i) const
    {
        return double(tensors.at("a.readout." + tensor).values.at(static_cast<std::size_t>(i)));
    }
    std::vector<TapId> ids() const
    {
        std::vector<TapId> ids;
        for (std::uint32_t tap = 0; tap < entry.taps.size(); ++tap) ids.push_back(TapId{tap});
        return ids;
    }
};

/// fields  "field", "field_logits" or "" for those that a position gives
Case make_case(const std::string& readout, const std::string& fields, std::vector<Shape> taps,
               std::int64_t units, std::int64_t rows)
{
    Case made;
    made.rows = rows;
    made.entry.prefix = "a.";
    made.entry.readout = readout;
    made.entry.units = units;
    for (const Shape& row : taps) {
        const auto number = static_cast<unsigned>(made.entry.taps.size());
        made.entry.taps.push_back({fmt::format("tap{}", number), row});
        const std::int64_t pixels = row.extent[1] * row.extent[2];
        if (!fields.empty())
            made.tensors[fmt::format("a.readout.{}.{}", fields, number)] =
                arbitrary({units, pixels}, 20 + number);
        std::vector<double> map = doubles(arbitrary({rows, row.count()}, 30 + number));
        for (double& value : map) value *= 6.0;
        made.maps.push_back(std::move(map));
    }
    made.tensors["a.readout.weight"] = arbitrary({units, made.features()}, 40);
    made.tensors["a.readout.bias"] = arbitrary({units}, 41);
    if (!fields.empty()) return made;
    SmallTensor position = arbitrary({units, 2}, 42);
    for (float& value : position.values) value *= 2.4F;  // some lie outside
    position.values[0] = -1.0F;
    position.values[1] = 1.0F;
    made.tensors["a.readout.position"] = position;
    return made;
}

/// How much a unit takes of each pixel of a tap, from the definition.
std::vector<double> field_of(const Case& c, std::size_t tap, std::int64_t unit)
{
    const std::int64_t height = c.entry.taps[tap].row.extent[1];
    const std::int64_t width = c.entry.taps[tap].row.extent[2];
    std::vector<double> field;
    double sum = 0.0;
    for (std::int64_t pixel = 0; pixel < height * width; ++pixel) {
        const std::int64_t i = unit * height * width + pixel;
        if (c.tensors.count("a.readout.position") > 0) {
            const double x = (c.value("position", 2 * unit) + 1.0) / 2.0 * double(width - 1);
            const double y = (c.value("position", 2 * unit + 1) + 1.0) / 2.0 * double(height - 1);
            field.push_back(std::max(0.0, 1.0 - std::abs(x - double(pixel % width))) *
                            std::max(0.0, 1.0 - std::abs(y - double(pixel / width))));
        } else if (c.tensors.count(fmt::format("a.readout.field.{}", tap)) > 0) {
            field.push_back(c.value(fmt::format("field.{}", tap), i));
        } else {
            field.push_back(std::exp(c.value(fmt::format("field_logits.{}", tap), i)));
            sum += field.back();
        }
    }
    if (sum > 0.0)
        for (double& part : field) part /= sum;
    return field;
}

/// The responses, from the formula: [rows, units].
std::vector<double> by_hand(const Case& c)
{
    const bool compresses = c.entry.readout == "fwrf";
    std::vector<double> responses(static_cast<std::size_t>(c.rows * c.entry.units));
    for (std::int64_t unit = 0; unit < c.entry.units; ++unit)
        for (std::int64_t row = 0; row < c.rows; ++row) {
            double sum = c.value("bias", unit);
            std::int64_t feature = unit * c.features();
            for (std::size_t tap = 0; tap < c.maps.size(); ++tap) {
                const std::vector<double> field = field_of(c, tap, unit);
                const std::int64_t channels = c.entry.taps[tap].row.extent[0];
                for (std::int64_t channel = 0; channel < channels; ++channel) {
                    const double* map =
                        &c.maps[tap]
                               [static_cast<std::size_t>(row * channels + channel) * field.size()];
                    double pooled = 0.0;
                    for (std::size_t pixel = 0; pixel < field.size(); ++pixel)
                        pooled += field[pixel] * (compresses ? g(map[pixel]) : map[pixel]);
                    sum += c.value("weight", feature++) * (compresses ? g(pooled) : pooled);
                }
            }
            responses[static_cast<std::size_t>(row * c.entry.units + unit)] = sum;
        }
    return responses;
}

template <class T>
std::unique_ptr<Trace> trace_of(const Case& c)
{
    std::vector<OwnedBatch> taps;
    for (std::size_t tap = 0; tap < c.maps.size(); ++tap)
        taps.push_back(test::batch_from<T>(c.maps[tap], c.entry.taps[tap].row.with_rows(c.rows)));
    return std::make_unique<StoredTrace>(std::move(taps));
}

template <class T>
std::vector<double> applied(Readout& readout, const Case& c)
{
    set_compute_threads(1);
    OwnedBatch out(element_type_of<T>(), Shape{c.rows, readout.outputs()});
    readout.apply(*trace_of<T>(c), out.view(), *make_host_executor());
    return {out.values<T>().begin(), out.values<T>().end()};
}

class FieldReadout : public ::testing::Test {
protected:
    std::unique_ptr<Readout> made(const Case& c, Precision precision = Precision::f64) const
    {
        test::write_text(folder_ / "w.safetensors", GraphBundle::safetensors(c.tensors));
        const SafetensorsFile file(folder_ / "w.safetensors");
        return read_field_readout(c.entry, WeightReader("b", file), precision, c.ids());
    }
    std::string complaint(const Case& c) const
    {
        return test::error_text([&] { made(c); });
    }
    void expect_formula(const Case& c) const
    {
        const std::vector<double> expected = by_hand(c);
        EXPECT_LT(relative_error(applied<double>(*made(c), c), expected, 0.1), 1e-12);
        EXPECT_LT(relative_error(applied<float>(*made(c, Precision::f32), c), expected, 1.0), 1e-5);
    }

    test::TemporaryFolder folder_;
};

const std::vector<Shape> two_maps = {Shape{4, 5, 6}, Shape{3, 2, 3}};

Case factorised() { return make_case("factorised", "field", two_maps, 7, 3); }
Case sampled() { return make_case("sampled", "", {Shape{4, 5, 6}}, 9, 3); }
Case fwrf() { return make_case("fwrf", "field_logits", two_maps, 7, 3); }

TEST_F(FieldReadout, ComputesItsFormula)
{
    expect_formula(factorised());
    expect_formula(sampled());
    expect_formula(fwrf());
}

TEST_F(FieldReadout, TakesGivenFieldsAndLogitsInEveryFamilyWithFields)
{
    expect_formula(make_case("fwrf", "field", two_maps, 5, 2));
    expect_formula(make_case("factorised", "field_logits", two_maps, 5, 2));
    expect_formula(make_case("sampled", "", two_maps, 5, 2));
}

TEST_F(FieldReadout, OneUnitOneRowAndOnePixelAreNoSpecialCase)
{
    expect_formula(make_case("factorised", "field", two_maps, 1, 1));
    expect_formula(make_case("sampled", "", {Shape{2, 1, 1}}, 1, 1));
    expect_formula(make_case("fwrf", "field_logits", {Shape{1, 1, 1}}, 1, 1));
}

TEST_F(FieldReadout, ManyUnitsAreComputedInBlocks)
{
    expect_formula(make_case("fwrf", "field_logits", {Shape{600, 3, 2}}, 300, 8));
    expect_formula(make_case("sampled", "", {Shape{600, 3, 2}}, 300, 8));
}

TEST_F(FieldReadout, SelectKeepsTheUnitsInTheirOrderAndDropsTheWork)
{
    const std::vector<UnitId> units = {UnitId{4}, UnitId{0}};
    for (const Case& c : {factorised(), sampled(), fwrf()}) {
        const auto readout = made(c);
        const std::vector<double> all = applied<double>(*readout, c);

        const auto chosen = readout->select(units);

        const std::vector<double> some = applied<double>(*chosen, c);
        ASSERT_EQ(some.size(), static_cast<std::size_t>(2 * c.rows));
        for (std::size_t i = 0; i < some.size(); ++i)
            EXPECT_NEAR(
                some[i],
                all[i / 2 * static_cast<std::size_t>(c.entry.units) + index_of(units[i % 2])],
                1e-12);
        const double share = 2.0 / static_cast<double>(c.entry.units);
        EXPECT_DOUBLE_EQ(chosen->macs_per_row(), share * readout->macs_per_row());
        EXPECT_LT(chosen->memory_bytes(), readout->memory_bytes());
    }
}

TEST_F(FieldReadout, StatesItsWork)
{
    EXPECT_EQ(made(factorised())->macs_per_row(), 7 * (4 * (30 + 1) + 3 * (6 + 1)));
    EXPECT_EQ(made(sampled())->macs_per_row(), 9 * 4 * (4 + 1));
    // weights, biases and fields in double precision
    EXPECT_EQ(made(factorised())->memory_bytes(), 7 * (7 + 1 + 30 + 6) * 8U);
}

TEST_F(FieldReadout, LinearFamiliesFoldAndTheOthersSayThatTheyDoNot)
{
    LinearMeasure measure;
    measure.outputs = {{{UnitId{1}, 0.5}, {UnitId{5}, -2.0}}, {{UnitId{5}, 1.0}}};
    for (const Case& c : {factorised(), sampled()}) {
        const auto readout = made(c);
        const std::vector<double> all = applied<double>(*readout, c);

        const auto folded = readout->fold(measure);

        const std::vector<double> outputs = applied<double>(*folded, c);
        for (std::size_t row = 0; row < static_cast<std::size_t>(c.rows); ++row) {
            const double* units = &all[row * static_cast<std::size_t>(c.entry.units)];
            EXPECT_NEAR(outputs[2 * row], 0.5 * units[1] - 2.0 * units[5], 1e-12);
            EXPECT_NEAR(outputs[2 * row + 1], units[5], 1e-12);
        }
        EXPECT_LT(folded->macs_per_row(), readout->macs_per_row());
    }
    EXPECT_EQ(made(fwrf())->fold(measure), nullptr);
}

TEST_F(FieldReadout, AMeanOfManyUnitsIsOneSetOfWeights)
{
    for (const Case& c : {make_case("factorised", "field", {Shape{4, 5, 6}}, 40, 3),
                          make_case("sampled", "", {Shape{4, 5, 6}}, 40, 3)}) {
        LinearMeasure mean;
        mean.outputs.emplace_back();
        for (std::uint32_t unit = 1; unit < 40; ++unit)
            mean.outputs[0].emplace_back(UnitId{unit}, 1.0 / 39.0);
        const auto readout = made(c);
        const std::vector<double> all = applied<double>(*readout, c);

        const auto folded = readout->fold(mean);

        EXPECT_EQ(folded->macs_per_row(), 4 * 5 * 6);
        const std::vector<double> means = applied<double>(*folded, c);
        for (std::size_t row = 0; row < 3; ++row) {
            double sum = 0.0;
            for (std::size_t unit = 1; unit < 40; ++unit) sum += all[row * 40 + unit];
            EXPECT_NEAR(means[row], sum / 39.0, 1e-12);
        }
    }
}

TEST_F(FieldReadout, HasTheGradientAtEveryTap)
{
    const double step = 1e-5;
    for (Case c : {factorised(), sampled(), make_case("sampled", "", two_maps, 9, 2), fwrf()}) {
        const auto readout = made(c);
        const std::vector<double> cotangents = doubles(arbitrary({c.rows * c.entry.units}, 50));
        const OwnedBatch given = test::batch_from<double>(cotangents, Shape{c.rows, c.entry.units});
        const auto value = [&] {
            const std::vector<double> responses = applied<double>(*readout, c);
            double sum = 0.0;
            for (std::size_t i = 0; i < responses.size(); ++i) sum += cotangents[i] * responses[i];
            return sum;
        };

        const auto gradients =
            readout->pull_back(*trace_of<double>(c), given.view(), *make_host_executor());

        ASSERT_EQ(gradients.size(), c.maps.size());
        for (std::size_t tap = 0; tap < gradients.size(); ++tap) {
            EXPECT_EQ(index_of(gradients[tap].tap), tap);
            EXPECT_EQ(gradients[tap].values.shape(), c.entry.taps[tap].row.with_rows(c.rows));
            for (std::size_t i = 0; i < c.maps[tap].size(); ++i) {
                const double here = c.maps[tap][i];
                c.maps[tap][i] = here + step;
                const double ahead = value();
                c.maps[tap][i] = here - step;
                const double found = (ahead - value()) / (2.0 * step);
                c.maps[tap][i] = here;
                // third derivatives of g times step^2, and rounding over the step
                EXPECT_NEAR(gradients[tap].values.values<double>()[i], found, 1e-8)
                    << c.entry.readout << " tap " << tap << " value " << i;
            }
        }
    }
}

TEST_F(FieldReadout, TensorsThatAreMissingOrDoNotFitAreNamed)
{
    const auto without = [](Case c, const std::string& tensor) {
        c.tensors.erase("a.readout." + tensor);
        return c;
    };
    const auto with = [](Case c, const std::string& tensor, const SmallTensor& value) {
        c.tensors["a.readout." + tensor] = value;
        return c;
    };
    const std::vector<std::pair<Case, std::string>> wrong = {
        {without(factorised(), "field.1"), "tensor 'a.readout.field.1' is missing"},
        {without(fwrf(), "field_logits.0"), "tensor 'a.readout.field.0' is missing"},
        {without(sampled(), "position"), "tensor 'a.readout.position' is missing"},
        {without(fwrf(), "bias"), "tensor 'a.readout.bias' is missing"},
        {with(fwrf(), "field.0", arbitrary({7, 30}, 1)),
         "there are both 'a.readout.field.0' and 'a.readout.field_logits.0'"},
        {with(factorised(), "field.0", arbitrary({7, 29}, 1)),
         "'a.readout.field.0' has shape [7, 29], expected [7, 30]"},
        {with(factorised(), "weight", arbitrary({7, 4}, 1)),
         "'a.readout.weight' has shape [7, 4], expected [7, 7]"},
        {with(sampled(), "position", arbitrary({9, 3}, 1)),
         "'a.readout.position' has shape [9, 3], expected [9, 2]"},
        {with(sampled(), "bias", SmallTensor{{9}, std::vector<float>(9, std::nanf(""))}),
         "'a.readout.bias' holds nan at element 0"},
    };
    for (const auto& [c, sentence] : wrong)
        EXPECT_NE(complaint(c).find(sentence), std::string::npos) << complaint(c);
}

/// The small network without a kink, with a second map of half the side: [4, 4, 4].
GraphBundle network_of_two_maps(const std::string& readout)
{
    GraphBundle bundle = test::small_network();
    bundle.graph["nodes"][2]["operator"] = "silu";
    bundle.add("half", "avg_pool2d", {{"self", "relu"}}, {{"kernel_size", {2, 2}}},
               {"batch", 4, 4, 4});
    bundle.graph["outputs"] = {"half"};
    bundle.tensors.erase("head.weight");
    bundle.tensors.erase("head.bias");
    bundle.graph["nodes"].erase(4);
    bundle.tensors["a.readout.weight"] = arbitrary({5, 8}, 40);
    bundle.tensors["a.readout.bias"] = arbitrary({5}, 41);
    bundle.tensors["a.readout.field.0"] = arbitrary({5, 64}, 42);
    bundle.tensors["a.readout.field_logits.1"] = arbitrary({5, 16}, 43);
    bundle.networks = fmt::format(
        "[[networks]]\nprefix = \"a.\"\nreadout = \"{}\"\nunits = 5\n"
        "[[networks.taps]]\ntap = \"relu\"\ntap_shape = [4, 8, 8]\n"
        "[[networks.taps]]\ntap = \"half\"\ntap_shape = [4, 4, 4]\n",
        readout);
    return bundle;
}

class FieldBundle : public ::testing::Test {
protected:
    Twin loaded(const GraphBundle& bundle, Precision precision = Precision::f64)
    {
        bundle.write(folder_ / "small", 5);
        return load_bundle(folder_ / "small", precision);
    }
    std::string complaint(const GraphBundle& bundle)
    {
        return test::error_text([&] { loaded(bundle); });
    }

    test::TemporaryFolder folder_;
};

TEST_F(FieldBundle, AGraphHasReadoutsOfSeveralTaps)
{
    for (const char* readout : {"factorised", "fwrf"}) {
        Twin twin = loaded(network_of_two_maps(readout));
        const std::vector<double> images = doubles(arbitrary({3, 3, 8, 8}, 99));

        const auto responses = test::respond<double>(twin, images);

        EXPECT_EQ(responses.size(), 15U);
        test::expect_gradient_matches_differences(twin, images, {}, 1e-4);
    }
}

TEST_F(FieldBundle, OneTapIsWrittenAsForOtherReadouts)
{
    GraphBundle bundle = network_of_two_maps("sampled");
    for (const char* surplus : {"field.0", "field_logits.1"})
        bundle.tensors.erase(std::string("a.readout.") + surplus);
    bundle.tensors["a.readout.weight"] = arbitrary({5, 4}, 40);
    bundle.tensors["a.readout.position"] = arbitrary({5, 2}, 44);
    bundle.networks =
        "[[networks]]\nprefix = \"a.\"\nreadout = \"sampled\"\nunits = 5\ntap = \"half\"\n"
        "tap_shape = [4, 4, 4]\n";
    Twin twin = loaded(bundle);

    test::expect_gradient_matches_differences(twin, doubles(arbitrary({2, 3, 8, 8}, 99)), {}, 1e-4);
}

TEST_F(FieldBundle, TensorsThatNoTapHasAreSurplus)
{
    GraphBundle bundle = network_of_two_maps("fwrf");
    bundle.tensors["a.readout.field.2"] = arbitrary({5, 16}, 1);
    bundle.tensors["a.readout.position"] = arbitrary({5, 2}, 1);

    const std::string text = complaint(bundle);

    for (const char* name : {"field.2", "position"})
        EXPECT_NE(
            text.find(fmt::format("tensor 'a.readout.{}' is used by no node and no readout", name)),
            std::string::npos)
            << text;
}

TEST_F(FieldBundle, AllMistakesOfTheNetworksAreSaidAtOnce)
{
    GraphBundle bundle = network_of_two_maps("fwrf");
    bundle.networks =
        "[[networks]]\nreadout = \"fwrff\"\nunits = 5\ntap = \"half\"\ntap_shape = [4, 4, 4]\n"
        "[[networks]]\nreadout = \"identity\"\nunits = 5\n"
        "[[networks.taps]]\ntap = \"half\"\ntap_shape = [4, 4, 4]\n"
        "[[networks.taps]]\ntap = \"relu\"\ntap_shape = [4, 8, 8]\n"
        "[[networks]]\nreadout = \"fwrf\"\nunits = 5\ntap = \"half\"\n"
        "[[networks.taps]]\ntap = \"relu\"\ntap_shape = [4, 8, 8]\n"
        "[[networks.taps]]\ntap = \"relu\"\ntap_shape = [256]\nextra = 1\n"
        "[[networks]]\nreadout = \"sampled\"\nunits = 5\ntaps = []\n";

    const std::string text = complaint(bundle);

    for (const char* part :
         {"readout", "factorised, sampled, fwrf", "readout 'identity' reads one tap",
          "the taps are in [[networks.taps]]", "tap 'relu' is listed twice",
          "readout 'fwrf' reads maps [channels, height, width], tap 'relu' has shape [256]",
          "extra", "taps is empty"})
        EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

TEST_F(FieldBundle, AllTapsThatDoNotFitTheGraphAreSaidAtOnce)
{
    GraphBundle bundle = network_of_two_maps("fwrf");
    bundle.networks =
        "[[networks]]\nprefix = \"a.\"\nreadout = \"fwrf\"\nunits = 5\n"
        "[[networks.taps]]\ntap = \"reluu\"\ntap_shape = [4, 8, 8]\n"
        "[[networks.taps]]\ntap = \"half\"\ntap_shape = [4, 4, 3]\n";

    const std::string text = complaint(bundle);

    EXPECT_NE(text.find("tap 'reluu' is no node with a row of numbers per image (did you mean "
                        "'relu'?)"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("tap 'half' has shape [4, 4, 4], twin.toml declares [4, 4, 3]"),
              std::string::npos)
        << text;
}

}  // namespace
}  // namespace twinscreen
