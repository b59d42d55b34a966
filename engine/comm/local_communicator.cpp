#include <algorithm>
#include <cstdio>
#include <deque>
#include <thread>
#include <unistd.h>

#include "engine/base/error.hpp"
#include "engine/comm/communicator.hpp"

namespace twinscreen {

namespace {

class LocalMailbox final : public Mailbox {
public:
    void send(int to, std::span<const std::byte> message) override
    {
        TWINSCREEN_REQUIRE(to == 0, internal,
                           "a letter to rank {} cannot be sent (this job has one rank)", to);
        letters_.push_back({0, {message.begin(), message.end()}});
    }

    std::optional<Letter> receive(std::chrono::microseconds patience) override
    {
        if (letters_.empty()) {
            // Nobody else can send while the only thread of this mailbox waits.
            if (patience.count() > 0) std::this_thread::sleep_for(patience);
            return std::nullopt;
        }
        Letter letter = std::move(letters_.front());
        letters_.pop_front();
        return letter;
    }

private:
    std::deque<Letter> letters_;
};

class LocalCommunicator final : public Communicator {
public:
    int rank() const noexcept override { return 0; }
    int size() const noexcept override { return 1; }
    int node_rank() const noexcept override { return 0; }
    const void* native() const noexcept override { return nullptr; }
    bool threads_may_message() const noexcept override { return true; }

    void barrier() override {}
    void broadcast(std::span<std::byte>, int root) override { require_rank_zero(root); }
    void all_reduce(std::span<double>, Reduction) override {}
    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override
    {
        std::copy(mine.begin(), mine.end(), all.begin());
    }
    std::unique_ptr<Mailbox> open_mailbox() override { return std::make_unique<LocalMailbox>(); }

    [[noreturn]] void abort(int exit_code) noexcept override
    {
        std::fflush(nullptr);
        _exit(exit_code);
    }

private:
    static void require_rank_zero(int root)
    {
        TWINSCREEN_REQUIRE(root == 0, internal, "rank {} cannot broadcast (this job has one rank)",
                           root);
    }
};

}  // namespace

std::unique_ptr<Communicator> make_local_communicator()
{
    return std::make_unique<LocalCommunicator>();
}

}  // namespace twinscreen
