#include "engine/twin/bundle.hpp"

#include <algorithm>
#include <cstdlib>

#include <gtest/gtest.h>

#include "engine/config/section.hpp"
#include "tests/unit/twin_support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

/// A converted bundle in a folder of its own, to be damaged.
class Bundle : public ::testing::Test {
protected:
    void SetUp() override
    {
        TWINSCREEN_BUNDLES_OR_SKIP(bundles, "convert_v4_compact.py", "v4-compact-models");
        fs::copy(bundles / "v4_190923", folder_ / "v4", fs::copy_options::recursive);
    }
    void replace_in(const std::string& name, const std::string& old, const std::string& now)
    {
        std::string text = test::read_text(folder_ / ("v4/" + name));
        const std::size_t at = text.find(old);
        ASSERT_NE(at, std::string::npos) << old;
        test::write_text(folder_ / ("v4/" + name), text.replace(at, old.size(), now));
    }
    std::string load_error()
    {
        return test::error_text([&] { load_bundle(folder_ / "v4"); });
    }
    /// make_twin on the text of a [twin] table beside the bundle.
    Twin made(const std::string& table)
    {
        ConfigDocument campaign =
            ConfigDocument::parse("[twin]\n" + table, "campaign.toml", folder_.path());
        ConfigSection section = campaign.root().child("twin");
        Twin twin = make_twin(section);
        campaign.throw_if_invalid();
        return twin;
    }
    std::string made_error(const std::string& table)
    {
        return test::error_text([&] { made(table); });
    }

    test::TemporaryFolder folder_;
};

bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

TEST_F(Bundle, StatesEveryFactWithItsSource)
{
    const Twin twin = load_bundle(folder_ / "v4");
    const Table& facts = twin.spec.stimulus_facts;

    std::vector<std::string> properties;
    for (std::size_t row = 0; row < facts.rows(); ++row) {
        properties.push_back(facts.text("property", row));
        EXPECT_FALSE(facts.text("value", row).empty());
        EXPECT_FALSE(facts.text("source", row).empty());
    }
    for (const char* wanted : {"degrees_per_pixel", "background", "luminance_range", "frame_rate",
                               "mean", "scale", "filter"})
        EXPECT_NE(std::find(properties.begin(), properties.end(), wanted), properties.end())
            << wanted;
    EXPECT_FALSE(twin.spec.licence.empty());
    EXPECT_FALSE(twin.spec.citation.empty());
}

TEST_F(Bundle, AMissingFolderIsNamed)
{
    EXPECT_TRUE(contains(test::error_text([&] { load_bundle(folder_ / "none"); }),
                         "twin.toml: cannot be read (a bundle is a folder with twin.toml)"));
}

TEST_F(Bundle, MistakesInTheDescriptionAreReportedTogether)
{
    replace_in("twin.toml", "format = 1", "format = 9");
    replace_in("twin.toml", "batch_norm_epsilon", "batch_norm_epsilom");

    const std::string text = load_error();

    EXPECT_TRUE(contains(text, "format = 9")) << text;
    EXPECT_TRUE(contains(text, "batch_norm_epsilom")) << text;
    EXPECT_TRUE(contains(text, "while loading the bundle")) << text;
}

TEST_F(Bundle, TruncatedWeightsAreRefused)
{
    fs::resize_file(folder_ / "v4/weights.safetensors",
                    fs::file_size(folder_ / "v4/weights.safetensors") - 4);

    EXPECT_TRUE(contains(load_error(), "(truncated?)"));
}

TEST_F(Bundle, AWrongTapShapeIsRefused)
{
    replace_in("twin.toml", "tap_shape = [28, 28, 3]", "tap_shape = [28, 28, 4]");

    EXPECT_TRUE(contains(load_error(),
                         "bundle 'v4_190923': twin.toml declares tap 'neuron0.core' [28, 28, 4], "
                         "the weights give [28, 28, 3]"));
}

TEST_F(Bundle, AUnitTableOfAnotherLengthIsRefused)
{
    replace_in("units.csv", "190923/32,WE,V4,190923,32,nan,nan,nan,nan\n", "");

    EXPECT_TRUE(
        contains(load_error(), "lists 32 units, the networks of bundle 'v4_190923' have 33"));
}

TEST_F(Bundle, AUnitTableWithoutAColumnIsRefused)
{
    replace_in("units.csv", "noise_ceiling", "ceiling");

    EXPECT_TRUE(contains(load_error(), "has no column 'noise_ceiling'"));
}

TEST_F(Bundle, CampaignsChooseUnitsAndNames)
{
    const Twin twin = made("bundle = \"v4\"\nname = \"mine\"\nunits = \"neuron in [2, 5]\"\n");

    EXPECT_EQ(twin.spec.name, "mine");
    ASSERT_EQ(twin.units.rows(), 2U);
    EXPECT_EQ(twin.units.text("id", 1), "190923/05");
    EXPECT_EQ(twin.parts.size(), 2U);
}

TEST_F(Bundle, BundlesAreAlsoFoundOnTheShelf)
{
    for (const char* name : {"v4", "../../results/bundles/v4"}) {
        setenv("TWINSCREEN_BUNDLES", folder_.path().c_str(), 1);
        ConfigDocument campaign = ConfigDocument::parse(
            fmt::format("[twin]\nbundle = \"{}\"\n", name), "campaign.toml", "/");
        ConfigSection section = campaign.root().child("twin");

        const Twin twin = make_twin(section);
        unsetenv("TWINSCREEN_BUNDLES");

        campaign.throw_if_invalid();
        EXPECT_EQ(twin.units.rows(), 33U) << name;
    }
}

TEST_F(Bundle, IsTheSameTwinWhenItsAccuracyBecomesKnown)
{
    const std::string before = load_bundle(folder_ / "v4").spec.digest;

    replace_in("units.csv", "190923,3,nan,", "190923,3,0.5,");
    const Twin scored = load_bundle(folder_ / "v4");
    replace_in("units.csv", "190923/04,", "190923/99,");

    EXPECT_EQ(scored.units.number("heldout_r", 3), 0.5);
    EXPECT_EQ(scored.spec.digest, before);
    EXPECT_NE(load_bundle(folder_ / "v4").spec.digest, before);
}

TEST_F(Bundle, UnknownSubjectsAreRefusedWithTheKnownOnes)
{
    const std::string text = made_error("bundle = \"v4\"\nsubjects = [\"WF\"]\n");

    EXPECT_TRUE(contains(text, "the twin has no subject 'WF' (it has WE)")) << text;
}

TEST_F(Bundle, AFilterThatKeepsNothingIsRefused)
{
    EXPECT_TRUE(contains(made_error("bundle = \"v4\"\nunits = \"heldout_r > 0.3\"\n"),
                         "keeps none of the 33 units of twin 'v4_190923'"));
}

TEST_F(Bundle, UnknownDegreesPerPixelMayBeGiven)
{
    const Twin twin = made("bundle = \"v4\"\ndegrees_per_pixel = 0.05\n");

    EXPECT_DOUBLE_EQ(twin.parts[0].backbone->input().degrees_per_pixel, 0.05);
    EXPECT_TRUE(
        contains(made_error("bundle = \"v4\"\ndegrees_per_pixel = 0.0\n"), "degrees_per_pixel"));
}

TEST_F(Bundle, StatedDegreesPerPixelMayNotBeOverridden)
{
    replace_in("twin.toml", "[stimulus.degrees_per_pixel]\nvalue = \"unknown\"",
               "[stimulus.degrees_per_pixel]\nvalue = 0.03");

    EXPECT_TRUE(contains(made_error("bundle = \"v4\"\ndegrees_per_pixel = 0.05\n"),
                         "bundle 'v4_190923' states 0.03 degrees per pixel itself"));
}

TEST_F(Bundle, AMissingBundleSaysWhereItWasLookedFor)
{
    const std::string text = made_error("bundle = \"v5\"\n");

    EXPECT_TRUE(contains(text, "no bundle folder " + (folder_ / "v5").string())) << text;
}

TEST(Twins, NeedABundleOrAFamily)
{
    ConfigDocument campaign = ConfigDocument::parse("[twin]\nname = \"x\"\n", "campaign.toml", ".");
    ConfigSection section = campaign.root().child("twin");

    EXPECT_TRUE(make_twin(section).parts.empty());
    EXPECT_TRUE(contains(test::error_text([&] { campaign.throw_if_invalid(); }),
                         "a twin needs 'bundle' (a folder) or 'family' (an analytic twin)"));
}

TEST(Twins, TheFingerprintNamesInstructionSetAndLibraries)
{
    const std::string text = numerics_fingerprint();

    EXPECT_TRUE(contains(text, "libtorch 2.")) << text;
    EXPECT_TRUE(contains(text, "kernels ")) << text;
    EXPECT_EQ(twin_families().size(), 5U);
}

}  // namespace
}  // namespace twinscreen
