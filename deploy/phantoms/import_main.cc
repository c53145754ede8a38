// SPDX-License-Identifier: Apache-2.0
// cloister-import: a folder of PNG or JPEG images and a CSV file become DICOM studies for a test PACS.

#include <fmt/format.h>
#include <fnmatch.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <set>

#include "deploy/phantoms/hospital.h"
#include "deploy/phantoms/study_folder.h"
#include "deploy/phantoms/text_table.h"

namespace cloister::phantoms {
namespace {

constexpr char kExamples[] = R"(Examples:
  cloister-import --csv chest_xray/labels.csv --filter site_group=nih --out build/nih --site nih \
      --patient-column patient_id --age-column age --sex-column sex --view-column view --finding-column finding
  cloister-import --csv chest_xray/labels.csv --filter 'site_group=cohen_*,hannover' --out build/mixed --site mixed
  cloister-import --csv bone_age/labels.csv --age-column bone_age_months --age-unit months --body-part HAND \
      --out build/hands --site hands
  cloister-import --csv fundus_glaucoma/labels.csv --colour --modality OP --body-part EYE --out build/eyes --site eyes

Images are found relative to the folder of the CSV file. Writes DIR/dicom/<PatientID>/<AccessionNumber>.dcm and
DIR/labels.csv (accession_number,label,finding). Names, dates and numbers are invented from a hash of the row, so that a
second run gives the same studies. A row that cannot be used is reported with its line and the others go on.)";

struct Arguments {
  std::string csv;
  std::string out;
  std::string site;
  std::string image_column = "image";
  std::string label_column = "label";
  std::string patient_column;
  std::string finding_column;
  std::string age_column;
  std::string age_unit = "years";
  std::string sex_column;
  std::string view_column;
  std::vector<std::string> filters;
  std::string modality = "DX";
  std::string body_part = "CHEST";
  std::string charset = "ISO_IR 192";
  bool chinese_names = false;
  bool colour = false;
  int limit = 0;
};

struct Filter {
  size_t column = 0;
  std::vector<std::string> patterns;  // shell patterns; one must match
};

struct Columns {
  size_t image = 0;
  size_t label = 0;
  std::optional<size_t> patient, finding, age, sex, view;
  std::vector<Filter> filters;
};

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

absl::StatusOr<Columns> FindColumns(const Arguments& arguments, const TextTable& table) {
  Columns columns;
  CLOISTER_ASSIGN_OR_RETURN(columns.image, table.Column(arguments.image_column));
  CLOISTER_ASSIGN_OR_RETURN(columns.label, table.Column(arguments.label_column));
  for (const auto& [name, column] :
       {std::pair{&arguments.patient_column, &columns.patient}, std::pair{&arguments.finding_column, &columns.finding},
        std::pair{&arguments.age_column, &columns.age}, std::pair{&arguments.sex_column, &columns.sex},
        std::pair{&arguments.view_column, &columns.view}}) {
    if (!name->empty()) {
      CLOISTER_ASSIGN_OR_RETURN(*column, table.Column(*name));
    }
  }
  for (const std::string& text : arguments.filters) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(fmt::format("--filter '{}' is not COLUMN=PATTERN[,PATTERN...]", text));
    }
    Filter filter;
    CLOISTER_ASSIGN_OR_RETURN(filter.column, table.Column(text.substr(0, equals)));
    filter.patterns = SplitAtCommas(text.substr(equals + 1));
    columns.filters.push_back(filter);
  }
  return columns;
}

bool Passes(const std::vector<Filter>& filters, const TextRow& row) {
  return std::all_of(filters.begin(), filters.end(), [&](const Filter& filter) {
    return std::any_of(filter.patterns.begin(), filter.patterns.end(), [&](const std::string& pattern) {
      return fnmatch(pattern.c_str(), row.cells[filter.column].c_str(), 0) == 0;
    });
  });
}

// Months, or nothing when the cell is empty or no age at all.
std::optional<int> Months(const std::string& text, const std::string& unit) {
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(number >= 0)) {
    return std::nullopt;
  }
  const double months = unit == "months" ? number : number * 12;
  return months <= 130 * 12 ? std::optional<int>(static_cast<int>(months)) : std::nullopt;
}

std::string AgeString(int months) {
  return months < 24 ? fmt::format("{:03}M", months) : fmt::format("{:03}Y", months / 12);
}

std::string Sex(const std::string& text) {
  const char first = text.empty() ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return first == 'M' || first == 'F' || first == 'O' ? std::string(1, first) : "";
}

std::string View(const std::string& text) {
  const std::string start = text.substr(0, 2);
  return start == "PA" || start == "AP" ? start : "";
}

absl::StatusOr<site::FilmPixels> ReadImage(const std::filesystem::path& path, bool colour) {
  if (!std::filesystem::exists(path)) {
    return absl::NotFoundError("there is no file " + path.string());
  }
  const int flags = (colour ? cv::IMREAD_COLOR : cv::IMREAD_GRAYSCALE | cv::IMREAD_ANYDEPTH);
  cv::Mat image = cv::imread(path.string(), flags);
  if (image.empty()) {
    return absl::InvalidArgumentError("not an image that can be read: " + path.string());
  }
  site::FilmPixels pixels;
  pixels.rows = image.rows;
  pixels.columns = image.cols;
  if (colour) {
    cv::cvtColor(image, image, cv::COLOR_BGR2RGB);
    image = image.reshape(1, 1);
    pixels.rgb.assign(image.begin<uint8_t>(), image.end<uint8_t>());
    return pixels;
  }
  pixels.bits_stored = image.depth() == CV_16U ? 16 : 8;
  cv::Mat words;
  image.convertTo(words, CV_16U);
  pixels.grey.assign(words.begin<uint16_t>(), words.end<uint16_t>());
  pixels.window_width = 1 << pixels.bits_stored;
  pixels.window_center = pixels.window_width / 2;
  return pixels;
}

absl::Status ImportRow(const Arguments& arguments, const Columns& columns, const TextRow& row, StudyFolder* folder) {
  const auto cell = [&](const std::optional<size_t>& column) { return column ? row.cells[*column] : std::string(); };
  const std::string& image = row.cells[columns.image];
  const std::string& label = row.cells[columns.label];
  if (image.empty() || label.empty()) {
    return absl::InvalidArgumentError(fmt::format("{} is empty", image.empty() ? "the image" : "the label"));
  }
  CLOISTER_ASSIGN_OR_RETURN(site::FilmPixels pixels,
                            ReadImage(std::filesystem::path(arguments.csv).parent_path() / image, arguments.colour));

  site::FilmStudy study;
  folder->Identify(image, &study);
  const StudyMoment moment = MomentFrom(study.accession_number);
  study.specific_character_set = arguments.charset;
  study.date = moment.date;
  study.time = moment.time;
  study.description = "Imported image";
  study.modality = arguments.modality;
  study.body_part = arguments.body_part;
  study.view_position = View(cell(columns.view));
  study.manufacturer = "Cloister import";
  study.model = arguments.site;
  study.institution = arguments.site;

  const std::string person = cell(columns.patient).empty() ? image : cell(columns.patient);
  site::FilmPatient patient;
  patient.id = folder->PatientId(person);
  patient.sex = Sex(cell(columns.sex));
  patient.name = InventName(arguments.chinese_names, patient.sex, NumberFrom(patient.id, 1000));
  if (const std::optional<int> months = Months(cell(columns.age), arguments.age_unit)) {
    patient.age = AgeString(*months);
    patient.birth_date = BirthDate(moment.date, *months, patient.id);
  }
  CLOISTER_RETURN_IF_ERROR(folder->Write(patient, study, pixels));
  folder->AddLabel(study.accession_number, label, cell(columns.finding));
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments) {
  if (arguments.colour && (arguments.modality == "DX" || arguments.modality == "CR")) {
    return absl::InvalidArgumentError("--colour needs another --modality than DX or CR, for example OP");
  }
  CLOISTER_ASSIGN_OR_RETURN(const TextTable table, ReadTextTable(arguments.csv));
  absl::StatusOr<Columns> columns = FindColumns(arguments, table);
  if (!columns.ok()) {
    return absl::InvalidArgumentError(arguments.csv + ":1: " + std::string(columns.status().message()));
  }
  CLOISTER_ASSIGN_OR_RETURN(StudyFolder folder, StudyFolder::Create(arguments.out, arguments.site));
  std::map<std::string, int> first_line;  // of each image
  int bad = 0;
  for (const TextRow& row : table.rows) {
    if (!Passes(columns->filters, row) || (arguments.limit > 0 && folder.studies() >= arguments.limit)) {
      continue;
    }
    const auto [seen, is_new] = first_line.emplace(row.cells[columns->image], row.line);
    const absl::Status imported =
        is_new ? ImportRow(arguments, *columns, row, &folder)
               : absl::InvalidArgumentError(fmt::format("the same image as in line {}", seen->second));
    if (absl::IsResourceExhausted(imported) || absl::IsUnavailable(imported)) {
      return imported;  // the disk, not the row
    }
    if (!imported.ok()) {
      ++bad;
      fmt::print(stderr, "{}:{}: left out: {}\n", arguments.csv, row.line, std::string(imported.message()));
    }
  }
  if (folder.studies() == 0) {
    return absl::InvalidArgumentError(fmt::format("none of the {} rows of {} could be used{}", table.rows.size(),
                                                  arguments.csv, bad == 0 ? "; does --filter match any?" : ""));
  }
  CLOISTER_RETURN_IF_ERROR(folder.Finish());
  fmt::print("{}: {} studies in {}, {} rows left out\n", arguments.site, folder.studies(), arguments.out, bad);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Turns a folder of PNG or JPEG images and a CSV file into DICOM studies for a test PACS.");
  app.footer(kExamples);
  app.add_option("--csv", arguments.csv, "CSV file with a header line, one row an image")->required();
  app.add_option("--out", arguments.out, "Folder to write to")->required();
  app.add_option("--site", arguments.site, "Name of the hospital that gets them")->required();
  app.add_option("--image-column", arguments.image_column, "Path of the image")->capture_default_str();
  app.add_option("--label-column", arguments.label_column, "Label, copied to labels.csv")->capture_default_str();
  app.add_option("--patient-column", arguments.patient_column, "Who it is of (default: every image another person)");
  app.add_option("--finding-column", arguments.finding_column, "A finer label, copied to labels.csv");
  app.add_option("--age-column", arguments.age_column, "Age");
  app.add_option("--age-unit", arguments.age_unit, "Unit of the age")
      ->check(CLI::IsMember({"years", "months"}))
      ->capture_default_str();
  app.add_option("--sex-column", arguments.sex_column, "Sex: M, F or O");
  app.add_option("--view-column", arguments.view_column, "View position: PA or AP");
  app.add_option("--filter", arguments.filters,
                 "COLUMN=PATTERN[,PATTERN...], with * and ?; all given filters must match")
      ->delimiter('\0');
  app.add_option("--modality", arguments.modality, "Modality")->capture_default_str();
  app.add_option("--body-part", arguments.body_part, "BodyPartExamined")->capture_default_str();
  app.add_option("--charset", arguments.charset, "SpecificCharacterSet of the names")->capture_default_str();
  app.add_flag("--chinese-names", arguments.chinese_names, "Invent Chinese names");
  app.add_flag("--colour", arguments.colour, "Keep colours (Secondary Capture; needs a --modality like OP)");
  app.add_option("--limit", arguments.limit, "Stop after so many studies (0: all)")->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  absl::Status status;
  try {
    status = Run(arguments);
  } catch (const cv::Exception& error) {
    status = absl::InternalError(error.what());
  }
  if (!status.ok()) {
    fmt::print(stderr, "cloister-import: {}\n", std::string(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace cloister::phantoms

int main(int argc, char** argv) {
  return cloister::phantoms::Main(argc, argv);
}
