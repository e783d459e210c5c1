// Gives each tensor between the steps a place in one block of memory; tensors that are not needed
// at the same time share it.
#include "plan.h"

#include "operator.h"
#include "stream.h"

namespace larq_dense {
namespace {

const char* kNoArena = "out of memory for the tensors between operators";

// Whether the tensor has a place of its own in the arena.
bool has_place(const Value& value) {
  return value.place == Value::Place::kArena && value.first_step >= 0 && value.over < 0;
}

bool overlap(const Value& a, const Value& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

int memory_of(const Plan& plan, int value) {
  while (plan.value(value).over >= 0) value = plan.value(value).over;
  return value;
}

// A sum takes the memory of a tensor that nobody else reads: each element is read and then written
// by one task, so that a row of residual blocks stays where it is, in the cache.
void overwrite_what_is_done(Plan* plan) {
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    const Step& step = plan->steps[s];
    if (step.output < 0) continue;
    int done = -1;
    if (step.type == &kChainStep) done = step.input;
    if (step.type == &kBinaryConvStep && step.block_size == 1 && step.links.size() > 0) {
      done = step.links[0].value;
    }
    if (done < 0) continue;
    Value& output = plan->value(step.output);
    const Value& value = plan->value(done);
    if (value.place != Value::Place::kArena || output.place != Value::Place::kArena ||
        value.reads != 1 || value.bytes != output.bytes) {
      continue;
    }
    output.over = done;
    Value& memory = plan->value(memory_of(*plan, done));
    memory.last_step = output.last_step;
  }
}

}  // namespace

const char* size_steps(Plan* plan, size_t* workspace) {
  *workspace = 0;
  for (size_t s = 0; s < plan->steps.size(); ++s) {
    Step* step = &plan->steps[s];
    size_t scratch = 0;
    const char* error = step->type->size(*plan, step, &scratch);
    if (error != nullptr) return error;
    if (!checked_round_up(scratch, kAlignment, &scratch)) return kNoArena;
    if (scratch > *workspace) *workspace = scratch;
  }
  return nullptr;
}

const char* place_values(Plan* plan, const List<Stream>& streams, size_t* arena) {
  List<Value>& values = plan->values;
  const List<Step>& steps = plan->steps;
  for (size_t v = 0; v < values.size(); ++v) {
    values[v].first_step = values[v].last_step = values[v].over = -1;
    values[v].reads = 0;
  }
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    int first = static_cast<int>(s), last = first;
    if (step.stream >= 0) {
      const Stream& stream = streams[static_cast<size_t>(step.stream)];
      first = stream.first;
      last = stream.end - 1;
    }
    const auto touch = [&](int value, int reads) {
      if (value < 0) return;
      Value& v = values[static_cast<size_t>(value)];
      if (v.first_step < 0) v.first_step = first;
      v.last_step = last;
      v.reads += reads;
    };
    touch(step.input, 1);
    touch(step.output, 0);
    for (size_t j = 0; j < step.links.size(); ++j) touch(step.links[j].value, 1);
    for (int j = 0; j < step.parts; ++j) touch(step.part[j], 1);
    for (int j = 0; j < step.bit_outputs; ++j) touch(step.bits[j], 0);
  }

  overwrite_what_is_done(plan);

  size_t total = 0;
  for (size_t v = 0; v < values.size(); ++v) {
    Value& value = values[v];
    if (!has_place(value)) continue;
    size_t bytes;
    if (!checked_round_up(value.bytes, kAlignment, &bytes)) return kNoArena;
    // The lowest place where no tensor of the same time lies.
    size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t u = 0; u < v; ++u) {
        const Value& other = values[u];
        if (!has_place(other) || !overlap(value, other)) continue;
        const size_t other_end = other.offset + (other.bytes + kAlignment - 1) / kAlignment *
                                                    kAlignment;
        size_t end;
        if (!checked_add(offset, bytes, &end)) return kNoArena;
        if (offset < other_end && other.offset < end) {
          offset = other_end;
          moved = true;
        }
      }
    }
    value.offset = offset;
    size_t end;
    if (!checked_add(offset, bytes, &end)) return kNoArena;
    if (end > total) total = end;
  }
  for (size_t v = 0; v < values.size(); ++v) {
    values[v].offset = plan->value(memory_of(*plan, static_cast<int>(v))).offset;
  }
  *arena = total;
  return total > PTRDIFF_MAX ? kNoArena : nullptr;
}

}  // namespace larq_dense
