#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/shard_queue.hpp"

namespace twinscreen {

/// What a rank tells the server.
struct RankNote {
    std::uint32_t wanted = 0;        ///< asks for up to this many shards; 0: asks for nothing
    std::uint32_t joined_epoch = 0;  ///< last checkpoint that its main thread took
    bool waiting = false;            ///< its main thread waits with nothing in hand
    bool stop = false;               ///< it was told to stop by a signal
    bool drained = false;            ///< all its reports are sent
    bool goodbye = false;            ///< its last note
    std::vector<ShardReport> reports;
};

/// What the server tells a rank.
struct ServerNote {
    std::vector<Instruction> instructions;
    bool farewell = false;  ///< every rank has drained; the server's last note
    bool complete = false;  ///< with the farewell: every shard was reported
};

/// Both sides run the same program, so numbers travel as they lie in memory.
std::vector<std::byte> encode(const RankNote& note);
std::vector<std::byte> encode(const ServerNote& note);
/// Throw Error(communication) for bytes that are no such note.
RankNote decode_rank_note(std::span<const std::byte> bytes);
/// Shards come back with the item ranges of `plan`.
ServerNote decode_server_note(std::span<const std::byte> bytes, const Plan& plan);

}  // namespace twinscreen
