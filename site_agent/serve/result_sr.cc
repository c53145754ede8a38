// SPDX-License-Identifier: Apache-2.0
// TID 1500 with DCMTK's template classes. Codes are standard ones where the standard has one, else of scheme
// 99CLOISTER.

#include "site_agent/serve/result_sr.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmsr/cmr/tid1500.h>
#include <dcmtk/dcmsr/codes/dcm.h>
#include <dcmtk/dcmsr/codes/sct.h>
#include <dcmtk/dcmsr/codes/ucum.h>
#include <dcmtk/dcmsr/dsrdoc.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <mutex>

#include "protocols/crypto/hash.h"
#include "site_agent/ingest/dicom_setup.h"
#include "site_agent/serve/result_dataset.h"

namespace cloister::site {
namespace {

constexpr char kOurScheme[] = "99CLOISTER";

// Context groups of PS3.16 under the names of DCMTK 3.6.9 (Debian 13); before that they were in the plural.
#if PACKAGE_VERSION_NUMBER >= 369
using DocumentTitle = CID7021_MeasurementReportDocumentTitle;
using Measurement = CID218e_QuantitativeImageFeature;  // CID 7469 and more
using ImagePurpose = CID7551_GenericPurposeOfReferenceToImagesAndCoordinatesInMeasurement;
using Unit = CID7181_AbstractMultiDimensionalImageModelComponentUnit;
using RegionModifier = CID7464_GeneralRegionOfInterestMeasurementModifier;
using Procedure = CID100_QuantitativeDiagnosticImagingProcedure;
using Language = CID5000_Language;
using Country = CID5001_Country;
#else
using DocumentTitle = CID7021_MeasurementReportDocumentTitles;
using Measurement = CID7469_GenericIntensityAndSizeMeasurements;
using ImagePurpose = DSRCodedEntryValue;
using Unit = CID7181_AbstractMultiDimensionalImageModelComponentUnits;
using RegionModifier = CID7464_GeneralRegionOfInterestMeasurementModifiers;
using Procedure = CID100_QuantitativeDiagnosticImagingProcedures;
using Language = CID5000_Languages;
using Country = CID5001_Countries;
#endif

DSRCodedEntryValue Code(const CodedConcept& code) {
  return DSRCodedEntryValue(code.code_value.c_str(), code.coding_scheme_designator.c_str(), code.code_meaning.c_str());
}

DSRCodedEntryValue OurCode(const char* value, const char* meaning) {
  return DSRCodedEntryValue(value, kOurScheme, meaning);
}

// Runs template calls until one fails, and then says which.
class Steps {
 public:
  Steps& Do(const char* what, const OFCondition& condition) {
    if (status_.ok() && condition.bad()) {
      status_ = absl::InternalError(fmt::format("cannot write a structured report: {}: {}", what, condition.text()));
    }
    return *this;
  }
  const absl::Status& status() const { return status_; }

 private:
  absl::Status status_;
};

// DCMTK's context groups fill static tables on first use and are not thread-safe while they do.
void InitializeCodes() {
  static std::once_flag once;
  std::call_once(once, [] {
    DocumentTitle::initialize();
    Measurement::initialize();
    Unit::initialize();
    CID6147_ResponseCriteria::initialize();
    RegionModifier::initialize();
    Procedure::initialize();
    Language::initialize();
    Country::initialize();
  });
}

std::string Percent(double fraction) {
  return fmt::format("{:.1f}", fraction * 100);
}

std::string TrackingUid(const std::string& sop_instance_uid) {
  return UidFromDigest(crypto::Sha256("cloister tracking uid " + sop_instance_uid));
}

void StartReport(const Source& source, const ReleaseIdentity& release, TID1500_MeasurementReport& report,
                 Steps& steps) {
  steps.Do("title", report.createNewMeasurementReport(DocumentTitle::ImagingMeasurementReport))
      .Do("language", report.setLanguage(Language::English))
      .Do("device observer", report.getObservationContext().addDeviceObserver(
                                 release.device_uid.c_str(), release.algorithm_name.c_str(), "Cloister",
                                 release.algorithm_name.c_str(), release.device_uid.c_str()))
      .Do("procedure", report.addProcedureReported(Procedure::ImagingProcedure))
      .Do("image library", report.getImageLibrary().createNewImageLibrary())
      .Do("image group", report.getImageLibrary().addImageGroup())
      .Do("image", report.getImageLibrary().addImageEntry(source.data(), TID1600_ImageLibrary::withoutDescriptors));
}

void AddClassification(const Source& source, const ReleaseIdentity& release, const ClassificationResult& result,
                       TID1500_MeasurementReport& report, Steps& steps) {
  using Value = CMR_SRNumericMeasurementValueWithUnits<Unit>;
  const std::string sop_instance_uid =
      ResultSopInstanceUid(release.device_uid, source.header.sop_instance_uid, ResultKind::kStructuredReport);
  auto& group = report.getIndividualMeasurements();
  steps.Do("tracking identifier", group.setTrackingIdentifier(release.algorithm_name.c_str()))
      .Do("tracking uid", group.setTrackingUniqueIdentifier(TrackingUid(sop_instance_uid).c_str()))
      .Do("finding", group.setFinding(Code(result.finding)))
      .Do("score", group.addMeasurement(Measurement(CODE_DCM_CertaintyOfFinding),
                                        Value(Percent(result.score).c_str(), Unit::Percent)))
      .Do("source image",
          group.getMeasurement().addImage(
              ImagePurpose(CODE_DCM_SourceOfMeasurement),
              DSRImageReferenceValue(source.header.sop_class_uid.c_str(), source.header.sop_instance_uid.c_str())))
      .Do("threshold", group.addMeasurement(Measurement(OurCode("operating-point", "Operating point")),
                                            Value(Percent(result.threshold).c_str(), Unit::Percent)))
      .Do("presence", report.addQualitativeEvaluation(
                          Code(result.finding), result.positive ? DSRCodedEntryValue("52101004", "SCT", "Present")
                                                                : DSRCodedEntryValue("2667000", "SCT", "Absent")));
}

// TID 4019 below every measurement; DCMTK's TID 300 class has no place for it.
void AddAlgorithms(const ReleaseIdentity& release, DSRDocumentTree& tree, Steps& steps) {
  const std::pair<DSRCodedEntryValue, std::string> items[] = {{CODE_DCM_AlgorithmName, release.algorithm_name},
                                                              {CODE_DCM_AlgorithmVersion, release.algorithm_version}};
  for (size_t node = tree.gotoRoot(); node != 0; node = tree.iterate()) {
    if (tree.getCurrentContentItem().getValueType() != DSRTypes::VT_Num) {
      continue;
    }
    DSRTypes::E_AddMode where = DSRTypes::AM_belowCurrent;
    for (const auto& [concept_name, text] : items) {
      const size_t added = tree.addContentItem(DSRTypes::RT_hasConceptMod, DSRTypes::VT_Text, where);
      steps.Do("algorithm identification", added != 0 ? EC_Normal : SR_EC_CannotInsertSubTree)
          .Do("algorithm identification", tree.getCurrentContentItem().setConceptName(concept_name))
          .Do("algorithm identification", tree.getCurrentContentItem().setStringValue(text.c_str()));
      tree.goUp();
    }
  }
}

void AddNotAnalysed(const std::string& reason, TID1500_MeasurementReport& report, Steps& steps) {
  steps
      .Do("outcome", report.addQualitativeEvaluation(OurCode("analysis-outcome", "Analysis outcome"),
                                                     DSRCodedEntryValue("111225", "DCM", "Not Attempted")))
      .Do("reason", report.addQualitativeEvaluation(OurCode("not-analysed", "Not analysed"), reason.c_str()));
}

absl::StatusOr<WrittenInstance> WriteReport(
    const std::filesystem::path& source_path, const ReleaseIdentity& release, absl::Time created,
    const std::filesystem::path& folder,
    const std::function<void(const Source&, TID1500_MeasurementReport&, Steps&)>& fill) {
  PrepareDicom();
  InitializeCodes();
  CLOISTER_RETURN_IF_ERROR(CheckRelease(release));
  CLOISTER_ASSIGN_OR_RETURN(const Source source, LoadSource(source_path));
  Steps steps;
  TID1500_MeasurementReport report;
  StartReport(source, release, report, steps);
  fill(source, report, steps);
  CLOISTER_RETURN_IF_ERROR(steps.status());

  // Taking a tree from TID 1500 turns the document into an Enhanced SR, whatever it was; hence the order.
  DSRDocument document;
  DcmFileFormat file;
  DcmDataset* data = file.getDataset();
  steps.Do("document", document.createNewDocument(DSRTypes::DT_Comprehensive3DSR))
      .Do("tree", document.setTreeFromRootTemplate(report, OFTrue /*expandTree*/))
      .Do("type", document.changeDocumentType(DSRTypes::DT_Comprehensive3DSR));
  CLOISTER_RETURN_IF_ERROR(steps.status());
  AddAlgorithms(release, document.getTree(), steps);
  steps.Do("our coding scheme", document.getCodingSchemeIdentification().addItem(kOurScheme, "", "Cloister"))
      .Do("evidence", document.getCurrentRequestedProcedureEvidence().addItem(
                          source.header.study_instance_uid.c_str(), source.header.series_instance_uid.c_str(),
                          source.header.sop_class_uid.c_str(), source.header.sop_instance_uid.c_str()))
      .Do("completion", document.completeDocument())
      .Do("dataset", document.write(*data));
  CLOISTER_RETURN_IF_ERROR(steps.status());
  CopyPatientAndStudy(source, data);
  PutSeriesAndEquipment(source, release, ResultKind::kStructuredReport, created, data);
  return WriteResult(&file, folder);
}

absl::Status CheckFraction(double value, const char* what) {
  if (!(value >= 0 && value <= 1)) {
    return absl::InvalidArgumentError(fmt::format("{} {} is outside 0 to 1", what, value));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WrittenInstance> WriteResultSr(const std::filesystem::path& source, const ReleaseIdentity& release,
                                              const ClassificationResult& result, absl::Time created,
                                              const std::filesystem::path& folder) {
  CLOISTER_RETURN_IF_ERROR(CheckFraction(result.score, "the score"));
  CLOISTER_RETURN_IF_ERROR(CheckFraction(result.threshold, "the threshold"));
  if (!Code(result.finding).isValid()) {
    return absl::InvalidArgumentError("the finding needs code value, coding scheme designator and code meaning");
  }
  return WriteReport(source, release, created, folder,
                     [&](const Source& loaded, TID1500_MeasurementReport& report, Steps& steps) {
                       AddClassification(loaded, release, result, report, steps);
                     });
}

absl::StatusOr<WrittenInstance> WriteNotAnalysedSr(const std::filesystem::path& source, const ReleaseIdentity& release,
                                                   const NotAnalysed& outcome, absl::Time created,
                                                   const std::filesystem::path& folder) {
  if (outcome.reason.empty()) {
    return absl::InvalidArgumentError("an exam that was not analysed needs a reason");
  }
  return WriteReport(source, release, created, folder,
                     [&](const Source& loaded, TID1500_MeasurementReport& report, Steps& steps) {
                       std::string text = outcome.reason;
                       text += outcome.message.empty() ? "" : ": " + outcome.message;
                       AddNotAnalysed(ToSourceCharset(loaded, text), report, steps);
                     });
}

}  // namespace cloister::site
