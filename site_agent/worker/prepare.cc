// SPDX-License-Identifier: Apache-2.0
// Decode (site_agent/ingest), preprocess (models), write.

#include "site_agent/worker/prepare.h"

#include <fcntl.h>

#include <cerrno>
#include <new>
#include <utility>

#include "models/preprocess/prepared_set.h"
#include "protocols/base/descriptor.h"
#include "protocols/base/file.h"
#include "site_agent/ingest/dicom_image.h"

namespace cloister::site {
namespace {

// Not flushed to the disk: it has to outlive this process, not the machine.
absl::Status WriteDecoding(const std::filesystem::path& path, const std::string& case_id) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file.valid()) {
    return ErrnoStatus(errno, "cannot open", path);
  }
  return WriteAll(file.get(), case_id, path);
}

}  // namespace

models::PreprocessConfig PreprocessConfigOf(const plan::Task& task) {
  const plan::Preprocessing& from = task.preprocessing;
  models::PreprocessConfig config;
  config.rows = from.rows;
  config.columns = from.columns;
  config.channels = from.channels;
  config.window = from.window == "full" ? models::Window::kMinMax : models::Window::kPercentile;
  config.low_percentile = from.lower_percentile;
  config.high_percentile = from.upper_percentile;
  config.fit = from.fit == "stretch" ? models::Fit::kStretch
               : from.fit == "crop"  ? models::Fit::kCrop
                                     : models::Fit::kLetterbox;
  return config;
}

absl::StatusOr<std::variant<UsableImage, RejectedCase>> LoadCase(const std::vector<std::filesystem::path>& files,
                                                                 const models::PreprocessConfig& config) try {
  RejectedCase first{"UNREADABLE", "no file"};
  for (size_t i = 0; i < files.size(); ++i) {
    std::variant<DecodedImage, Rejection> decoded = DecodeGrayscale(files[i]);
    RejectedCase rejected;
    if (const Rejection* rejection = std::get_if<Rejection>(&decoded)) {
      rejected = {std::string(RejectReasonName(rejection->reason)), rejection->message};
    } else {
      DecodedImage& image = std::get<DecodedImage>(decoded);
      UsableImage usable{{image.rows, image.columns, std::move(image.pixels)}, {}};
      absl::StatusOr<std::vector<uint8_t>> pixels = models::Preprocess(usable.film, config);
      if (pixels.ok()) {
        usable.pixels = *std::move(pixels);
        return usable;
      }
      if (!absl::IsInvalidArgument(pixels.status())) {
        return pixels.status();
      }
      const std::string message(pixels.status().message());
      rejected = {message.rfind("blank", 0) == 0 ? "BLANK" : "UNUSABLE_PIXELS", message};
    }
    if (i == 0) {
      first = std::move(rejected);
    }
  }
  return first;
} catch (const std::bad_alloc&) {
  return absl::ResourceExhaustedError("preparing: out of memory");
}

absl::StatusOr<PrepareCounts> Prepare(const PrepareJob& job, const plan::Task& task,
                                      const std::filesystem::path& job_folder, ProgressWriter& progress) {
  const models::PreprocessConfig config = PreprocessConfigOf(task);
  CLOISTER_RETURN_IF_ERROR(models::CheckPreprocessConfig(config));
  CLOISTER_ASSIGN_OR_RETURN(models::PreparedSetWriter writer,
                            models::PreparedSetWriter::Create(job_folder, config.channels, config.rows, config.columns,
                                                              models::PreprocessDigest(config)));
  const std::filesystem::path decoding = job_folder / "decoding";
  int64_t done = 0;
  for (const PrepareJob::Case& item : job.cases) {
    CLOISTER_RETURN_IF_ERROR(WriteDecoding(decoding, item.id));
    CLOISTER_ASSIGN_OR_RETURN(auto loaded, LoadCase(item.files, config));
    if (const RejectedCase* rejected = std::get_if<RejectedCase>(&loaded)) {
      writer.Reject(item.id, rejected->reason, rejected->message);
    } else {
      CLOISTER_RETURN_IF_ERROR(writer.Add(item.id, std::get<UsableImage>(loaded).pixels));
    }
    progress.Count("prepare", ++done, static_cast<int64_t>(job.cases.size()));
  }
  std::error_code ignored;
  std::filesystem::remove(decoding, ignored);
  CLOISTER_RETURN_IF_ERROR(writer.Finish());
  return PrepareCounts{writer.size(), writer.rejected()};
}

}  // namespace cloister::site
