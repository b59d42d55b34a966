#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "engine/run/covariates.hpp"
#include "engine/schedule/plan.hpp"
#include "engine/stimulus/source.hpp"
#include "kernels/picture_batch.hpp"

namespace twinscreen {

/// Stimuli of consecutive items, ready for the networks.
struct InputBatch {
    ItemRange items;                     ///< the real items; rows beyond are padding
    std::vector<OwnedBatch> canvases;    ///< each f32 [batch_items, canvas row]; none if packed
    std::vector<OwnedBatch> covariates;  ///< each f32 [batch_items, extent]
    std::vector<double>
        luminance;  ///< [items] mean pixel value of the picture [0..255], NaN if not valid
    std::vector<std::uint8_t> valid;  ///< [items] 0: the picture could not be read
    /// What prepare_batch makes the canvases of, where ReaderSettings::pack_for is given.
    std::optional<PictureBatch> pictures = std::nullopt;
};

/// Thrown when the job is asked to stop in the middle of a shard or of combining a stage.
struct StopRequested {};

/// The declared reads of one shard, batch by batch, in item order.
class InputStream {
public:
    virtual ~InputStream() = default;
    /// The next batch, or nullptr after the last. Valid until the next call. Throws Error(data)
    /// for a stimulus that cannot be read, StopRequested on a stop request.
    virtual const InputBatch* next() = 0;
    /// Time that readers spent on the batches given out so far [s].
    virtual double fill_s() const noexcept = 0;
    /// Time that the caller waited for them [s].
    virtual double wait_s() const noexcept = 0;
};

enum class BadImage { stop, record_nan };

struct ReaderSettings {
    std::uint32_t batch_items = 32;
    int threads = 1;
    int depth = 4;  ///< batches filled ahead of the one in use, beside one per thread
    BadImage on_bad_image = BadImage::stop;
    const std::atomic<bool>* stop = nullptr;
    /// Batches hold packed pictures in pinned memory of this executor instead of canvases; it must
    /// outlive the reader. Reader threads call allocate_pinned and deallocate_pinned, nothing else.
    Executor* pack_for = nullptr;
    /// Of the pixels in one packed batch [bytes]; see PictureBatch.
    std::size_t most_picture_bytes = std::size_t{512} << 20U;
};

/// A pool of threads that fills the batches of announced ranges ahead of their use.
class InputReader {
public:
    virtual ~InputReader() = default;
    /// Announces a shard's reads; they are filled in the order announced.
    virtual void announce(const Shard& shard, ItemRange stimuli) = 0;
    /// The stream of the shard that was announced first and not opened yet; the shard must match.
    virtual InputStream& open(const Shard& shard) = 0;
    /// True while some thread would find no announced batch to begin with: announce another shard.
    virtual bool wants_more() const = 0;
};

std::unique_ptr<InputReader> make_input_reader(const StimulusSource&,
                                               const std::vector<InputTransform>& canvases,
                                               const std::vector<CovariateBinding>& bindings,
                                               const ReaderSettings&);

}  // namespace twinscreen
