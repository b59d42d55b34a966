#include "benchmarks/rnc_study.hpp"

#include <algorithm>
#include <cmath>
#include <fcntl.h>
#include <numeric>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/base/error.hpp"
#include "kernels/normal.hpp"

namespace twinscreen::bench {
namespace {

constexpr std::size_t factors = 10;
constexpr std::size_t shared_factors = 6;
constexpr float noise = 2.5F;

/// values  [count]
void fill_normal(float* values, std::size_t count, std::uint64_t item)
{
    for (std::size_t first = 0; first < count; first += 4) {
        const auto draws = normal_draws(
            {1, DrawStream::synthetic_noise, item, static_cast<std::uint32_t>(first / 4)});
        std::copy_n(draws.begin(), std::min<std::size_t>(4, count - first), values + first);
    }
}

void scale_row(float* row, std::size_t units)
{
    double mean = 0.0;
    for (std::size_t unit = 0; unit < units; ++unit) mean += static_cast<double>(row[unit]);
    mean /= static_cast<double>(units);
    double squares = 0.0;
    for (std::size_t unit = 0; unit < units; ++unit) {
        row[unit] -= static_cast<float>(mean);
        squares += static_cast<double>(row[unit]) * static_cast<double>(row[unit]);
    }
    for (std::size_t unit = 0; unit < units; ++unit)
        row[unit] /= static_cast<float>(std::sqrt(squares));
}

float* mapped(std::size_t bytes, int flags, int file)
{
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
    TWINSCREEN_REQUIRE(memory != MAP_FAILED, device, "cannot map {} bytes", bytes);
    return static_cast<float*>(memory);
}

}  // namespace

MadePatterns::MadePatterns(std::uint32_t items, std::uint32_t units) : items_(items), units_(units)
{
    constexpr std::uint64_t weights_at = 1ULL << 40U;  // items of draws
    constexpr std::uint64_t factors_at = 2ULL << 40U;
    std::vector<float> hidden(factors);
    for (std::uint64_t area = 0; area < 2; ++area) {
        std::vector<float> weights(factors * units);
        fill_normal(weights.data(), weights.size(), weights_at + area);
        rows_[area].resize(std::size_t{items} * units);
        for (std::uint64_t item = 0; item < items; ++item) {
            float* row = &rows_[area][item * units];
            fill_normal(row, units, 2 * item + area);
            fill_normal(hidden.data(), factors, factors_at + 3 * item);
            fill_normal(hidden.data() + shared_factors, factors - shared_factors,
                        factors_at + 3 * item + 1 + area);
            for (std::size_t unit = 0; unit < units; ++unit) {
                row[unit] *= noise;
                for (std::size_t f = 0; f < factors; ++f)
                    row[unit] += hidden[f] * weights[f * units + unit];
            }
            scale_row(row, units);
        }
    }
}

PatternRows MadePatterns::area(std::size_t area) const
{
    return {rows_[area].data(), items_, units_, units_};
}

MadeSimilarities::MadeSimilarities(const MadePatterns& patterns, Pages pages)
    : items_(patterns.items()),
      bytes_(stored_bytes(patterns.items(), 2)),
      values_(mapped(bytes_, MAP_PRIVATE | MAP_ANONYMOUS, -1))
{
    if (pages == Pages::huge) madvise(values_, bytes_, MADV_HUGEPAGE);
    constexpr std::uint32_t block = 64;
    std::vector<float> panel;
    std::vector<float> products;
    std::vector<std::uint32_t> columns;
    std::vector<std::uint32_t> rows(items_);
    std::iota(rows.begin(), rows.end(), 0U);
    for (std::uint32_t first = 0; first < items_; first += block) {
        columns.assign(rows.begin() + first,
                       rows.begin() + std::min<std::ptrdiff_t>(first + block, items_));
        const std::size_t width = padded_columns(columns.size());
        for (std::size_t area = 0; area < 2; ++area) {
            const PatternRows from = patterns.area(area);
            panel.resize(from.units * width);
            transpose_patterns(from, columns, panel.data());
            for (std::uint32_t row = first; row < items_; row += 6 * block) {
                const std::uint32_t count = std::min(6 * block, items_ - row);
                products.resize(padded_rows_of_products(count) * width);
                multiply_with_panel(from, std::span(rows).subspan(row, count), panel.data(), width,
                                    products.data());
                for (std::size_t r = 0; r < count; ++r)
                    for (std::size_t c = 0; c < columns.size(); ++c)
                        values_[((row + r) * items_ + first + c) * 2 + area] =
                            products[r * width + c];
            }
        }
    }
}

MadeSimilarities::MadeSimilarities(const MadeSimilarities& other, const std::filesystem::path& file)
    : items_(other.items_), bytes_(other.bytes_)
{
    const int handle = open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
    TWINSCREEN_REQUIRE(handle >= 0, store, "{}: cannot make this file", file.string());
    std::size_t done = 0;
    while (done < bytes_) {
        const auto* from = reinterpret_cast<const char*>(other.values_) + done;
        const ssize_t count = write(handle, from, std::min(bytes_ - done, std::size_t{1} << 26U));
        TWINSCREEN_REQUIRE(count > 0, store, "{}: cannot write to this file", file.string());
        done += static_cast<std::size_t>(count);
    }
    values_ = mapped(bytes_, MAP_SHARED, handle);
    close(handle);
}

MadeSimilarities::~MadeSimilarities() { munmap(values_, bytes_); }

}  // namespace twinscreen::bench
