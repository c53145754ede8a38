#pragma once
// SPDX-License-Identifier: Apache-2.0
// Google Benchmark's numbers as a table of our cost beside its bound, both of the same run.

#include <benchmark/benchmark.h>

#include <map>
#include <string>
#include <vector>

namespace cloister::bench {

// Runs what is registered and keeps the median time of each benchmark, in seconds, by name.
std::map<std::string, double> RunAll(int repetitions);

// One line of a table.
struct Row {
  std::string work;
  double seconds = 0;
  double bound = 0;  // what the machine needs for the same keystreams, hashes and copies alone
  std::string target;
  std::string others;  // measured elsewhere, never in this run
};
void Print(const std::string& title, const std::vector<Row>& rows);

// "0.52 ms", "1.20 s"
std::string Duration(double seconds);

}  // namespace cloister::bench
