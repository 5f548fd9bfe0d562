#include "objdiff/run_ranges.h"

namespace ksplice {

RunCode make_run_code(const PreIndex& pre, const RunImage& image, const RunTables& tables,
                      const Entity& entity, const Comparison& code) {
  RunCode run;
  (void)pre;
  (void)tables;
  (void)entity;
  run.addr = code.addr;
  run.location = image.locate(code.addr);
  auto bytes = image.read(code.addr, code.run_size);
  if (bytes) run.bytes.assign(bytes->begin(), bytes->end());
  return run;
}

}  // namespace ksplice
