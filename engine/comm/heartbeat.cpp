#include "engine/comm/heartbeat.hpp"

#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "engine/base/error.hpp"
#include "engine/comm/silence_watch.hpp"

namespace twinscreen {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// Letters within the tolerated silence, and looks at the mailbox between two letters.
constexpr int beats_per_silence = 10;
constexpr int looks_per_beat = 10;
/// Between two looks at the mailbox of a rank that is about to leave.
constexpr milliseconds leaving_look{1};
constexpr std::byte is_alive{1};
constexpr std::byte says_goodbye{2};

/// MPI_Abort needs the network that may be the cause; then leaving alone has to do.
[[noreturn]] void end_job(Communicator& communicator, const std::string& sentence)
{
    const int exit_code = Error(Error::Kind::communication, sentence).exit_code();
    std::fprintf(stderr, "error: %s\n", sentence.c_str());
    std::fflush(stderr);
    std::thread([&communicator, exit_code] { communicator.abort(exit_code); }).detach();
    std::this_thread::sleep_for(std::chrono::seconds(2));
    _exit(exit_code);
}

}  // namespace

class Heartbeat::Thread {
public:
    Thread(Communicator& communicator, milliseconds silence)
        : communicator_(communicator),
          silence_(silence),
          mailbox_(communicator.open_mailbox()),
          hosts_(static_cast<std::size_t>(communicator.size()), "an unknown host"),
          exceptions_(std::uncaught_exceptions())
    {
        communicator.barrier();  // nobody's silence counts before everybody can speak
        watch_.emplace(communicator.size(), silence, Clock::now());
        const bool is_root = communicator.rank() == 0;
        for (int rank = 0; rank < communicator.size(); ++rank) {
            const bool is_peer = is_root ? rank != 0 : rank == 0;
            if (is_peer)
                peers_.push_back(rank);
            else
                watch_->forget(rank);
        }
        peers_here_ = peers_.size();
        thread_ = std::jthread([this] { run(); });
    }

    ~Thread()
    {
        {
            const std::lock_guard lock(mutex_);
            leaving_ =
                std::uncaught_exceptions() > exceptions_ ? Leaving::at_once : Leaving::with_goodbye;
        }
        changed_.notify_all();
    }

    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

private:
    enum class Leaving { no, with_goodbye, at_once };

    void run()
    {
        try {
            speak_and_listen();
        } catch (const std::exception& failure) {
            end_job(communicator_, failure.what());
        }
    }

    void speak_and_listen()
    {
        const milliseconds interval = silence_ / beats_per_silence;
        Clock::time_point next_beat = Clock::now();
        while (!has_left_ || peers_here_ > 0) {
            const Leaving leaving = pause(has_left_ ? leaving_look : interval / looks_per_beat);
            if (leaving == Leaving::at_once) return;
            if (leaving == Leaving::with_goodbye && !std::exchange(has_left_, true))
                tell(says_goodbye);
            if (!has_left_ && Clock::now() >= next_beat) {
                tell(is_alive);
                next_beat = Clock::now() + interval;
            }
            while (const auto letter = mailbox_->receive({})) hear(*letter);
            if (const auto silent = watch_->silent_peer(Clock::now()))
                end_job(communicator_, sentence_about(*silent));
        }
    }

    /// Until it is time to look again, or this rank wants to leave.
    Leaving pause(milliseconds longest)
    {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, longest, [&] { return leaving_ != Leaving::no && !has_left_; });
        return leaving_;
    }

    void tell(std::byte what)
    {
        const std::string host = host_name();
        std::vector<std::byte> letter{what};
        for (const char character : host) letter.push_back(static_cast<std::byte>(character));
        for (const int peer : peers_) mailbox_->send(peer, letter);
    }

    void hear(const Mailbox::Letter& letter)
    {
        watch_->heard(letter.from, Clock::now());
        std::string& host = hosts_.at(static_cast<std::size_t>(letter.from));
        host.clear();
        for (const std::byte byte : std::span(letter.message).subspan(1))
            host += static_cast<char>(byte);
        if (letter.message.front() != says_goodbye) return;
        watch_->forget(letter.from);
        --peers_here_;
    }

    std::string sentence_about(int rank) const
    {
        return fmt::format(
            "rank {} on {} has been silent for {:.3g} s, says rank {} on {} (it died, is stopped, "
            "or the network to it is gone). The job ends here; start the same command again to go "
            "on.",
            rank, hosts_.at(static_cast<std::size_t>(rank)),
            std::chrono::duration<double>(silence_).count(), communicator_.rank(), host_name());
    }

    Communicator& communicator_;
    milliseconds silence_;
    std::unique_ptr<Mailbox> mailbox_;
    std::vector<std::string> hosts_;
    std::vector<int> peers_;
    std::size_t peers_here_ = 0;
    bool has_left_ = false;
    std::optional<SilenceWatch> watch_;
    int exceptions_;

    std::mutex mutex_;  // of leaving_
    std::condition_variable changed_;
    Leaving leaving_ = Leaving::no;

    std::jthread thread_;  // last: it uses all of the above
};

Heartbeat::Heartbeat(Communicator& communicator, milliseconds silence)
{
    if (communicator.size() > 1 && communicator.threads_may_message())
        thread_ = std::make_unique<Thread>(communicator, silence);
}

Heartbeat::~Heartbeat() = default;

}  // namespace twinscreen
