#include "engine/device/device_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/device/device_error.hpp"

namespace twinscreen {
namespace {

using ::testing::HasSubstr;

VisibleGpus gpus(std::size_t count)
{
    VisibleGpus visible;
    visible.names.assign(count, "NVIDIA H200");
    if (count == 0) visible.why_none = "no driver was found";
    return visible;
}

std::string refusal(const DeviceRequest& request, const VisibleGpus& visible)
{
    try {
        choose_device(request, visible);
    } catch (const Error& error) {
        EXPECT_EQ(error.exit_code(), 5);
        return error.what();
    }
    return "";
}

TEST(DeviceChoice, TakesTheProcessorWhereNoGpuIsVisible)
{
    EXPECT_EQ(choose_device({}, gpus(0)).kind, DeviceKind::cpu);
}

TEST(DeviceChoice, TakesAGpuWhereOneIsVisible)
{
    const DeviceChoice choice = choose_device({}, gpus(1));
    EXPECT_EQ(choice.kind, DeviceKind::gpu);
    EXPECT_EQ(choice.ordinal, 0);
}

TEST(DeviceChoice, GivesEachRankOfANodeItsOwnGpu)
{
    for (int rank = 0; rank < 4; ++rank)
        EXPECT_EQ(choose_device({DeviceKind::gpu, false, rank, 4}, gpus(4)).ordinal, rank);
}

TEST(DeviceChoice, LeavesTheGpusAloneWhenTheCampaignSaysCpu)
{
    EXPECT_EQ(choose_device({DeviceKind::cpu, false, 0, 8}, gpus(2)).kind, DeviceKind::cpu);
}

TEST(DeviceChoice, SaysWhyThereIsNoGpuWhenOneIsAskedFor)
{
    EXPECT_THAT(refusal({DeviceKind::gpu}, gpus(0)), HasSubstr("no driver was found"));
}

TEST(DeviceChoice, RefusesMoreRanksThanGpus)
{
    const std::string text = refusal({DeviceKind::automatic, false, 2, 3}, gpus(2));
    EXPECT_THAT(text, HasSubstr("3 ranks of this node would share 2 GPUs (NVIDIA H200)"));
    EXPECT_THAT(text, HasSubstr("share_gpus = true"));
}

TEST(DeviceChoice, SharesAGpuWhereTheCampaignAllowsIt)
{
    EXPECT_EQ(choose_device({DeviceKind::gpu, true, 2, 3}, gpus(2)).ordinal, 0);
    EXPECT_EQ(choose_device({DeviceKind::gpu, true, 1, 3}, gpus(2)).ordinal, 1);
}

TEST(DeviceError, SaysInPlainWordsWhatCudaMeans)
{
    const struct {
        int code;
        const char* words;
        const char* hint;
    } cases[] = {{2, "no memory left", "batch_items"},
                 {35, "no NVIDIA driver, or one too old", "device = \"cpu\""},
                 {46, "exclusive mode", "nvidia-smi"},
                 {100, "no GPU is visible", "CUDA_VISIBLE_DEVICES"},
                 {209, "compute capability", "CMAKE_CUDA_ARCHITECTURES"},
                 {214, "ECC", "start the same command again"},
                 {719, "a kernel failed", "start the same command again"}};
    for (const auto& c : cases) {
        const Error error = device_error(c.code, "text of CUDA", "copying a batch");
        EXPECT_EQ(error.exit_code(), 5);
        EXPECT_THAT(error.what(), HasSubstr("copying a batch"));
        EXPECT_THAT(error.what(), HasSubstr(c.words));
        EXPECT_THAT(error.what(), HasSubstr(c.hint));
        EXPECT_THAT(error.what(), HasSubstr("text of CUDA"));
    }
}

TEST(DeviceError, NamesTheNumberOfAnErrorThatItDoesNotKnow)
{
    EXPECT_THAT(device_error(12345, "strange", "computing").what(), HasSubstr("CUDA error 12345"));
}

}  // namespace
}  // namespace twinscreen
