#include "engine/base/shared_reads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t most = 1000;

class SharedReadsTest : public testing::Test {
protected:
    SharedReadsTest() : file_(folder_ / "weights")
    {
        test::write_text(file_, "first");
        SharedReads asking;
        asking.keep();
        asking.file(file_, most);
        given_.give(asking.answers());
    }

    test::TemporaryFolder folder_;
    std::filesystem::path file_;
    SharedReads given_;
};

TEST_F(SharedReadsTest, GiveWhatWasReadOnceWhateverTheFileHoldsNow)
{
    test::write_text(file_, "other");

    EXPECT_EQ(given_.file(file_, most).text(), "first");
    EXPECT_EQ(SharedReads().file(file_, most).text(), "other");
}

TEST_F(SharedReadsTest, NeedNoFileOnThisHost)
{
    std::filesystem::remove(file_);

    EXPECT_EQ(given_.file(file_, most).text(), "first");
}

TEST_F(SharedReadsTest, RefuseAHostThatHasAnotherFile)
{
    test::write_text(file_, "longer");

    EXPECT_EQ(test::error_text([&] { given_.file(file_, most); }),
              file_.string() +
                  " has 6 bytes on this host, 5 on that of rank 0. Name a file that all nodes "
                  "share, or copy it again");
}

TEST_F(SharedReadsTest, RefuseWhatNobodyRead)
{
    test::write_text(folder_ / "units", "id");

    EXPECT_THAT(test::error_text([&] { given_.file(folder_ / "units", most); }),
                HasSubstr("rank 0 did not read " + (folder_ / "units").string()));
}

TEST_F(SharedReadsTest, KeepOneAnswerToOneQuestion)
{
    SharedReads reads;
    reads.keep();
    int asked = 0;
    const auto look = [&] {
        ++asked;
        return std::make_shared<const std::vector<std::byte>>(2);
    };

    for (const char* question : {"images", "images", "images below"})
        EXPECT_EQ(reads.answer(question, folder_.path(), look)->size(), 2U);

    EXPECT_EQ(asked, 2);
}

}  // namespace
}  // namespace twinscreen
