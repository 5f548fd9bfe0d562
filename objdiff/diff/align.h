// Two sequences laid side by side so that most of what is equal stands together. What the best ways
// to do that agree on is certain; where they differ, nothing is.
#pragma once

#include <functional>
#include <vector>

namespace ksplice {

// weight(i, j) says how much element i of the first and j of the second have in common, 0 for
// nothing. The answer has, for each element of the first, the elements of the second that it stands
// beside in some best alignment, in order.
std::vector<std::vector<size_t>> align(size_t first, size_t second,
                                       const std::function<int(size_t, size_t)>& weight);

}  // namespace ksplice
