#pragma once
// SPDX-License-Identifier: Apache-2.0
// A PACS that misbehaves on purpose, on a free loopback port: answers C-ECHO, and on C-GET hangs up over some studies
// and delivers others in part.

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/dcmnet/dimse.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <thread>

#include "tests/support/orthanc.h"

namespace cloister::testing {

class StubPacs {
 public:
  struct Study {
    bool hang_up = false;
    std::filesystem::path file;  // delivered; "": nothing
    int failed = 0;              // sub-operations that are reported as failed
  };

  // `studies` by StudyInstanceUID.
  explicit StubPacs(std::map<std::string, Study> studies) : port_(FreePort()), studies_(std::move(studies)) {
    open_ = ASC_initializeNetwork(NET_ACCEPTOR, port_, kSeconds, &network_).good();
    thread_ = std::thread([this] {
      while (open_ && !stop_) {
        if (ASC_associationWaiting(network_, 0)) {
          Serve();
        } else {
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      }
    });
  }
  ~StubPacs() {
    stop_ = true;
    thread_.join();
    ASC_dropNetwork(&network_);
  }
  StubPacs(const StubPacs&) = delete;
  StubPacs& operator=(const StubPacs&) = delete;

  int port() const { return port_; }

 private:
  static constexpr int kSeconds = 10;

  void Serve() {
    T_ASC_Association* association = nullptr;
    if (ASC_receiveAssociation(network_, &association, ASC_DEFAULTMAXPDU).good()) {
      const char* syntax = UID_LittleEndianExplicitTransferSyntax;
      const char* services[] = {UID_VerificationSOPClass, UID_GETStudyRootQueryRetrieveInformationModel};
      const char* images[] = {UID_DigitalXRayImageStorageForPresentation};
      ASC_acceptContextsWithPreferredTransferSyntaxes(association->params, services, 2, &syntax, 1);
      ASC_acceptContextsWithPreferredTransferSyntaxes(association->params, images, 1, &syntax, 1, ASC_SC_ROLE_SCP);
      ASC_acknowledgeAssociation(association);
      Answer(association);
    }
    ASC_dropSCPAssociation(association);
    ASC_destroyAssociation(&association);
  }

  void Answer(T_ASC_Association* association) {
    while (true) {
      T_DIMSE_Message message{};
      T_ASC_PresentationContextID context = 0;
      const OFCondition received =
          DIMSE_receiveCommand(association, DIMSE_NONBLOCKING, kSeconds, &context, &message, nullptr);
      if (received == DUL_PEERREQUESTEDRELEASE) {
        ASC_acknowledgeRelease(association);
        return;
      }
      if (received.good() && message.CommandField == DIMSE_C_ECHO_RQ) {
        DIMSE_sendEchoResponse(association, context, &message.msg.CEchoRQ, STATUS_Success, nullptr);
      } else if (received.bad() || message.CommandField != DIMSE_C_GET_RQ ||
                 !Get(association, context, message.msg.CGetRQ)) {
        ASC_abortAssociation(association);
        return;
      }
    }
  }

  // False: hang up.
  bool Get(T_ASC_Association* association, T_ASC_PresentationContextID context, T_DIMSE_C_GetRQ& request) {
    DcmDataset* keys = nullptr;
    T_ASC_PresentationContextID keys_context = 0;
    DIMSE_receiveDataSetInMemory(association, DIMSE_NONBLOCKING, kSeconds, &keys_context, &keys, nullptr, nullptr);
    OFString uid;
    if (keys != nullptr) {
      keys->findAndGetOFString(DCM_StudyInstanceUID, uid);
      delete keys;
    }
    const auto found = studies_.find(uid.c_str());
    if (found == studies_.end() || found->second.hang_up) {
      return false;
    }
    T_DIMSE_C_GetRSP response{};
    response.DimseStatus =
        found->second.failed > 0 ? STATUS_GET_Warning_SubOperationsCompleteOneOrMoreFailures : STATUS_Success;
    if (!found->second.file.empty()) {
      Store(association, found->second.file);
      response.NumberOfCompletedSubOperations = 1;
    }
    response.NumberOfFailedSubOperations = static_cast<DIC_US>(found->second.failed);
    response.opts = O_GET_NUMBEROFCOMPLETEDSUBOPERATIONS | O_GET_NUMBEROFFAILEDSUBOPERATIONS;
    response.DataSetType = DIMSE_DATASET_NULL;
    return DIMSE_sendGetResponse(association, context, &request, &response, nullptr, nullptr).good();
  }

  static void Store(T_ASC_Association* association, const std::filesystem::path& path) {
    DcmFileFormat file;
    file.loadFile(path.c_str());
    OFString instance;
    file.getDataset()->findAndGetOFString(DCM_SOPInstanceUID, instance);
    T_DIMSE_C_StoreRQ request{};
    request.MessageID = association->nextMsgID++;
    OFStandard::strlcpy(request.AffectedSOPClassUID, UID_DigitalXRayImageStorageForPresentation,
                        sizeof(request.AffectedSOPClassUID));
    OFStandard::strlcpy(request.AffectedSOPInstanceUID, instance.c_str(), sizeof(request.AffectedSOPInstanceUID));
    request.DataSetType = DIMSE_DATASET_PRESENT;
    T_DIMSE_C_StoreRSP response{};
    DcmDataset* detail = nullptr;
    DIMSE_storeUser(
        association, ASC_findAcceptedPresentationContextID(association, UID_DigitalXRayImageStorageForPresentation),
        &request, nullptr, file.getDataset(), nullptr, nullptr, DIMSE_NONBLOCKING, kSeconds, &response, &detail);
    delete detail;
  }

  const int port_;
  const std::map<std::string, Study> studies_;
  T_ASC_Network* network_ = nullptr;
  bool open_ = false;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace cloister::testing
