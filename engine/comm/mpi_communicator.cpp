#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <mpi.h>

#include "engine/base/error.hpp"
#include "engine/comm/communicator.hpp"

namespace twinscreen {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

/// MPI counts are ints; collectives go in pieces below 2^31 elements or bytes.
constexpr std::size_t piece_bytes = std::size_t{1} << 30;
/// Right after a letter the next one is likely: a mailbox looks again at once for this long. Then
/// it sleeps between two looks for a fraction of the time in which nothing happened: after 16 ms of
/// quiet, when shards are long and claims are made ahead, 1 ms.
constexpr microseconds spin_time{50};
constexpr int quiet_over_sleep = 16;
constexpr microseconds shortest_sleep{50};
constexpr microseconds longest_sleep{1000};
/// A mailbox that is closed while letters are still under way waits this long for them.
constexpr std::chrono::milliseconds closing_time{1000};

/// The one checker: names the call, what it was for, and MPI's own text.
void check(int status, std::string_view call, std::string_view purpose)
{
    if (status == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> text{};
    int length = 0;
    if (MPI_Error_string(status, text.data(), &length) != MPI_SUCCESS) length = 0;
    throw Error(Error::Kind::communication,
                fmt::format("{} failed while {} ({})", call, purpose,
                            std::string_view(text.data(), static_cast<std::size_t>(length))),
                "The job cannot go on; start the same command again to resume.");
}

/// A duplicate of `parent` whose errors come back as codes for `check`.
MPI_Comm duplicate(MPI_Comm parent, std::string_view purpose)
{
    MPI_Comm copy = MPI_COMM_NULL;
    check(MPI_Comm_dup(parent, &copy), "MPI_Comm_dup", purpose);
    check(MPI_Comm_set_errhandler(copy, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler", purpose);
    return copy;
}

class MpiMailbox final : public Mailbox {
public:
    explicit MpiMailbox(MPI_Comm parent)
        : comm_(duplicate(parent, "opening a mailbox")), exceptions_(std::uncaught_exceptions())
    {
    }

    MpiMailbox(const MpiMailbox&) = delete;
    MpiMailbox& operator=(const MpiMailbox&) = delete;

    ~MpiMailbox() override
    {
        bool failing = std::uncaught_exceptions() > exceptions_;
        try {
            const auto deadline = Clock::now() + closing_time;
            while (!failing && forget_sent() && Clock::now() < deadline)
                std::this_thread::sleep_for(shortest_sleep);
        } catch (const Error&) {
            failing = true;
        }
        // MPI may still read the buffers of letters that nobody received, so they live on. The
        // communicator is freed collectively, which a failing rank must not wait for.
        if (!sending_.empty())
            new std::deque<Sending>(std::move(sending_));  // NOLINT: lives on
        else if (!failing)
            MPI_Comm_free(&comm_);
    }

    void send(int to, std::span<const std::byte> message) override
    {
        TWINSCREEN_REQUIRE(message.size() <= std::numeric_limits<int>::max(), communication,
                           "a letter of {} bytes to rank {} cannot be sent (the limit is 2 GiB)",
                           message.size(), to);
        forget_sent();
        Sending& letter = sending_.emplace_back();
        letter.message.assign(message.begin(), message.end());
        check(MPI_Isend(letter.message.data(), static_cast<int>(message.size()), MPI_BYTE, to, 0,
                        comm_, &letter.request),
              "MPI_Isend", fmt::format("sending {} bytes to rank {}", message.size(), to));
        last_activity_ = Clock::now();
    }

    std::optional<Letter> receive(microseconds patience) override
    {
        const auto start = Clock::now();
        for (auto now = start;; now = Clock::now()) {
            forget_sent();
            if (auto letter = poll()) {
                last_activity_ = Clock::now();
                return letter;
            }
            const auto left = std::chrono::duration_cast<microseconds>(start + patience - now);
            if (left.count() <= 0) return std::nullopt;
            const auto quiet = std::chrono::duration_cast<microseconds>(now - last_activity_);
            if (quiet < spin_time) {
                std::this_thread::yield();
                continue;
            }
            const auto sleep = std::clamp(quiet / quiet_over_sleep, shortest_sleep, longest_sleep);
            std::this_thread::sleep_for(std::min(sleep, left));
        }
    }

private:
    struct Sending {
        std::vector<std::byte> message;
        MPI_Request request = MPI_REQUEST_NULL;
    };

    std::optional<Letter> poll()
    {
        int there = 0;
        MPI_Message handle = MPI_MESSAGE_NULL;
        MPI_Status status;
        check(MPI_Improbe(MPI_ANY_SOURCE, 0, comm_, &there, &handle, &status), "MPI_Improbe",
              "looking for letters");
        if (there == 0) return std::nullopt;
        int bytes = 0;
        check(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count", "receiving a letter");
        Letter letter{status.MPI_SOURCE, std::vector<std::byte>(static_cast<std::size_t>(bytes))};
        check(MPI_Mrecv(letter.message.data(), bytes, MPI_BYTE, &handle, &status), "MPI_Mrecv",
              fmt::format("receiving {} bytes from rank {}", bytes, letter.from));
        return letter;
    }

    /// Releases the buffers that MPI is done with; true while some are left.
    bool forget_sent()
    {
        while (!sending_.empty()) {
            int done = 0;
            check(MPI_Test(&sending_.front().request, &done, MPI_STATUS_IGNORE), "MPI_Test",
                  "sending letters");
            if (done == 0) return true;
            sending_.pop_front();
        }
        return false;
    }

    MPI_Comm comm_;
    int exceptions_;
    std::deque<Sending> sending_;
    Clock::time_point last_activity_ = Clock::now();
};

MPI_Op operation_of(Reduction how)
{
    switch (how) {
        case Reduction::sum: return MPI_SUM;
        case Reduction::min: return MPI_MIN;
        case Reduction::max: return MPI_MAX;
    }
    return MPI_OP_NULL;
}

/// The file part of Open MPI that is used without asking, OMPIO, opens a semaphore named after the
/// file for every job of a node. A job that is killed in that moment leaves it taken, and every
/// later one that opens a file of that name waits for ever. ROMIO, which Open MPI has too, makes
/// nothing beside the file. Who sets the variable knows better.
void choose_file_access() { setenv("OMPI_MCA_io", "^ompio", 0); }

/// MPI itself: initialised here unless somebody did before, and then left to them.
class MpiLibrary {
public:
    MpiLibrary() : exceptions_(std::uncaught_exceptions())
    {
        int initialised = 0;
        check(MPI_Initialized(&initialised), "MPI_Initialized", "starting");
        if (initialised != 0) {
            check(MPI_Query_thread(&provided_), "MPI_Query_thread", "starting");
            return;
        }
        choose_file_access();
        check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided_), "MPI_Init_thread",
              "starting");
        ours_ = true;
    }

    MpiLibrary(const MpiLibrary&) = delete;
    MpiLibrary& operator=(const MpiLibrary&) = delete;

    /// Finalising waits for all ranks: a failing one would hang there and hide its message.
    ~MpiLibrary()
    {
        if (ours_ && std::uncaught_exceptions() <= exceptions_) MPI_Finalize();
    }

    bool threads_may_message() const noexcept { return provided_ >= MPI_THREAD_MULTIPLE; }

private:
    int provided_ = MPI_THREAD_SINGLE;
    int exceptions_;
    bool ours_ = false;
};

class MpiCommunicator final : public Communicator {
public:
    MpiCommunicator()
        : comm_(duplicate(MPI_COMM_WORLD, "starting")), exceptions_(std::uncaught_exceptions())
    {
        // MPI_Abort prints this name.
        check(MPI_Comm_set_name(comm_, "twinscreen"), "MPI_Comm_set_name", "starting");
        check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank", "starting");
        check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size", "starting");
        MPI_Comm node = MPI_COMM_NULL;
        check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type", "finding the ranks of this node");
        check(MPI_Comm_rank(node, &node_rank_), "MPI_Comm_rank", "starting");
        check(MPI_Comm_free(&node), "MPI_Comm_free", "starting");
    }

    MpiCommunicator(const MpiCommunicator&) = delete;
    MpiCommunicator& operator=(const MpiCommunicator&) = delete;

    ~MpiCommunicator() override
    {
        if (std::uncaught_exceptions() <= exceptions_) MPI_Comm_free(&comm_);
    }

    int rank() const noexcept override { return rank_; }
    int size() const noexcept override { return size_; }
    int node_rank() const noexcept override { return node_rank_; }
    const void* native() const noexcept override { return &comm_; }
    bool threads_may_message() const noexcept override { return library_.threads_may_message(); }

    void barrier() override { check(MPI_Barrier(comm_), "MPI_Barrier", "waiting for all ranks"); }

    void broadcast(std::span<std::byte> bytes, int root) override
    {
        for (std::size_t at = 0; at < bytes.size(); at += piece_bytes) {
            const auto piece = bytes.subspan(at, std::min(piece_bytes, bytes.size() - at));
            check(MPI_Bcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, root, comm_),
                  "MPI_Bcast", fmt::format("sending {} bytes from rank {}", bytes.size(), root));
        }
    }

    void all_reduce(std::span<double> values, Reduction how) override
    {
        constexpr std::size_t piece_values = piece_bytes / sizeof(double);
        for (std::size_t at = 0; at < values.size(); at += piece_values) {
            const auto piece = values.subspan(at, std::min(piece_values, values.size() - at));
            check(MPI_Allreduce(MPI_IN_PLACE, piece.data(), static_cast<int>(piece.size()),
                                MPI_DOUBLE, operation_of(how), comm_),
                  "MPI_Allreduce", fmt::format("combining {} numbers", values.size()));
        }
    }

    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override
    {
        if (all.size() <= piece_bytes) {
            check(MPI_Allgather(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, all.data(),
                                static_cast<int>(mine.size()), MPI_BYTE, comm_),
                  "MPI_Allgather", fmt::format("gathering {} bytes", all.size()));
            return;
        }
        for (int rank = 0; rank < size_; ++rank) {
            const auto part =
                all.subspan(static_cast<std::size_t>(rank) * mine.size(), mine.size());
            if (rank == rank_) std::memcpy(part.data(), mine.data(), mine.size());
            broadcast(part, rank);
        }
    }

    std::unique_ptr<Mailbox> open_mailbox() override { return std::make_unique<MpiMailbox>(comm_); }

    [[noreturn]] void abort(int exit_code) noexcept override
    {
        std::fflush(nullptr);
        MPI_Abort(comm_, exit_code);
        _exit(exit_code);
    }

private:
    MpiLibrary library_;
    MPI_Comm comm_;
    int exceptions_;
    int rank_ = 0;
    int size_ = 1;
    int node_rank_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator()
{
    return std::make_unique<MpiCommunicator>();
}

}  // namespace twinscreen
