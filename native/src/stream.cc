#include "stream.h"

#include <string.h>

#include "operator.h"

namespace larq_dense {
namespace {

const char* kNoOrder = "out of memory for the order of the work";

// All tensors of a stream keep their place until its end, so it must not get long.
constexpr size_t kMaxSteps = 4;
// More turns than any real picture takes are not put in order: that would take gigabytes.
constexpr size_t kMaxTurns = size_t{1} << 20;
// Rows that a step stays behind more than it must, so that a turn hardly ever waits.
constexpr int64_t kSlack = 1;

bool writes(const Step& step, int value) {
  if (step.output == value) return true;
  for (int j = 0; j < step.bit_outputs; ++j) {
    if (step.bits[j] == value) return true;
  }
  return false;
}

// A thread that waits long for a row lets others have the processor.
void wait_for(const uint8_t* done) {
  while (!spin_until([&] { return __atomic_load_n(done, __ATOMIC_ACQUIRE) != 0; })) yield_processor();
}

// Pixels, or rows of channels, of its output that one task of a step writes.
int64_t pixels_per_task(const Plan& plan, const Step& step) {
  if (step.type != &kBinaryConvStep) return rows_per_task(plan.shape_of(step.input));
  return int64_t{step.block_size} * step.block_size * step.conv.output().dims[2];
}

// The tasks of `need.step` that write what a task of `step` reads.
Range tasks_needed(const Plan& plan, const Step& step, int64_t task, const Need& need) {
  const Step& source = plan.steps[static_cast<size_t>(need.step)];
  Range pixels = {0, 0};
  switch (need.reach) {
    case Reach::kAll:
      return {0, source.tasks};
    case Reach::kWindow:
      pixels = step.conv.input_rows(task);
      pixels.first *= step.conv.input().dims[2];
      pixels.end *= step.conv.input().dims[2];
      break;
    case Reach::kRow:
      pixels = {task * step.conv.output().dims[2], (task + 1) * step.conv.output().dims[2]};
      break;
    case Reach::kSame:
      pixels = {task * pixels_per_task(plan, step), (task + 1) * pixels_per_task(plan, step)};
      break;
  }
  const int64_t each = pixels_per_task(plan, source);
  const int64_t end = (pixels.end + each - 1) / each;
  return {pixels.first / each, end < source.tasks ? end : source.tasks};
}

// Notes which steps of its stream, from `first` on, write what a step reads.
const char* find_needs(Plan* plan, size_t first, size_t index) {
  Step& step = plan->steps[index];
  step.needs.clear();
  const auto reads = [&](int value, Reach reach) {
    for (size_t s = first; s < index; ++s) {
      if (value < 0 || !writes(plan->steps[s], value)) continue;
      Need* need = step.needs.append();
      if (need == nullptr) return false;
      *need = {static_cast<int>(s), reach};
    }
    return true;
  };
  const bool is_conv = step.type == &kBinaryConvStep;
  bool fits = true;
  if (step.type == &kQuantizeStep) {
    for (int k = 0; k < step.parts; ++k) fits = fits && reads(step.part[k], Reach::kSame);
  } else {
    fits = reads(step.input, is_conv ? Reach::kWindow : Reach::kSame);
  }
  for (size_t j = 0; j < step.links.size(); ++j) {
    const Link& link = step.links[j];
    Reach reach = Reach::kAll;
    if (is_conv) {
      reach = link.layout == OtherLayout::kSplit ? Reach::kSame : Reach::kRow;
    } else if (link.operand == Operand::kSame || link.operand == Operand::kRows) {
      reach = Reach::kSame;
    }
    fits = fits && reads(link.value, reach);
  }
  return fits ? nullptr : kNoOrder;
}

// Puts the tasks in turn: of all that could be next, one of the last step, since what it reads was
// written last and is still in a cache.
const char* order_turns(const Plan& plan, Stream* stream) {
  Array<int64_t> taken;  // tasks of each step that have their turn
  if (!taken.allocate(static_cast<size_t>(stream->end))) return kNoOrder;
  const auto ready = [&](const Step& step, int64_t task) {
    for (size_t n = 0; n < step.needs.size(); ++n) {
      const Need& need = step.needs[n];
      const int64_t all = plan.steps[static_cast<size_t>(need.step)].tasks;
      const int64_t end = tasks_needed(plan, step, task, need).end + kSlack;
      if (taken[static_cast<size_t>(need.step)] < (end < all ? end : all)) return false;
    }
    return true;
  };
  for (size_t turn = 0; turn < stream->turns.size(); ++turn) {
    for (int s = stream->end - 1; s >= stream->first; --s) {
      int64_t* next = &taken[static_cast<size_t>(s)];
      const Step& step = plan.steps[static_cast<size_t>(s)];
      if (*next == step.tasks || !ready(step, *next)) continue;
      stream->turns[turn] = {s, (*next)++};
      break;
    }
  }
  return nullptr;
}

// Does one turn, but not before what it reads is there.
void run_turn(const Run& run, Stream* stream, int64_t index, int worker) {
  const List<Step>& steps = run.plan().steps;
  const Turn& turn = stream->turns[static_cast<size_t>(index)];
  const Step& step = steps[static_cast<size_t>(turn.step)];
  for (size_t n = 0; n < step.needs.size(); ++n) {
    const Need& need = step.needs[n];
    const Range tasks = tasks_needed(run.plan(), step, turn.task, need);
    const size_t flag = steps[static_cast<size_t>(need.step)].first_flag;
    for (int64_t t = tasks.first; t < tasks.end; ++t) {
      wait_for(&stream->done[flag + static_cast<size_t>(t)]);
    }
  }
  step.type->run(run, step, turn.task, worker);
  uint8_t* done = &stream->done[step.first_flag + static_cast<size_t>(turn.task)];
  __atomic_store_n(done, uint8_t{1}, __ATOMIC_RELEASE);
}

}  // namespace

const char* build_streams(Plan* plan, List<Stream>* streams) {
  List<Step>& steps = plan->steps;
  streams->clear();
  for (size_t s = 0; s < steps.size(); ++s) steps[s].stream = -1;
  for (size_t first = 0; first < steps.size();) {
    size_t end = first, flags = 0;
    while (end < steps.size() && end - first < kMaxSteps && steps[end].type->streams) {
      const char* error = find_needs(plan, first, end);
      if (error != nullptr) return error;
      steps[end].first_flag = flags;
      flags += static_cast<size_t>(steps[end].tasks);
      ++end;
    }
    if (end - first >= 2 && flags <= kMaxTurns) {
      Stream* stream = streams->append();
      if (stream == nullptr) return kNoOrder;
      stream->first = static_cast<int>(first);
      stream->end = static_cast<int>(end);
      if (!stream->turns.allocate(flags) || !stream->done.allocate(flags)) return kNoOrder;
      for (size_t s = first; s < end; ++s) {
        steps[s].stream = static_cast<int>(streams->size()) - 1;
      }
      const char* error = order_turns(*plan, stream);
      if (error != nullptr) return error;
    }
    first = end > first ? end : first + 1;
  }
  return nullptr;
}

void run_stream(const Run& run, Stream* stream, ThreadPool* pool) {
  memset(stream->done.data(), 0, stream->done.size());
  struct Job {
    const Run* run;
    Stream* stream;
  };
  Job job = {&run, stream};
  // Turns are handed out in their order, so that what one waits for is already being done.
  pool->run(
      static_cast<int64_t>(stream->turns.size()),
      [](void* argument, int64_t index, int worker) {
        const Job* work = static_cast<Job*>(argument);
        run_turn(*work->run, work->stream, index, worker);
      },
      &job);
}

}  // namespace larq_dense
