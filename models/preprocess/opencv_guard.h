#pragma once
// SPDX-License-Identifier: Apache-2.0
// The one place where cv::Exception becomes a Status. OpenCV's own threads and vendor paths are off: one result per
// image.

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include "protocols/base/status.h"

namespace cloister::models {

// INTERNAL: OpenCV refused what we had checked. RESOURCE_EXHAUSTED: out of memory.
template <typename Body>
std::invoke_result_t<Body> GuardOpenCv(std::string_view what, Body&& body) {
  try {
    return body();
  } catch (const cv::Exception& error) {
    if (error.code == cv::Error::StsNoMem) {
      return absl::ResourceExhaustedError(std::string(what) + ": out of memory");
    }
    return absl::InternalError(std::string(what) + ": " + error.err);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(std::string(what) + ": out of memory");
  }
}

}  // namespace cloister::models
