#include "experiments/relational_control/search/exchange_base.hpp"

namespace twinscreen {
namespace {

/// Takes every exchange that improves the set.
class GreedySearch final : public ExchangeBase {
public:
    using ExchangeBase::ExchangeBase;

private:
    void look_at_generation() override
    {
        look_one_by_one([this](std::uint32_t at) {
            // Rounding must not let a set pass that is no better when scored like any other.
            if (!(proposed_cost(at) < current_cost())) return false;
            if (!(cost(current().score_after(at)) < current_cost())) return false;
            take();
            return true;
        });
    }
};

}  // namespace

std::unique_ptr<SetSearch> make_greedy_search(const SearchSettings& settings,
                                              PairSimilarity& similarity)
{
    return std::make_unique<GreedySearch>(settings, similarity);
}

}  // namespace twinscreen
