#include "engine/base/read_file.hpp"

#include <sys/stat.h>

#include <gtest/gtest.h>

#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

TEST(ReadFile, KeepsReadingTheFileThatItOpened)
{
    const test::TemporaryFolder folder;
    test::write_text(folder / "a", "first");
    test::write_text(folder / "b", "other");
    const ReadFile file(folder / "a");

    fs::rename(folder / "b", folder / "a");

    EXPECT_EQ(read_text(file, 10), "first");
    EXPECT_EQ(test::read_text(file.same_file()), "first");
    EXPECT_EQ(read_text(ReadFile(folder / "a"), 10), "other");
}

TEST(ReadFile, FollowsALinkUnlessToldOtherwise)
{
    const test::TemporaryFolder folder;
    test::write_text(folder / "a", "text");
    fs::create_symlink("a", folder / "link");

    EXPECT_EQ(read_text(ReadFile(folder / "link"), 10), "text");
    EXPECT_EQ(test::error_text([&] { ReadFile file(folder / "link", Links::refuse); }),
              (folder / "link").string() +
                  " is a symbolic link (a bundle holds its own files: who may change the target of "
                  "a link could change the twin). Put a copy of the file there");
}

TEST(ReadFile, RefusesWhatIsNoFileWithoutWaitingForIt)
{
    const test::TemporaryFolder folder;
    ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);

    EXPECT_EQ(test::error_text([&] { ReadFile file(folder / "pipe"); }),
              (folder / "pipe").string() + " is not an ordinary file");
    EXPECT_EQ(test::error_text([&] { ReadFile file("/dev/zero"); }),
              "/dev/zero is not an ordinary file");
}

TEST(ReadFile, IsNotReadAtAllBeyondTheLimit)
{
    const test::TemporaryFolder folder;
    test::write_text(folder / "huge", "x");
    fs::resize_file(folder / "huge", std::uintmax_t{1} << 40U);  // of holes

    EXPECT_EQ(test::error_text([&] { read_text(ReadFile(folder / "huge"), 1000); }),
              (folder / "huge").string() + " has 1099511627776 bytes (at most 1000 are read)");
}

}  // namespace
}  // namespace twinscreen
