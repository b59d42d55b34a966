#include "kernels/prepare_images.hpp"

#include "kernels/fitted_axes.hpp"
#include "kernels/launch.hpp"
#include "kernels/prepare_bodies.hpp"

namespace twinscreen {

void prepare_images(const InputTransform& canvas, std::size_t number, ConstBatch packed,
                    Batch inputs, Executor& executor)
{
    const std::int64_t rows = inputs.shape.extent[0];
    TWINSCREEN_REQUIRE(inputs.shape.count() == canvas.row_shape().with_rows(rows).count(), internal,
                       "rows of network input have shape {}, expected {}", inputs.shape.text(),
                       canvas.row_shape().with_rows(rows).text());
    PrepareImages body{};
    body.packed = values_of<std::uint8_t>(packed).data();
    body.table =
        reinterpret_cast<const PackedRow*>(body.packed) + static_cast<std::int64_t>(number) * rows;
    body.area = static_cast<std::int64_t>(canvas.height) * canvas.width;
    body.width = canvas.width;
    body.channels = canvas.channels;
    body.channels_last = canvas.channels_last;
    body.rounds = rounds_each_pass(canvas.filter);
    for (std::size_t c = 0; c < most_picture_channels; ++c) {
        const auto [mean, scale] = normalisation_of(canvas, c);
        body.mean[c] = mean;
        body.scale[c] = scale;
    }
    body.inputs = values_of<float>(inputs).data();
    launch(executor, rows * body.area, body);
}

}  // namespace twinscreen
