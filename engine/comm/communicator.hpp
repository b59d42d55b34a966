#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace twinscreen {

enum class Reduction { sum, min, max };

/// A private message channel between the ranks of one communicator.
class Mailbox {
public:
    struct Letter {
        int from = 0;
        std::vector<std::byte> message;
    };

    virtual ~Mailbox() = default;
    /// Independent; one thread per mailbox; does not wait for the receiver. Letters between two
    /// ranks arrive in the order sent.
    virtual void send(int to, std::span<const std::byte> message) = 0;
    /// Independent. The next letter, or nothing when `patience` has passed.
    virtual std::optional<Letter> receive(std::chrono::microseconds patience) = 0;
};

/// The processes of one job. `local` (one process, no MPI calls) and `mpi` are peers.
class Communicator {
public:
    virtual ~Communicator() = default;
    virtual int rank() const noexcept = 0;
    virtual int size() const noexcept = 0;
    /// Rank among the processes of this node.
    virtual int node_rank() const noexcept = 0;
    /// The address of an MPI_Comm for libraries that need one (parallel HDF5):
    /// `*static_cast<const MPI_Comm*>(native())`; nullptr without MPI.
    virtual const void* native() const noexcept = 0;
    /// True if any thread may use a mailbox while another computes or is in a collective call.
    /// False where MPI provides less than MPI_THREAD_MULTIPLE; then only the main thread may call.
    virtual bool threads_may_message() const noexcept = 0;

    /// Collective.
    virtual void barrier() = 0;
    /// Collective.
    virtual void broadcast(std::span<std::byte> bytes, int root) = 0;
    /// Collective.
    virtual void all_reduce(std::span<double> values, Reduction how) = 0;
    /// Collective: `all` gets the bytes of rank 0, of rank 1, ...; every rank gives as many.
    virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
    /// Collective.
    virtual std::unique_ptr<Mailbox> open_mailbox() = 0;
    /// Any rank; ends the whole job with this exit code.
    [[noreturn]] virtual void abort(int exit_code) noexcept = 0;
};

/// Name of this machine, for messages that name a rank.
std::string host_name();

/// Collective: a text of any length from the root to everybody.
std::string broadcast_text(Communicator& communicator, std::string text, int root = 0);

/// One process.
std::unique_ptr<Communicator> make_local_communicator();
/// True in a process that mpirun or srun started as one of a job's ranks.
bool started_by_mpi_launcher();
/// Collective over all processes of the launcher; initialises MPI with MPI_THREAD_MULTIPLE and
/// finalises it at the end of the communicator's life (unless an exception is in flight).
std::unique_ptr<Communicator> make_mpi_communicator();

}  // namespace twinscreen
