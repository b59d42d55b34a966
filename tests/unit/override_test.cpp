#include <gmock/gmock.h>

#include "engine/config/section.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string campaign = R"(seed = 3
[[stimuli]]
folder = "photos"
count = 10
[[stimuli]]
count = 20
[screen]
top_k = 5
areas = ["V1", "V2"]
)";

ConfigDocument campaign_with(const std::vector<std::string>& assignments)
{
    auto document = ConfigDocument::parse(campaign, "campaign.toml", ".");
    for (const std::string& assignment : assignments) document.override_value(assignment);
    return document;
}

std::string mistakes_with(const std::string& assignment)
{
    const auto document = campaign_with({assignment});
    return error_text([&] { document.throw_if_invalid(); });
}

TEST(Override, ReplacesValuesOfTheFile)
{
    auto root = campaign_with({"seed=7", " screen.top_k = 9 "}).root();

    EXPECT_EQ(root.require<std::int64_t>("seed"), 7);
    EXPECT_EQ(root.child("screen").require<std::int64_t>("top_k"), 9);
}

TEST(Override, ReachesElementsOfArrays)
{
    auto root = campaign_with({"stimuli.1.count=100", "screen.areas.0=V4"}).root();

    auto stimuli = root.children("stimuli");
    ASSERT_EQ(stimuli.size(), 2U);
    EXPECT_EQ(stimuli[0].require<std::int64_t>("count"), 10);
    EXPECT_EQ(stimuli[1].require<std::int64_t>("count"), 100);
    EXPECT_THAT(root.child("screen").require<std::vector<std::string>>("areas"),
                ElementsAre("V4", "V2"));
}

TEST(Override, TakesTomlValuesOfEveryKind)
{
    auto root =
        campaign_with({"a=true", "b=1.5e3", "c=[1, 2]", "d='10'", "e={x = 1}", "f=[\n1,\n2]"})
            .root();

    EXPECT_TRUE(root.require<bool>("a"));
    EXPECT_EQ(root.require<double>("b"), 1500.0);
    EXPECT_THAT(root.require<std::vector<std::int64_t>>("c"), ElementsAre(1, 2));
    EXPECT_EQ(root.require<std::string>("d"), "10");
    EXPECT_EQ(root.child("e").require<std::int64_t>("x"), 1);
    EXPECT_THAT(root.require<std::vector<std::int64_t>>("f"), ElementsAre(1, 2));
}

TEST(Override, TakesAnythingElseAsAText)
{
    auto root =
        campaign_with({"a=heldout_r > 0.3", "b=", "c=../photos/set 1", "d=x=y", "e=1\nf=2"}).root();

    EXPECT_EQ(root.require<std::string>("a"), "heldout_r > 0.3");
    EXPECT_EQ(root.require<std::string>("b"), "");
    EXPECT_EQ(root.require<std::string>("c"), "../photos/set 1");
    EXPECT_EQ(root.require<std::string>("d"), "x=y");
    EXPECT_EQ(root.require<std::string>("e"), "1\nf=2");
    EXPECT_FALSE(root.has("f"));
}

TEST(Override, CreatesMissingTables)
{
    auto root = campaign_with({"output.store.name=run1"}).root();

    EXPECT_EQ(root.child("output").child("store").require<std::string>("name"), "run1");
    EXPECT_THAT(root.keys(), ElementsAre("seed", "stimuli", "screen", "output"));
}

TEST(Override, TakesQuotedKeysWithDots)
{
    auto root = campaign_with({"labels.\"a.b\"=1"}).root();

    EXPECT_EQ(root.child("labels").require<std::int64_t>("a.b"), 1);
}

TEST(Override, LastAssignmentOfAKeyWins)
{
    auto root = campaign_with({"seed=7", "seed=8"}).root();

    EXPECT_EQ(root.require<std::int64_t>("seed"), 8);
}

TEST(Override, IsCitedInsteadOfTheFile)
{
    auto document = campaign_with({"screen.top_k=0", "screen.topk=1", "seed=\"x\""});
    auto root = document.root();
    auto screen = root.child("screen");
    screen.get_or<std::int64_t>("top_k", 1, "items", in_range<std::int64_t>(1, 100));
    screen.require<std::vector<std::string>>("areas");
    screen.reject_unknown_keys();
    root.require<std::int64_t>("seed");

    EXPECT_EQ(error_text([&] { document.throw_if_invalid(); }),
              "--set screen.top_k=0: error: screen.top_k = 0 items (must be in 1..100)\n"
              "--set screen.topk=1: error: unknown key 'topk' in [screen]\n"
              "      = did you mean 'top_k'?\n"
              "--set seed=\"x\": error: seed is a string, expected a whole number\n"
              "3 errors in campaign.toml; nothing was run");
}

TEST(Override, MistakesFollowThoseOfTheFile)
{
    auto document = campaign_with({"screen.top_k=0"});
    auto root = document.root();
    root.child("screen").require<std::int64_t>("top_k", "items", above<std::int64_t>(0));
    root.child("screen").require<double>("contrast");

    const std::string text = error_text([&] { document.throw_if_invalid(); });

    EXPECT_THAT(text, StartsWith("campaign.toml:7:1: error: screen.contrast is missing, expected a "
                                 "number\n    7 | [screen]\n"));
    EXPECT_THAT(text, HasSubstr("--set screen.top_k=0: error: "));
}

TEST(Override, MissingKeysOfACreatedTableCiteTheAssignment)
{
    auto document = campaign_with({"output.name=run1"});
    document.root().child("output").require<double>("size", "MiB");

    EXPECT_EQ(error_text([&] { document.throw_if_invalid(); }),
              "--set output.name=run1: error: output.size is missing, expected a number [MiB]\n"
              "1 error in campaign.toml; nothing was run");
}

TEST(Override, OffersQuotesForATextThatLooksLikeANumber)
{
    auto document = campaign_with({"stimuli.0.folder=190923"});
    document.root().children("stimuli").front().require<std::string>("folder");

    EXPECT_EQ(error_text([&] { document.throw_if_invalid(); }),
              "--set stimuli.0.folder=190923: error: stimuli[0].folder is a whole number, expected "
              "a string\n"
              "      = a text that looks like something else needs quotes: '\"...\"'\n"
              "1 error in campaign.toml; nothing was run");
}

TEST(Override, RefusesPathsThatLeadNowhere)
{
    const std::string end = "\n1 error in campaign.toml; nothing was run";

    EXPECT_EQ(
        mistakes_with("stimuli.2.count=1"),
        "--set stimuli.2.count=1: error: stimuli has 2 elements, the last one is stimuli.1" + end);
    EXPECT_EQ(mistakes_with("screen.areas.2=V4"),
              "--set screen.areas.2=V4: error: screen.areas has 2 elements, the last one is "
              "screen.areas.1" +
                  end);
    EXPECT_EQ(mistakes_with("twins.0.units=x"),
              "--set twins.0.units=x: error: twins has no elements" + end);
    EXPECT_EQ(mistakes_with("stimuli.count=1"),
              "--set stimuli.count=1: error: stimuli is an array: an index is needed instead of "
              "'count', as in stimuli.0" +
                  end);
    EXPECT_EQ(mistakes_with("seed.x=1"),
              "--set seed.x=1: error: seed is a whole number, not a table" + end);
    EXPECT_EQ(
        mistakes_with("stimuli.0.folder.x.y=1"),
        "--set stimuli.0.folder.x.y=1: error: stimuli.0.folder is a string, not a table" + end);
    EXPECT_EQ(mistakes_with("stimuli.99999999999999999999.count=1"),
              "--set stimuli.99999999999999999999.count=1: error: stimuli is an array: an index is "
              "needed instead of '99999999999999999999', as in stimuli.0" +
                  end);
}

TEST(Override, RefusesWhatIsNoAssignment)
{
    auto document = campaign_with({});
    const std::string hint =
        "\n  write --set key=value, for example --set screen.top_k=10 or "
        "--set 'twins.0.units=heldout_r > 0.3'";

    EXPECT_EQ(error_text([&] { document.override_value("screen.top_k"); }),
              "--set screen.top_k: has no '='" + hint);
    EXPECT_EQ(error_text([&] { document.override_value(""); }), "--set : has no '='" + hint);
    EXPECT_EQ(error_text([&] { document.override_value("=1"); }),
              "--set =1: has an empty key" + hint);
    EXPECT_EQ(error_text([&] { document.override_value("a..b=1"); }),
              "--set a..b=1: has an empty key" + hint);
    EXPECT_EQ(error_text([&] { document.override_value("a=\xFF"); }),
              "--set a=?: is not UTF-8" + hint);
    std::string deep = "a";
    for (int i = 0; i < 20; ++i) deep += ".a";
    EXPECT_THAT(error_text([&] { document.override_value(deep + "=1"); }),
                HasSubstr("has a key with more than 16 parts"));
    EXPECT_NO_THROW(document.throw_if_invalid());
}

}  // namespace
}  // namespace twinscreen
