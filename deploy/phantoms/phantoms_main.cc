// SPDX-License-Identifier: Apache-2.0
// cloister-phantoms: chest films of an invented hospital, with labels and with the truth about every opacity.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <opencv2/core.hpp>

#include "deploy/phantoms/film.h"
#include "deploy/phantoms/study_folder.h"
#include "deploy/phantoms/text_table.h"
#include "protocols/base/file.h"

namespace cloister::phantoms {
namespace {

constexpr char kExamples[] = R"(Examples:
  cloister-phantoms --out build/north --site north --studies 120 --seed 7
  cloister-phantoms --out build/clinic --site clinic --profile south --studies 80 --seed 8 --prevalence 0.3

Writes DIR/dicom/<PatientID>/<AccessionNumber>.dcm, DIR/labels.csv (accession_number,label,finding) and DIR/truth.csv
(where every opacity is). The same arguments give the same bytes. Nobody in these films exists.)";

struct Arguments {
  std::string out;
  std::string site;
  std::string profile;
  int studies = 100;
  uint64_t seed = 1;
  double prevalence = -1;
};

struct Person {
  site::FilmPatient patient;
  Anatomy anatomy;
  bool positive = false;
  int months = 0;
};

Person DrawPerson(const Arguments& arguments, const Hospital& hospital, const StudyFolder& folder, int number) {
  const std::string identity = fmt::format("phantom {} patient {}", arguments.seed, number);
  Random random(arguments.seed, arguments.site + " " + identity);
  Person person;
  person.patient.id = folder.PatientId(identity);
  person.patient.sex = random.Chance(0.5) ? "M" : "F";
  person.patient.name = InventName(hospital.chinese_names, person.patient.sex, NumberFrom(person.patient.id, 1000));
  person.months = random.Integer(18 * 12, 90 * 12);
  person.anatomy = DrawAnatomy(random);
  person.positive = random.Chance(arguments.prevalence >= 0 ? arguments.prevalence : hospital.prevalence);
  return person;
}

absl::Status WriteStudy(const Arguments& arguments, const Hospital& hospital, int number, Person& person,
                        StudyFolder* folder, std::string* truth) {
  const std::string identity = fmt::format("phantom {} study {}", arguments.seed, number);
  Random random(arguments.seed, arguments.site + " " + identity);
  site::FilmStudy study;
  folder->Identify(identity, &study);
  const StudyMoment moment = MomentFrom(study.accession_number);
  const bool anteroposterior = random.Chance(hospital.anteroposterior);
  study.specific_character_set = hospital.specific_character_set;
  study.date = moment.date;
  study.time = moment.time;
  study.description = "Chest";
  study.modality = hospital.modality;
  study.view_position = anteroposterior ? "AP" : "PA";
  study.manufacturer = hospital.manufacturer;
  study.model = hospital.model;
  study.institution = hospital.institution;
  study.spacing_mm = hospital.spacing_mm;
  if (person.patient.birth_date.empty()) {
    person.patient.birth_date = BirthDate(moment.date, person.months, person.patient.id);
  }
  person.patient.age = fmt::format("{:03}Y", person.months / 12);

  const Film film = DrawFilm(hospital, person.anatomy, person.positive, anteroposterior, random);
  site::FilmPixels pixels;
  pixels.rows = hospital.rows;
  pixels.columns = hospital.columns;
  pixels.bits_stored = hospital.bits_stored;
  pixels.monochrome1 = hospital.monochrome1;
  pixels.grey = Digitise(hospital, film.grey);
  pixels.window_width = 1 << hospital.bits_stored;
  pixels.window_center = pixels.window_width / 2;
  CLOISTER_RETURN_IF_ERROR(folder->Write(person.patient, study, pixels));
  folder->AddLabel(study.accession_number, person.positive ? "pneumonia" : "normal",
                   person.positive ? "simulated opacity" : "no finding");
  for (const Opacity& opacity : film.opacities) {
    *truth += TextLine({study.accession_number, fmt::format("{:.4f}", opacity.x), fmt::format("{:.4f}", opacity.y),
                        fmt::format("{:.4f}", opacity.radius), fmt::format("{:.4f}", opacity.contrast)});
  }
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments) {
  const Hospital* hospital = FindHospital(arguments.profile.empty() ? arguments.site : arguments.profile);
  if (hospital == nullptr) {
    return absl::InvalidArgumentError(
        fmt::format("no built-in hospital '{}': give --profile north, south, east or west",
                    arguments.profile.empty() ? arguments.site : arguments.profile));
  }
  CLOISTER_ASSIGN_OR_RETURN(StudyFolder folder, StudyFolder::Create(arguments.out, arguments.site));
  std::string truth = TextLine({"accession_number", "x", "y", "radius", "contrast"});
  Random random(arguments.seed, arguments.site + " who comes again");
  int patients = 0;
  for (int study = 0; study < arguments.studies; ++patients) {
    Person person = DrawPerson(arguments, *hospital, folder, patients);
    int films = random.Chance(0.15) ? random.Integer(2, 3) : 1;  // some are filmed again
    for (; films > 0 && study < arguments.studies; --films, ++study) {
      CLOISTER_RETURN_IF_ERROR(WriteStudy(arguments, *hospital, study, person, &folder, &truth));
    }
  }
  CLOISTER_RETURN_IF_ERROR(folder.Finish());
  CLOISTER_RETURN_IF_ERROR(WriteFileAtomically(std::filesystem::path(arguments.out) / "truth.csv", truth));
  fmt::print("{}: {} studies of {} patients in {}\n", arguments.site, folder.studies(), patients, arguments.out);
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Makes plausible chest films with known truth, as DICOM studies of an invented hospital.");
  app.footer(kExamples);
  app.add_option("--out", arguments.out, "Folder to write to")->required();
  app.add_option("--site", arguments.site, "Name of the hospital; north, south, east and west are built in")
      ->required();
  app.add_option("--profile", arguments.profile, "Built-in hospital whose films to imitate (default: --site)");
  app.add_option("--studies", arguments.studies, "Number of studies")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  app.add_option("--seed", arguments.seed, "Every seed is another hospital full of people")->capture_default_str();
  app.add_option("--prevalence", arguments.prevalence, "Share of patients with opacities (default: the profile's)")
      ->check(CLI::Range(0.0, 1.0));
  CLI11_PARSE(app, argc, argv);
  cv::setNumThreads(1);
  absl::Status status;
  try {
    status = Run(arguments);
  } catch (const cv::Exception& error) {
    status = absl::InternalError(error.what());
  }
  if (!status.ok()) {
    fmt::print(stderr, "cloister-phantoms: {}\n", std::string(status.message()));
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace cloister::phantoms

int main(int argc, char** argv) {
  return cloister::phantoms::Main(argc, argv);
}
