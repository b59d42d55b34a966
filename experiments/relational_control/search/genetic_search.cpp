#include <algorithm>

#include "experiments/relational_control/search/search_parts.hpp"

namespace twinscreen {
namespace {

/// A set of the pool: parents, then mutants, then new random sets.
struct Member {
    double cost = 0.0;
    std::uint32_t index = 0;

    friend bool operator<(const Member& a, const Member& b)
    {
        return a.cost < b.cost || (a.cost == b.cost && a.index < b.index);
    }
};

/// The search of Gifford, Jastrzebowska, Singer & Cichy (2024): from each parent one mutant of
/// every size; as many new random sets as parents and mutants; of all, the best survive.
///
/// Random sets do not depend on how the search goes, so those of many generations are scored
/// together; only their scores are kept, and survivors are drawn again.
class GeneticSearch final : public SearchBase {
public:
    GeneticSearch(const SearchSettings& settings, PairSimilarity& similarity)
        : SearchBase(settings, similarity),
          sizes_(mutation_sizes(settings.set_size, settings.mutated_shares)),
          parents_(settings.population),
          mutants_(parents_ * sizes_.size()),
          random_(parents_ + mutants_)
    {
        population_ = first_sets();
        survivors_ = population_;
        mutant_ids_.resize(mutants_ * settings.set_size);
        mutant_scores_.resize(mutants_);
        pool_.resize(parents_ + mutants_ + random_);
    }

private:
    void look_at_generation() override
    {
        const std::uint32_t size = settings().set_size;
        draw_mutants(draws(DrawStream::mutation, generation() + 1, 0), items(), size,
                     population_.ids, sizes_, mutant_ids_);
        similarity().score_sets(mutant_ids_, size, mutant_scores_);
        if (generation() < random_from_ || generation() >= random_to_) score_random_sets();
        count_evaluations(mutants_ + random_);
        select();
        offer_best(std::span(population_.ids).first(size), population_.scores.front());
    }

    /// Those of this generation and of as many more as are planned and pay.
    void score_random_sets()
    {
        const std::uint32_t size = settings().set_size;
        const std::uint32_t planned =
            settings().generations > generation() ? settings().generations - generation() : 1;
        const auto pays = static_cast<std::uint32_t>(similarity().sets_at_once(size) / random_);
        const std::uint32_t count = std::clamp(pays, 1U, planned);
        std::vector<std::uint32_t> ids(random_ * count * size);
        for (std::uint32_t ahead = 0; ahead < count; ++ahead)
            draw_sets(draws(DrawStream::population, generation() + ahead + 1, 0), items(), size,
                      std::span(ids).subspan(random_ * ahead * size, random_ * size));
        random_scores_.resize(random_ * count);
        similarity().score_sets(ids, size, random_scores_);
        random_from_ = generation();
        random_to_ = generation() + count;
    }

    double score_of(std::uint32_t index) const
    {
        if (index < parents_) return population_.scores[index];
        if (index < parents_ + mutants_) return mutant_scores_[index - parents_];
        return random_scores_[random_ * (generation() - random_from_) + index - parents_ -
                              mutants_];
    }

    void copy_ids(std::uint32_t index, std::span<std::uint32_t> to) const
    {
        const std::size_t size = to.size();
        if (index < parents_)
            std::copy_n(&population_.ids[index * size], size, to.begin());
        else if (index < parents_ + mutants_)
            std::copy_n(&mutant_ids_[(index - parents_) * size], size, to.begin());
        else
            draw_sets(draws(DrawStream::population, generation() + 1,
                            static_cast<std::uint32_t>(index - parents_ - mutants_)),
                      items(), settings().set_size, to);
    }

    void select()
    {
        for (std::uint32_t index = 0; index < pool_.size(); ++index)
            pool_[index] = {cost(score_of(index)), index};
        const auto end = pool_.begin() + static_cast<std::ptrdiff_t>(parents_);
        std::nth_element(pool_.begin(), end, pool_.end());
        std::sort(pool_.begin(), end);
        require_survivors(pool_[parents_ - 1].cost);
        const std::size_t size = settings().set_size;
        for (std::size_t place = 0; place < parents_; ++place) {
            const std::uint32_t index = pool_[place].index;
            survivors_.scores[place] = score_of(index);
            copy_ids(index, std::span(survivors_.ids).subspan(place * size, size));
        }
        std::swap(population_, survivors_);
    }

    void save_rest(StateWriter& state) const override
    {
        state.add(population_.ids);
        state.add(population_.scores);
    }

    void load_rest(StateReader& state) override
    {
        take_sets(state, population_.ids);
        state.take(population_.scores);
        random_to_ = random_from_ = 0;
    }

    std::vector<std::uint32_t> sizes_;
    std::size_t parents_;
    std::size_t mutants_;
    std::size_t random_;
    ScoredSets population_;  // best first, but for the first sets
    ScoredSets survivors_;
    std::vector<std::uint32_t> mutant_ids_;
    std::vector<double> mutant_scores_;
    std::vector<double> random_scores_;  // [random_to_ - random_from_, random_]
    std::uint32_t random_from_ = 0;      // generations whose random sets are scored
    std::uint32_t random_to_ = 0;
    std::vector<Member> pool_;
};

}  // namespace

std::unique_ptr<SetSearch> make_genetic_search(const SearchSettings& settings,
                                               PairSimilarity& similarity)
{
    return std::make_unique<GeneticSearch>(settings, similarity);
}

}  // namespace twinscreen
