#include "engine/stimulus/node_copy.hpp"

#include <algorithm>
#include <optional>
#include <sys/types.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/log_capture.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NodeCopyTest : public testing::Test {
protected:
    NodeCopyTest() : file_(folder_ / "images.zip"), disk_(folder_ / "disk")
    {
        test::write_text(file_, "pictures");
    }

    ReadFile open(std::uint64_t most_bytes = 1000)
    {
        return open_for_node(file_, {disk_, most_bytes});
    }
    /// Copies on the node's disk, without their locks.
    std::vector<fs::path> copies() const
    {
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(disk_))
            if (entry.path().extension() != ".lock") found.push_back(entry.path());
        return found;
    }

    test::TemporaryFolder folder_;
    fs::path file_;
    fs::path disk_;
    test::LogCapture log_;
};

TEST_F(NodeCopyTest, IsReadUnderTheNameOfTheFile)
{
    const ReadFile opened = open();

    ASSERT_EQ(copies().size(), 1U);
    EXPECT_EQ(fs::canonical(opened.same_file()), copies().front());
    EXPECT_EQ(opened.path(), file_);
    EXPECT_EQ(read_text(opened, 100), "pictures");
}

TEST_F(NodeCopyTest, IsMadeOnceForAllReadersAndGoneAfterThem)
{
    {
        std::vector<std::optional<ReadFile>> readers(8);
        std::vector<std::thread> threads;
        for (auto& reader : readers)
            threads.emplace_back([this, &reader] { reader.emplace(open()); });
        for (std::thread& thread : threads) thread.join();
        EXPECT_EQ(copies().size(), 1U);
        readers.front().reset();
        for (std::size_t left = 1; left < readers.size(); ++left)
            EXPECT_EQ(read_text(*readers[left], 100), "pictures");
    }
    EXPECT_TRUE(copies().empty());
    const std::string said = log_.take();
    EXPECT_EQ(said.find("copying"), said.rfind("copying")) << said;
}

TEST_F(NodeCopyTest, OfAnEarlierJobIsTakenUnlessTheFileHasChanged)
{
    fs::path left;
    {
        const ReadFile opened = open();
        left = copies().front();
        fs::copy_file(left, folder_ / "kept");
    }
    fs::rename(folder_ / "kept", left);
    log_.take();

    EXPECT_EQ(fs::canonical(open().same_file()), left);
    EXPECT_EQ(log_.take(), "");

    test::write_text(file_, "other pictures");
    EXPECT_EQ(read_text(open(), 100), "other pictures");
}

TEST_F(NodeCopyTest, ReplacesWhatAKilledJobLeftUnfinished)
{
    fs::path left;
    {
        const ReadFile opened = open();
        left = copies().front();
    }
    test::write_text(left.string() + ".unfinished", "pict");

    const ReadFile opened = open();

    EXPECT_EQ(read_text(opened, 100), "pictures");
    EXPECT_EQ(copies(), std::vector<fs::path>{left});
}

TEST_F(NodeCopyTest, OfAFileThatIsTooLargeIsNotMade)
{
    const ReadFile opened = open(7);

    EXPECT_EQ(fs::canonical(opened.same_file()), file_);
    EXPECT_THAT(log_.take(), HasSubstr("8 bytes are more than node_copy_gib allows"));
}

TEST_F(NodeCopyTest, ThatCannotBeMadeCostsNothing)
{
    test::write_text(disk_, "a file");

    EXPECT_EQ(read_text(open(), 100), "pictures");
    EXPECT_THAT(log_.take(), HasSubstr("is read where it is: no copy on this node"));
}

TEST_F(NodeCopyTest, OfSomebodyElseIsNotBelieved)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to somebody else";
    fs::path left;
    {
        const ReadFile opened = open();
        left = copies().front();
    }
    test::write_text(left, "hostile!");
    ASSERT_EQ(::lchown(left.c_str(), 12345, 12345), 0);

    EXPECT_EQ(read_text(open(), 100), "pictures");
    EXPECT_THAT(log_.take(), HasSubstr("belongs to somebody else"));
}

}  // namespace
}  // namespace twinscreen
