// SPDX-License-Identifier: Apache-2.0
// Drawn at twice the size and shrunk, which is what makes OpenCV's stroke fonts legible.

#include "models/preprocess/capture_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "models/preprocess/opencv_guard.h"

namespace cloister::models {
namespace {

constexpr int kRows = 800;
constexpr int kColumns = 1024;
constexpr int kZoom = 2;
constexpr int kMargin = 24;
constexpr int kBannerRows = 44;
constexpr int kFilmSide = 600;
constexpr int kCardLeft = kMargin + kFilmSide + kMargin;
constexpr int kCardColumns = kColumns - kCardLeft - kMargin;
constexpr int kCardPadding = 20;

// RGB, as the page is stored.
const cv::Scalar kPage(15, 18, 22);
const cv::Scalar kCard(29, 34, 41);
const cv::Scalar kText(232, 236, 241);
const cv::Scalar kBody(200, 208, 217);
const cv::Scalar kMuted(150, 160, 172);
const cv::Scalar kLine(62, 71, 82);
const cv::Scalar kAmber(240, 180, 60);
const cv::Scalar kOnAmber(35, 26, 4);
const cv::Scalar kPositive(244, 122, 96);
const cv::Scalar kNegative(96, 190, 160);

// One text style. `height` is that of a capital letter, in page pixels.
struct Style {
  int height;
  int weight;  // stroke, in drawing pixels
  cv::Scalar color;
};

std::string Ascii(const std::string& text) {
  std::string out;
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F) {
      out += c;
    } else if ((byte & 0xC0) != 0x80) {  // one mark per UTF-8 character
      out += '?';
    }
  }
  return out;
}

class Page {
 public:
  Page() : canvas_(kRows * kZoom, kColumns * kZoom, CV_8UC3, kPage) {}

  void Box(int x, int y, int columns, int rows, const cv::Scalar& color) {
    cv::rectangle(canvas_, cv::Rect(x * kZoom, y * kZoom, columns * kZoom, rows * kZoom), color, cv::FILLED);
  }

  void Triangle(int x, int y, const cv::Scalar& color) {  // pointing down to (x, y)
    const std::vector<cv::Point> corners{
        {x * kZoom, y * kZoom}, {(x - 7) * kZoom, (y - 11) * kZoom}, {(x + 7) * kZoom, (y - 11) * kZoom}};
    cv::fillConvexPoly(canvas_, corners, color, cv::LINE_AA);
  }

  static int Width(const std::string& text, const Style& style) {
    int baseline = 0;
    return cv::getTextSize(text, cv::FONT_HERSHEY_DUPLEX, Scale(style), style.weight, &baseline).width / kZoom;
  }

  // `x`: the left end, the middle or the right end by `anchor` 0, 0.5, 1; `y`: the base line.
  void Write(const std::string& text, int x, int y, const Style& style, double anchor = 0) {
    const int left = x - static_cast<int>(std::lround(anchor * Width(text, style)));
    cv::putText(canvas_, text, cv::Point(left * kZoom, y * kZoom), cv::FONT_HERSHEY_DUPLEX, Scale(style), style.color,
                style.weight, cv::LINE_AA);
  }

  // Words broken over lines of `columns` at most; stops above `bottom`. Returns the next base line.
  int Paragraph(const std::string& text, int x, int y, int columns, int bottom, const Style& style) {
    const int leading = style.height * 17 / 10;
    std::string line;
    std::string rest = Ascii(text);
    while (!rest.empty() && y <= bottom) {
      const size_t space = rest.find(' ');
      std::string word = rest.substr(0, space);
      const std::string longer = line.empty() ? word : line + " " + word;
      if (Width(longer, style) <= columns) {
        line = longer;
        rest = space == std::string::npos ? "" : rest.substr(space + 1);
      } else if (line.empty()) {  // one word wider than the card
        size_t fits = word.size();
        while (fits > 1 && Width(word.substr(0, fits), style) > columns) {
          --fits;
        }
        line = word.substr(0, fits);
        rest = rest.substr(fits);
      } else {
        Write(line, x, y, style);
        y += leading;
        line.clear();
      }
    }
    if (!line.empty() && y <= bottom) {
      Write(line, x, y, style);
      y += leading;
    }
    return y;
  }

  void Film(const cv::Mat& gray, int x, int y) {
    cv::Mat large;
    cv::cvtColor(gray, large, cv::COLOR_GRAY2RGB);
    cv::resize(large, large, cv::Size(gray.cols * kZoom, gray.rows * kZoom), 0, 0, cv::INTER_NEAREST);
    large.copyTo(canvas_(cv::Rect(x * kZoom, y * kZoom, large.cols, large.rows)));
  }

  RgbImage Finish() const {
    cv::Mat page;
    cv::resize(canvas_, page, cv::Size(kColumns, kRows), 0, 0, cv::INTER_AREA);
    return {kRows, kColumns, std::vector<uint8_t>(page.datastart, page.dataend)};
  }

 private:
  static double Scale(const Style& style) { return style.height * kZoom / 21.0; }  // a capital is 21 units high

  cv::Mat canvas_;
};

// The scale from 0 to 1 with the operating point and the score on it.
void DrawScale(Page& page, int x, int y, int columns, const CaptureContent& content, const cv::Scalar& color) {
  const auto at = [&](double value) { return x + static_cast<int>(std::lround(value * columns)); };
  const int threshold = at(content.operating_point);
  page.Box(x, y, columns, 10, kLine);
  page.Box(threshold, y, x + columns - threshold, 10, cv::Scalar(96, 62, 56));
  page.Box(x, y, std::max(at(content.score) - x, 2), 10, color);
  page.Box(threshold - 1, y - 6, 3, 22, kText);
  page.Triangle(at(content.score), y - 4, kText);
  const Style tick{9, 1, kMuted};
  page.Write("0", x, y + 32, tick);
  page.Write("1", x + columns, y + 32, tick, 1);
  const std::string label = fmt::format("{:.2f}", content.operating_point);
  const int half = Page::Width(label, tick) / 2;
  page.Write(label, std::clamp(threshold, x + 18 + half, x + columns - 18 - half), y + 32, tick, 0.5);
}

void DrawCard(Page& page, const CaptureContent& content, int top, int rows) {
  const bool positive = content.score >= content.operating_point;
  const cv::Scalar color = positive ? kPositive : kNegative;
  page.Box(kCardLeft, top, kCardColumns, rows, kCard);
  page.Box(kCardLeft, top, 4, rows, color);
  const int x = kCardLeft + kCardPadding;
  const int columns = kCardColumns - 2 * kCardPadding;
  const int bottom = top + rows - kCardPadding;

  int y = page.Paragraph(content.title, x, top + 40, columns, top + 80, {15, 2, kText}) + 14;
  y = page.Paragraph(positive ? content.positive_text : content.negative_text, x, y + 6, columns, y + 60,
                     {17, 3, color}) +
      22;
  page.Write("Score", x, y, {10, 1, kMuted});
  page.Write("Operating point", x + columns, y, {10, 1, kMuted}, 1);
  y += 50;
  page.Write(fmt::format("{:.2f}", content.score), x, y, {34, 4, kText});
  page.Write(fmt::format("{:.2f}", content.operating_point), x + columns, y, {17, 2, kMuted}, 1);
  y += 44;
  DrawScale(page, x, y, columns, content, color);
  y += 62;
  page.Box(x, y, columns, 1, kLine);
  y += 30;
  for (const std::string& line : content.lines) {
    y = page.Paragraph(line, x, y, columns, bottom, {10, 1, kBody}) + 7;
  }
}

}  // namespace

absl::StatusOr<RgbImage> RenderCapturePage(const GrayImage& film, const CaptureContent& content) {
  if (!(content.score >= 0 && content.score <= 1 && content.operating_point >= 0 && content.operating_point <= 1)) {
    return absl::InvalidArgumentError("capture: score and operating point must lie in 0 to 1");
  }
  constexpr int kTop = kBannerRows + kMargin;
  constexpr int kHeight = kRows - kTop - kMargin;
  PreprocessConfig fit;
  fit.rows = kHeight;
  fit.columns = kFilmSide;
  fit.window = Window::kMinMax;  // the film as the decoder windowed it
  CLOISTER_ASSIGN_OR_RETURN(std::vector<uint8_t> gray, Preprocess(film, fit));
  return GuardOpenCv("capture", [&]() -> absl::StatusOr<RgbImage> {
    Page page;
    page.Box(0, 0, kColumns, kBannerRows, kAmber);
    page.Write(Ascii(content.banner), kColumns / 2, 28, {12, 2, kOnAmber}, 0.5);
    page.Film(cv::Mat(kHeight, kFilmSide, CV_8UC1, gray.data()), kMargin, kTop);
    DrawCard(page, content, kTop, kHeight);
    return page.Finish();
  });
}

}  // namespace cloister::models
