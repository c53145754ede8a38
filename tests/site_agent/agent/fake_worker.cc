// SPDX-License-Identifier: Apache-2.0
// Stands in for cloister-worker in the agent's tests: keeps its contract without LibTorch or pixels. A "film" is a text
// file; one that says BAD is rejected, and CRASH, MEMORY and HANG take it down. Training moves every weight by an
// amount that follows from the job, so that a sum can be checked; scores follow from the labels, and with
// CLOISTER_FAKE_MISS every second positive is missed; the model named by CLOISTER_FAKE_UNUSABLE gets no scores;
// CLOISTER_FAKE_DIVERGE (nan, inf, huge) spoils what was trained, and CLOISTER_FAKE_SAMPLES lies about how many cases
// there were. Each run adds a line to CLOISTER_FAKE_LOG.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "protocols/base/file.h"
#include "protocols/update/model_state.h"
#include "protocols/update/safetensors.h"

namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

int Fail(const char* code, const char* reason, const std::string& message) {
  const Json error = {{"error", {{"code", code}, {"reason", reason}, {"message", message}}}};
  (void)cloister::WriteFileAtomically("result.json", error.dump());
  return 1;
}

int Finish(const Json& result) {
  return cloister::WriteFileAtomically("result.json", result.dump()).ok() ? 0 : 1;
}

// What a damaged film does to a codec: nothing but "decoding" says which one it was.
std::optional<int> TakenDownBy(const std::string& film) {
  if (film.find("CRASH") != std::string::npos) {
    abort();
  }
  if (film.find("MEMORY") != std::string::npos) {
    return Fail("RESOURCE_EXHAUSTED", "out_of_memory", "out of memory");
  }
  if (film.find("HANG") != std::string::npos) {
    fs::last_write_time("decoding", fs::file_time_type::clock::now() - std::chrono::hours(1));
    sleep(600);
  }
  return std::nullopt;
}

int Prepare(const Json& job) {
  Json cases = Json::array();
  int row = 0;
  for (const Json& one : job["cases"]) {
    const auto film = cloister::ReadFile(one["files"][0].get<std::string>());
    std::ofstream("decoding") << one["case"].get<std::string>();
    if (const auto status = TakenDownBy(film.value_or(""))) {
      return *status;
    }
    if (!film.ok() || film->find("BAD") != std::string::npos) {
      cases.push_back({{"case", one["case"]}, {"rejected", "DECODE_FAILED"}, {"message", "the codec gave up"}});
    } else {
      cases.push_back({{"case", one["case"]}, {"row", row++}});
    }
  }
  const Json prepared = {{"shape", {row, 1, 2, 2}}, {"preprocessing", std::string(64, '0')}, {"cases", cases}};
  (void)cloister::WriteFileAtomically("prepared.json", prepared.dump());
  return Finish({{"prepared", row}});
}

// The model with `step` added to every weight. Not synced, and in pieces: benchmarks count this process, too.
bool WriteMoved(const cloister::update::MappedModel& model, float step, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  const cloister::Bytes prefix = cloister::update::SafetensorsPrefix(model.layout());
  file.write(prefix.data(), static_cast<std::streamsize>(prefix.size()));
  std::vector<float> piece;
  for (size_t at = 0; at < model.values().size(); at += piece.size()) {
    const auto from = model.values().subspan(at, size_t{1} << 15);
    piece.assign(from.begin(), from.end());
    for (float& value : piece) {
      value += step;
    }
    using Limits = std::numeric_limits<float>;
    const char* how = getenv("CLOISTER_FAKE_DIVERGE");
    if (how != nullptr && how == std::string("huge")) {
      std::fill(piece.begin(), piece.end(), Limits::max());
    } else if (how != nullptr && at == 0) {
      piece[0] = how == std::string("inf") ? -Limits::infinity() : Limits::quiet_NaN();
    }
    file.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(4 * piece.size()));
  }
  file.close();
  return file.good();
}

int Train(const Json& job) {
  const auto model = cloister::update::MappedModel::Open(job["initial_model"].get<std::string>());
  if (!model.ok()) {
    return Fail("INVALID_ARGUMENT", "bad_model", std::string(model.status().message()));
  }
  double positives = 0;
  for (const Json& one : job["cases"]) {
    positives += one["label"].get<int>();
  }
  const size_t n = job["cases"].size();
  std::puts(
      "{\"progress\": {\"phase\": \"train\", \"epoch\": 1, \"epochs\": 1, \"batch\": 1, \"batches\": 1, "
      "\"loss\": 0.5, \"images_per_second\": 100, \"eta_seconds\": 0}}");
  const float step = static_cast<float>(0.01 * positives / static_cast<double>(n) + 0.001 * job["epochs"].get<int>());
  const char* claimed = getenv("CLOISTER_FAKE_SAMPLES");
  if (!WriteMoved(*model, step, "model.safetensors")) {
    return Fail("UNAVAILABLE", "input_output", "cannot write");
  }
  return Finish({{"model", "model.safetensors"},
                 {"samples", claimed != nullptr ? std::stoul(claimed) : n},
                 {"batches", (n + 15) / 16},
                 {"loss_sum", 0.5 * n}});
}

int Validate(const Json& job) {
  Json scores = Json::object();
  Json unscored = Json::object();
  const char* unusable = getenv("CLOISTER_FAKE_UNUSABLE");
  for (const Json& model : job["models"]) {
    const std::string id = model["id"];
    if (unusable != nullptr && id == unusable) {
      unscored[id] = "a weight is not finite";
      continue;
    }
    Json list = Json::array();
    int i = 0;
    int positives = 0;
    for (const Json& one : job["cases"]) {
      const double noise = 0.05 * (i++ % 7);
      const bool positive = one["label"].get<int>() == 1;
      const bool missed = positive && positives++ % 2 == 1 && getenv("CLOISTER_FAKE_MISS") != nullptr;
      list.push_back(missed ? 0.25 : positive ? 0.6 + noise : 0.4 - noise);
    }
    scores[id] = list;
  }
  return Finish({{"scores", scores}, {"unscored", unscored}});
}

int Predict(const Json& job) {
  const auto film = cloister::ReadFile(job["files"][0].get<std::string>());
  if (!film.ok() || film->find("BAD") != std::string::npos) {
    return Finish({{"rejected", "TRUNCATED"}, {"message", "fewer pixels than promised"}});
  }
  (void)cloister::WriteFileAtomically("capture.rgb", cloister::Bytes(4 * 4 * 3, '\x7f'));
  Json capture = {{"file", "capture.rgb"}, {"rows", 4}, {"columns", 4}};
  if (const char* other = getenv("CLOISTER_FAKE_CAPTURE")) {
    capture = Json::parse(other);
  }
  return Finish({{"score", 0.83}, {"positive", true}, {"capture", capture}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 || chdir(argv[2]) != 0) {
    return 2;
  }
  const auto text = cloister::ReadFile("job.json");
  const Json job = text.ok() ? Json::parse(*text, nullptr, false) : Json();
  if (!job.is_object()) {
    return Fail("INVALID_ARGUMENT", "bad_job", "no job.json");
  }
  const std::string kind = job["kind"];
  if (const char* log = getenv("CLOISTER_FAKE_LOG")) {
    std::ofstream(log, std::ios::app) << kind << " " << fs::path(argv[2]).filename().string() << "\n";
  }
  if (const char* crash = getenv("CLOISTER_FAKE_CRASH"); crash != nullptr && kind == crash) {
    abort();
  }
  return kind == "prepare"    ? Prepare(job)
         : kind == "train"    ? Train(job)
         : kind == "validate" ? Validate(job)
         : kind == "predict"  ? Predict(job)
                              : Fail("INVALID_ARGUMENT", "bad_job", "unknown kind");
}
