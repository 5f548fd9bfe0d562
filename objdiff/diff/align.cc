#include "objdiff/diff/align.h"

#include <algorithm>

namespace ksplice {

std::vector<std::vector<size_t>> align(size_t first, size_t second,
                                       const std::function<int(size_t, size_t)>& weight) {
  const size_t width = second + 1;
  std::vector<int> common(first * second);
  for (size_t i = 0; i < first; ++i)
    for (size_t j = 0; j < second; ++j) common[i * second + j] = weight(i, j);
  // The best of the elements before (i, j), and of those from there on.
  std::vector<int> before((first + 1) * width), from((first + 1) * width);
  for (size_t i = 0; i < first; ++i)
    for (size_t j = 0; j < second; ++j)
      before[(i + 1) * width + j + 1] =
          std::max({before[i * width + j + 1], before[(i + 1) * width + j],
                    before[i * width + j] + common[i * second + j]});
  for (size_t i = first; i-- > 0;)
    for (size_t j = second; j-- > 0;)
      from[i * width + j] = std::max({from[(i + 1) * width + j], from[i * width + j + 1],
                                      from[(i + 1) * width + j + 1] + common[i * second + j]});
  std::vector<std::vector<size_t>> result(first);
  for (size_t i = 0; i < first; ++i)
    for (size_t j = 0; j < second; ++j) {
      const int own = common[i * second + j];
      if (own > 0 && before[i * width + j] + own + from[(i + 1) * width + j + 1] == from[0])
        result[i].push_back(j);
    }
  return result;
}

}  // namespace ksplice
