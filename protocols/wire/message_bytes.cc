// SPDX-License-Identifier: Apache-2.0
#include "protocols/wire/message_bytes.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <fmt/format.h>

#include "protocols/wire/codec.h"

namespace cloister::wire {
namespace {

template <typename Message>
Bytes Serialize(const Message& message) {
  Bytes bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&output);
  }
  return bytes;
}

template <typename Message>
absl::StatusOr<Message> Parse(ByteView bytes, const char* what) {
  Message message;
  if (bytes.size() > static_cast<size_t>(kMaxReplyBytes) ||
      !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(fmt::format("{}: {} bytes that are not a message", what, bytes.size()));
  }
  return message;
}

}  // namespace

Bytes SerializeSiteMessage(const SiteMessage& message) {
  return Serialize(Encode(message));
}

absl::StatusOr<SiteMessage> ParseSiteMessage(ByteView bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const v1::SiteMessage message, Parse<v1::SiteMessage>(bytes, "site message"));
  return Decode(message);
}

Bytes SerializeWorkItem(const WorkItem& item) {
  return Serialize(Encode(item));
}

absl::StatusOr<WorkItem> ParseWorkItem(ByteView bytes) {
  CLOISTER_ASSIGN_OR_RETURN(const v1::WorkItem message, Parse<v1::WorkItem>(bytes, "work item"));
  return Decode(message);
}

}  // namespace cloister::wire
