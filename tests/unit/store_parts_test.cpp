#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/child_process.hpp"
#include "engine/store/folder_lock.hpp"
#include "engine/store/writer_thread.hpp"
#include "tests/support/support.hpp"

namespace twinscreen {
namespace {

using test::error_text;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr std::chrono::seconds patient{20};

TEST(ChildProcess, ReturnsTheBytesOfItsWork)
{
    const std::string bytes("a\0b", 3);

    EXPECT_EQ(run_in_child("x.h5", patient, [&] { return bytes; }), bytes);
    EXPECT_EQ(run_in_child("x.h5", patient, [] { return std::string(300'000, 'z'); }).size(),
              300'000U);
}

TEST(ChildProcess, PassesErrorsOn)
{
    EXPECT_EQ(error_text([] {
                  run_in_child("x.h5", patient, []() -> std::string {
                      throw Error(Error::Kind::data, "x.h5: no images");
                  });
              }),
              "x.h5: no images");
}

TEST(ChildProcess, SurvivesACrash)
{
    EXPECT_THAT(error_text([] {
                    run_in_child("x.h5", patient, []() -> std::string {
                        std::raise(SIGSEGV);
                        return {};
                    });
                }),
                HasSubstr("x.h5 is damaged (reading it crashed the library: "));
}

TEST(ChildProcess, GivesUpOnAHang)
{
    EXPECT_EQ(error_text([] {
                  run_in_child("x.h5", std::chrono::milliseconds(50), []() -> std::string {
                      while (true) pause();
                  });
              }),
              "x.h5 is damaged (reading it took more than 0.05 s and was given up)");
}

TEST(ChildProcess, GivesUpOnAStandstillOfOneStep)
{
    EXPECT_EQ(error_text([] {
                  run_in_child("x.h5", std::nullopt, []() -> std::string {
                      ualarm(50'000, 0);
                      while (true) pause();
                  });
              }),
              "x.h5 is damaged (reading it came to a standstill and was given up)");
}

TEST(ChildProcess, RefusesToGiveAHostileFileTheMemoryOfTheNode)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer ends the process where memory is short";
#endif
    EXPECT_EQ(error_text([] {
                  run_in_child("x.h5", patient, [] {
                      const std::vector<char> wanted(std::size_t{5} << 30);
                      return std::to_string(wanted.size());
                  });
              }),
              "x.h5 is damaged (reading it needs more than 4 GiB of memory)");
}

TEST(ChildProcess, DoesNotListenToAnAnswerWithoutEnd)
{
    EXPECT_EQ(error_text([] {
                  run_in_child("x.h5", patient,
                               [] { return std::string((std::size_t{64} << 20) + 1, 'z'); });
              }),
              "x.h5 is damaged (it describes itself without end)");
}

TEST(ChildProcess, AFailureOfTheLibraryIsOfTheKindThatTheFileHas)
{
    try {
        run_in_child(
            "x.h5", patient, []() -> std::string { throw std::length_error("too long"); },
            Error::Kind::data);
        FAIL() << "expected an Error";
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), Error::Kind::data);
        EXPECT_STREQ(error.what(), "x.h5 cannot be read (too long)");
    }
}

TEST(FolderLock, KeepsASecondJobOutAndNamesTheFirst)
{
    TemporaryFolder folder;
    const auto results = folder / "results/x";
    std::optional<FolderLock> first(results);

    EXPECT_THAT(error_text([&] { FolderLock second(results); }),
                MatchesRegex(results.string() + " is in use by another job \\(host [^,]+, pid " +
                             std::to_string(getpid()) +
                             ", since [-0-9]+ [0-9:]+\\)\n"
                             "  Wait for it, stop it, or choose another output folder with "
                             "--out\\."));
    first.reset();
    EXPECT_NO_THROW(FolderLock second(results));
}

TEST(FolderLock, IsReleasedWhenItsProcessIsKilled)
{
    TemporaryFolder folder;
    std::array<int, 2> ends{};
    ASSERT_EQ(pipe(ends.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
        const FolderLock lock(folder.path());
        const char ready = 'x';
        if (write(ends[1], &ready, 1) != 1) _exit(1);
        while (true) pause();
    }
    char ready = 0;
    ASSERT_EQ(read(ends[0], &ready, 1), 1);
    EXPECT_THAT(error_text([&] { FolderLock mine(folder.path()); }),
                HasSubstr("pid " + std::to_string(child)));

    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);

    EXPECT_NO_THROW(FolderLock mine(folder.path()));
    close(ends[0]);
    close(ends[1]);
}

TEST(FolderLock, SaysWhenTheFolderCannotBeMade)
{
    TemporaryFolder folder;
    test::write_text(folder / "file", "");

    EXPECT_EQ(
        error_text([&] { FolderLock lock(folder / "file/results"); }),
        "cannot make the folder " + (folder / "file/results").string() + " (Not a directory)");
}

TEST(FolderLock, DoesNotWriteThroughALink)
{
    TemporaryFolder folder;
    test::write_text(folder / "somebodys", "important");
    std::filesystem::create_symlink("somebodys", folder / ".lock");

    EXPECT_EQ(
        error_text([&] { FolderLock lock(folder.path()); }),
        "cannot write in " + folder.path().string() +
            " (Too many levels of symbolic links)\n  Choose another output folder with --out.");
    EXPECT_EQ(test::read_text(folder / "somebodys"), "important");
}

TEST(FolderLock, IsNotWritableForTheWorldWhateverTheUmask)
{
    TemporaryFolder folder;
    const mode_t before = umask(0);

    const FolderLock lock(folder.path());

    umask(before);
    const auto rights = std::filesystem::status(folder / ".lock").permissions();
    EXPECT_EQ(rights & std::filesystem::perms::others_write, std::filesystem::perms::none);
}

TEST(FolderLock, SaysWhenTheFolderIsReadOnly)
{
    TemporaryFolder folder;
    std::filesystem::permissions(folder.path(), std::filesystem::perms{0555});

    const std::string said = run_in_child("test", patient, [&] {
        constexpr uid_t nobody = 65534;
        if (geteuid() == 0 && seteuid(nobody) != 0) return std::string("cannot become nobody");
        return error_text([&] { FolderLock lock(folder.path()); });
    });

    EXPECT_EQ(said, "cannot write in " + folder.path().string() +
                        " (Permission denied)\n  Choose another output folder with --out.");
    std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST(WriterThread, RunsJobsInTheOrderPosted)
{
    WriterThread writer(100);
    std::vector<int> done;
    for (int i = 0; i < 50; ++i)
        writer.post(10, WriterThread::Job([&done, i] { done.push_back(i); }));
    writer.drain();

    ASSERT_EQ(done.size(), 50U);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(done[static_cast<std::size_t>(i)], i);
}

TEST(WriterThread, NeverHoldsMoreBytesThanItsBound)
{
    WriterThread writer(100);
    std::atomic<int> held{0};
    std::atomic<int> most{0};
    for (int i = 0; i < 30; ++i) {
        writer.post(40, WriterThread::Job([&] { --held; }));
        most = std::max(most.load(), ++held);
    }
    writer.drain();

    EXPECT_LE(most.load(), 3);  // two in the queue, and the one just counted
}

TEST(WriterThread, ThrowsTheFirstErrorFromEveryLaterCall)
{
    WriterThread writer(100);
    bool ran_later = false;
    writer.post(1, WriterThread::Job([] { throw Error(Error::Kind::store, "no room left"); }));

    EXPECT_EQ(error_text([&] { writer.drain(); }), "no room left");
    EXPECT_EQ(error_text([&] { writer.post(1, WriterThread::Job([&] { ran_later = true; })); }),
              "no room left");
    EXPECT_EQ(error_text([&] { writer.run(WriterThread::Job([&] { ran_later = true; })); }),
              "no room left");
    EXPECT_FALSE(ran_later);
}

}  // namespace
}  // namespace twinscreen
