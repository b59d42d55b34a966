#include <cmath>

#include "experiments/relational_control/search/exchange_base.hpp"

namespace twinscreen {
namespace {

/// Takes an exchange that is worse by d with probability exp(-d / T); T falls geometrically.
class AnnealingSearch final : public ExchangeBase {
public:
    AnnealingSearch(const SearchSettings& settings, PairSimilarity& similarity)
        : ExchangeBase(settings, similarity), temperature_(settings.start_temperature)
    {
    }

private:
    void look_at_generation() override
    {
        look_one_by_one([this](std::uint32_t at) {
            if (!is_wanted(at) || !std::isfinite(cost(current().score_after(at)))) return false;
            take();
            return true;
        });
        temperature_ *= settings().cooling;
    }

    bool is_wanted(std::uint32_t at)
    {
        const double worse_by = proposed_cost(at) - current_cost();
        const double chance = (static_cast<double>(exchange(at).chance) + 0.5) * 0x1p-32;
        return worse_by <= 0.0 || chance < std::exp(-worse_by / temperature_);
    }

    void save_rest(StateWriter& state) const override
    {
        ExchangeBase::save_rest(state);
        state.add(temperature_);
    }

    void load_rest(StateReader& state) override
    {
        ExchangeBase::load_rest(state);
        state.take(temperature_);
    }

    double temperature_;
};

}  // namespace

std::unique_ptr<SetSearch> make_annealing_search(const SearchSettings& settings,
                                                 PairSimilarity& similarity)
{
    return std::make_unique<AnnealingSearch>(settings, similarity);
}

}  // namespace twinscreen
