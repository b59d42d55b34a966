#include <algorithm>
#include <cstring>

#include "engine/twin/v4_network.hpp"

namespace twinscreen {

namespace {

constexpr int kernel = 5;
constexpr int margin = 2;  // zero pixels left and right of every stored row

}  // namespace

V4Inference::V4Inference(const V4Weights& weights, const CpuKernels& kernels)
    : kernels_(kernels), first_(packed_for(kernels, weights.first, weights.first_bias))
{
    int side = v4_side;
    int columns = first_.columns;
    for (const V4Weights::Layer& layer : weights.layers) {
        Layer next;
        next.depthwise = padded_rows(kernels, layer.depthwise, columns);
        next.pointwise = packed_for(kernels, layer.pointwise, layer.bias);
        next.in_padded = padded_to_lanes(columns, kernels.lanes);
        next.in_side = side;
        next.out_side = side / layer.stride;
        next.stride = layer.stride;
        side = next.out_side;
        columns = next.pointwise.columns;
        layers_.push_back(std::move(next));
    }
}

V4Inference::~V4Inference() = default;

int V4Inference::channels() const noexcept { return layers_.back().pointwise.columns; }

/// Buffers and progress of one image at a time.
class V4Inference::Pass {
public:
    explicit Pass(const V4Inference& network) : network_(network)
    {
        constexpr auto padded_side = static_cast<std::size_t>(v4_side + 2 * margin);
        image_.assign(padded_side * padded_side * 3, 0.0F);
        std::size_t widest = 0;
        for (const Layer& layer : network.layers_) {
            const auto row =
                static_cast<std::size_t>((layer.in_side + 2 * margin) * layer.in_padded);
            rings_.emplace_back(row * kernel, 0.0F);
            widest = std::max(widest, row);
        }
        zeros_.assign(widest, 0.0F);
        filtered_.resize(widest);
        const auto last = static_cast<std::size_t>(network.layers_.back().pointwise.padded_columns);
        finished_row_.resize(v4_tap_side * last);
    }

    void run(const float* image, float* taps)
    {
        constexpr std::size_t row = std::size_t{v4_side} * 3;
        constexpr std::size_t padded_row = (std::size_t{v4_side} + 2 * margin) * 3;
        for (std::size_t y = 0; y < v4_side; ++y)
            std::memcpy(&image_[(y + margin) * padded_row + std::size_t{margin} * 3],
                        image + y * row, row * sizeof(float));
        taps_ = taps;
        produced_.assign(network_.layers_.size() + 1, 0);
        produce(network_.layers_.size(), v4_tap_side - 1);
    }

private:
    /// Row y of the output of layer `number` (0: the first convolution) in the ring that the next
    /// layer reads.
    float* ring_row(std::size_t number, int y)
    {
        const Layer& reader = network_.layers_[number];
        const int pixels = reader.in_side + 2 * margin;
        return rings_[number].data() + std::ptrdiff_t{y % kernel} * pixels * reader.in_padded;
    }

    /// Computes the rows of a layer up to and including `last`.
    void produce(std::size_t number, int last)
    {
        for (; produced_[number] <= last; ++produced_[number])
            if (number == 0)
                first_row(produced_[0]);
            else
                separable_row(number, produced_[number]);
    }

    void first_row(int y)
    {
        constexpr std::ptrdiff_t padded_row = (std::ptrdiff_t{v4_side} + 2 * margin) * 3;
        Contraction c;
        c.input = image_.data() + y * padded_row;
        c.row_stride = 3;
        c.segments = kernel;
        c.segment_stride = padded_row;
        c.segment_length = kernel * 3;
        finish(c, network_.first_, v4_side,
               ring_row(0, y) + std::ptrdiff_t{margin} * network_.layers_[0].in_padded);
    }

    void separable_row(std::size_t number, int y)
    {
        const Layer& layer = network_.layers_[number - 1];
        // TensorFlow SAME: of the padding of an even side, the smaller half comes first.
        const int before = layer.stride == 2 ? 1 : 2;
        const int top = y * layer.stride - before;
        produce(number - 1, std::min(top + kernel, layer.in_side) - 1);
        const float* rows[kernel];
        for (int k = 0; k < kernel; ++k) {
            const bool inside = top + k >= 0 && top + k < layer.in_side;
            rows[k] = inside ? ring_row(number - 1, top + k) +
                                   std::ptrdiff_t{margin - before} * layer.in_padded
                             : zeros_.data();
        }
        Depthwise d;
        d.input_rows = rows;
        d.kernel = kernel;
        d.stride = layer.stride;
        d.weights = layer.depthwise.data();
        d.output = filtered_.data();
        d.pixels = layer.out_side;
        d.channels = layer.in_padded;
        network_.kernels_.depthwise(d);
        Contraction c;
        c.input = filtered_.data();
        c.row_stride = layer.in_padded;
        c.segment_length = layer.pointwise.depth;
        if (number < network_.layers_.size()) {
            finish(c, layer.pointwise, layer.out_side,
                   ring_row(number, y) + std::ptrdiff_t{margin} * layer.pointwise.padded_columns);
            return;
        }
        finish(c, layer.pointwise, layer.out_side, finished_row_.data());
        const auto live = static_cast<std::size_t>(layer.pointwise.columns);
        const auto padded = static_cast<std::size_t>(layer.pointwise.padded_columns);
        float* to = taps_ + static_cast<std::size_t>(y) * v4_tap_side * live;
        for (std::size_t x = 0; x < v4_tap_side; ++x)
            std::memcpy(to + x * live, &finished_row_[x * padded], live * sizeof(float));
    }

    void finish(Contraction& c, const PackedMatrix& matrix, int rows, float* output) const
    {
        c.weights = matrix.weights.data();
        c.bias = matrix.bias.data();
        c.padded_columns = matrix.padded_columns;
        c.rows = rows;
        c.output = output;
        c.output_stride = matrix.padded_columns;
        c.activation = Activation::relu;
        network_.kernels_.contract(c);
    }

    const V4Inference& network_;
    std::vector<float> image_;               // zero-padded
    std::vector<std::vector<float>> rings_;  // one per separable layer: the rows it reads
    std::vector<float> zeros_;
    std::vector<float> filtered_;  // one row behind the depthwise convolution
    std::vector<float> finished_row_;
    std::vector<int> produced_;
    float* taps_ = nullptr;
};

std::size_t V4Inference::memory_bytes() const noexcept
{
    std::size_t floats = (v4_side + 2 * margin) * (v4_side + 2 * margin) * 3;
    for (const Layer& layer : layers_)
        floats += static_cast<std::size_t>((layer.in_side + 2 * margin) * layer.in_padded) * kernel;
    return floats * sizeof(float);
}

void V4Inference::run(const float* images, std::ptrdiff_t count, float* taps) const
{
    constexpr std::ptrdiff_t pixels = std::ptrdiff_t{v4_side} * v4_side * 3;
    const std::ptrdiff_t tap = std::ptrdiff_t{v4_tap_side} * v4_tap_side * channels();
    Pass pass(*this);
    for (std::ptrdiff_t i = 0; i < count; ++i) pass.run(images + i * pixels, taps + i * tap);
}

}  // namespace twinscreen
