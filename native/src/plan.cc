// Gives each tensor between the steps a place in one block of memory; tensors that are not needed
// at the same time share it.
#include "partition.h"

namespace larq_dense {
namespace {

// Elements that one task of an elementwise step handles: enough to hide what a task costs.
constexpr size_t kElementsPerTask = 32768;
// Elements that go through a whole chain before the next: what stays in the first cache.
constexpr size_t kElementsPerBlock = 2048;

const char* kNoArena = "out of memory for the tensors between operators";

// Whether the tensor has a place of its own in the arena.
bool has_place(const Value& value) {
  return value.place == Value::Place::kArena && value.first_step >= 0 && value.over < 0;
}

bool overlap(const Value& a, const Value& b) {
  return a.first_step <= b.last_step && b.first_step <= a.last_step;
}

}  // namespace

int64_t rows_per_task(const Shape& shape) {
  const size_t channels = static_cast<size_t>(shape.last());
  return static_cast<int64_t>(channels >= kElementsPerTask ? 1 : kElementsPerTask / channels);
}

int64_t rows_per_block(const Shape& shape) {
  const size_t channels = static_cast<size_t>(shape.last());
  return static_cast<int64_t>(channels >= kElementsPerBlock ? 1 : kElementsPerBlock / channels);
}

const char* Partition::size_steps() {
  workspace_stride_ = 0;
  for (size_t s = 0; s < steps_.size(); ++s) {
    Step& step = steps_[s];
    const Shape& shape = shape_of(step.input);
    size_t scratch = 0;
    switch (step.kind) {
      case StepKind::kConv:
        step.tasks = step.conv.rows();
        scratch = step.conv.workspace_bytes();
        break;
      case StepKind::kConv2d:
        step.tasks = step.conv2d.rows();
        scratch = step.conv2d.workspace_bytes();
        break;
      case StepKind::kMaxPool:
        step.tasks = int64_t{shape.dims[0]} * shape_of(step.output).dims[1];
        break;
      case StepKind::kMaxPool2d:
        step.tasks = int64_t{shape.dims[0]} * shape_of(step.output).dims[1];
        scratch = static_cast<size_t>(shape.dims[2]) * static_cast<size_t>(shape.dims[3]) *
                  bytes_of(step);  // a row of the input, whose size was checked
        break;
      case StepKind::kDepthToSpace:
      case StepKind::kNearest:
        step.tasks = int64_t{shape.dims[0]} * shape.dims[1];
        break;
      case StepKind::kBilinear:
        step.tasks = int64_t{shape.dims[0]} * shape.dims[1];
        if (!checked_mul(static_cast<size_t>(shape.dims[2]), static_cast<size_t>(shape.dims[3]),
                         &scratch) ||
            !checked_mul(scratch, 4, &scratch) ||
            !checked_add(scratch, 4 * static_cast<size_t>(shape.dims[3]) + 2 * kEnlargeSlack,
                         &scratch)) {
          return kNoArena;
        }
        break;
      case StepKind::kMean:
        step.tasks = int64_t{shape.dims[0]} * step.parts;
        scratch = static_cast<size_t>(shape_of(step.output).last()) * sizeof(float);
        break;
      default: {
        size_t elements;
        count_elements(shape, &elements);  // was checked before
        const int64_t rows = static_cast<int64_t>(elements) / shape.last();
        const int64_t each = rows_per_task(shape);
        step.tasks = (rows + each - 1) / each;
        if (step.kind == StepKind::kChain) {
          scratch = static_cast<size_t>(rows_per_block(shape)) *
                    static_cast<size_t>(shape.last()) * sizeof(float);
        }
        break;
      }
    }
    if (!checked_round_up(scratch, kAlignment, &scratch)) return kNoArena;
    if (scratch > workspace_stride_) workspace_stride_ = scratch;
  }
  return nullptr;
}

int Partition::memory_of(int value) const {
  while (values_[static_cast<size_t>(value)].over >= 0) {
    value = values_[static_cast<size_t>(value)].over;
  }
  return value;
}

// A sum takes the memory of a tensor that nobody else reads: each element is read and then written
// by one task, so that a row of residual blocks stays where it is, in the cache.
void Partition::overwrite_what_is_done() {
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    if (step.output < 0) continue;
    int done = -1;
    if (step.kind == StepKind::kChain) done = step.input;
    if (step.kind == StepKind::kConv && step.block_size == 1 && step.links.size() > 0) {
      done = step.links[0].value;
    }
    if (done < 0) continue;
    Value& output = values_[static_cast<size_t>(step.output)];
    const Value& value = values_[static_cast<size_t>(done)];
    if (value.place != Value::Place::kArena || output.place != Value::Place::kArena ||
        value.reads != 1 || value.bytes != output.bytes) {
      continue;
    }
    output.over = done;
    Value& memory = values_[static_cast<size_t>(memory_of(done))];
    memory.last_step = output.last_step;
  }
}

const char* Partition::plan_memory() {
  for (size_t v = 0; v < values_.size(); ++v) {
    values_[v].first_step = values_[v].last_step = values_[v].over = -1;
    values_[v].reads = 0;
  }
  for (size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    int first = static_cast<int>(s), last = first;
    if (step.stream >= 0) {
      const Stream& stream = streams_[static_cast<size_t>(step.stream)];
      first = stream.first;
      last = stream.end - 1;
    }
    const auto touch = [&](int value, int reads) {
      if (value < 0) return;
      Value& v = values_[static_cast<size_t>(value)];
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

  overwrite_what_is_done();

  size_t total = 0;
  for (size_t v = 0; v < values_.size(); ++v) {
    Value& value = values_[v];
    if (!has_place(value)) continue;
    size_t bytes;
    if (!checked_round_up(value.bytes, kAlignment, &bytes)) return kNoArena;
    // The lowest place where no tensor of the same time lies.
    size_t offset = 0;
    for (bool moved = true; moved;) {
      moved = false;
      for (size_t u = 0; u < v; ++u) {
        const Value& other = values_[u];
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
  for (size_t v = 0; v < values_.size(); ++v) {
    values_[v].offset = values_[static_cast<size_t>(memory_of(static_cast<int>(v)))].offset;
  }
  if (total > PTRDIFF_MAX || !arena_.allocate(total, Fill::kNothing) ||
      !pointers_.allocate(values_.size())) {
    return kNoArena;
  }
  workspace_threads_ = 0;
  return nullptr;
}

}  // namespace larq_dense
