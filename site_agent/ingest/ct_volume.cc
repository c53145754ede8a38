// SPDX-License-Identifier: Apache-2.0
// Headers first, then geometry, then the pixels of what belongs together.

#include "site_agent/ingest/ct_volume.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "site_agent/ingest/functional_groups.h"
#include "site_agent/ingest/grey_values.h"
#include "site_agent/ingest/open_dataset.h"
#include "site_agent/ingest/raw_frame.h"
#include "site_agent/ingest/slice_geometry.h"

namespace cloister::site {
namespace {

constexpr uint64_t kMostVoxels = uint64_t{600} << 20;
constexpr float kAir = -1024;

using Vector = std::array<double, 3>;

std::string Text(DcmItem& item, const DcmTagKey& tag) {
  OFString value;
  item.findAndGetOFStringArray(tag, value);
  return std::string(value.c_str(), value.size());
}

// By ImageType, for classic images; FrameType, for enhanced ones. "" for a slice.
std::string KindProblem(DcmDataset& data, int frame) {
  DcmItem& holder = MacroHolder(data, frame, DCM_CTImageFrameTypeSequence);
  const std::string type =
      Text(data, DCM_ImageType) + "\\" + (&holder == &data ? "" : Text(holder, DCM_FrameType)) + "\\";
  const auto has = [&](const char* word) { return type.find(word) != std::string::npos; };
  if (has("\\LOCALIZER\\") || has("\\SCOUT\\")) {
    return "LOCALIZER";
  }
  if (has("\\MPR\\") || has("REFORMAT") || has("\\MIP\\") || has("\\MINIP\\") || has("PROJECTION IMAGE") ||
      has("CSA MPR") || has("CSAPARALLEL") || has("\\VRT\\")) {
    return "REFORMATTED";
  }
  return has("DOSE_INFO") || has("SCREEN SAVE") || has("\\PROT") ? "NOT_A_SLICE" : "";
}

// A slice as its header describes it.
struct Slice {
  size_t file = 0;
  int frame = 0;
  std::string series_instance_uid;
  int rows = 0;
  int columns = 0;
  SlicePlane plane;
  double along = 0;  // position along the normal, mm
};

// What must be the same in one volume; spacing and directions rounded to what decimal strings hold.
std::string GroupOf(const Slice& slice) {
  const auto round = [](double x) { return std::llround(x * 1e3); };
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", slice.series_instance_uid, slice.rows, slice.columns,
                     round(slice.plane.row_spacing_mm), round(slice.plane.column_spacing_mm),
                     round(slice.plane.column_direction[0]), round(slice.plane.column_direction[1]),
                     round(slice.plane.column_direction[2]), round(slice.plane.row_direction[0]),
                     round(slice.plane.row_direction[1]), round(slice.plane.row_direction[2]));
}

class Loader {
 public:
  explicit Loader(const std::vector<std::filesystem::path>& files) : files_(files) {}

  CtSeries Run() {
    for (size_t file = 0; file < files_.size(); ++file) {
      ReadHeaders(file);
    }
    ChooseGroup();
    if (slices_.empty()) {
      return Refuse("NO_SLICES", fmt::format("none of {} files is a CT slice", files_.size()));
    }
    for (Slice& slice : slices_) {
      slice.along = Dot(slice.plane.position_mm, slice.plane.normal());
    }
    std::stable_sort(slices_.begin(), slices_.end(), [](const Slice& a, const Slice& b) { return a.along < b.along; });
    const uint64_t voxels = uint64_t{1} * slices_.size() * slices_[0].rows * slices_[0].columns;
    if (voxels > kMostVoxels) {
      return Refuse("TOO_LARGE", fmt::format("{} voxels; the limit is {}", voxels, kMostVoxels));
    }
    if (!ReadPixels()) {
      return Refuse("CONFLICTING_SLICES", "two different pictures at one position: phases or repeats in one series");
    }
    if (slices_.size() < 3) {
      return Refuse("TOO_FEW_SLICES", fmt::format("{} slices", slices_.size()));
    }
    return Build();
  }

 private:
  CtSeries Refuse(const std::string& code, const std::string& message) {
    return {SeriesRefusal{code, message}, std::move(left_out_)};
  }

  void LeaveOut(size_t file, int frame, std::string code) { left_out_.push_back({file, frame, std::move(code)}); }

  void ReadHeaders(size_t file) {
    auto outcome = OpenDataset(files_[file], ReadUpTo::kPixelData);
    if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
      return LeaveOut(file, 0, std::string(RejectReasonName(rejection->reason)));
    }
    DcmDataset& data = *std::get<OpenedDataset>(outcome).data;
    if (Text(data, DCM_Modality) != "CT") {
      return LeaveOut(file, 0, "NOT_CT");
    }
    Sint32 frames = 1;
    if (data.findAndGetSint32(DCM_NumberOfFrames, frames).bad()) {
      frames = 1;
    }
    Uint16 rows = 0;
    Uint16 columns = 0;
    data.findAndGetUint16(DCM_Rows, rows);
    data.findAndGetUint16(DCM_Columns, columns);
    constexpr Sint32 kMostFrames = 10000;
    for (int frame = 0; frame < std::min(frames, kMostFrames); ++frame) {
      if (std::string problem = KindProblem(data, frame); !problem.empty()) {
        LeaveOut(file, frame, std::move(problem));
        continue;
      }
      const std::optional<SlicePlane> plane = ReadSlicePlane(data, frame);
      if (!plane || rows == 0 || columns == 0) {
        LeaveOut(file, frame, "NO_POSITION");
        continue;
      }
      slices_.push_back({file, frame, Text(data, DCM_SeriesInstanceUID), rows, columns, *plane, 0});
    }
  }

  void ChooseGroup() {
    std::map<std::string, size_t> sizes;
    for (const Slice& slice : slices_) {
      ++sizes[GroupOf(slice)];
    }
    const auto largest =
        std::max_element(sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    std::vector<Slice> chosen;
    const auto same = std::find_if(slices_.begin(), slices_.end(),
                                   [&](const Slice& slice) { return GroupOf(slice) == largest->first; });
    for (const Slice& slice : slices_) {
      if (GroupOf(slice) == largest->first) {
        chosen.push_back(slice);
      } else if (slice.series_instance_uid != same->series_instance_uid) {
        LeaveOut(slice.file, slice.frame, "OTHER_SERIES");
      } else {
        const bool tilted = Dot(slice.plane.normal(), same->plane.normal()) < 0.999;
        LeaveOut(slice.file, slice.frame, tilted ? "OTHER_ORIENTATION" : "OTHER_GRID");
      }
    }
    slices_ = std::move(chosen);
  }

  // HU of all slices in order, into hu_; a slice that cannot be decoded or is a repeat leaves slices_. False: two
  // slices at one position differ.
  bool ReadPixels() {
    const size_t pixels = static_cast<size_t>(slices_[0].rows) * static_cast<size_t>(slices_[0].columns);
    hu_.reserve(pixels * slices_.size());
    std::vector<Slice> kept;
    for (const Slice& slice : slices_) {
      std::vector<float> hu;
      if (const auto rejection = ReadHu(slice, &hu)) {
        LeaveOut(slice.file, slice.frame, std::string(RejectReasonName(rejection->reason)));
        continue;
      }
      constexpr double kSamePlaceMm = 1e-3;
      if (!kept.empty() && slice.along - kept.back().along < kSamePlaceMm) {
        if (!std::equal(hu.begin(), hu.end(), hu_.end() - static_cast<std::ptrdiff_t>(pixels))) {
          return false;
        }
        LeaveOut(slice.file, slice.frame, "DUPLICATE_SLICE");
        continue;
      }
      hu_.insert(hu_.end(), hu.begin(), hu.end());
      kept.push_back(slice);
    }
    slices_ = std::move(kept);
    return true;
  }

  std::optional<Rejection> ReadHu(const Slice& slice, std::vector<float>* hu) {
    if (!opened_.data || opened_file_ != slice.file) {
      auto outcome = OpenDataset(files_[slice.file], ReadUpTo::kEnd);
      if (const Rejection* rejection = std::get_if<Rejection>(&outcome)) {
        return *rejection;
      }
      opened_ = std::move(std::get<OpenedDataset>(outcome));
      opened_file_ = slice.file;
    }
    PixelLayout layout;
    DecodeOptions options;
    options.frame = slice.frame;
    if (auto rejection = ReadLayout(*opened_.data, options, &layout)) {
      return rejection;
    }
    if (layout.samples != 1) {
      return Rejection{RejectReason::kUnsupportedPixelFormat, "a CT slice in colour"};
    }
    FrameReader reader(&opened_, &layout);
    if (auto rejection = reader.Check()) {
      return rejection;
    }
    RawFrame raw;
    if (auto rejection = reader.Read(slice.frame, &raw)) {
      return rejection;
    }
    *hu = StoredValues(raw, layout);
    const std::vector<bool> padding = PaddingMask(*opened_.data, layout, *hu);
    ApplyModalityLut(*opened_.data, layout, slice.frame, hu);
    for (size_t i = 0; i < padding.size(); ++i) {
      (*hu)[i] = padding[i] ? kAir : (*hu)[i];
    }
    return std::nullopt;
  }

  CtSeries Build() {
    CtVolume volume;
    const SlicePlane& first = slices_.front().plane;
    volume.slices = static_cast<int>(slices_.size());
    volume.rows = slices_.front().rows;
    volume.columns = slices_.front().columns;
    volume.row_spacing_mm = first.row_spacing_mm;
    volume.column_spacing_mm = first.column_spacing_mm;
    volume.origin_mm = first.position_mm;
    volume.column_direction = first.column_direction;
    volume.row_direction = first.row_direction;
    volume.normal = first.normal();
    volume.slice_spacing_mm = (slices_.back().along - slices_.front().along) / (volume.slices - 1);
    if (auto refusal = SpacingProblem(volume.slice_spacing_mm)) {
      return {*std::move(refusal), std::move(left_out_)};
    }
    volume.hu = std::move(hu_);
    UndoTilt(&volume);
    return {std::move(volume), std::move(left_out_)};
  }

  std::optional<SeriesRefusal> SpacingProblem(double mean) const {
    std::vector<double> distances;
    for (size_t i = 1; i < slices_.size(); ++i) {
      distances.push_back(slices_[i].along - slices_[i - 1].along);
    }
    std::vector<double> sorted = distances;
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2), sorted.end());
    const double median = sorted[sorted.size() / 2];  // a mean would hide the gap that is in it
    for (size_t i = 0; i < distances.size(); ++i) {
      if (distances[i] > 1.5 * median) {
        return SeriesRefusal{"SLICE_GAP", fmt::format("{:.2f} mm between slices {} and {}, {:.2f} mm elsewhere",
                                                      distances[i], i + 1, i + 2, median)};
      }
    }
    for (size_t i = 0; i < distances.size(); ++i) {
      if (std::abs(distances[i] - mean) > std::max(0.05 * mean, 0.05)) {
        return SeriesRefusal{
            "IRREGULAR_SPACING",
            fmt::format("{:.3f} mm between slices {} and {}, {:.3f} mm in the mean", distances[i], i + 1, i + 2, mean)};
      }
    }
    return std::nullopt;
  }

  // With a tilted gantry the table moves at an angle to the normal: each slice lies further along the plane.
  void UndoTilt(CtVolume* volume) const {
    const Vector whole = Minus(slices_.back().plane.position_mm, slices_.front().plane.position_mm);
    const double sideways = std::hypot(Dot(whole, volume->column_direction), Dot(whole, volume->row_direction));
    const double tilt = std::atan2(sideways, Dot(whole, volume->normal)) * 180 / M_PI;
    constexpr double kNegligibleDegrees = 0.1;
    if (tilt < kNegligibleDegrees) {
      return;
    }
    volume->gantry_tilt_degrees = tilt;
    const size_t pixels = static_cast<size_t>(volume->rows) * static_cast<size_t>(volume->columns);
    for (size_t i = 1; i < slices_.size(); ++i) {
      const Vector moved = Minus(slices_[i].plane.position_mm, slices_.front().plane.position_mm);
      ShiftPlane(volume->hu.data() + i * pixels, volume->rows, volume->columns,
                 Dot(moved, volume->row_direction) / volume->row_spacing_mm,
                 Dot(moved, volume->column_direction) / volume->column_spacing_mm, kAir);
    }
  }

  const std::vector<std::filesystem::path>& files_;
  std::vector<Slice> slices_;
  std::vector<LeftOut> left_out_;
  std::vector<float> hu_;
  OpenedDataset opened_;
  size_t opened_file_ = 0;
};

}  // namespace

CtSeries LoadCtSeries(const std::vector<std::filesystem::path>& files) {
  try {
    return Loader(files).Run();
  } catch (const std::exception& error) {
    const Rejection rejection = FromException(error);
    return {SeriesRefusal{std::string(RejectReasonName(rejection.reason)), rejection.message}, {}};
  }
}

}  // namespace cloister::site
