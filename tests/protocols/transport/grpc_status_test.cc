// SPDX-License-Identifier: Apache-2.0
#include "protocols/transport/grpc_status.h"

#include <gtest/gtest.h>

namespace cloister::transport {
namespace {

TEST(GrpcStatusTest, EveryCodeGoesBothWays) {
  for (int code = 0; code <= 16; ++code) {
    const std::string message = code == 0 ? "" : "round 7: 2 survivors, threshold 3";
    const absl::Status ours(static_cast<absl::StatusCode>(code), message);
    const grpc::Status theirs = ToGrpc(ours);
    EXPECT_EQ(static_cast<int>(theirs.error_code()), code);
    EXPECT_EQ(theirs.error_message(), message);
    EXPECT_EQ(FromGrpc(theirs), ours);
  }
}

TEST(GrpcStatusTest, ACodeOfANewerVersionIsUnknown) {
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(31), "x")).code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(-1), "x")).code(), absl::StatusCode::kUnknown);
}

TEST(GrpcStatusTest, CutsALongMessage) {
  EXPECT_EQ(ToGrpc(absl::InternalError(std::string(100'000, 'x'))).error_message().size(), 4096u);
}

}  // namespace
}  // namespace cloister::transport
