// SPDX-License-Identifier: Apache-2.0
// Reading and writing prepared folders.

#include "models/preprocess/prepared_set.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "protocols/base/file.h"

namespace cloister::models {
namespace {

using Json = nlohmann::json;

constexpr char kPixelFile[] = "prepared.u8";
constexpr char kIndexFile[] = "prepared.json";

absl::Status Malformed(const std::filesystem::path& folder, const std::string& problem) {
  return absl::DataLossError(fmt::format("{}: {}", (folder / kIndexFile).string(), problem));
}

}  // namespace

PreparedSet::PreparedSet(PreparedSet&& other) noexcept {
  *this = std::move(other);
}

PreparedSet& PreparedSet::operator=(PreparedSet&& other) noexcept {
  std::swap(size_, other.size_);
  std::swap(channels_, other.channels_);
  std::swap(rows_, other.rows_);
  std::swap(columns_, other.columns_);
  std::swap(preprocessing_, other.preprocessing_);
  std::swap(cases_, other.cases_);
  std::swap(index_, other.index_);
  std::swap(pixels_, other.pixels_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  return *this;
}

PreparedSet::~PreparedSet() {
  if (pixels_ != nullptr) {
    munmap(const_cast<uint8_t*>(pixels_), mapped_bytes_);
  }
}

absl::StatusOr<PreparedSet> PreparedSet::Open(const std::filesystem::path& folder) {
  CLOISTER_ASSIGN_OR_RETURN(const Bytes text, ReadFile(folder / kIndexFile));
  PreparedSet set;
  try {
    const Json json = Json::parse(text);
    const Json& shape = json.at("shape");
    if (shape.size() != 4) {
      return Malformed(folder, "shape is not [N, C, H, W]");
    }
    set.size_ = shape[0].get<int64_t>();
    const int64_t channels = shape[1].get<int64_t>();
    const int64_t rows = shape[2].get<int64_t>();
    const int64_t columns = shape[3].get<int64_t>();
    if (set.size_ < 0 || set.size_ > (int64_t{1} << 31) || channels < 1 || channels > 3 || rows < 1 || rows > 4096 ||
        columns < 1 || columns > 4096) {
      return Malformed(folder, "shape is out of range");
    }
    set.channels_ = static_cast<int>(channels);
    set.rows_ = static_cast<int>(rows);
    set.columns_ = static_cast<int>(columns);
    absl::StatusOr<Digest> digest = Digest::FromHex(json.at("preprocessing").get<std::string>());
    if (!digest.ok()) {
      return Malformed(folder, "preprocessing is not a digest");
    }
    set.preprocessing_ = *digest;
    for (const Json& item : json.at("cases")) {
      PreparedCase entry;
      entry.id = item.at("case").get<std::string>();
      if (item.contains("row")) {
        entry.row = item.at("row").get<int64_t>();
        if (entry.row < 0 || entry.row >= set.size_) {
          return Malformed(folder, fmt::format("case '{}': row {} of {}", entry.id, entry.row, set.size_));
        }
      } else {
        entry.rejected = item.at("rejected").get<std::string>();
        entry.message = item.value("message", "");
      }
      if (!set.index_.emplace(entry.id, set.cases_.size()).second) {
        return Malformed(folder, fmt::format("case '{}' is there twice", entry.id));
      }
      set.cases_.push_back(std::move(entry));
    }
  } catch (const Json::exception& error) {
    return Malformed(folder, error.what());
  }

  const std::filesystem::path path = folder / kPixelFile;
  const Descriptor descriptor(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.valid()) {
    return ErrnoStatus(errno, "open", path);
  }
  struct stat status = {};
  const auto wanted = static_cast<size_t>(set.size_ * set.image_bytes());
  if (fstat(descriptor.get(), &status) != 0 || static_cast<size_t>(status.st_size) != wanted) {
    return absl::DataLossError(fmt::format("{}: {} bytes, {} are needed", path.string(), status.st_size, wanted));
  }
  void* mapped = wanted == 0 ? nullptr : mmap(nullptr, wanted, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  if (mapped == MAP_FAILED) {
    return ErrnoStatus(errno, "map", path);
  }
  set.pixels_ = static_cast<const uint8_t*>(mapped);
  set.mapped_bytes_ = wanted;
  return set;
}

absl::StatusOr<int64_t> PreparedSet::RowOf(const std::string& case_id) const {
  const auto found = index_.find(case_id);
  if (found == index_.end()) {
    return absl::NotFoundError(fmt::format("case '{}' is not in the prepared set", case_id));
  }
  const PreparedCase& entry = cases_[found->second];
  if (entry.row < 0) {
    return absl::FailedPreconditionError(fmt::format("case '{}' was rejected: {}", case_id, entry.rejected));
  }
  return entry.row;
}

absl::StatusOr<PreparedSetWriter> PreparedSetWriter::Create(const std::filesystem::path& folder, int channels, int rows,
                                                            int columns, const Digest& preprocessing) {
  PreparedSetWriter writer;
  writer.folder_ = folder;
  writer.channels_ = channels;
  writer.rows_ = rows;
  writer.columns_ = columns;
  writer.preprocessing_ = preprocessing;
  // The index is what makes a folder readable: gone first, back last.
  std::error_code ignored;
  std::filesystem::remove(folder / kIndexFile, ignored);
  const std::filesystem::path path = folder / kPixelFile;
  writer.descriptor_ = Descriptor(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!writer.descriptor_.valid()) {
    return ErrnoStatus(errno, "create", path);
  }
  return writer;
}

absl::Status PreparedSetWriter::Add(const std::string& case_id, const std::vector<uint8_t>& image) {
  if (image.size() != static_cast<size_t>(channels_) * rows_ * columns_) {
    return absl::InternalError(fmt::format("case '{}': {} bytes", case_id, image.size()));
  }
  CLOISTER_RETURN_IF_ERROR(WriteAll(
      descriptor_.get(), ByteView(reinterpret_cast<const char*>(image.data()), image.size()), folder_ / kPixelFile));
  cases_.push_back({case_id, size_++, "", ""});
  return absl::OkStatus();
}

void PreparedSetWriter::Reject(const std::string& case_id, const std::string& reason, const std::string& message) {
  cases_.push_back({case_id, -1, reason, message});
}

absl::Status PreparedSetWriter::Finish() {
  if (fsync(descriptor_.get()) != 0) {
    return ErrnoStatus(errno, "sync", folder_ / kPixelFile);
  }
  descriptor_.Close();
  Json cases = Json::array();
  for (const PreparedCase& entry : cases_) {
    if (entry.row >= 0) {
      cases.push_back({{"case", entry.id}, {"row", entry.row}});
    } else {
      cases.push_back({{"case", entry.id}, {"rejected", entry.rejected}, {"message", entry.message}});
    }
  }
  const Json json = {{"shape", {size_, channels_, rows_, columns_}},
                     {"preprocessing", preprocessing_.hex()},
                     {"cases", std::move(cases)}};
  // "replace": a message may carry bytes of a broken file.
  const std::string text = json.dump(1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
  return WriteFileAtomically(folder_ / kIndexFile, text, 0600);
}

}  // namespace cloister::models
