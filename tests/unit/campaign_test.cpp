#include "engine/run/campaign.hpp"

#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "experiments/experiments.hpp"
#include "kernels/runtime.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;

const KernelRuntime kernels;

Campaign load(const std::string& text, std::vector<std::string> overrides = {})
{
    return load_campaign(
        {text, "campaign.toml", std::filesystem::current_path(), std::move(overrides)},
        known_experiments());
}

const std::string good = R"(
[[twins]]
family = "gabor_energy"
[[stimuli]]
[stimuli.gratings]
orientation = [0, 45, 90]
spatial_frequency = 1.0
[screen]
measures = ["area_mean"]
)";

TEST(Campaign, AShortFileIsEnough)
{
    Campaign campaign = load(good);

    EXPECT_EQ(campaign.experiment_name, "screen");
    EXPECT_EQ(campaign.inputs().items(), 3U);
    EXPECT_EQ(campaign.twins.size(), 1U);
}

TEST(Campaign, ExamplesOfAllExperimentsThatNeedNoFilesAreValid)
{
    const ExperimentRegistry registry = known_experiments();

    EXPECT_NO_THROW(load(registry.find("screen")->example));
}

TEST(Campaign, ShowsPicturesByTheSquareRootOfTheirBrightness)
{
    const std::string canvas = "stimuli.0.canvas=16";
    const std::string degrees = "stimuli.0.canvas_degrees_per_pixel=0.1";
    Campaign plain = load(good, {canvas, degrees, "stimuli.0.grey=true"});
    Campaign rooted =
        load(good, {canvas, degrees, "stimuli.0.grey=true", "stimuli.0.brightness=square_root"});

    const double level = mean_luminance(plain.stimuli->draw(ItemId{0}, {}));
    const double root = mean_luminance(rooted.stimuli->draw(ItemId{0}, {}));

    EXPECT_GT(root, level + 30.0);  // 180 for 127
    EXPECT_THAT(rooted.stimuli->identity(), HasSubstr("square root"));
    EXPECT_THAT(rooted.stimuli->summary(), HasSubstr("square root of brightness"));
    EXPECT_EQ(load(good, {canvas, degrees, "stimuli.0.brightness=as_it_is"}).stimuli->identity(),
              load(good, {canvas, degrees}).stimuli->identity());
    EXPECT_THAT(test::error_text([] { load(good, {"stimuli.0.brightness=square"}); }),
                HasSubstr("must be one of \"as_it_is\", \"square_root\""));
}

TEST(Campaign, AllMistakesAreReportedTogetherInFileOrder)
{
    const std::string text = test::error_text([] {
        load(R"([run]
shard_items = 0
bacth_items = 64
[[twins]]
family = "gabor_enery"
[[stimuli]]
[stimuli.gratings]
orientation = "up"
[screen]
measures = ["area_mean", "topk"]
)");
    });

    const std::vector<std::string> wanted{
        "campaign.toml:2:15: error: run.shard_items = 0 stimuli (must be in 1..16777216)",
        "campaign.toml:3:1: error: unknown key 'bacth_items' in [run]",
        "did you mean 'batch_items'?",
        "campaign.toml:5:10: error:",
        "campaign.toml:8:15: error:",
        "campaign.toml:10:12: error: unknown measure \"topk\"",
        "did you mean \"top_k\"?",
        "nothing was run"};
    std::size_t at = 0;
    for (const std::string& part : wanted) {
        const std::size_t found = text.find(part, at);
        ASSERT_NE(found, std::string::npos)
            << "missing after position " << at << ": " << part << "\nin:\n"
            << text;
        at = found;
    }
}

TEST(Campaign, NamesWhatIsMissing)
{
    EXPECT_THAT(test::error_text([] { load("[screen]\n"); }),
                AllOf(HasSubstr("no [[stimuli]]"), HasSubstr("no [[twins]]")));
    EXPECT_THAT(test::error_text([] { load("seed = 1\n"); }), HasSubstr("names no experiment"));
}

TEST(Campaign, FilesThatCannotBeCampaignsAreRefusedUnread)
{
    const test::TemporaryFolder folder;
    test::write_text(folder / "huge.toml", "# ");
    std::filesystem::resize_file(folder / "huge.toml", std::uintmax_t{1} << 40U);  // of holes
    ASSERT_EQ(mkfifo((folder / "pipe.toml").c_str(), 0600), 0);
    const auto refusal = [&](const std::string& name) {
        return test::error_text([&] { read_campaign_text(folder / name, {}); });
    };

    EXPECT_THAT(refusal("huge.toml"), HasSubstr("1099511627776 bytes (at most 1048576 are read)"));
    EXPECT_THAT(refusal("pipe.toml"), HasSubstr("cannot read this campaign file"));
    EXPECT_THAT(refusal("pipe.toml"), HasSubstr("is not an ordinary file"));
}

TEST(Campaign, OverridesAreCheckedLikeTheFile)
{
    EXPECT_EQ(load(good, {"seed=7"}).seed, 7U);
    EXPECT_THAT(test::error_text([] { load(good, {"screen.top_k=0"}); }),
                HasSubstr("--set screen.top_k=0"));
}

TEST(Campaign, TheShardSizeDoesNotDependOnRanksAndIsAMultipleOfTheBatch)
{
    Campaign campaign = load(good, {"run.shard_items=10", "run.batch_items=4"});
    const auto stage = campaign.experiment->next_stage(campaign.inputs(), StageHistory{});

    EXPECT_EQ(stage->plan.shard_items % stage->plan.batch_items, 0U);
    EXPECT_GE(stage->plan.batch_items, 4U);
}

}  // namespace
}  // namespace twinscreen
