// The calls that come once per step: zeroes before it; tied weights, norm and optimizer after it.
#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "passes/step_context.h"

namespace autarky {
namespace {

const ParamPort& find(const PartBlocks& part, const std::string& name) {
  const auto it = std::find_if(part.params.begin(), part.params.end(),
                               [&](const ParamPort& p) { return p.name == name; });
  AUTARKY_CHECK(it != part.params.end(), name);
  return *it;
}

// Every rank of a pipeline takes part in the same sums, whatever parameters it has.
std::map<std::string, Type> digits(const StepContext& c) {
  std::map<std::string, Type> all;
  for (const PartBlocks* part : {&c.embed, &c.layer, &c.head})
    for (const auto& p : part->params)
      all[digits_port(p.state)] = digits_type(p.state, c.pipelined());
  return all;
}

std::string reduced_name(const std::string& scope, const std::string& param) {
  return fmt::format("reduced.{}.{}", scope, param);
}

class FinishCalls {
 public:
  explicit FinishCalls(StepContext& c) : c_(c) {}

  void run() {
    if (c_.model.tied()) tie();
    if (c_.o.update) each(&FinishCalls::norm);
    finish();
    if (!c_.o.update) return;
    each(&FinishCalls::update);
    if (c_.model.tied() && c_.pipelined()) return_table();
  }

 private:
  void each(void (FinishCalls::*body)(const std::string&, const PartBlocks&)) {
    c_.each_scope(
        [&](const std::string& scope, const PartBlocks& part) { (this->*body)(scope, part); });
  }

  // The table's gradient is that of the embedding and then that of the head. The last of several
  // stages sends its part to the first.
  void tie() {
    const ParamPort& use = find(c_.head, c_.model.tied_head);
    const std::string from = reduced_name("head", use.name);
    if (c_.pipelined()) {
      if (c_.first_stage() && use.grad.layout == use.state.layout)
        c_.builder.rename(from, grad_name("head", use.name, 0));
      exchange("tie", from, BufferKind::grad, use.state, c_.stages - 1, 0);
    }
    if (!c_.first_stage()) return;
    const ParamPort& table = find(c_.embed, c_.model.tied_embed);
    c_.builder.call(c_.builder.add_block(tie_block(table.state)),
                    {"embed",
                     -1,
                     -1,
                     0,
                     {{"grad.to", reduced_name("embed", table.name)}, {"grad.from", from}}});
  }

  // The last stage's copy of the updated table.
  void return_table() {
    const ParamPort& table = find(c_.embed, c_.model.tied_embed);
    exchange("table", "embed." + table.name, BufferKind::param, table.param, 0, c_.stages - 1);
  }

  // A buffer of stage `from` goes to the one of the same name on stage `to`.
  void exchange(const std::string& what, const std::string& buffer, BufferKind kind,
                const Type& type, int from, int to) {
    if (c_.stage != from && c_.stage != to) return;
    const bool sends = c_.stage == from;
    c_.builder.buffer(buffer, kind, type);
    const int block = c_.builder.add_block(movement_block(
        (sends ? "send." : "receive.") + what, type, sends, (sends ? to : from) - c_.stage));
    c_.builder.call(block, {"pipe", -1, -1, 0, {{"x", buffer}}});
  }

  // The parameters of a scope that are its own: not the second use of a tied one.
  std::vector<ParamPort> owned(const std::string& scope, const PartBlocks& part) const {
    std::vector<ParamPort> params = part.params;
    if (c_.model.tied() && scope == "head")
      std::erase_if(params, [&](const ParamPort& p) { return p.name == c_.model.tied_head; });
    return params;
  }

  void norm(const std::string& scope, const PartBlocks& part) {
    const auto params = owned(scope, part);
    const int block = c_.cached("norm." + StepContext::kind_of_scope(scope),
                                [&] { return norm_block(params, c_.pipelined()); });
    Scope s{scope, -1, -1, 0, {}};
    for (const auto& p : params) s.bound["grad." + p.name] = reduced_name(scope, p.name);
    c_.builder.call(block, s);
  }

  void finish() {
    std::vector<Port> ports;
    std::vector<Type> types;
    if (c_.o.update)
      for (const auto& [port, type] : digits(c_)) {
        ports.push_back({port, PortKind::scalar, {}});
        types.push_back(type);
      }
    const DType wide = c_.layer.params.front().grad.dtype;
    c_.builder.call(c_.builder.add_block(
                        finish_block(ports, types, c_.loss_digits, c_.o.optimizer.max_norm, wide)),
                    {});
  }

  void update(const std::string& scope, const PartBlocks& part) {
    const auto params = owned(scope, part);
    if (params.empty()) return;
    const int block = c_.cached("optimizer." + StepContext::kind_of_scope(scope),
                                [&] { return optimizer_block(params, c_.o.optimizer); });
    Scope s{scope, -1, -1, 0, {}};
    for (const auto& p : params) {
      const std::string name = scope + "." + p.name;
      s.bound["grad." + p.name] = reduced_name(scope, p.name);
      s.bound["m." + p.name] = "m." + name;
      s.bound["v." + p.name] = "v." + name;
      const bool is_param = p.param.dtype == p.state.dtype && p.param.layout == p.state.layout;
      s.bound["master." + p.name] = is_param ? name : "master." + name;
    }
    c_.builder.call(block, s);
  }

  StepContext& c_;
};

}  // namespace

void add_zero(StepContext& c) {
  std::vector<std::pair<std::string, Type>> values = {{"loss.digits", c.loss_digits},
                                                      {"loss.sum", whole_type(c.loss_digits)}};
  if (c.o.update)
    for (const auto& [port, type] : digits(c)) values.emplace_back(port, type);
  c.builder.call(c.builder.add_block(zero_block(values)), {});
}

void add_reduction(StepContext& c, const std::string& scope, const PartBlocks& part) {
  Scope s{scope, -1, -1, 0, {}};
  const int block = c.cached("reduce." + StepContext::kind_of_scope(scope),
                             [&] { return reduce_block(part.params); });
  for (const auto& p : part.params) {
    const std::string grad = grad_name(scope, p.name, 0), reduced = reduced_name(scope, p.name);
    if (p.grad.layout == p.state.layout) c.builder.rename(reduced, grad);
    else c.builder.share(reduced, p.state, grad);
    s.bound["grad." + p.name] = grad;
    s.bound["reduced." + p.name] = reduced;
  }
  c.builder.call(block, s);
}

void add_finish(StepContext& context) { FinishCalls(context).run(); }

}  // namespace autarky
