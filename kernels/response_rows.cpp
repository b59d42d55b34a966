#include "kernels/response_rows.hpp"

#include <algorithm>

#include "kernels/launch.hpp"
#include "kernels/response_bodies.hpp"

namespace twinscreen {
namespace {

template <class T>
const T* data_of(const ConstBatch& batch)
{
    return values_of<T>(batch).data();
}

std::int64_t columns_of(const ConstBatch& table) { return table.shape.extent[1]; }

}  // namespace

void place_columns(ConstBatch outputs, const ColumnPlace& place, Batch table, Executor& executor)
{
    const std::int64_t columns = columns_of(table);
    float* to = values_of<float>(table).data() + place.first_row * columns + place.first_column;
    const std::int64_t count = columns_of(outputs);
    launch(executor, place.rows * count, PlaceColumns{data_of<float>(outputs), count, to, columns});
}

void add_to_areas(ConstBatch outputs, ConstBatch area_of_output, std::int64_t first_row,
                  std::int64_t rows, Batch sums, Executor& executor)
{
    const std::int64_t areas = columns_of(sums);
    const std::int64_t count = columns_of(outputs);
    launch(executor, rows * count,
           AddToAreas{data_of<float>(outputs), count, data_of<std::int32_t>(area_of_output),
                      values_of<double>(sums).data() + first_row * areas, areas});
}

void finish_areas(ConstBatch sums, const AreaMembers& members, ConstBatch units, Batch areas,
                  Executor& executor)
{
    launch(executor, areas.shape.count(),
           FinishAreas{data_of<double>(sums), data_of<std::int32_t>(members.first),
                       data_of<std::int32_t>(members.unit), data_of<double>(members.weight),
                       data_of<float>(units), units.shape.rank == 2 ? columns_of(units) : 0,
                       values_of<float>(areas).data(), columns_of(areas)});
}

void add_shares(ConstBatch values, float share, Batch sums, std::int64_t area, Executor& executor)
{
    launch(executor, values.shape.count(),
           AddShares{data_of<float>(values), columns_of(values), share,
                     values_of<float>(sums).data() + area, sums.shape.extent[1],
                     sums.shape.extent[2]});
}

void blank_rows(ConstBatch valid, Batch table, Executor& executor)
{
    launch(
        executor, table.shape.count(),
        BlankRows{data_of<std::uint8_t>(valid), values_of<float>(table).data(), columns_of(table)});
}

void clear(Batch table, Executor& executor)
{
    launch(executor, static_cast<std::int64_t>(bytes_of(table)),
           ClearBytes{static_cast<std::uint8_t*>(table.data)});
}

}  // namespace twinscreen
