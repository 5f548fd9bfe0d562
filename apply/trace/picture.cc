#include "apply/trace/picture.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

#include "objdiff/base/html.h"

namespace ksplice {

namespace {

constexpr double Width = 1200, Margin = 16, RowHeight = 17, CharWidth = 6.7, BarsAt = 210,
                 BarsWidth = 700;
constexpr const char* Colors[TRACE_BODIES] = {"#b45309", "#1d4ed8"};
constexpr const char* Names[TRACE_BODIES] = {"old", "new"};

// What is drawn so far, from the top.
struct Canvas {
  std::string content;
  double y = Margin;

  void text(double x, const std::string& words, const std::string& more = "") {
    content += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n", x, y + 12, more,
                           escaped(words));
  }
  void line(const std::string& words, const std::string& more = "") {
    text(Margin, words, more);
    y += RowHeight;
  }
};

// A function in the flame graph, and those that it called.
struct Node {
  uint64_t calls = 0;
  std::map<std::string, Node> called;
};

size_t depth_of(const Node& node) {
  size_t depth = 0;
  for (const auto& [name, child] : node.called) depth = std::max(depth, 1 + depth_of(child));
  return depth;
}

// Without the place in the function, so that all places of one are one.
std::string frame_name(std::string text) {
  const size_t plus = text.find("+0x");
  if (plus == std::string::npos) return text;
  const size_t end = std::min(text.find(' ', plus), text.size());
  return text.erase(plus, end - plus);
}

const char* frame_color(const std::string& name, bool is_own) {
  if (is_own) return "#fca5a5";
  if (name.find("[ksplice_") != std::string::npos) return "#93c5fd";  // an update's code
  return name.ends_with(']') ? "#a7f3d0" : "#fde68a";                 // a module's, the kernel's
}

// The cell of node, whose bottom is at bottom, and above it what it called.
void draw(Canvas& canvas, const Node& node, const std::string& name, double x, double width,
          double bottom, uint64_t all) {
  if (width < 0.2) return;  // nobody could see it
  canvas.content += fmt::format(
      "<g><title>{0}: {1} calls, {2:.1f} %</title><rect x=\"{3:.2f}\" y=\"{4:.1f}\" "
      "width=\"{5:.2f}\" height=\"{6}\" rx=\"1\" fill=\"{7}\" stroke=\"#fff\" "
      "stroke-width=\"0.5\"/>",
      escaped(name), number_text(node.calls),
      100 * static_cast<double>(node.calls) / static_cast<double>(all), x, bottom - RowHeight,
      width, RowHeight - 1, frame_color(name, node.called.empty()));
  const size_t fits = static_cast<size_t>(std::max(0.0, (width - 6) / CharWidth));
  if (fits >= 3)
    canvas.content +=
        fmt::format("<text x=\"{:.2f}\" y=\"{:.1f}\" font-size=\"11\">{}</text>", x + 3, bottom - 5,
                    escaped(name.size() <= fits ? name : name.substr(0, fits - 2) + ".."));
  canvas.content += "</g>\n";
  for (const auto& [child_name, child] : node.called) {
    const double part = width * static_cast<double>(child.calls) / static_cast<double>(node.calls);
    draw(canvas, child, child_name, x, part, bottom - RowHeight, all);
    x += part;
  }
}

// Of a body, or of both where body is TRACE_BODIES.
Node flame_of(const FunctionTrace& function, const SymbolTable& symbols, int body) {
  Node root;
  for (const TraceStack& stack : function.data.stacks) {
    const uint64_t calls = body == TRACE_OLD ? stack.calls - std::min(stack.calls, stack.new_calls)
                           : body == TRACE_NEW ? stack.new_calls
                                               : stack.calls;
    if (calls == 0) continue;
    std::vector<std::string> names = callers(stack.frames, function.target, symbols);
    std::reverse(names.begin(), names.end());
    names.push_back(function.target.name);
    root.calls += calls;
    Node* node = &root;
    for (const std::string& name : names) {
      node = &node->called[frame_name(name)];
      node->calls += calls;
    }
  }
  return root;
}

void draw_flame(Canvas& canvas, const FunctionTrace& function, const SymbolTable& symbols,
                int body) {
  const Node root = flame_of(function, symbols, body);
  if (root.calls == 0) return;
  canvas.line(
      fmt::format("callers{}: stacks of {} calls",
                  body == TRACE_BODIES ? "" : fmt::format(" of the {} code", Names[body]),
                  number_text(root.calls)),
      body == TRACE_BODIES ? "" : fmt::format(" fill=\"{}\" font-weight=\"bold\"", Colors[body]));
  const double height = static_cast<double>(depth_of(root) + 1) * RowHeight;
  draw(canvas, root, "all", Margin, Width - 2 * Margin, canvas.y + height, root.calls);
  canvas.y += height + RowHeight / 2;
}

// One bar: which part of the calls of its body took so long.
void draw_bar(Canvas& canvas, const trace_latency& latency, size_t bucket, const char* name,
              const char* color) {
  const double part = latency.returned == 0 ? 0
                                            : static_cast<double>(latency.buckets[bucket]) /
                                                  static_cast<double>(latency.returned);
  canvas.text(BarsAt - 34, name, fmt::format(" fill=\"{}\"", color));
  canvas.content += fmt::format(
      "<rect x=\"{}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\" fill=\"{}\"/>\n", BarsAt,
      canvas.y + 2, std::max(part * BarsWidth, latency.buckets[bucket] == 0 ? 0.0 : 1.0),
      RowHeight - 4, color);
  canvas.text(BarsAt + part * BarsWidth + 8,
              fmt::format("{:.1f} % ({})", part * 100, number_text(latency.buckets[bucket])));
  canvas.y += RowHeight;
}

struct Bars {
  trace_latency latency;
  const char *name, *color;
};

void draw_histogram(Canvas& canvas, const std::vector<Bars>& bodies) {
  auto is_used = [&](size_t i) {
    return std::any_of(bodies.begin(), bodies.end(),
                       [&](const Bars& each) { return each.latency.buckets[i] != 0; });
  };
  size_t first = 0, last = TRACE_BUCKETS;
  while (first < last && !is_used(first)) ++first;
  while (last > first && !is_used(last - 1)) --last;
  for (size_t i = first; i < last; ++i) {
    canvas.text(Margin,
                fmt::format("{:>8} .. {}", time_text(bucket_begin(i)), time_text(bucket_end(i))),
                " xml:space=\"preserve\"");
    for (const Bars& body : bodies) draw_bar(canvas, body.latency, i, body.name, body.color);
    canvas.y += 2;
  }
  canvas.y += RowHeight / 2;
}

void draw_times(Canvas& canvas, const FunctionTrace& function, bool are_unsure) {
  const trace_latency* latencies = function.data.latencies;
  std::vector<Bars> bodies;
  if (are_unsure)
    bodies = {{sum(std::vector<trace_latency>{latencies[TRACE_OLD], latencies[TRACE_NEW]}), "all",
               "#374151"}};
  else
    for (int body = 0; body < TRACE_BODIES; ++body)
      bodies.push_back({latencies[body], Names[body], Colors[body]});
  std::erase_if(bodies, [](const Bars& each) { return each.latency.returned == 0; });
  for (const Bars& body : bodies)
    canvas.line(fmt::format("time, {}: {} on average, {} at most, of {} calls", body.name,
                            time_text(body.latency.total / body.latency.returned),
                            time_text(body.latency.longest), number_text(body.latency.returned)),
                fmt::format(" fill=\"{}\" font-weight=\"bold\"", body.color));
  draw_histogram(canvas, bodies);
}

void draw_function(Canvas& canvas, const Trace& trace, const FunctionTrace& function,
                   const SymbolTable& symbols) {
  const TraceTarget& target = function.target;
  const trace_counts& counts = function.data.counts;
  canvas.y += RowHeight / 2;
  canvas.line(fmt::format("{} ({}){}", target.name, target.module,
                          target.update.empty() ? "" : ", update " + target.update),
              " font-size=\"15\" font-weight=\"bold\"");
  if (!function.why_not.empty()) return canvas.line("not traced: " + function.why_not);
  std::string calls = fmt::format("{} calls in {:.1f} s", number_text(counts.calls), trace.seconds);
  if (trace.bodies_are_unsure)
    calls += "; old and new code are not told apart, as an update was applied or undone meanwhile";
  else
    calls +=
        fmt::format(": {} of the old code, {} of the new code",
                    number_text(counts.calls - counts.new_calls), number_text(counts.new_calls));
  canvas.line(calls);
  draw_times(canvas, function, trace.bodies_are_unsure);
  if (trace.bodies_are_unsure) return draw_flame(canvas, function, symbols, TRACE_BODIES);
  for (int body = 0; body < TRACE_BODIES; ++body) draw_flame(canvas, function, symbols, body);
}

}  // namespace

std::string to_svg(const std::vector<PicturePart>& parts, const SymbolTable& symbols) {
  Canvas canvas;
  for (const PicturePart& part : parts) {
    canvas.y += RowHeight / 2;
    canvas.line(part.title, " font-size=\"17\" font-weight=\"bold\"");
    for (const std::string& note : part.trace.notes) canvas.line("note: " + note);
    for (const FunctionTrace& function : part.trace.functions)
      draw_function(canvas, part.trace, function, symbols);
  }
  const double height = canvas.y + Margin;
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1:.0f}\" viewBox=\"0 0 "
      "{0} {1:.0f}\" font-family=\"monospace\" font-size=\"12\" fill=\"#111827\">\n"
      "<title>ksplice-trace</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{2}</svg>\n",
      Width, height, canvas.content);
}

}  // namespace ksplice
