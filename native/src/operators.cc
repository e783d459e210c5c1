// The table of operators, and what their files share.
#include "operator.h"

#include <string.h>

namespace larq_dense {

#if !defined(LARQ_DENSE_OPERATORS)
#error "LARQ_DENSE_OPERATORS must list the op_*.cc files, as native/build.py does"
#endif
extern Operators LARQ_DENSE_OPERATORS;

namespace {

const Operator* const kFiles[] = {LARQ_DENSE_OPERATORS};

// Elements that one task of an elementwise step handles: enough to hide what a task costs.
constexpr size_t kElementsPerTask = 32768;

}  // namespace

const Operator* find_operator(const Node& node) {
  for (const Operator* row : kFiles) {
    for (; row->name != nullptr; ++row) {
      if (node.custom_name != nullptr
              ? row->code == kBuiltinCustom && strcmp(row->name, node.custom_name) == 0
              : row->code == node.code && row->code != kBuiltinCustom) {
        return row;
      }
    }
  }
  return nullptr;
}

bool Claim::reads(int i) const {
  const Tensor& tensor = input(i);
  size_t count;
  return tensor.type == output().type && !tensor.is_dynamic && tensor.has_shape &&
         count_elements(tensor.shape, &count) && count != 0;
}

bool Claim::has_range_of_output(int i) const {
  return input(i).type == Type::kInt8 && is_int8() && same_range(input(i), output());
}

bool same_range(const Tensor& a, const Tensor& b) {
  return a.scale > 0 && a.scale < INFINITY && a.scale == b.scale && a.zero_point >= -128 &&
         a.zero_point <= 127 && a.zero_point == b.zero_point;
}

bool activation_limits(int activation, float* low, float* high) {
  *low = -INFINITY;
  *high = INFINITY;
  switch (activation) {
    case kActNone:
      return true;
    case kActRelu:
      *low = 0;
      return true;
    case kActReluN1To1:
      *low = -1;
      *high = 1;
      return true;
    case kActRelu6:
      *low = 0;
      *high = 6;
      return true;
    default:
      return false;
  }
}

bool holds_two(const Tensor& tensor, int32_t* first, int32_t* second) {
  if (tensor.constant == nullptr || tensor.type != Type::kInt32 ||
      tensor.bytes != 2 * sizeof(int32_t)) {
    return false;
  }
  memcpy(first, tensor.constant, sizeof *first);
  memcpy(second, static_cast<const char*>(tensor.constant) + sizeof *first, sizeof *second);
  return true;
}

int64_t rows_per_task(const Shape& shape) {
  const size_t channels = static_cast<size_t>(shape.last());
  return static_cast<int64_t>(channels >= kElementsPerTask ? 1 : kElementsPerTask / channels);
}

void size_by_rows(const Shape& shape, Step* step) {
  size_t elements;
  count_elements(shape, &elements);  // was checked before
  const int64_t rows = static_cast<int64_t>(elements) / shape.last();
  const int64_t each = rows_per_task(shape);
  step->tasks = (rows + each - 1) / each;
}

Range rows_of(const Shape& shape, int64_t task) {
  size_t elements;
  count_elements(shape, &elements);
  const int64_t rows = static_cast<int64_t>(elements) / shape.last();
  const int64_t each = rows_per_task(shape);
  const int64_t end = (task + 1) * each;
  return {task * each, end < rows ? end : rows};
}

}  // namespace larq_dense
