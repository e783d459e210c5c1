// Streams: runs of steps that several threads go through together, row by row.
//
// Step by step, all threads wait for the slowest at the end of every step. In a stream a task only
// waits for those that write the rows it reads, and its steps' tasks take turns in an order in
// which that has usually happened long ago.
#pragma once

#include "run.h"
#include "thread_pool.h"

namespace larq_dense {

struct Turn {
  int step;
  int64_t task;
};

struct Stream {
  int first = 0, end = 0;  // steps
  Array<Turn> turns;
  Array<uint8_t> done;  // for each task
};

// Finds the streams of a plan whose steps have their sizes, and numbers their steps.
const char* build_streams(Plan* plan, List<Stream>* streams);
void run_stream(const Run& run, Stream* stream, ThreadPool* pool);

}  // namespace larq_dense
