// Every body that runs on a GPU, once. Compiled by nvcc where there is CUDA.

#if defined(__CUDACC__)
#include "kernels/launch_cuda.hpp"
#else
#include "kernels/launch_without_cuda.hpp"
#endif
#include "kernels/evolution_bodies.hpp"
#include "kernels/fold_bodies.hpp"
#include "kernels/prepare_bodies.hpp"
#include "kernels/response_bodies.hpp"
#include "kernels/set_sum_bodies.hpp"
#include "kernels/unit_bodies.hpp"

namespace twinscreen {

#define TWINSCREEN_RUNS_ON_DEVICE(Body) \
    template LaunchResult launch_on_device<Body>(void*, std::int64_t, const Body&)

TWINSCREEN_RUNS_ON_DEVICE(PlaceColumns);
TWINSCREEN_RUNS_ON_DEVICE(AddToAreas);
TWINSCREEN_RUNS_ON_DEVICE(FinishAreas);
TWINSCREEN_RUNS_ON_DEVICE(ClearBytes);
TWINSCREEN_RUNS_ON_DEVICE(BlankRows);
TWINSCREEN_RUNS_ON_DEVICE(AddShares);
TWINSCREEN_RUNS_ON_DEVICE(AddMoments);
TWINSCREEN_RUNS_ON_DEVICE(SelectRows);
TWINSCREEN_RUNS_ON_DEVICE(CountRows);
TWINSCREEN_RUNS_ON_DEVICE(GaborGains<float>);
TWINSCREEN_RUNS_ON_DEVICE(GaborGains<double>);
TWINSCREEN_RUNS_ON_DEVICE(GaborCells<float>);
TWINSCREEN_RUNS_ON_DEVICE(GaborCells<double>);
TWINSCREEN_RUNS_ON_DEVICE(SampledUnits);
TWINSCREEN_RUNS_ON_DEVICE(ProjectedRows<float>);
TWINSCREEN_RUNS_ON_DEVICE(ProjectedRows<double>);
TWINSCREEN_RUNS_ON_DEVICE(PrepareImages);
TWINSCREEN_RUNS_ON_DEVICE(SumRows<StoredLookup>);
TWINSCREEN_RUNS_ON_DEVICE(SumRows<ProductLookup>);
TWINSCREEN_RUNS_ON_DEVICE(ScoreSums);
TWINSCREEN_RUNS_ON_DEVICE(MultiplyTiles);
TWINSCREEN_RUNS_ON_DEVICE(DrawRandomSets);
TWINSCREEN_RUNS_ON_DEVICE(DrawMutants);
TWINSCREEN_RUNS_ON_DEVICE(CountBefore);
TWINSCREEN_RUNS_ON_DEVICE(PlaceSurvivors);
TWINSCREEN_RUNS_ON_DEVICE(CopySurvivors);

}  // namespace twinscreen
