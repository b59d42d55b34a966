#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "experiments/relational_control/generative/code_search.hpp"
#include "kernels/normal.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

/// Uniform in (0, 1), of two words.
double unit_double(std::uint32_t high, std::uint32_t low)
{
    return ((static_cast<double>(high) * 0x1p32 + static_cast<double>(low)) + 0.5) * 0x1p-64;
}

/// Softmax numerators of halved z-scores; all 1 where all merits are equal.
std::vector<double> parent_weights(const std::vector<double>& merits)
{
    // A shift, which z-scores do not see: penalties would cost the mean its digits.
    const double shift = merits.front();
    const auto count = static_cast<double>(merits.size());
    double mean = 0.0;
    for (const double merit : merits) mean += merit - shift;
    mean /= count;
    double squares = 0.0;
    for (const double merit : merits) {
        const double deviation = merit - shift - mean;
        squares += deviation * deviation;
    }
    const double sd = std::sqrt(squares / count);
    std::vector<double> weights;
    weights.reserve(merits.size());
    for (const double merit : merits)
        weights.push_back(sd > 0.0 ? std::exp(0.5 * ((merit - shift - mean) / sd)) : 1.0);
    return weights;
}

/// The first index at which the running sum of weights, without `left_out`, exceeds `at`.
std::size_t drawn(const std::vector<double>& weights, double at, std::size_t left_out)
{
    double sum = 0.0;
    std::size_t last = 0;
    for (std::size_t index = 0; index < weights.size(); ++index) {
        if (index == left_out) continue;
        last = index;
        sum += weights[index];
        if (sum > at) return index;
    }
    return last;  // rounding
}

class GeneticCodes final : public CodeSearch {
public:
    explicit GeneticCodes(const CodeSearchSettings& settings)
        : settings_(settings),
          codes_(settings.codes * settings.code_length),
          merits_(settings.codes),
          children_(settings.children() * settings.code_length)
    {
    }

    std::span<const double> ask() override
    {
        const std::size_t length = settings_.code_length;
        if (generation_ == 0) {
            for (std::uint32_t code = 0; code < settings_.codes; ++code)
                draw_normals(code_address(settings_, DrawStream::generator_code, 0, code),
                             std::span(codes_).subspan(code * length, length));
            return codes_;
        }
        const std::vector<double> weights = parent_weights(merits_);
        for (std::uint32_t child = 0; child < settings_.children(); ++child)
            make_child(child, weights);
        return children_;
    }

    void tell(std::span<const double> merits) override
    {
        if (generation_ > 0)
            std::ranges::copy(children_,
                              codes_.begin() + static_cast<std::ptrdiff_t>(settings_.survivors() *
                                                                           settings_.code_length));
        std::ranges::copy(merits, merits_.end() - static_cast<std::ptrdiff_t>(merits.size()));
        sort();
        ++generation_;
    }

    void save(StateWriter& state) const override
    {
        state.add(generation_);
        state.add(codes_);
        state.add(merits_);
    }
    void load(StateReader& state) override
    {
        state.take(generation_);
        state.take(codes_);
        state.take(merits_);
    }

private:
    void make_child(std::uint32_t child, const std::vector<double>& weights)
    {
        DrawWords words(code_address(settings_, DrawStream::evolution, generation_, child));
        const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
        const std::uint32_t high = words.next(), low = words.next();
        const std::size_t first = drawn(weights, unit_double(high, low) * all, weights.size());
        const std::uint32_t next_high = words.next(), next_low = words.next();
        const std::size_t second =
            drawn(weights, unit_double(next_high, next_low) * (all - weights[first]), first);

        const std::size_t length = settings_.code_length;
        const std::span<double> code = std::span(children_).subspan(child * length, length);
        std::copy_n(&codes_[first * length], length, code.begin());
        // Each subset of that size is equally likely (Knuth 1997, algorithm 3.4.2 S).
        auto wanted =
            static_cast<std::uint32_t>(settings_.heritability * static_cast<double>(length));
        for (std::size_t gene = 0; gene < length; ++gene) {
            if (below(words.next(), static_cast<std::uint32_t>(length - gene)) >= wanted) continue;
            code[gene] = codes_[second * length + gene];
            --wanted;
        }
        mutate(child, words, code);
    }

    void mutate(std::uint32_t child, DrawWords& words, std::span<double> code)
    {
        const std::size_t length = code.size();
        changes_.resize(length);
        DrawAddress normals = code_address(settings_, DrawStream::evolution, generation_, child);
        normals.index += static_cast<std::uint32_t>(1 + (2 * length + 3) / 4);
        draw_normals(normals, changes_);
        for (std::size_t gene = 0; gene < length; ++gene)
            if (static_cast<double>(unit_interval(words.next())) < settings_.mutation_probability)
                code[gene] += settings_.mutation_sd * changes_[gene];
    }

    /// Best first; of equal merits, the older code.
    void sort()
    {
        std::vector<std::size_t> order(merits_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [this](std::size_t a, std::size_t b) { return merits_[a] > merits_[b]; });
        const std::size_t length = settings_.code_length;
        std::vector<double> codes(codes_.size()), merits;
        for (std::size_t place = 0; place < order.size(); ++place) {
            std::copy_n(&codes_[order[place] * length], length, &codes[place * length]);
            merits.push_back(merits_[order[place]]);
        }
        codes_.swap(codes);
        merits_.swap(merits);
    }

    CodeSearchSettings settings_;
    std::uint32_t generation_ = 0;
    std::vector<double> codes_;   // [codes, code_length] best first, after `tell`
    std::vector<double> merits_;  // [codes]
    std::vector<double> children_;
    std::vector<double> changes_;
};

}  // namespace

void draw_normals(DrawAddress first, std::span<double> values)
{
    for (std::size_t at = 0; at < values.size(); at += 4) {
        const std::array<float, 4> drawn = normal_draws(first);
        ++first.index;
        for (std::size_t i = at; i < std::min(at + 4, values.size()); ++i)
            values[i] = static_cast<double>(drawn[i - at]);
    }
}

std::unique_ptr<CodeSearch> make_genetic_codes(const CodeSearchSettings& settings)
{
    return std::make_unique<GeneticCodes>(settings);
}

std::unique_ptr<CodeSearch> make_code_search(const CodeSearchSettings& settings)
{
    return settings.optimiser == CodeOptimiser::genetic ? make_genetic_codes(settings)
                                                        : make_covariance_search(settings);
}

}  // namespace twinscreen
