#include <algorithm>

#include "experiments/relational_control/search/exchange_base.hpp"

namespace twinscreen {
namespace {

/// Takes the best of a block of exchanges, if it improves the set.
class ExchangeSearch final : public ExchangeBase {
public:
    using ExchangeBase::ExchangeBase;

private:
    void look_at_generation() override
    {
        const auto candidates = static_cast<std::uint32_t>(sets_per_generation(settings()));
        for (std::uint32_t first = 0; first < candidates; first += settings().block)
            look_at_block(first, std::min(settings().block, candidates - first));
        count_evaluations(candidates);
    }

    void look_at_block(std::uint32_t first, std::uint32_t count)
    {
        propose(first, count);
        std::uint32_t best = 0;
        for (std::uint32_t at = 1; at < count; ++at)
            if (proposed_cost(at) < proposed_cost(best)) best = at;
        if (!(proposed_cost(best) < current_cost())) return;
        if (cost(current().score_after(best)) < current_cost()) take();
    }
};

}  // namespace

std::unique_ptr<SetSearch> make_exchange_search(const SearchSettings& settings,
                                                PairSimilarity& similarity)
{
    return std::make_unique<ExchangeSearch>(settings, similarity);
}

}  // namespace twinscreen
