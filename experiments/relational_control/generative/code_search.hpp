#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "experiments/relational_control/search/search_state.hpp"
#include "kernels/random.hpp"

namespace twinscreen {

enum class CodeOptimiser { genetic, cma_es };

struct CodeSearchSettings {
    CodeOptimiser optimiser = CodeOptimiser::genetic;
    std::uint32_t codes = 1000;  ///< population
    double kept = 0.25;          ///< share of the population that survives a generation
    double heritability = 0.25;  ///< share of its genes that a child has of its second parent
    double mutation_probability = 0.25;  ///< of a gene
    double mutation_sd = 0.75;           ///< of what is added to it
    std::size_t code_length = 0;
    std::uint64_t seed = 0;
    std::uint32_t chain = 0;  ///< draws of chains are independent

    std::uint32_t survivors() const noexcept
    {
        return static_cast<std::uint32_t>(kept * static_cast<double>(codes));
    }
    /// Generation 0 looks at `codes` pictures, each later one at as many as there are children.
    std::uint32_t children() const noexcept { return codes - survivors(); }
};

/// Longest code and largest population: the words of one child then fit its addresses.
inline constexpr std::size_t longest_code = 65'536;
inline constexpr std::uint32_t most_codes = 65'536;

/// Where the words of one code begin: it has 65,536 blocks of four words.
constexpr DrawAddress code_address(const CodeSearchSettings& settings, DrawStream stream,
                                   std::uint32_t generation, std::uint32_t code) noexcept
{
    return {settings.seed, stream, static_cast<std::uint64_t>(settings.chain) << 32U | generation,
            code << 16U};
}

/// Independent standard normal values, four of each consecutive address.
void draw_normals(DrawAddress first, std::span<double> values);

/// Proposes codes and learns how good they were: `ask`, then `tell`, generation by generation.
class CodeSearch {
public:
    virtual ~CodeSearch() = default;
    /// New codes [any, code_length], valid until `tell`.
    virtual std::span<const double> ask() = 0;
    /// merits  one for each code asked for; more is better, never NaN
    virtual void tell(std::span<const double> merits) = 0;
    /// Between `tell` and `ask`: all that later generations depend on.
    virtual void save(StateWriter& state) const = 0;
    virtual void load(StateReader& state) = 0;
};

/// The evolution of Gifford, Jastrzebowska, Singer & Cichy (2024). The best `kept` codes survive
/// unchanged. Merits of the whole generation, z-scored and halved, are the logits of a softmax;
/// each child has two different parents, drawn by these probabilities one after the other. It is
/// the first parent with `heritability` of the genes, chosen at random, of the second; then each
/// gene mutates with `mutation_probability` by a normal draw. Equal merits give equal chances.
///
/// Words of child c of generation g lie at code_address(evolution, g, c): one block for the
/// parents, then a word a gene for the choice of genes, a word a gene for the choice of mutations,
/// a normal draw a gene. First codes: code_address(generator_code, 0, c).
std::unique_ptr<CodeSearch> make_genetic_codes(const CodeSearchSettings& settings);

/// The covariance matrix adaptation of Hansen (2016), with positive weights, beginning at the
/// codes' own prior (mean 0, step 1). The Cholesky factor stands for the symmetric root (Krause,
/// Arbones & Igel 2016). Codes of more than `longest_full_code` numbers have a diagonal matrix,
/// whose learning rates are (n + 2) / 3 times as high (Ros & Hansen 2008). One update a generation,
/// from as many codes as the genetic evolution would look at.
std::unique_ptr<CodeSearch> make_covariance_search(const CodeSearchSettings& settings);
inline constexpr std::size_t longest_full_code = 512;

std::unique_ptr<CodeSearch> make_code_search(const CodeSearchSettings& settings);

}  // namespace twinscreen
